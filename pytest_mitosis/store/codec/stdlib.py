"""Tags of the standard library's small values: dates, exact numbers, paths, patterns.

They are what they are by a few parts; none of them is a container. Knows no other library.
"""

from __future__ import annotations

import os
import pathlib
import re
import uuid
import zoneinfo
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from types import EllipsisType, NotImplementedType
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.codec.place import NoSafeForm

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.store.codec.place import Place
    from pytest_mitosis.store.codec.walk import Decoder, Encoder, Json

_PATHS: dict[str, type[pathlib.PurePath]] = {
    "PurePosixPath": pathlib.PurePosixPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
    "PosixPath": pathlib.PosixPath,
    "WindowsPath": pathlib.WindowsPath,
}


def parts_of(name: str, *attributes: str) -> Callable[[Encoder, Any, Place], Json]:
    """Encoder of a value that is the sum of some attributes."""

    def encode(encoder: Encoder, value: object, place: Place) -> Json:
        parts = {key: encoder.encode(getattr(value, key), place.field(key)) for key in attributes}
        return {"$": name, **parts}

    return encode


def built_from(build: Callable[..., object], *keys: str) -> Callable[[Decoder, Json], object]:
    """Decoder that calls a constructor with the values of some keys."""

    def decode(decoder: Decoder, node: dict[str, Json]) -> object:
        return build(*(decoder.decode(node[key]) for key in keys))

    return decode


# --- time -----------------------------------------------------------------------------------------


def zone(encoder: Encoder, value: tzinfo | None, place: Place) -> Json:
    """Typed JSON of a time zone; foreign ones have no safe form."""
    if value is not None and type(value) not in (timezone, zoneinfo.ZoneInfo):
        raise NoSafeForm("a time zone of another library")
    return encoder.encode(value, place)


def _encode_timezone(encoder: Encoder, value: timezone, place: Place) -> Json:
    arguments = value.__getinitargs__()  # type: ignore[attr-defined]
    return {"$": "timezone", "arguments": [encoder.encode(part, place) for part in arguments]}


def _encode_zoneinfo(encoder: Encoder, value: zoneinfo.ZoneInfo, place: Place) -> Json:
    if value.key is None:
        raise NoSafeForm("a time zone read from a file")
    return {"$": "ZoneInfo", "key": value.key}


def _zoneinfo(_: Decoder, node: dict[str, Json]) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(node["key"])
    except zoneinfo.ZoneInfoNotFoundError:
        raise ResultError(
            f"the time zone {node['key']!r} is unknown here: pip install tzdata"
        ) from None


def _encode_moment(encoder: Encoder, value: datetime | time, place: Place) -> Json:
    node = {"$": type(value).__name__, "value": value.replace(tzinfo=None).isoformat()}
    if value.tzinfo is not None:
        node["zone"] = zone(encoder, value.tzinfo, place.field("tzinfo"))
    return node | ({"fold": 1} if value.fold else {})


def _moment(cls: type[datetime] | type[time]) -> Callable[[Decoder, Json], object]:
    def decode(decoder: Decoder, node: dict[str, Json]) -> object:
        naive = cls.fromisoformat(node["value"])
        return naive.replace(tzinfo=decoder.decode(node.get("zone")), fold=node.get("fold", 0))

    return decode


# --- numbers, paths, patterns ---------------------------------------------------------------------


def _encode_uuid(encoder: Encoder, value: uuid.UUID, place: Place) -> Json:
    known = value.is_safe is not uuid.SafeUUID.unknown
    return {"$": "UUID", "value": str(value)} | ({"safe": value.is_safe.value} if known else {})


def _uuid(_: Decoder, node: dict[str, Json]) -> uuid.UUID:
    safe = uuid.SafeUUID(node["safe"]) if "safe" in node else uuid.SafeUUID.unknown
    return uuid.UUID(node["value"], is_safe=safe)


def _encode_path(encoder: Encoder, value: pathlib.PurePath, place: Place) -> Json:
    return {
        "$": "Path",
        "flavour": type(value).__name__,
        "value": encoder.encode(str(value), place),
    }


def _path(decoder: Decoder, node: dict[str, Json]) -> pathlib.PurePath:
    flavour = node["flavour"]
    # The other system's paths exist here only as pure ones.
    if flavour == ("PosixPath" if os.name == "nt" else "WindowsPath"):
        flavour = f"Pure{flavour}"
    return _PATHS[flavour](decoder.decode(node["value"]))


ENCODERS: dict[type, Callable[[Encoder, Any, Place], Json]] = {
    complex: parts_of("complex", "real", "imag"),
    range: parts_of("range", "start", "stop", "step"),
    slice: parts_of("slice", "start", "stop", "step"),
    EllipsisType: parts_of("Ellipsis"),
    NotImplementedType: parts_of("NotImplemented"),
    datetime: _encode_moment,
    time: _encode_moment,
    date: lambda *given: {"$": "date", "value": given[1].isoformat()},
    timedelta: parts_of("timedelta", "days", "seconds", "microseconds"),
    timezone: _encode_timezone,
    zoneinfo.ZoneInfo: _encode_zoneinfo,
    Decimal: lambda *given: {"$": "Decimal", "value": str(given[1])},
    Fraction: parts_of("Fraction", "numerator", "denominator"),
    uuid.UUID: _encode_uuid,
    **dict.fromkeys(_PATHS.values(), _encode_path),
    re.Pattern: parts_of("Pattern", "pattern", "flags"),
}

DECODERS: dict[str, Callable[[Decoder, dict[str, Json]], object]] = {
    "complex": built_from(complex, "real", "imag"),
    "range": built_from(range, "start", "stop", "step"),
    "slice": built_from(slice, "start", "stop", "step"),
    "Ellipsis": lambda *_: ...,
    "NotImplemented": lambda *_: NotImplemented,
    "datetime": _moment(datetime),
    "time": _moment(time),
    "date": built_from(date.fromisoformat, "value"),
    "timedelta": built_from(timedelta, "days", "seconds", "microseconds"),
    "timezone": lambda decoder, node: timezone(*decoder.decode(node["arguments"])),
    "ZoneInfo": _zoneinfo,
    "Decimal": built_from(Decimal, "value"),
    "Fraction": built_from(Fraction, "numerator", "denominator"),
    "UUID": _uuid,
    "Path": _path,
    "Pattern": built_from(re.compile, "pattern", "flags"),
}
