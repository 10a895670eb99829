"""Instances of classes: dataclasses, attrs, pydantic, enums, named tuples, plain ones.

Fields that stand at their default are ``schema`` leaves: a field added later, with a default,
does not change what was recorded before. Must not run the user's code: no property, no repr.
"""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity import names
from pytest_mitosis.identity.containers import elements, entries
from pytest_mitosis.identity.description import Leaf
from pytest_mitosis.identity.functions import check_home, read_named, write_class_code
from pytest_mitosis.identity.state import has, is_python, own, read, state_of
from pytest_mitosis.identity.walk import Walk, attribute

if TYPE_CHECKING:
    import types
    from collections.abc import Mapping


_KEPT: Final[dict[str, frozenset[str]]] = {
    "": frozenset({"_hash", "_mhash", "_hash_value", "_cached_hash", "_hashcode"}),
    "astropy": frozenset({"cache", "_parent_ref", "_parent_table"}),
    "networkx": frozenset({"__networkx_cache__"}),
    "omegaconf": frozenset({"_flags_cache"}),
    "pint": frozenset({"_dimensionality", "_dimensionality_units"}),
    "scipy": frozenset({"_xp"}),
}
NO_DEFAULT: Final = object()
_EMPTY: Final = (list, dict, set, tuple, frozenset, str, bytes, int, float, bool)


def write_type(walk: Walk, kind: type, path: str, word: str = "object") -> None:
    """Write what kind of object stands here, and remember its source if it is the project's."""
    module = names.module_of(kind)
    check_home(walk, module, f"of the class {names.qualname_of(kind)}", path)
    walk.leaf(path, f"{word} {names.name_of(kind)}")
    write_class_code(walk, kind, path)


def write_fields(
    walk: Walk, fields: Mapping[str, object], defaults: Mapping[str, object], path: str
) -> None:
    """Write named parts; one that stands at its default becomes ``schema``."""
    for name, part in fields.items():
        place, mark = attribute(path, name), len(walk.leaves)
        walk.visit(part, place)
        default = defaults.get(name, NO_DEFAULT)
        if default is not NO_DEFAULT and _stands_at(walk, mark, default, place):
            walk.leaves[mark:] = [
                Leaf(leaf.path, "schema", leaf.text) if leaf.facet == "value" else leaf
                for leaf in walk.leaves[mark:]
            ]


def _stands_at(walk: Walk, mark: int, default: object, place: str) -> bool:
    written, kind = walk.leaves[mark:], type(default)
    text = walk.scalars.get(kind) if type(kind) is type else None
    if text is not None:
        return len(written) == 1 and written[0].text == text(default)
    side = walk.fork()
    try:
        side.visit(default, place)
    except Exception:
        return False
    counted = [(leaf.path, leaf.text) for leaf in side.leaves if leaf.facet != "note"]
    return counted == [(leaf.path, leaf.text) for leaf in written if leaf.facet != "note"]


def made_by(factory: object) -> object:
    """Return what a default factory makes, if it is a builtin type and so cannot run user code."""
    return factory() if any(factory is kind for kind in _EMPTY) else NO_DEFAULT  # type: ignore[operator]


def read_dataclass(walk: Walk, value: Any, path: str) -> None:
    """Write a dataclass by its fields, and what else the instance holds."""
    import dataclasses

    kind = type(value)
    write_type(walk, kind, path, "dataclass")
    state, defaults = state_of(value), {}
    fields: dict[str, object] = {}
    for field in dataclasses.fields(kind):
        try:
            fields[field.name] = state.pop(field.name, NO_DEFAULT)
            if fields[field.name] is NO_DEFAULT:
                fields[field.name] = read(value, field.name)
        except AttributeError:
            del fields[field.name]  # init=False and never set
            continue
        if isinstance(own(kind).get(field.name), property):
            del fields[field.name]  # computed from what the instance holds under another name
            continue
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = made_by(field.default_factory)
    write_fields(walk, fields, defaults, path)
    write_fields(walk, state, {}, path)
    write_base(walk, value, path)


def read_attrs(walk: Walk, value: Any, path: str) -> None:
    """Write an attrs instance by its attributes, and what else it holds."""
    kind = type(value)
    write_type(walk, kind, path, "attrs")
    state, defaults = state_of(value), {}
    fields: dict[str, object] = {}
    for part in kind.__attrs_attrs__:
        if part.name not in state:
            continue
        fields[part.name] = state.pop(part.name)
        default = part.default
        if default is not None and type(default).__name__ == "Factory":
            default = NO_DEFAULT if default.takes_self else made_by(default.factory)
        if repr(type(default)) != "<enum '_Nothing'>":
            defaults[part.name] = default
    write_fields(walk, fields, defaults, path)
    write_fields(walk, {k: v for k, v in state.items() if k != "__weakref__"}, {}, path)
    write_base(walk, value, path)


def read_pydantic(walk: Walk, value: Any, path: str) -> None:
    """Write a pydantic model by its fields, extra values and private attributes."""
    kind = type(value)
    write_type(walk, kind, path, "pydantic")
    infos = vars(kind).get("__pydantic_fields__") or kind.model_fields
    defaults: dict[str, object] = {}
    for name, info in infos.items():
        if info.default_factory is not None:
            defaults[name] = made_by(info.default_factory)
        elif not info.is_required():
            defaults[name] = info.default
    state = state_of(value)
    slots = ("__pydantic_extra__", "__pydantic_private__", "__pydantic_fields_set__")
    extra, private, _ = (state.pop(name, None) for name in slots)
    write_fields(walk, state, defaults, path)
    for more in (extra, private):
        if isinstance(more, dict):
            write_fields(walk, dict(sorted(more.items())), {}, path)


