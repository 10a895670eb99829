"""JSON laid out for people: short containers on one line, rows of numbers filled, keys in order.

Any JSON reader reads it. Knows nothing about tags.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 96
_PER_LINE = 10


def dump(document: dict[str, Any]) -> bytes:
    """UTF-8 text of a JSON document, ending in a newline."""
    try:
        return ("".join(_pieces(document, 0, ascii_only=False)) + "\n").encode()
    except UnicodeEncodeError:  # a lone surrogate: UTF-8 has no form for it, an escape has
        return ("".join(_pieces(document, 0, ascii_only=True)) + "\n").encode()


def _flat(value: object, *, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False)


def _is_scalar(value: object) -> bool:
    return not isinstance(value, (dict, list))


def _pieces(value: Any, indent: int, *, ascii_only: bool) -> Iterator[str]:  # any JSON
    if _is_scalar(value) or not value:
        yield _flat(value, ascii_only=ascii_only)
        return
    simple = all(map(_is_scalar, value.values() if isinstance(value, dict) else value))
    if simple and len(value) <= _WIDTH // 3:
        line = _flat(value, ascii_only=ascii_only)
        if len(line) + indent <= _WIDTH:
            yield line
            return
    if isinstance(value, dict):
        yield from _object(value, indent + 1, ascii_only=ascii_only)
    elif simple:
        yield from _rows(value, indent + 1, ascii_only=ascii_only)
    else:
        yield from _array(value, indent + 1, ascii_only=ascii_only)


def _object(value: dict[str, Any], indent: int, *, ascii_only: bool) -> Iterator[str]:
    separator = "{\n"
    for key, item in value.items():
        yield f"{separator}{' ' * indent}{_flat(key, ascii_only=ascii_only)}: "
        yield from _pieces(item, indent, ascii_only=ascii_only)
        separator = ",\n"
    yield f"\n{' ' * (indent - 1)}}}"


def _array(value: list[Any], indent: int, *, ascii_only: bool) -> Iterator[str]:
    separator = "[\n"
    for item in value:
        yield f"{separator}{' ' * indent}"
        yield from _pieces(item, indent, ascii_only=ascii_only)
        separator = ",\n"
    yield f"\n{' ' * (indent - 1)}]"


def _rows(value: list[Any], indent: int, *, ascii_only: bool) -> Iterator[str]:
    # Numbers ten to a line; text, which may be long, one to a line.
    step = 1 if any(isinstance(item, str) for item in value) else _PER_LINE
    separator = "[\n"
    for start in range(0, len(value), step):
        row = _flat(value[start : start + step], ascii_only=ascii_only)[1:-1]
        yield f"{separator}{' ' * indent}{row}"
        separator = ",\n"
    yield f"\n{' ' * (indent - 1)}]"
