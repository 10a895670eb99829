"""What changed between two descriptions, and the lines that say so.

Reads leaves only, so it works on a recorded description whose value is long gone.
"""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pytest_mitosis.identity.description import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_mitosis.identity.description import Description, Facet, Leaf

MOST_LINES: Final = 20
MOST_SOURCE_LINES: Final = 16
WIDTH: Final = 100
_DIGEST: Final = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{20,}")
_BLOCKS: Final = re.compile(r"blocks of (\d+), (\d+) elements: (.*)")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where, in what respect, from what to what, and whether it is an error.

    ``source`` has the lines of a unified diff where a source changed that was recorded.
    """

    path: str
    facet: Facet
    old: str | None
    new: str | None
    severity: Literal["error", "note"]
    detail: str = ""
    source: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    facet: Facet
    texts: tuple[str, ...]
    field: str = ""

    @property
    def text(self) -> str:
        return "; ".join(self.texts)


def compare(old: Description, new: Description) -> list[Change]:
    """Return what changed, errors and notes; no error means: still the same value.

    A field of ``schema`` leaves that appeared or went is a note: a field with a default came or
    left. One that stands there with another text, or with fewer parts, is an error: the default
    itself was changed, or is no longer what the value has.
    """
    values = list(_values(old, new))
    gone = [change.path for change in values if change.old and change.new]
    return [*(change for change in values if not _inside(change, gone)), *_codes(old, new)]


def _values(old: Description, new: Description) -> Iterator[Change]:
    before, after = _places(old.leaves), _places(new.leaves)
    notes = (_notes(old.leaves), _notes(new.leaves))
    for path in dict.fromkeys([*before, *after]):
        was, now = before.get(path), after.get(path)
        # As in the digest, the order of several leaves at one path does not count.
        if was and now and sorted(was.texts) == sorted(now.texts):
            continue
        came = (was is None and _is_optional(now, before)) or (
            now is None and _is_optional(was, after)
        )
        severity: Literal["error", "note"] = "note" if came else "error"
        facet = (now or was or _Place("value", ())).facet
        told = (notes[0].get(path, []), notes[1].get(path, []))
        texts = (was.text if was else None, now.text if now else None)
        yield Change(path, facet, *texts, severity, _detail(*told), _source_diff(*told))


def _is_optional(place: _Place | None, other: dict[str, _Place]) -> bool:
    """Say whether a leaf is part of a field at its default that the other side does not have."""
    return place is not None and place.facet == "schema" and place.field not in other


def _places(leaves: Sequence[Leaf]) -> dict[str, _Place]:
    """Return the counting texts of every path, and of a ``schema`` leaf the path of its field."""
    found: dict[str, _Place] = {}
    field = ""
    for leaf in leaves:
        if leaf.facet == "schema" and not (field and _is_below(leaf.path, field)):
            field = leaf.path  # a field is written before its parts
        if leaf.facet in ("value", "schema"):
            known = found.get(leaf.path)
            texts = (*known.texts, leaf.text) if known else (leaf.text,)
            found[leaf.path] = _Place(leaf.facet, texts, field)
    return found


def _notes(leaves: Sequence[Leaf]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for leaf in leaves:
        if leaf.facet == "note":
            found.setdefault(leaf.path, []).append(leaf.text)
    return found


def _codes(old: Description, new: Description) -> Iterator[Change]:
    before, after = _sources(old.leaves), _sources(new.leaves)
    notes = (_notes(old.leaves), _notes(new.leaves))
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        # A name on one side only is a value change already.
        if was and now and was.text != now.text:
            told = (notes[0].get(was.path, []), notes[1].get(now.path, []))
            lines = _source_diff(*told, name)
            yield Change(now.path, "code", was.text, now.text, "note", source=lines)


def _sources(leaves: Sequence[Leaf]) -> dict[str, Leaf]:
    return {leaf.text.partition(" ")[0]: leaf for leaf in leaves if leaf.facet == "code"}


def _source_diff(old: Sequence[str], new: Sequence[str], name: str = "") -> tuple[str, ...]:
    """Return how a source changed; nothing where it was not recorded, or differs past the cut."""
    texts = [_source_in(notes, name) for notes in (old, new)]
    if not all(texts):
        return ()
    left, right = (text.splitlines() for text in texts)
    diff = list(difflib.unified_diff(left, right, n=1, lineterm=""))[3:]
    lines = ["..." if line.startswith("@@") else line for line in diff]
    cut = len(lines) - MOST_SOURCE_LINES
    shown = [_clean(shorten(line, WIDTH)) for line in lines[:MOST_SOURCE_LINES]]
    return (*shown, *([f"and {cut} more lines"] if cut > 0 else []))


def _source_in(notes: Sequence[str], name: str) -> str:
    front = f"source {name} " if name else "source "
    for note in notes:
        if note.startswith((f"{front}'", f'{front}"')):
            try:
                return str(ast.literal_eval(note.removeprefix(front)))
            except (ValueError, SyntaxError):
                return ""
    return ""


def _clean(line: str) -> str:
    """Escape what a terminal would take as a command."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _inside(change: Change, changed: Sequence[str]) -> bool:
    """Say whether a part came or went because what holds it is another thing now."""
    if change.old is not None and change.new is not None:
        return False
    return any(change.path != path and _is_below(change.path, path) for path in changed)