def read_enum(walk: Walk, value: Any, path: str) -> None:
    """Write an enum member by class, name and value; a flag by the bits that are set."""
    kind = type(value)
    check_home(walk, names.module_of(kind), f"of the enum {names.qualname_of(kind)}", path)
    content = object.__getattribute__(value, "_value_")
    name = object.__getattribute__(value, "_name_")
    word = "enum"
    if has(kind, "_flag_mask_") and isinstance(content, int):
        word = "flag"
        single = sorted(
            part._name_
            for part in set(kind.__members__.values())
            if part._value_ & content and not part._value_ & (part._value_ - 1)
        )
        name = "|".join(single) or "none"
    text = walk.scalars.get(type(content))
    head = f"{word} {names.name_of(kind)}.{ascii(name)[1:-1]}"
    walk.leaf(path, f"{head} = {text(content)}" if text else head)
    write_class_code(walk, kind, path)
    if text is None:
        walk.visit(content, attribute(path, "value"))


def read_namedtuple(walk: Walk, value: Any, path: str) -> None:
    """Write a named tuple by its fields."""
    kind = type(value)
    write_type(walk, kind, path, "namedtuple")
    fields = dict(zip(kind._fields, tuple.__iter__(value), strict=False))
    write_fields(walk, fields, getattr(kind, "_field_defaults", {}), path)
    write_fields(walk, state_of(value), {}, path)


def read_namespace(walk: Walk, value: types.SimpleNamespace, path: str) -> None:
    """Write a SimpleNamespace."""
    walk.leaf(path, "SimpleNamespace")
    write_fields(walk, dict(sorted(vars(value).items(), key=str)), {}, path)


_BASES: Final[tuple[tuple[type, Any], ...]] = (
    (dict, dict.items),
    (list, list.__iter__),
    (tuple, tuple.__iter__),
)


def write_base(walk: Walk, value: object, path: str) -> None:
    """Write the content of a dataclass or the like that is a list or dict as well."""
    kind = type(value)  # isinstance() would ask the value for its __class__
    if issubclass(kind, dict):
        entries(walk, dict.items(value), path)  # type: ignore[arg-type]
    elif issubclass(kind, list):
        elements(walk, list.__iter__(value), path)  # type: ignore[arg-type]
    elif issubclass(kind, tuple):
        elements(walk, tuple.__iter__(value), path)  # type: ignore[arg-type]


def read_plain(walk: Walk, value: object, path: str) -> None:
    """Write an instance by the attributes it holds; the last resort is how it pickles."""
    kind = type(value)
    if kind is object:
        walk.refuse(
            path,
            "is a bare object(): it has no content to compare",
            "Use a string, an enum member or None instead.",
        )
    if read_named(walk, value, path):
        return
    if not is_python(kind):
        read_reduced(walk, value, path)
        return
    write_type(walk, kind, path)
    flag_internal(walk, kind, path)
    state = without_kept(kind, state_of(value))
    state.pop("__doc__", None)
    write_fields(walk, state, {}, path)


def without_kept(kind: type, state: dict[str, object]) -> dict[str, object]:
    """Leave out what installed classes keep for speed, or about where an object is kept.

    It comes with use, or depends on the process's hash seed.
    """
    module = names.module_of(kind)
    if not names.is_installed(module):
        return state
    kept = _KEPT[""] | _KEPT.get(module.partition(".")[0], frozenset())
    return {name: part for name, part in state.items() if name not in kept}


def flag_internal(walk: Walk, kind: type, path: str) -> None:
    """Note that private state of an installed package was read: an upgrade may change it."""
    module = names.module_of(kind)
    if names.is_installed(module):
        name, version = names.distribution(module.partition(".")[0])
        walk.version(path, f"locked by internal state of {name} {version}".rstrip())


def _reduced(walk: Walk, value: Any, path: str) -> Any:
    """Return what an object pickles as; what has no such form keeps its content to itself."""
    kind = type(value)
    try:
        if type(kind) is type and kind in copyreg.dispatch_table:
            return copyreg.dispatch_table[kind](value)
        return value.__reduce_ex__(4)
    except Exception as error:
        walk.refuse(
            path,
            f"is of type {names.name_of(kind)}, which keeps its content to itself "
            f"({type(error).__name__})",
            "Put its recipe in the dictionary and build it in the experiment, "
            "or give its class a __describe__ method.",
        )


def read_reduced(walk: Walk, value: Any, path: str) -> None:
    """Write what an object would be pickled as, read as a tree and never run."""
    kind = type(value)
    check_home(walk, names.module_of(kind), f"of the class {names.qualname_of(kind)}", path)
    form = _reduced(walk, value, path)
    write_type(walk, kind, path)
    flag_internal(walk, kind, path)
    if isinstance(form, str):
        # The name of something a module keeps.
        if names.is_importable(value, names.module_of(kind), form):
            walk.leaf(path, f"named {form!a}")
            return
        walk.refuse(
            path,
            f"is the {names.qualname_of(kind)} {form!a}, which cannot be found by that name",
            "Put the function it was made from in the dictionary.",
        )
    maker, args, state, items, pairs = (*form, None, None, None)[:5]
    walk.visit(maker, attribute(path, "made_by"))
    walk.visit(args, attribute(path, "args"))
    if state is not None:
        walk.visit(state, attribute(path, "state"))
    elif names.is_project(names.module_of(kind)):
        # What a subclass adds is lost in pickling some builtin types.
        write_fields(walk, state_of(value), {}, path)
    if items is not None:
        elements(walk, items, path)
    if pairs is not None:
        entries(walk, pairs, path)
