"""Reading the state of an object without running its code.

``__dict__`` and slots are taken from the interpreter's own descriptors, so properties,
``__getattr__`` and ``__eq__`` of the user's class never run. Must not know walks or leaves.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from types import GetSetDescriptorType, MappingProxyType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

_ABSENT: Final = object()
_POINTER: Final = 8
T = TypeVar("T")


class ByType(Generic[T]):
    """A cache keyed by the identity of types: a metaclass may define what ``==`` and hash mean."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[weakref.ref[type], T]] = {}

    def get(self, kind: type) -> T | None:
        """Return what is kept for a type, if it is still the same type."""
        row = self._rows.get(id(kind))
        return row[1] if row is not None and row[0]() is kind else None

    def keep(self, kind: type, value: T) -> T:
        """Keep a value as long as its type lives."""
        key, rows = id(kind), self._rows
        rows[key] = (weakref.ref(kind, lambda _: rows.pop(key, None)), value)
        return value


_python: ByType[bool] = ByType()


def ancestry(kind: type) -> tuple[type, ...]:
    """Return the method resolution order of a type, whatever its metaclass makes of attributes."""
    return type.__getattribute__(kind, "__mro__")  # type: ignore[no-any-return]


def own(kind: type) -> MappingProxyType[str, Any]:
    """Return the namespace of a type, whatever its metaclass makes of attributes."""
    return type.__getattribute__(kind, "__dict__")  # type: ignore[no-any-return]


def _dict_of(value: object) -> dict[str, object]:
    kind: type = type(value)
    for base in ancestry(kind):
        found = own(base).get("__dict__")
        if isinstance(found, (GetSetDescriptorType, MemberDescriptorType)):
            space = found.__get__(value, kind)
            return space if isinstance(space, dict) else {}
        if found is not None:
            raise TypeError(f"{base.__qualname__} hides its __dict__")
    # C types of the project's dependencies may have a dict without a descriptor of that name.
    space = getattr(value, "__dict__", None) if not is_python(kind) else None
    return space if type(space) is dict else {}


def _slots_of(value: object, below: type) -> Iterator[tuple[str, object]]:
    bases = itertools.takewhile(lambda base: base is not below, ancestry(type(value)))
    for base in reversed(tuple(bases)):
        space = own(base)
        if "__slots__" not in space:
            continue
        cached = _cached_slots(space)
        for name, descriptor in space.items():
            if isinstance(descriptor, MemberDescriptorType) and name not in cached:
                try:
                    yield name, descriptor.__get__(value, type(value))
                except AttributeError:
                    continue


def _cached_slots(space: MappingProxyType[str, Any]) -> set[str]:
    """Return the slots in which attrs keeps what ``functools.cached_property`` computed."""
    if "__attrs_attrs__" not in space:
        return set()
    return set(space["__slots__"]) - {part.name for part in space["__attrs_attrs__"]}


def state_of(value: object, below: type = object) -> dict[str, object]:
    """Return the attributes an instance holds itself, sorted by name; slots only below a base.

    What ``functools.cached_property`` keeps is left out: it comes and goes with use.
    """
    kind = type(value)
    state = dict(_slots_of(value, below))
    for name, part in _dict_of(value).items():
        # functools.wraps leaves the last one behind, from Python 3.12 on.
        is_kept = isinstance(_static(kind, name), functools.cached_property)
        if not is_kept and not (name == "__type_params__" and part == ()):
            state[str(name)] = part
    return dict(sorted(state.items()))


def read(value: object, name: str) -> object:
    """Return one attribute the instance holds itself; raise AttributeError if it has none."""
    space = _dict_of(value)
    if name in space:
        return space[name]
    descriptor = _static(type(value), name)
    if isinstance(descriptor, MemberDescriptorType):
        return descriptor.__get__(value, type(value))
    if descriptor is _ABSENT:
        raise AttributeError(name)
    return descriptor


def _static(kind: type, name: str) -> object:
    spaces = (own(base) for base in ancestry(kind))
    return next((space[name] for space in spaces if name in space), _ABSENT)


def has(kind: type, name: str) -> bool:
    """Say whether a type has an attribute, without descriptors and metaclass code."""
    return any(name in own(base) for base in ancestry(kind))


def is_python(kind: type) -> bool:
    """Say whether everything an instance of this type holds is in ``__dict__`` and slots.

    A type written in C may hide state in its struct. Its instances are then larger than the
    pointers Python itself adds: one for the dict, one for weak references, one per slot.
    """
    known = _python.get(kind)
    return _python.keep(kind, _adds_no_struct(kind)) if known is None else known


def _adds_no_struct(kind: type) -> bool:
    if kind is object:
        return True
    base = type.__getattribute__(kind, "__base__")
    if base is None or not is_python(base):
        return False
    space = own(kind)
    # Types written in C have members too, which are no slots: the days of a timedelta.
    members = space.values() if "__slots__" in space else ()
    slots = sum(isinstance(part, MemberDescriptorType) for part in members)
    size, below = (type.__getattribute__(part, "__basicsize__") for part in (kind, base))
    grown = size - below - _POINTER * slots
    if type.__getattribute__(kind, "__itemsize__") or grown not in (0, _POINTER, 2 * _POINTER):
        return False
    # Py_TPFLAGS_HEAPTYPE: made by a class statement.
    heap = bool(type.__getattribute__(kind, "__flags__") & (1 << 9))
    # A base that adds nothing hides nothing, such as typing.Generic, which is C since 3.12.
    return grown == 0 or (heap and ("__slots__" in space or "__dict__" in space))
