"""The forecast of ``--collect-only``: what each item would come to, and why. Writes nothing.

Runs in the pytest process that collects. Must not know how a trial is run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mitosis.collection import key_of, spec_of
from pytest_mitosis.model import Kind, LockError, MitosisError, Reuse
from pytest_mitosis.store.locks import Name, check_lock
from pytest_mitosis.table import Refusal, Row, State, count_states, parts_of, render_plan

if TYPE_CHECKING:
    from pytest_mitosis.model import TrialSpec
    from pytest_mitosis.precedent import Precedents
    from pytest_mitosis.reporting import Reporter
    from pytest_mitosis.session import ExperimentSession
    from pytest_mitosis.store.reuse import Found, Wanted


@dataclass(eq=False)  # registered as a plugin, so it has to be hashable
class Forecast:
    """Looks each item up among the locks and the trials; registered for ``--collect-only``."""

    session: ExperimentSession
    reporter: Reporter
    rows: list[Row] = field(default_factory=list)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Emitted when the items are final; a locked name sets the exit code as in a run."""
        precedents = self.session.runner.precedents
        for item in session.items:
            spec = spec_of(item)
            if spec is not None and isinstance(item, pytest.Function):
                self.rows.append(self._row(item, spec, precedents))
        locked = [one for one in self.rows if one.status == State.LOCKED]
        self.reporter.rows += [Row(refusal=Refusal.LOCKED, reason=one.reason) for one in locked]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Emitted at the end: a line per item (totals alone with ``-qq``)."""
        if not self.rows:
            return
        terminal = terminalreporter
        terminal.ensure_newline()
        if terminal.verbosity >= 0:
            terminal.section("plan (nothing was run)")
        if terminal.verbosity > -2:
            for line in render_plan(self.rows):
                terminal.write_line(line)
        terminal.write_line(f" {count_states(self.rows)}")
        dirty = sum(len(state.changes) for state in self.session.code.states)
        if dirty and not self.session.draft:
            files = "1 file is" if dirty == 1 else f"{dirty} files are"
            terminal.write_line(f" nothing runs before the tree is clean: {files} not committed")

    def _row(self, item: pytest.Function, spec: TrialSpec, precedents: Precedents) -> Row:
        row = Row(
            nodeid=item.nodeid,
            experiment=spec.experiment.name,
            parts=parts_of(spec),
            draft=self.session.draft,
            status=State.TO_RUN,
        )
        vouching = self.session.vouching
        try:
            if vouching is not None:
                vouching.require_values(item)
            if self.session.draft:
                return row.replaced(reason="a draft")
            new = self._new_names(spec)
            asks = [b.parameter for b in spec.bindings if b.kind is Kind.FIXTURE and b.tracked]
            if asks and precedents.mode is not Reuse.NEVER:
                return row.replaced(reason=f"unless {asks[0]} gives what it gave before")
            wanted = precedents.wanted(spec, key_of(item, spec), {})
            found = precedents.look(wanted)
            if vouching is not None and precedents.mode is Reuse.NEVER:
                return row.replaced(reason=vouching.outlook(item, spec), seconds=found.seconds or 0)
        except LockError as error:
            return row.replaced(status=State.LOCKED, reason=str(error).splitlines()[0])
        except MitosisError as error:
            return row.replaced(status=State.REFUSED, reason=str(error))
        return _row_of_found(row, wanted, found, new)

    def _new_names(self, spec: TrialSpec) -> list[str]:
        """The names this trial would lock.

        Raises
        ------
        LockError
            If a name is locked to another value.
        Undescribable
            If a value has no identity that can be locked.
        """
        project, new = self.session.project, []
        for one in spec.bindings:
            if one.kind is not Kind.VARIANT or not one.tracked:
                continue
            name = Name(one.step, one.parameter, one.name)
            description = self.session.runner.describer.describe(one)
            held = check_lock(
                project.locks_folder, name, description, strict_code=project.strict_code
            )
            if held is None:
                new.append(f"{one.parameter}={one.name}")
        return new


def _row_of_found(row: Row, wanted: Wanted, found: Found, new: list[str]) -> Row:
    seconds = found.seconds or 0.0
    if found.trial is not None and wanted.mode is not Reuse.NEVER:
        m = found.trial.manifest
        return row.replaced(
            status=State.DONE, trial=found.trial.id, metrics=m.get("metrics", {}), seconds=seconds
        )
    if found.busy:
        return row.replaced(status=State.UNDER_WAY, reason=found.busy, seconds=seconds)
    reason = f"new name {', '.join(new)}" if new else str(found.reason)
    if wanted.mode is Reuse.NEVER and found.trial is not None:
        reason = f"--exp-reuse never ({found.trial.id} is done)"
    return row.replaced(reason=reason, seconds=seconds)
