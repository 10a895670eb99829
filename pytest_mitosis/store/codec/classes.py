"""Tags of the user's classes that are their fields: dataclasses, enums, named tuples.

Recorded by name and fields. Rebuilt without calling anything of theirs, and only if the class at
hand still has those fields; otherwise an ``Opaque`` with the same content. Never calls a method of
the object, never imports.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_mitosis.store.codec.inert import Opaque
from pytest_mitosis.store.codec.names import type_name
from pytest_mitosis.store.codec.place import NoSafeForm

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.store.codec.place import Place
    from pytest_mitosis.store.codec.walk import Decoder, Encoder, Json

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement
_SCALARS = (type(None), bool, int, float, complex, str, bytes)


def find_encoder(cls: type) -> Callable[[Encoder, Any, Place], Json] | None:
    """Return the encoder of a class that is its fields."""
    if cls is Opaque:
        return _encode_opaque
    if issubclass(cls, enum.Enum):
        return _encode_enum
    if _is_named_tuple(cls):
        return _encode_named_tuple
    if _is_dataclass(cls):
        return _encode_dataclass
    return None


def _is_dataclass(cls: object) -> bool:
    if not isinstance(cls, type) or "__dataclass_fields__" not in _all_names(cls):
        return False
    # A dataclass that is also a dict, an exception, an array holds more than its fields.
    return all(base is object or _is_plain(base) for base in cls.__mro__)


def _is_plain(base: type) -> bool:
    new = base.__dict__.get("__new__")
    return bool(base.__flags__ & _HEAP_TYPE) and not isinstance(new, types.BuiltinFunctionType)


def _all_names(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name in base.__dict__}


def _is_named_tuple(cls: object) -> bool:
    if not isinstance(cls, type) or not issubclass(cls, tuple):
        return False
    fields = next((vars(base)["_fields"] for base in cls.__mro__ if "_fields" in vars(base)), None)
    return isinstance(fields, tuple) and all(isinstance(name, str) for name in fields)


# --- enums ----------------------------------------------------------------------------------------


def _encode_enum(encoder: Encoder, value: enum.Enum, place: Place) -> Json:
    node = {"$": "enum", "class": type_name(type(value)), "name": value._name_}
    content = value._value_
    if _is_scalar(content):
        node["value"] = encoder.encode(content, place.field("value"))
    return node


def _is_scalar(value: object) -> bool:
    if type(value) is tuple:
        return len(value) <= 16 and all(type(item) in _SCALARS for item in value)
    return type(value) in _SCALARS


def _enum(decoder: Decoder, node: dict[str, Json]) -> object:
    cls = decoder.find_class(node["class"])
    value = decoder.decode(node["value"]) if "value" in node else None
    if cls is not None and issubclass(cls, enum.Enum):
        member = cls._member_map_.get(node["name"])
        if member is None and issubclass(cls, enum.Flag) and type(value) is int:
            member = _combined(cls, value)
        # A name whose value has changed since is another member.
        if member is not None and ("value" not in node or _is_same(member._value_, value)):
            return member
    fields = {"name": node["name"]} | ({"value": value} if "value" in node else {})
    return Opaque(node["class"], fields)


def _combined(cls: type[enum.Flag], value: int) -> enum.Flag | None:
    try:
        return cls(value)
    except Exception:
        return None


def _is_same(left: object, right: object) -> bool:
    # NaN and -0.0 by their text; tuples element by element through it too.
    return type(left) is type(right) and repr(left) == repr(right)


# --- named tuples ---------------------------------------------------------------------------------


def _encode_named_tuple(encoder: Encoder, value: tuple[object, ...], place: Place) -> Json:
    cls = type(value)
    names: tuple[str, ...] = cls._fields  # type: ignore[attr-defined]
    items = list(tuple.__iter__(value))
    if len(names) != len(items) or _state(value):
        raise NoSafeForm("it holds more than its fields")
    fields = _encode_fields(encoder, dict(zip(names, items, strict=True)), place)
    return {"$": "namedtuple", "class": type_name(cls), "fields": fields}


def _named_tuple(decoder: Decoder, node: dict[str, Json]) -> object:
    fields = {name: decoder.decode(item) for name, item in node["fields"].items()}
    cls = decoder.find_class(node["class"])
    if cls is None or not _is_named_tuple(cls) or cls._fields != tuple(fields):  # type: ignore[attr-defined]
        return Opaque(node["class"], fields)
    build: Any = tuple.__new__  # Any: the class is known to be a tuple only at run time
    return build(cls, fields.values())


# --- dataclasses ----------------------------------------------------------------------------------


def _state(value: object) -> dict[str, object]:
    """What an instance holds, read past any ``__getattribute__`` or property of its class."""
    found: dict[str, object] = {}
    for base in reversed(type(value).__mro__):
        for name, slot in base.__dict__.items():
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    found[name] = slot.__get__(value)
                except AttributeError:  # declared and never set
                    continue
    with suppress(AttributeError):  # only slots
        found.update(object.__getattribute__(value, "__dict__"))
    # Left by Boxed[int](...) on the instance: what a type checker reads, not a part of the value.
    found.pop("__orig_class__", None)
    return found


def _encode_fields(encoder: Encoder, fields: dict[str, object], place: Place) -> Json:
    if not all(type(name) is str for name in fields):
        raise NoSafeForm("its attributes have names that are not text")
    return {name: encoder.encode(item, place.field(name)) for name, item in fields.items()}


def _field_names(cls: type) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _encode_dataclass(encoder: Encoder, value: object, place: Place) -> Json:
    state, names = _state(value), _field_names(type(value))
    ordered = {name: state[name] for name in names if name in state}
    node: dict[str, Json] = {"$": "dataclass", "class": type_name(type(value))}
    node["fields"] = _encode_fields(encoder, ordered | state, place)
    if list(node["fields"]) != names:
        node["declared"] = names
    return node


def _dataclass(decoder: Decoder, node: dict[str, Json]) -> object:
    fields = {name: decoder.decode(item) for name, item in node["fields"].items()}
    declared = node.get("declared", list(fields))
    cls = decoder.find_class(node["class"])
    if cls is None or not _is_dataclass(cls) or set(_field_names(cls)) != set(declared):
        return Opaque(node["class"], fields)
    found: object = object.__new__(cls)
    for name, item in fields.items():
        object.__setattr__(found, name, item)
    return found


def _encode_opaque(encoder: Encoder, value: Opaque, place: Place) -> Json:
    fields = _encode_fields(encoder, dict(value.fields), place)
    return {"$": "opaque", "class": value.type_name, "fields": fields}


def _opaque(decoder: Decoder, node: dict[str, Json]) -> Opaque:
    return Opaque(node["class"], {name: decoder.decode(f) for name, f in node["fields"].items()})


DECODERS: dict[str, Callable[[Decoder, dict[str, Json]], object]] = {
    "enum": _enum,
    "namedtuple": _named_tuple,
    "dataclass": _dataclass,
    "opaque": _opaque,
}
