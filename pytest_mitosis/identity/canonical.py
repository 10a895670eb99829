"""``describe``: which reader reads which type.

Tables first, by exact type; then the names in the type's ancestry, so that a package is
recognised without being imported. Must not know what the readers do.
"""

from __future__ import annotations

import datetime as dt
import decimal
import sys
from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity import names
from pytest_mitosis.identity.arrays import ARRAYS
from pytest_mitosis.identity.containers import CONTAINERS
from pytest_mitosis.identity.description import Description
from pytest_mitosis.identity.files import FILES
from pytest_mitosis.identity.frames import FRAMES
from pytest_mitosis.identity.functions import FUNCTIONS, check_home, write_class_code, write_source
from pytest_mitosis.identity.generators import GENERATORS
from pytest_mitosis.identity.libraries import LIBRARIES
from pytest_mitosis.identity.neural import NEURAL
from pytest_mitosis.identity.objects import (
    flag_internal,
    read_attrs,
    read_dataclass,
    read_enum,
    read_namedtuple,
    read_namespace,
    read_plain,
    read_pydantic,
    without_kept,
    write_fields,
)
from pytest_mitosis.identity.refused import REFUSED, refuse_iterator
from pytest_mitosis.identity.scalars import SCALARS
from pytest_mitosis.identity.state import ByType, ancestry, has, state_of
from pytest_mitosis.identity.stdlib import STDLIB
from pytest_mitosis.identity.summary import summary_of
from pytest_mitosis.identity.walk import DEPTH_LIMIT, Hook, Reader, Walk
from pytest_mitosis.model import MitosisError, Undescribable

if TYPE_CHECKING:
    from collections.abc import Iterable

_READERS: Final[dict[str, Reader]] = {
    **CONTAINERS,
    **FUNCTIONS,
    **STDLIB,
    **ARRAYS,
    **FRAMES,
    **GENERATORS,
    **LIBRARIES,
    **NEURAL,
    **FILES,
    **REFUSED,
    "enum:Enum": read_enum,
    "fractions:Fraction": lambda walk, value, path: walk.leaf(path, SCALARS[Fraction](value)),
    "pydantic:BaseModel": read_pydantic,
    "types:SimpleNamespace": read_namespace,
}
# Readers that write the name of a subclass themselves.
_SELF_NAMED: Final = frozenset({*LIBRARIES, *NEURAL, *REFUSED}) - {"torch:Tensor", "torch:Size"}
# Attributes that are the content of a base, not additions of a subclass.
_CONTENT: Final[dict[str, frozenset[str]]] = {
    "collections:ChainMap": frozenset({"maps"}),
    "pandas:Series": frozenset({"_name"}),
    "numpy:MaskedArray": frozenset({"_basedict", "_baseclass", "_fill_value", "_hardmask"})
    | {"_isfield", "_mask", "_optinfo", "_sharedmask"},
}
_SCALAR_BASES: Final[dict[type, Any]] = {
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
    str: str.__str__,
    bytes: lambda value: bytes(memoryview(value)),
    bytearray: lambda value: bytearray(memoryview(value)),
    decimal.Decimal: decimal.Decimal,
    dt.date: lambda value: dt.date.fromordinal(dt.date.toordinal(value)),
    dt.timedelta: dt.timedelta.__pos__,
}
_routes: ByType[Reader] = ByType()
_FRAMES_A_LEVEL: Final = 12


def describe(value: object, *, hooks: Iterable[Hook] = ()) -> Description:
    """Return what a value is, as leaves; the value is only looked at.

    Parameters
    ----------
    value
        Anything a lookup dictionary may hold.
    hooks
        Callables that return what to describe instead of an object, or None.

    Raises
    ------
    Undescribable
        With path, reason and remedy, if some part has no identity that can be locked.
    """
    walk = _walk(value, tuple(hooks))
    for (name, text), path in sorted(walk.codes.items(), key=lambda pair: (pair[1], pair[0])):
        walk.leaf(path, f"{name} {text}", "code")
        write_source(walk, path, walk.nodes[name, text], name)
    for text, path in sorted(walk.versions.items()):
        walk.note(path, text)
    return Description(tuple(walk.leaves), summary_of(walk.leaves))


def _walk(value: object, hooks: tuple[Hook, ...]) -> Walk:
    try:
        return _attempt(value, hooks)
    except RecursionError:
        pass
    # How deep is too deep must not depend on who asks: the caller may be deep in a stack already.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + DEPTH_LIMIT * _FRAMES_A_LEVEL)
    try:
        return _attempt(value, hooks)
    except RecursionError:
        raise Undescribable(
            ".", "is nested too deeply to be read", "Flatten it, or lock a file with file(...)."
        ) from None
    finally:
        sys.setrecursionlimit(limit)


def _attempt(value: object, hooks: tuple[Hook, ...]) -> Walk:
    walk = Walk(SCALARS, route, hooks)
    try:
        walk.visit(value, "")
    except MemoryError:
        raise Undescribable(
            ".", "does not fit into memory to be read", "Lock a file with file(...)."
        ) from None
    return walk


