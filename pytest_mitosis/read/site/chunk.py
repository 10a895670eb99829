"""Rows to data files: columns with each distinct value once.

The name of a file says what is in it, so that a refresh writes only what changed.
"""

from __future__ import annotations

import hashlib
import marshal
from typing import TYPE_CHECKING, Any

from pytest_mitosis.read.site.script import statement
from pytest_mitosis.store.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ROWS = 500
_FORM = b"1"


def write_chunks(folder: Path, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Write rows, oldest first; returns the names of the files in order."""
    names = []
    for part in _parts(rows):
        # Version 2 of marshal writes equal data as equal bytes.
        digest = hashlib.sha256(_FORM + marshal.dumps(part, 2)).hexdigest()[:16]
        name = f"trials-{digest}.js"
        if not (folder / name).exists():
            write_bytes(folder / name, statement("chunk", len(part), columns(part)))
        names.append(name)
    return names


def columns(rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """For each column its name, its distinct values, and per row which of them; -1 is none.

    A column of one value has no list, a column without a value twice says so with ``null``.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return [_column(name, rows) for name in names]


def _column(name: str, rows: Sequence[dict[str, Any]]) -> list[Any]:
    known: dict[Any, int] = {}
    values: list[Any] = []
    indices = []
    for row in rows:
        value = row.get(name)
        kind = type(value)
        if kind is str:
            key = value
        elif value is None:
            indices.append(-1)
            continue
        else:  # 1, 1.0 and True are equal, and not the same
            key = (kind, tuple(value) if kind is list else value)
        index = known.get(key, -1)
        if index < 0:
            index = known[key] = len(values)
            values.append(value)
        indices.append(index)
    if len(values) == len(rows):
        return [name, values, None]
    return [name, values, indices]


def _parts(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), ROWS):
        yield list(rows[start : start + ROWS])
