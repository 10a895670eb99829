"""``--exp-md FILE``: what a session found as Markdown, for a pull request or a job's summary.

Runs in the controller, at the end of the session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_mitosis.read.verdict import Verdict
from pytest_mitosis.read.verdict_text import cells, markdown
from pytest_mitosis.table import Row, format_metric, format_seconds, word_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_mitosis.reporting import Reporter
    from pytest_mitosis.session import ExperimentSession


@dataclass(eq=False)  # registered as a plugin, so it has to be hashable
class MarkdownFile:
    """Writes the file; replaces what was there."""

    session: ExperimentSession
    reporter: Reporter
    path: Path

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Emitted at the end, when all rows are there."""
        rows = self.reporter.rows
        lines = [f"## Trials at {self.session.describe_code()}", ""]
        told = [*self._official(rows), *_refused(rows), *_others(rows)]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("\n".join([*lines, *(told or ["No trials."]), ""]), "utf-8")
        except OSError as error:
            self.session.say(f"--exp-md {self.path} cannot be written: {error.strerror}")

    def _official(self, rows: Sequence[Row]) -> list[str]:
        officials = self.session.officials
        found = []
        for group in officials.groups if officials is not None else ():
            verdicts = [
                (row.label, Verdict.from_json(one))
                for row in rows
                for one in row.verdicts
                if one["group"] == group.name
            ]
            if verdicts:
                title = f"{group.name}: {group.title}" if group.title else group.name
                found.append(markdown(title, verdicts))
        return found


def _refused(rows: Sequence[Row]) -> list[str]:
    reasons = dict.fromkeys(row.reason for row in rows if row.refusal and not row.trial)
    return [*(f"- ❌ {reason}" for reason in reasons), *([""] if reasons else [])]


def _others(rows: Sequence[Row]) -> list[str]:
    """Trials that were not compared with anything."""
    shown = [row for row in rows if row.trial and not row.verdicts]
    if not shown:
        return []
    metrics = list(dict.fromkeys(name for row in shown for name in row.metrics))
    lines = [cells(["trial", "", *metrics, "against last", "time"])]
    lines.append(cells(["---"] * (len(metrics) + 4)))
    for row in shown:
        values = [format_metric(row.metrics.get(name)) for name in metrics]
        seconds = format_seconds(row.seconds) if row.seconds else ""
        against = row.against or word_of(row)
        lines.append(cells([f"`{row.trial}`", f"`{row.label}`", *values, against, seconds]))
    return lines
