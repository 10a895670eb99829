"""Rows of a session's trials, and the table the terminal shows of them.

Rows travel from xdist's workers to its controller as JSON, on reports; so they hold builtins only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pytest_mitosis.model import Kind, Status, Trial, TrialSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ROWS = 20
MOST_METRICS = 4
REUSED = "reused"
"""The word for an item whose trial was already done; no status of a trial."""
VERDICTS = {True: "supported", False: "refuted", None: "not checked"}
"""What a trial says of its hypothesis."""


class State(StrEnum):
    """What an item of a plan would come to."""

    DONE = "done"
    TO_RUN = "to run"
    UNDER_WAY = "under way"
    LOCKED = "LOCKED"
    REFUSED = "refused"


class Refusal(StrEnum):
    """Why an item did not run, its trial could not be kept, or does not hold what it is to."""

    DIRTY = "dirty"
    LOCKED = "locked"
    STORE = "store"
    DRIFTED = "drifted"
    UNVOUCHED = "unvouched"
    REFUTED = "refuted"


_TOLD = {Refusal.LOCKED, Refusal.DRIFTED, Refusal.UNVOUCHED, Refusal.REFUTED}


@dataclass(frozen=True, slots=True)
class Row:
    """One trial of this session, or one item that was refused (then without an id).

    ``verdicts`` are those of :mod:`pytest_mitosis.read.verdict`, as JSON.
    """

    nodeid: str = ""
    trial: str = ""
    experiment: str = ""
    status: str = ""
    draft: bool = False
    parts: tuple[tuple[str, str], ...] = ()
    metrics: dict[str, float | int | bool | str] = field(default_factory=dict)
    against: str = ""
    seconds: float = 0.0
    folder: str = ""
    refusal: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    verdicts: tuple[dict[str, Any], ...] = ()
    hypothesis: str = ""
    supported: bool | None = None

    @property
    def label(self) -> str:
        """``fit[low tv s0]``: the trial as people tell it from others."""
        return f"{self.experiment}[{' '.join(value for _, value in self.parts)}]"

    def replaced(self, **changes: Any) -> Self:
        """The same row but for ``changes``."""
        return replace(self, **changes)

    def to_text(self) -> str:
        """JSON, as which a row travels from xdist's workers."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The row in ``text``."""
        data = json.loads(text)
        parts = tuple((name, value) for name, value in data["parts"])
        lists = {name: tuple(data[name]) for name in ("notes", "verdicts")}
        return cls(**{**data, "parts": parts, **lists})


def row_of(trial: Trial, spec: TrialSpec, against: str) -> Row:
    """The row of a recorded trial."""
    m = trial.manifest
    failure = m.get("failure")
    return Row(
        trial=trial.id,
        experiment=m["experiment"],
        status=m["status"],
        draft=bool(m["draft"]),
        parts=parts_of(spec),
        metrics=m["metrics"],
        against=against,
        seconds=float(m["duration_s"]),
        folder=str(trial.folder),
        reason=f"{failure['type']}: {failure['message']}" if failure else "",
        hypothesis=m.get("hypothesis") or "",
        supported=m.get("supported"),
        notes=tuple(m["notes"]),
    )


def reused_row(trial: Trial, spec: TrialSpec) -> Row:
    """The row of an earlier trial that does for this session's."""
    return row_of(trial, spec, "").replaced(status=REUSED, seconds=0.0, notes=())


def parts_of(spec: TrialSpec) -> tuple[tuple[str, str], ...]:
    """What tells a spec from others of its experiment: names by qualified parameter, the seed."""
    shown = [
        (f"{b.step}.{b.parameter}", b.name)
        for b in spec.bindings
        if b.kind in {Kind.VARIANT, Kind.LITERAL}
    ]
    return (*shown, *([("seed", f"s{spec.seed}")] if spec.seed is not None else []))


def render(rows: Sequence[Row]) -> list[str]:
    """The table of all trials, one block per experiment, at most 20 rows each."""
    lines: list[str] = []
    for experiment in dict.fromkeys(row.experiment for row in rows):
        block = [row for row in rows if row.experiment == experiment]
        lines += _render_block(experiment, block)
    return lines


def verdict_on(supported: object) -> str:
    """The word for what a manifest says of its hypothesis."""
    return VERDICTS[supported if isinstance(supported, bool) else None]


