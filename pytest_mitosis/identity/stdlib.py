"""Values of the standard library with parts: paths, dates with zones, slices, type aliases.

Must not know third-party packages.
"""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import random
import types
import typing
from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity import names
from pytest_mitosis.identity.walk import Walk, attribute, label

if TYPE_CHECKING:
    import zoneinfo

    from pytest_mitosis.identity.walk import Reader


_DAY: Final = ("year", "month", "day")
_CLOCK: Final = ("hour", "minute", "second", "microsecond")


def read_path(walk: Walk, value: pathlib.PurePath, path: str) -> None:
    """Write a path as posix text: the same on every system."""
    word = "Path" if isinstance(value, pathlib.Path) else "PurePath"
    if isinstance(value, pathlib.PureWindowsPath) and os.name != "nt":
        word = "PureWindowsPath"
    walk.leaf(path, f"{word} {pathlib.PurePath.as_posix(value)!a}")


def read_datetime(walk: Walk, value: dt.datetime | dt.time, path: str) -> None:
    """Write a date and time as it shows, then its zone."""
    kind: Any = dt.datetime if issubclass(type(value), dt.datetime) else dt.time
    # A subclass may give other methods those names.
    part = {name: getattr(kind, name).__get__(value) for name in (*_CLOCK, "fold", "tzinfo")}
    day = [getattr(kind, name).__get__(value) for name in _DAY] if kind is dt.datetime else []
    bare = kind(*day, *(part[name] for name in _CLOCK)).isoformat()
    walk.leaf(path, f"{kind.__name__} {bare}{' fold' if part['fold'] else ''}")
    if part["tzinfo"] is not None:
        walk.visit(part["tzinfo"], attribute(path, "tzinfo"))


def read_timezone(walk: Walk, value: dt.timezone, path: str) -> None:
    """Write a fixed offset with the name it was given."""
    offset = value.utcoffset(None)
    name = value.tzname(None)
    walk.leaf(path, f"timezone {offset.days}d {offset.seconds}s {name!a}")


def read_zoneinfo(walk: Walk, value: zoneinfo.ZoneInfo, path: str) -> None:
    """Write a zone by its key."""
    if not value.key:
        walk.refuse(path, "is a time zone without a key", "Use ZoneInfo('Area/City').")
    walk.leaf(path, f"zoneinfo {value.key!a}")


def read_slice(walk: Walk, value: slice, path: str) -> None:
    """Write the three parts of a slice."""
    walk.leaf(path, "slice")
    for name in ("start", "stop", "step"):
        walk.visit(getattr(value, name), attribute(path, name))


def read_alias(walk: Walk, value: Any, path: str) -> None:
    """Write ``list[int]``, ``int | None`` and their kin; the order in a union does not count."""
    origin, args = typing.get_origin(value), typing.get_args(value)
    if origin is None:
        walk.leaf(path, f"type {str(value)!a}")
    elif origin in (typing.Union, types.UnionType):
        parts = sorted(label(walk.aside(part, path)) for part in args)
        walk.leaf(path, f"type {' | '.join(parts)}")
    else:
        walk.leaf(path, "type alias")
        if origin is typing.Annotated:  # a class up to Python 3.12
            walk.leaf(attribute(path, "origin"), "type 'typing.Annotated'")
        else:
            walk.visit(origin, attribute(path, "origin"))
        for index, part in enumerate(args):
            walk.visit(part, f"{path}[{index}]")


def read_typevar(walk: Walk, value: Any, path: str) -> None:
    """Write a type variable by name."""
    walk.leaf(path, f"{type(value).__name__} {value.__name__}")


def read_random(walk: Walk, value: random.Random, path: str) -> None:
    """Write a ``random.Random`` by its state."""
    if value is getattr(random, "_inst", None):
        walk.leaf(path, "the global generator of random")
        return
    walk.leaf(path, f"Random {names.name_of(type(value))}")
    if isinstance(value, random.SystemRandom):
        return
    version, words, gauss = value.getstate()
    state = ",".join(map(str, words)) if isinstance(words, tuple) else ascii(words)
    walk.visit((version, state, gauss), attribute(path, "state"))


def read_forward(walk: Walk, value: Any, path: str) -> None:
    """Write a type given as text."""
    walk.leaf(path, f"type named {value.__forward_arg__!a}")


def read_struct(walk: Walk, value: Any, path: str) -> None:
    """Write a compiled struct by its format."""
    walk.leaf(path, f"Struct {value.format!a}")


STDLIB: Final[dict[str, Reader]] = {
    "pathlib:PurePath": read_path,
    "datetime:datetime": read_datetime,
    "datetime:time": read_datetime,
    "datetime:timezone": read_timezone,
    "zoneinfo:ZoneInfo": read_zoneinfo,
    "builtins:slice": read_slice,
    "types:GenericAlias": read_alias,
    "types:UnionType": read_alias,
    "typing:Union": read_alias,
    "typing:_GenericAlias": read_alias,
    "typing:_BaseGenericAlias": read_alias,
    "typing:_SpecialForm": read_alias,
    "typing:_AnyMeta": read_alias,
    "typing:TypeVar": read_typevar,
    "typing:ParamSpec": read_typevar,
    "_struct:Struct": read_struct,
    "typing:ForwardRef": read_forward,
    "annotationlib:ForwardRef": read_forward,
    "struct:Struct": read_struct,
    "random:Random": read_random,
    "_random:Random": read_random,
}