def _is_below(path: str, other: str) -> bool:
    """Say whether a path is another one or leads into what stands there."""
    front = "" if other == "." else other
    return path == other or (path.startswith(front) and path[len(front)] in ".[{")


def _detail(old: Sequence[str], new: Sequence[str]) -> str:
    parts = []
    shown = [_shown(old), _shown(new)]
    if shown[0] and shown[1]:
        parts.append(_difference(shown[0], shown[1]))
    ranges = _ranges(old, new)
    if ranges:
        parts.append(f"differs in elements {ranges}")
    return "; ".join(part for part in parts if part)


def _shown(notes: Sequence[str]) -> str:
    return next((text for text in notes if text.startswith(("min=", "values "))), "")


def _difference(old: str, new: str) -> str:
    kinds = old.partition(" ")[0], new.partition(" ")[0]
    left, right = old.split(" "), new.split(" ")
    if kinds == ("values", "values"):
        left, right = left[1:], right[1:]
        if len(left) != len(right):
            return f"{' '.join(left)} -> {' '.join(right)}"
        pairs = [
            f"[{index}] {was} -> {now}"
            for index, (was, now) in enumerate(zip(left, right, strict=True))
            if was != now
        ]
        return ", ".join(pairs[:4]) + (f" and {len(pairs) - 4} more" if len(pairs) > 4 else "")
    was_parts = [part for part in left if part not in right]
    now_parts = [part for part in right if part not in left]
    return f"{' '.join(was_parts)} -> {' '.join(now_parts)}" if was_parts or now_parts else ""


def _ranges(old: Sequence[str], new: Sequence[str]) -> str:
    found = [next((m for t in notes if (m := _BLOCKS.match(t))), None) for notes in (old, new)]
    if found[0] is None or found[1] is None or found[0][1] != found[1][1]:
        return ""
    size, count = int(found[0][1]), max(int(found[0][2]), int(found[1][2]))
    left, right = found[0][3].split(" "), found[1][3].split(" ")
    spans: list[list[int]] = []
    for index in range(max(len(left), len(right))):
        if left[index : index + 1] != right[index : index + 1]:
            if spans and spans[-1][1] == index:
                spans[-1][1] = index + 1
            else:
                spans.append([index, index + 1])
    texts = [f"{start * size}..{min(stop * size, count) - 1}" for start, stop in spans]
    return ", ".join(texts[:6]) + (f" and {len(texts) - 6} more ranges" if len(texts) > 6 else "")


def render_changes(changes: Sequence[Change], *, sources: bool = True) -> str:
    """Return the indented lines of the "Changed" block, errors first, paths aligned.

    Below a changed source, if it was recorded, stand the lines of it that differ.
    """
    ordered = sorted(changes, key=lambda change: change.severity != "error")
    shown = ordered[:MOST_LINES]
    width = min(max((len(change.path) for change in shown), default=0), 40)
    lines = []
    for change in shown:
        lines.append(f"  {change.path:<{width}}  {_line(change)}")
        lines += [f"      {line}" for line in change.source if sources]
    if len(ordered) > len(shown):
        lines.append(f"  and {len(ordered) - len(shown)} more")
    return "\n".join(lines)


def _line(change: Change) -> str:
    if change.facet == "code":
        hint = " (note)" if change.severity == "note" else ""
        return f"source of {(change.new or '').partition(' ')[0]} changed{hint}"
    if change.detail and "sha256:" in f"{change.old}{change.new}":
        return change.detail
    if change.source and change.old and change.new:
        kinds = [text.partition(" source sha256:")[0] for text in (change.old, change.new)]
        if kinds[0] == kinds[1]:
            return f"source of this {kinds[0]} changed"
    old = "(absent)" if change.old is None else shorten(_brief(change.old), WIDTH)
    new = "(absent)" if change.new is None else shorten(_brief(change.new), WIDTH)
    tail = f"; {change.detail}" if change.detail else ""
    hint = " (note: at its default)" if change.severity == "note" else ""
    return f"{old} -> {new}{tail}{hint}"


def _brief(text: str) -> str:
    """Cut digests: people compare their beginnings."""
    return _DIGEST.sub(r"\1...", text)
