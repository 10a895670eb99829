"""Verdicts as people see them: lines for a terminal, Markdown for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mitosis.read.ladder import Rung
from pytest_mitosis.read.statistics import shifts_of
from pytest_mitosis.table import align

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_mitosis.read.ladder import Step
    from pytest_mitosis.read.verdict import Verdict

WIDEST = 48
MOST_AROUND = 3
_QUIET = {Rung.IDENTICAL, Rung.IGNORED}


def told(verdict: Verdict, spec: str) -> str:
    """Everything about one verdict, its first line alone being the gist."""
    if not verdict.has_reference:
        return (
            f"{gist(verdict, spec)}\nlook at the trial, and if it is right: "
            f"{accept_command(verdict.group)}"
        )
    lines = [gist(verdict, spec)]
    lines += [f"  {name:<9} {text}" for name, text in surroundings(verdict)]
    lines += [f" {line}" for line in steps_table(verdict.steps)]
    if not verdict.holds:
        lines.append(f"if the new result is the right one: {accept_command(verdict.group)}")
    return "\n".join(lines)


def gist(verdict: Verdict, spec: str) -> str:
    """One line: what became of which trial, and by which value."""
    if not verdict.has_reference:
        return f"{spec} of {verdict.group} has no reference to compare trial {verdict.trial} with"
    decided = [step for step in verdict.steps if step.rung is verdict.rung]
    values = "" if verdict.rung in _QUIET else f": {_named(decided)}"
    return (
        f"{spec} of {verdict.group} is {verdict.rung}{values}, against official trial "
        f"{verdict.reference} ({verdict.origin})"
    )


def accept_command(group: str) -> str:
    """What records a new reference."""
    return f'pytest -p mitosis --exp-official {group} --exp-accept --why "…"'


def surroundings(verdict: Verdict) -> list[tuple[str, str]]:
    """What differs around the values, and which rung to expect for that."""
    known = [
        ("expected", verdict.expected),
        ("code", verdict.code),
        ("packages", verdict.packages),
        ("machine", verdict.machine),
        *(("note", note) for note in verdict.notes),
    ]
    return [(name, text) for name, text in known if text]


def steps_table(steps: Sequence[Step]) -> list[str]:
    """The values that are not identical, each beside its reference, and how many are."""
    shown = [step for step in steps if step.rung not in _QUIET]
    rows = [
        [step.name, _cut(step.old), _cut(step.new), _apart(step), str(step.rung), step.remark]
        for step in shown
    ]
    lines = align([["", "reference", "now", "apart", "", ""], *rows], left=1) if rows else []
    same = sum(step.rung is Rung.IDENTICAL for step in steps)
    ignored = sum(step.rung is Rung.IGNORED for step in steps)
    rest = [f"{same} identical" if same else "", f"{ignored} ignored" if ignored else ""]
    if any(rest):
        lines.append(f" {'and ' if rows else ''}{', '.join(filter(None, rest))}")
    return lines


def count_rungs(verdicts: Iterable[Verdict]) -> str:
    """``10 trials: 8 identical, 2 within seed spread``."""
    listed = list(verdicts)
    words = [str(one.rung) if one.has_reference else "without reference" for one in listed]
    counts = {word: words.count(word) for word in dict.fromkeys(words)}
    trials = f"{len(listed)} trial{'s' * (len(listed) != 1)}"
    return f"{trials}: {', '.join(f'{number} {word}' for word, number in counts.items())}"


def around(verdicts: Iterable[Verdict]) -> list[str]:
    """Which rung was to be expected of trials, and what differs around them; once each."""
    texts = (
        "; ".join(f"{name} {text}" for name, text in surroundings(one) if name != "note")
        for one in verdicts
        if one.has_reference
    )
    found = list(dict.fromkeys(texts))
    more = [f"and {len(found) - MOST_AROUND} more"] if len(found) > MOST_AROUND else []
    return [*found[:MOST_AROUND], *more]


def markdown(title: str, verdicts: Sequence[tuple[str, Verdict]]) -> str:
    """A group as Markdown: a row a trial, and the values of those that are not identical."""
    lines = [f"### {_escaped(title)}", "", count_rungs(one for _, one in verdicts), ""]
    for shift in shifts_of(one for _, one in verdicts):
        lines += [f"**{_escaped(shift)}**", ""]
    lines += ["| trial | result | expected | what differs |", "|---|---|---|---|"]
    for spec, one in verdicts:
        rung = str(one.rung) if one.has_reference else "no reference"
        mark = "✅" if one.holds else "❌"
        differs = [f"{n}: {t}" for n, t in surroundings(one) if n != "expected"]
        lines.append(cells([f"`{spec}`", f"{mark} {rung}", one.expected, "<br>".join(differs)]))
    for spec, one in verdicts:
        lines += _details(spec, one)
    return "\n".join([*lines, ""])


def cells(texts: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(map(_escaped, texts))} |"


def _details(spec: str, verdict: Verdict) -> list[str]:
    shown = [step for step in verdict.steps if step.rung not in _QUIET]
    if not shown:
        return []
    lines = ["", f"<details><summary>{_escaped(spec)}: {verdict.rung}</summary>", ""]
    lines += ["| value | reference | now | apart | |", "|---|---|---|---|---|"]
    for step in shown:
        found = [step.name, _cut(step.old), _cut(step.new), _apart(step)]
        lines.append(cells([*found, f"{step.rung} {step.remark}".strip()]))
    return [*lines, "", "</details>"]


def _named(steps: Sequence[Step]) -> str:
    first = steps[0]
    more = f" and {len(steps) - 1} more" if len(steps) > 1 else ""
    return f"{first.name} {_cut(first.old)} -> {_cut(first.new)}{more}"


def _apart(step: Step) -> str:
    return "" if step.distance is None else f"{step.distance:.2g}"


def _cut(text: str) -> str:
    flat = "".join(c if c.isprintable() else " " for c in text)
    return flat if len(flat) <= WIDEST else f"{flat[: WIDEST - 1]}…"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
