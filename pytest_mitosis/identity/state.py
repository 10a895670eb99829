"""Reading the state of an object without running its code.

``__dict__`` and slots are taken from the interpreter's own descriptors, so properties,
``__getattr__`` and ``__eq__`` of the user's class never run. Must not know walks or leaves.
"""

from __future__ import annotations

import functools
import inspect
from types import GetSetDescriptorType, MemberDescriptorType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ABSENT: Final = object()
_POINTER: Final = 8


def _dict_of(value: object) -> dict[str, object]:
    kind: type = type(value)
    for base in kind.__mro__:
        found = vars(base).get("__dict__")
        if isinstance(found, GetSetDescriptorType):
            space = found.__get__(value, kind)
            return space if isinstance(space, dict) else {}
    # C types of the project's dependencies may have a dict without a descriptor of that name.
    space = getattr(value, "__dict__", None) if not is_python(kind) else None
    return space if type(space) is dict else {}


def _slots_of(value: object, below: type) -> Iterator[tuple[str, object]]:
    ancestry = type(value).__mro__
    for base in reversed(ancestry[: ancestry.index(below)]):
        if "__slots__" not in vars(base):
            continue
        for name, descriptor in vars(base).items():
            if isinstance(descriptor, MemberDescriptorType):
                try:
                    yield name, descriptor.__get__(value, type(value))
                except AttributeError:
                    continue


def state_of(value: object, below: type = object) -> dict[str, object]:
    """Return the attributes an instance holds itself, sorted by name; slots only below a base.

    What ``functools.cached_property`` keeps is left out: it comes and goes with use.
    """
    kind = type(value)
    state = dict(_slots_of(value, below))
    for name, part in _dict_of(value).items():
        if not isinstance(inspect.getattr_static(kind, name, None), functools.cached_property):
            state[str(name)] = part
    return dict(sorted(state.items()))


def read(value: object, name: str) -> object:
    """Return one attribute the instance holds itself; raise AttributeError if it has none."""
    space = _dict_of(value)
    if name in space:
        return space[name]
    descriptor = inspect.getattr_static(type(value), name, _ABSENT)
    if isinstance(descriptor, MemberDescriptorType):
        return descriptor.__get__(value, type(value))
    if descriptor is _ABSENT:
        raise AttributeError(name)
    return descriptor


def has(kind: type, name: str) -> bool:
    """Say whether a type has an attribute, without descriptors and metaclass code."""
    return any(name in vars(base) for base in kind.__mro__)


@functools.lru_cache(maxsize=4096)
def is_python(kind: type) -> bool:
    """Say whether everything an instance of this type holds is in ``__dict__`` and slots.

    A type written in C may hide state in its struct. Its instances are then larger than the
    pointers Python itself adds: one for the dict, one for weak references, one per slot.
    """
    if kind is object:
        return True
    base = kind.__base__
    if base is None or not is_python(base):
        return False
    space = vars(kind)
    slots = sum(isinstance(part, MemberDescriptorType) for part in space.values())
    grown = kind.__basicsize__ - base.__basicsize__ - _POINTER * slots
    if kind.__itemsize__ or grown not in (0, _POINTER, 2 * _POINTER):
        return False
    heap = bool(kind.__flags__ & (1 << 9))  # Py_TPFLAGS_HEAPTYPE: made by a class statement
    # A base that adds nothing hides nothing, such as typing.Generic, which is C since 3.12.
    return grown == 0 or (heap and ("__slots__" in space or "__dict__" in space))
