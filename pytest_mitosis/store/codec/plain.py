"""Tags of the standard library's values; knows no other library and no class of the user's."""

from __future__ import annotations

import base64
import collections
import json
import math
import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.codec import stdlib
from pytest_mitosis.store.codec.place import NoSafeForm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_mitosis.store.codec.place import Place
    from pytest_mitosis.store.codec.walk import Decoder, Encoder, Json

_NAN = struct.pack("<d", math.nan)
_LONG_BYTES = 4096
# Larger integers may be refused as decimal digits (sys.set_int_max_str_digits, at least 640).
_DECIMAL_BITS = 2000
_JSON_BITS = 63
_BUILTINS: dict[str, object] = {
    cls.__name__: cls
    for cls in (
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        bytearray,
        list,
        tuple,
        dict,
        set,
        frozenset,
        object,
        type(None),
    )
}


# --- leaves ---------------------------------------------------------------------------------------


def integer(value: int) -> Json:
    """JSON number within 64 bits; beyond, digits as text."""
    bits = value.bit_length()
    if bits <= _JSON_BITS:
        return value
    return {"$": "int", "value": str(value) if bits <= _DECIMAL_BITS else hex(value)}


def real(value: float) -> Json:
    """JSON number; what JSON has no number for, as text."""
    if math.isfinite(value):
        return value
    if value != value and struct.pack("<d", value) != _NAN:
        return {"$": "float", "value": "nan", "bits": struct.pack("<d", value).hex()}
    return {"$": "float", "value": repr(value)}


