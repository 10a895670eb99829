"""Words, rows and the exit code: what people and CI see of a session's trials.

The rows are made where trials run; the controller gathers them from reports and prints them.
"""

from __future__ import annotations

import os
import shlex
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mitosis.collection import spec_of
from pytest_mitosis.model import MitosisError, Status
from pytest_mitosis.table import REUSED, Refusal, Row, render, render_hypotheses, word_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_mitosis.session import ExperimentSession

ATTRIBUTE = "mitosis"
MOST_NOTES = 10
LOUD = ("tainted: ", "not reproducible: ")
"""What notes begin with that come before others."""
LETTERS: dict[str, str] = {Refusal.DIRTY: "E", Refusal.DRIFTED: "F", Refusal.REFUTED: "F"}
"""Letters of refusals other than the first of their word."""


class ExitCode(IntEnum):
    """Exit codes beyond pytest's own, the weightiest first."""

    STORE = 13
    DIRTY = 10
    LOCKED = 11
    DRIFTED = 12


class Reporter:
    """Turns reports into words, rows into a table, and refusals into the exit code."""

    def __init__(self, session: ExperimentSession) -> None:
        self.session = session
        self.rows: list[Row] = []

    def pytest_report_header(self, config: pytest.Config) -> str | None:
        """Emitted at the start; xdist's controller hears of no collection."""
        return self._store_line() if config.pluginmanager.hasplugin("dsession") else None

    def pytest_report_collectionfinish(self, config: pytest.Config) -> str | None:
        """Emitted once items are selected: what runs trials comes up while this is looked up."""
        shows_header = config.get_verbosity() >= 0 and not config.getoption("no_header")
        return self._store_line() if shows_header else None

    def _store_line(self) -> str:
        from pytest_mitosis.store.folder import count_trials
        from pytest_mitosis.store.locks import iterate_locks

        project = self.session.project
        trials = count_trials(project.trials_folder)
        locks = sum(1 for _ in iterate_locks(project.locks_folder))
        store = _relative(project.trials_folder)
        return (
            f"mitosis: store {store} · {trials} trial{'s' * (trials != 1)} · "
            f"{locks} locked variant{'s' * (locks != 1)} · {self.session.describe_code()}"
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Emitted where the item ran; puts its row on the report."""
        from pytest_mitosis.runner import PREPARED, REFUSAL, ROW

        report = yield
        if spec_of(item) is None:
            return report
        runner = self.session.runner
        refusal = item.stash.get(REFUSAL, runner.refusal if report.when == "setup" else None)
        row = item.stash.get(ROW, None) if report.when == "call" else None
        if report.failed and refusal is not None:
            if refusal is Refusal.DIRTY:
                item.session.shouldfail = "the code is not at a clean commit"
            text = report.longreprtext.splitlines()
            row = Row(nodeid=item.nodeid, refusal=refusal, reason=text[0] if text else refusal)
        if row is not None:
            setattr(report, ATTRIBUTE, row)
            if row.nodeid == "" and PREPARED in item.stash:  # it ran before pytest came to it
                report.duration, report.start = row.seconds, report.stop - row.seconds
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, Any, dict[str, Any] | None]:
        """Emitted in xdist's workers, and by others who write reports down; rows become text."""
        data: dict[str, Any] | None = yield
        if data is not None and isinstance(row := data.get(ATTRIBUTE), Row):
            data[ATTRIBUTE] = row.to_text()
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self) -> Generator[None, Any, Any]:
        """Emitted in xdist's controller; the text is a row again."""
        report = yield
        if isinstance(text := getattr(report, ATTRIBUTE, None), str):
            setattr(report, ATTRIBUTE, Row.from_text(text))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
        """Emitted in the controller; only letter and word are ours, the category is pytest's."""
        row: Row | None = getattr(report, ATTRIBUTE, None)
        if row is None or hasattr(report, "wasxfail"):
            return None
        word = (word_of(row) or row.refusal).upper()
        if report.passed:
            return "passed", "d" if row.draft else word[0], (word, {"green": True})
        letter = LETTERS.get(row.refusal, word[0])
        category = "error" if report.when != "call" else "failed"
        return category, "X" if row.status == Status.CRASHED else letter, (word, {"red": True})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Emitted in the controller for every report."""
        row: Row | None = getattr(report, ATTRIBUTE, None)
        if row is not None:
            self.rows.append(row)
            if row.refusal == Refusal.DIRTY:
                self._stop("the code is not at a clean commit")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Emitted at the end; sets the exit code before the summary, its reason after it."""
        code, reason = self._exit()
        if code is not None:
            session.exitstatus = code
        yield
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        if code is not None and terminal is not None and not _is_worker(session.config):
            terminal.write_line(f"exit {int(code)}: {reason}")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Emitted in the controller: the trials of this session, and the file of all trials."""
        rows = [row for row in (*self.rows, *self.session.interrupted) if row.trial]
        if not rows:
            return
        terminal = terminalreporter
        terminal.ensure_newline()
        if terminal.verbosity >= 0:
            terminal.section("trials (this session)")
        for line in render(rows):
            terminal.write_line(line)
        for line in render_hypotheses(rows):
            terminal.write_line(f" {line}")
        found = dict.fromkeys(note for row in rows for note in row.notes)
        notes = sorted(found, key=lambda note: not note.startswith(LOUD))
        for note in notes[:MOST_NOTES]:
            terminal.write_line(f" note: {note}")
        if len(notes) > MOST_NOTES:
            more = len(notes) - MOST_NOTES
            terminal.write_line(
                f" and {more} more note{'s' * (more != 1)}, in the trials' trial.json"
            )
        failed = any(terminal.stats.get(name) for name in ("failed", "error"))
        for line in self._pointers(rows, failed=failed):
            terminal.write_line(f" {line}")

    def _pointers(self, rows: list[Row], *, failed: bool) -> list[str]:
        told, left_out = [], ""
        page = Path(rows[0].folder, "notebook.html")
        if len(rows) == 1 and page.exists():  # a trial that never began on a cluster has none
            told.append(f"notebook {_relative(page)}")
        try:
            if not all(row.status == REUSED for row in rows):
                browse, left_out = self._browse()
                told.append(browse)
            if not all(row.draft or row.status == REUSED for row in rows):  # it is as it was
                told.append(self._tabulate())
        except MitosisError as error:
            self.rows.append(Row(refusal=Refusal.STORE, reason=str(error)))
            told.append(str(error))
        lines = [" · ".join(told), *filter(None, [left_out])]
        if failed:
            arguments = [str(one) for one in self.session.config.invocation_params.args]
            lines.append(f"rerun what failed: {shlex.join(['pytest', *arguments, '--lf'])}")
        return lines

    def _browse(self) -> tuple[str, str]:
        """Refresh the browser; where it is, and a sentence on trials that are not in it.

        What goes wrong there is told and changes nothing else.
        """
        from pytest_mitosis.read.site import build_site

        project = self.session.project
        root = project.root if project.is_repository else None
        try:
            site = build_site(
                project.trials_folder,
                locks=project.locks_folder,
                repository=root,
                title=project.root.name,
            )
        except Exception as error:
            return f"the browser could not be refreshed: {type(error).__name__}: {error}", ""
        return f"browse {_relative(site.page)}", site.left_out

    def _tabulate(self) -> str:
        """Write the table of all trials anew."""
        from pytest_mitosis.store.files import store_errors
        from pytest_mitosis.store.rows import write_summary

        store = self.session.project.trials_folder
        with store_errors(store):
            return f"table {_relative(write_summary(store))}"

    def _exit(self) -> tuple[ExitCode | None, str]:
        for code, refusal in (
            (ExitCode.STORE, Refusal.STORE),
            (ExitCode.DIRTY, Refusal.DIRTY),
            (ExitCode.LOCKED, Refusal.LOCKED),
            (ExitCode.DRIFTED, Refusal.DRIFTED),
        ):
            refused = [row for row in self.rows if row.refusal == refusal]
            if refused:
                reasons = list(dict.fromkeys(row.reason for row in refused))
                more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
                return code, f"{reasons[0]}{more}"
        return None, ""

    def _stop(self, reason: str) -> None:
        """Under xdist the controller has to be told to stop, once; workers stop themselves."""
        manager = self.session.config.pluginmanager
        distributed = manager.get_plugin("dsession")
        if distributed is not None and not distributed.shouldstop:
            distributed.shouldstop = reason


def _relative(path: Path) -> str:
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