def route(kind: type) -> Reader:
    """Return the reader of a type, found once per type."""
    return _routes.get(kind) or _routes.keep(kind, _with_hooks(_find(kind)))


def _key(kind: type) -> str:
    return f"{names.module_of(kind).partition('.')[0]}:{names.qualname_of(kind)}"


def _find(kind: type) -> Reader:
    exact = _READERS.get(_key(kind))
    if exact is not None:
        return exact
    if has(kind, "__describe__"):
        return _read_own
    for base in ancestry(kind):
        if (found := REFUSED.get(_key(base))) is not None:
            return found
    if issubclass(kind, type):
        return _READERS["builtins:type"]
    return _protocol(kind) or _ancestor(kind)


def _protocol(kind: type) -> Reader | None:
    bases = {_key(base) for base in ancestry(kind)}
    if "enum:Enum" in bases:
        return read_enum
    if "pydantic:BaseModel" in bases:
        return read_pydantic
    if has(kind, "__dataclass_fields__"):
        return read_dataclass
    if has(kind, "__attrs_attrs__"):
        return read_attrs
    if issubclass(kind, tuple) and has(kind, "_fields"):
        return read_namedtuple
    return None


def _ancestor(kind: type) -> Reader:
    for base in ancestry(kind):
        if type(base) is type and base in _SCALAR_BASES:
            return _scalar_subclass(base)
        found = _READERS.get(_key(base))
        if found is not None:
            named = _key(base) not in _SELF_NAMED and _is_foreign(kind, base)
            return _subclass(found, base) if named else found
    return refuse_iterator if has(kind, "__next__") else read_plain


def _is_foreign(kind: type, base: type) -> bool:
    """Say whether a subclass comes from elsewhere, so that its name is news."""
    tops = {names.module_of(part).partition(".")[0] for part in (kind, base)}
    # A matrix of numpy multiplies otherwise than an array, a recarray has other attributes.
    if _key(base) in CONTAINERS or _key(base) == "numpy:ndarray":
        return kind is not base
    return len(tops) > 1 and not all(names.is_stdlib(top) for top in tops)


def _scalar_subclass(base: type) -> Reader:
    def read(walk: Walk, value: object, path: str) -> None:
        _write_subclass(walk, value, path)
        walk.leaf(path, SCALARS[base](_SCALAR_BASES[base](value)))
        write_fields(walk, state_of(value), {}, path)

    return read


def _subclass(reader: Reader, base: type) -> Reader:
    def read(walk: Walk, value: Any, path: str) -> None:
        _write_subclass(walk, value, path)
        reader(walk, value, path)
        if issubclass(type(value), SimpleNamespace) or _key(type(value)) == "numpy:matrix":
            return  # all content is written; a matrix keeps how it is being looked at
        content = _CONTENT.get(_key(base), frozenset())
        held = without_kept(type(value), state_of(value, base))
        state = {n: part for n, part in held.items() if n not in content}
        if names.module_of(base).startswith("pandas"):
            state = {n: part for n, part in state.items() if n in getattr(value, "_metadata", ())}
        write_fields(walk, state, {}, path)

    return read


def _write_subclass(walk: Walk, value: object, path: str) -> None:
    kind = type(value)
    check_home(walk, names.module_of(kind), f"of the class {names.qualname_of(kind)}", path)
    walk.leaf(path, f"subclass {names.name_of(kind)}")
    write_class_code(walk, kind, path)


def _with_hooks(reader: Reader) -> Reader:
    def read(walk: Walk, value: object, path: str) -> None:
        for hook in walk.hooks:
            other = _ask(hook, value, path)
            if other is not None and other is not value:
                _write_instead(walk, value, other, path)
                return
        try:
            reader(walk, value, path)
        except (MitosisError, RecursionError, MemoryError):
            raise
        except Exception as error:
            # A library object in a state nobody thought of is a refusal, not our traceback.
            kind = type(value)
            raise Undescribable(
                path or ".",
                f"is of type {names.name_of(kind)} and could not be read "
                f"({type(error).__name__}: {error})",
                "Give its class a __describe__ method, or put its recipe in the dictionary.",
            ) from error

    return read


def _read_own(walk: Walk, value: Any, path: str) -> None:
    other = _ask(type(value).__describe__, value, path)
    if other is None or other is value:
        read_plain(walk, value, path)
    else:
        _write_instead(walk, value, other, path)


def _ask(hook: Hook, value: object, path: str) -> object:
    try:
        return hook(value)
    except MitosisError:
        raise
    except Exception as error:
        raise Undescribable(
            path or ".",
            f"could not be described by {names.qualname_of(hook) or type(hook).__name__}: "
            f"{type(error).__name__}: {error}",
            "Mend that function, or return None to leave the value to us.",
        ) from error


def _write_instead(walk: Walk, value: object, other: object, path: str) -> None:
    kind = type(value)
    check_home(walk, names.module_of(kind), f"of the class {names.qualname_of(kind)}", path)
    walk.leaf(path, f"described {names.name_of(kind)}")
    if type(other) is kind:
        # The same type again would ask the same question again.
        flag_internal(walk, kind, path)
        read_plain(walk, other, path)
        return
    walk.visit(other, path)