def text(value: str) -> Json:
    """JSON string; with surrogates, which JSON readers would join or refuse, escaped."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"$": "str", "escaped": value.encode("unicode_escape").decode("ascii")}
    return value


def _same(value: object) -> Json:
    return value


LEAVES: dict[type, Callable[[Any], Json]] = {
    type(None): _same,
    bool: _same,
    int: integer,
    float: real,
    str: text,
}


def _int(_: Decoder, node: dict[str, Json]) -> int:
    value: str = node["value"]
    return int(value, 16) if "x" in value else int(value)


def _float(_: Decoder, node: dict[str, Json]) -> float:
    if "bits" in node:
        found: float = struct.unpack("<d", bytes.fromhex(node["bits"]))[0]
        return found
    return float(node["value"])


# --- containers -----------------------------------------------------------------------------------


def elements(encoder: Encoder, values: Iterable[object], place: Place) -> list[Json]:
    """Typed JSON of each element in order."""
    found = []
    for number, value in enumerate(values):
        leaf = LEAVES.get(type(value))
        found.append(leaf(value) if leaf else encoder.encode(value, place.index(number)))
    return found


def _pairs(encoder: Encoder, value: dict[Any, object], place: Place) -> list[Json]:
    return [
        [encoder.encode(key, place.index(number)), encoder.encode(item, place.item(key, number))]
        for number, (key, item) in enumerate(value.items())
    ]


def _is_json_object(value: dict[object, object]) -> bool:
    return "$" not in value and all(type(key) is str and text(key) is key for key in value)


def _encode_dict(encoder: Encoder, value: dict[Any, object], place: Place) -> Json:
    if all(type(key) is str for key in value) and _is_json_object(value):
        return {key: encoder.encode(item, place.field(key)) for key, item in value.items()}
    return {"$": "dict", "items": _pairs(encoder, value, place)}


def _dict(decoder: Decoder, node: dict[str, Json]) -> dict[object, object]:
    found = {decoder.decode(key): decoder.decode(item) for key, item in node["items"]}
    _same_count(found, node["items"])
    return found


def _same_count(found: object, recorded: list[Json]) -> None:
    # Two keys that were different have become equal: an entry would be lost without a word.
    if len(found) != len(recorded):  # type: ignore[arg-type]
        raise ResultError("elements that were different when saved are equal now")


def _encode_set(encoder: Encoder, value: frozenset[object], place: Place) -> Json:
    items = elements(encoder, value, place)
    # Hash order differs between processes; one value should have one text.
    items.sort(key=lambda item: json.dumps(item, sort_keys=True))
    return {"$": type(value).__name__, "items": items}


def _set_decoder(cls: type) -> Callable[[Decoder, dict[str, Json]], object]:
    def decode(decoder: Decoder, node: dict[str, Json]) -> object:
        found = cls(decoder.decode(node["items"]))
        _same_count(found, node["items"])
        return found

    return decode


def _refuse_attributes(value: object) -> None:
    if vars(value):
        raise NoSafeForm("it has attributes beside its items")


def _encode_ordered(encoder: Encoder, value: dict[object, object], place: Place) -> Json:
    _refuse_attributes(value)
    return {"$": type(value).__name__, "items": _pairs(encoder, value, place)}


def _counter(decoder: Decoder, node: dict[str, Json]) -> collections.Counter[object]:
    found: collections.Counter[object] = collections.Counter()
    # Not Counter's own update, which adds.
    dict.update(found, _dict(decoder, node))  # type: ignore[misc]
    return found


def _encode_defaultdict(
    encoder: Encoder, value: collections.defaultdict[object, object], place: Place
) -> Json:
    factory = encoder.encode(value.default_factory, place.field("default_factory"))
    return {"$": "defaultdict", "factory": factory, "items": _pairs(encoder, value, place)}


def _encode_deque(encoder: Encoder, value: collections.deque[object], place: Place) -> Json:
    items = elements(encoder, value, place)
    return {"$": "deque", "maxlen": encoder.encode(value.maxlen, place), "items": items}


def _encode_namespace(encoder: Encoder, value: SimpleNamespace, place: Place) -> Json:
    return {"$": "SimpleNamespace", "items": _pairs(encoder, vars(value), place)}


def _namespace(decoder: Decoder, node: dict[str, Json]) -> SimpleNamespace:
    found = SimpleNamespace()
    vars(found).update(_dict(decoder, node))  # type: ignore[arg-type]
    return found


# --- bytes and builtin types ----------------------------------------------------------------------


def _encode_bytes(encoder: Encoder, value: bytes, place: Place) -> Json:
    tag = {"$": type(value).__name__}
    if len(value) > _LONG_BYTES:
        return tag | encoder.to_file(place, ".bin", lambda file: file.write(value))
    return tag | {"base64": base64.b64encode(value).decode("ascii")}


def _bytes(decoder: Decoder, node: dict[str, Json]) -> bytes:
    if "file" in node:
        with decoder.open(node) as file:
            return file.read()
    return base64.b64decode(node["base64"], validate=True)


def _encode_type(encoder: Encoder, value: type, place: Place) -> Json:
    if _BUILTINS.get(value.__name__) is not value:
        raise NoSafeForm("only builtin types go by name")
    return {"$": "type", "name": value.__name__}


ENCODERS: dict[type, Callable[[Encoder, Any, Place], Json]] = {
    list: elements,
    tuple: lambda encoder, value, place: {"$": "tuple", "items": elements(encoder, value, place)},
    dict: _encode_dict,
    set: _encode_set,
    frozenset: _encode_set,
    collections.OrderedDict: _encode_ordered,
    collections.Counter: _encode_ordered,
    collections.defaultdict: _encode_defaultdict,
    collections.deque: _encode_deque,
    SimpleNamespace: _encode_namespace,
    bytes: _encode_bytes,
    bytearray: _encode_bytes,
    type: _encode_type,
    **stdlib.ENCODERS,
}

DECODERS: dict[str, Callable[[Decoder, dict[str, Json]], object]] = {
    "int": _int,
    "float": _float,
    "str": lambda _, node: node["escaped"].encode("ascii").decode("unicode_escape"),
    "tuple": lambda decoder, node: tuple(decoder.decode(node["items"])),
    "dict": _dict,
    "set": _set_decoder(set),
    "frozenset": _set_decoder(frozenset),
    "OrderedDict": lambda decoder, node: collections.OrderedDict(_dict(decoder, node)),
    "Counter": _counter,
    "defaultdict": lambda decoder, node: collections.defaultdict(
        decoder.decode(node["factory"]), _dict(decoder, node)
    ),
    "deque": lambda decoder, node: collections.deque(
        decoder.decode(node["items"]), decoder.decode(node["maxlen"])
    ),
    "SimpleNamespace": _namespace,
    "bytes": _bytes,
    "bytearray": lambda decoder, node: bytearray(_bytes(decoder, node)),
    "type": lambda _, node: _BUILTINS[node["name"]],
    **stdlib.DECODERS,
}