def render_hypotheses(rows: Sequence[Row]) -> list[str]:
    """``hypothesis of fit: supported by 3 trials, refuted by 1: “the error stays small”``."""
    lines = []
    for key in dict.fromkeys((row.experiment, row.hypothesis) for row in rows if row.hypothesis):
        found = [row.supported for row in rows if (row.experiment, row.hypothesis) == key]
        told = [f"{word} by {found.count(one)}" for one, word in VERDICTS.items() if one in found]
        trials = " trial" if len(found) == 1 else " trials"
        lines.append(f"hypothesis of {key[0]} {', '.join(told)}{trials}: {key[1]}")
    return lines


def _render_block(experiment: str, rows: Sequence[Row]) -> list[str]:
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))[:MOST_METRICS]
    shown = rows[-MOST_ROWS:]
    body = []
    for row, label in zip(shown, _labels(shown, _varying(rows)), strict=True):
        values = [format_metric(row.metrics.get(name)) for name in metrics]
        verdict = row.against or word_of(row)
        seconds = "" if row.status == REUSED else format_seconds(row.seconds)
        body.append([row.trial, label, *values, verdict, seconds])
    header = ["trial", experiment, *metrics, "against last", "time"]
    lines = align([header, *body], left=2)
    if len(rows) > len(shown):
        lines.append(f" and {len(rows) - len(shown)} more")
    return lines


def render_plan(rows: Sequence[Row]) -> list[str]:
    """One line an item, one block per experiment: what it would come to and why."""
    lines: list[str] = []
    for experiment in dict.fromkeys(row.experiment for row in rows):
        block = [row for row in rows if row.experiment == experiment]
        body = [
            [label, _outlook(row)]
            for row, label in zip(block, _labels(block, _varying(block)), strict=True)
        ]
        lines += align([[experiment, "plan"], *body], left=2)
    return lines


def _outlook(row: Row) -> str:
    if row.status == State.DONE:
        return f"done {row.trial} main {format_metric(row.metrics.get('main'))}"
    return f"{row.status}, {row.reason}" if row.reason else row.status


def count_states(rows: Sequence[Row]) -> str:
    """``12 trials: 8 done, 3 to run, 1 LOCKED · about 4:12 to run``, from earlier durations."""
    counts = {state: sum(row.status == state for row in rows) for state in State}
    told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    text = f"{len(rows)} trial{'s' * (len(rows) > 1)}: {told}"
    seconds, unknown = _estimate(rows)
    if seconds:
        text += f" · about {format_seconds(seconds)} to run, one after the other"
    if unknown and counts[State.TO_RUN]:
        text += f" · no earlier trial tells how long {', '.join(unknown)} takes"
    return text


def _estimate(rows: Sequence[Row]) -> tuple[float, list[str]]:
    """Seconds of what is to run, by the spec's last time, else its experiment's mean."""
    total, unknown = 0.0, []
    for experiment in dict.fromkeys(row.experiment for row in rows):
        block = [row for row in rows if row.experiment == experiment]
        known = [row.seconds for row in block if row.seconds]
        coming = [row for row in block if row.status == State.TO_RUN]
        if coming and not known:
            unknown.append(experiment)
        elif coming:
            total += sum(row.seconds or sum(known) / len(known) for row in coming)
    return total, unknown


def _labels(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """For each row the variants of ``names``, in columns."""
    parts = [dict(row.parts) for row in rows]
    widths = {name: max(len(one.get(name, "")) for one in parts) for name in names}
    return [" ".join(one.get(name, "").ljust(widths[name]) for name in names) for one in parts]


def _varying(rows: Sequence[Row]) -> list[str]:
    """The parameters that differ between rows; all of them if there is only one row."""
    names = list(dict.fromkeys(name for row in rows for name, _ in row.parts))
    varying = [name for name in names if len({dict(row.parts).get(name) for row in rows}) > 1]
    return varying if len(rows) > 1 else names


def align(cells: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Lines of a table, its first ``left`` columns flush left, the others flush right."""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = []
    for row in cells:
        padded = [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(" " + "  ".join(padded).rstrip())
    return lines


def word_of(row: Row) -> str:
    """The word for a row's state, as people see it."""
    if row.refusal in _TOLD:
        return row.refusal.upper()
    if row.draft and row.status == Status.DONE:
        return "draft"
    loud = {Status.CRASHED, Status.TIMEOUT}
    return row.status.upper() if row.status in loud else row.status


def format_metric(value: object) -> str:
    """Four significant digits; a dash for nothing, a short text as it is."""
    if value is None:
        return "–"
    if isinstance(value, bool | str):
        text = str(value).replace("\n", " ")
        return text if len(text) <= 24 else f"{text[:23]}…"
    return f"{value:.4g}"


def format_seconds(seconds: float) -> str:
    """``0.42 s``, ``4:12``, ``9:02:11``."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_bytes(count: float) -> str:
    """``999 B``, ``1.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
