"""Tags of pandas' one-dimensional data and scalars; touches pandas only if it is loaded already.

A column is a numpy array where pandas stores one, otherwise the few plain arrays its extension type
is made of. Types not known here have no safe form. Tables and indexes are ``frames``'s affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.codec import arrays, parquet, stdlib
from pytest_mitosis.store.codec.names import loaded
from pytest_mitosis.store.codec.place import NoSafeForm

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.store.codec.place import Place
    from pytest_mitosis.store.codec.walk import Decoder, Encoder, Json

Values: TypeAlias = Any  # a pandas object; pandas is not imported to say so


def find_encoder(cls: type) -> Callable[[Encoder, Any, Place], Json] | None:
    """Return the encoder of a pandas scalar or extension array."""
    pd: Any = loaded("pandas")  # Any: may be absent, or still being imported
    if not hasattr(pd, "NA") or not str(cls.__module__).startswith("pandas"):
        return None
    known: dict[type, Callable[[Encoder, Any, Place], Json]] = {
        pd.Timestamp: _encode_timestamp,
        pd.Timedelta: _encode_timedelta,
        pd.Period: _encode_period,
        pd.Interval: stdlib.parts_of("Interval", "left", "right", "closed"),
        type(pd.NaT): lambda *_: {"$": "NaT"},
        type(pd.NA): lambda *_: {"$": "NA"},
    }
    if issubclass(cls, pd.api.extensions.ExtensionArray):
        return encode_values
    return known.get(cls)


# --- scalars --------------------------------------------------------------------------------------


def zone(encoder: Encoder, value: Any, place: Place) -> Json:
    """Typed JSON of a time zone, pytz's included: older pandas makes those from names."""
    pytz: Any = loaded("pytz")
    if value is not None and pytz is not None and isinstance(value, pytz.tzinfo.BaseTzInfo):
        return {"$": "pytz", "zone": value.zone}
    return stdlib.zone(encoder, value, place)


def _pytz(decoder: Decoder, node: dict[str, Json]) -> Any:
    try:
        pytz = arrays.need("pytz")
    except ResultError:  # newer pandas comes without, and has the same zone from zoneinfo
        return decoder.decode({"$": "ZoneInfo", "key": node["zone"]})
    return pytz.timezone(node["zone"])


def _encode_timestamp(encoder: Encoder, value: Any, place: Place) -> Json:
    stored = value.asm8
    node = {"$": "Timestamp", "text": value.isoformat(), "unit": value.unit}
    node["value"] = int(stored.view("i8"))
    if value.tzinfo is not None:
        node["zone"] = zone(encoder, value.tzinfo, place.field("tzinfo"))
    return node | ({"fold": 1} if value.fold else {})


def _timestamp(decoder: Decoder, node: dict[str, Json]) -> Any:
    import numpy as np

    pd = arrays.need("pandas")
    found = pd.Timestamp(np.datetime64(node["value"], node["unit"]))
    if "zone" in node:
        return found.tz_localize("UTC").tz_convert(decoder.decode(node["zone"]))
    return found.replace(fold=node["fold"]) if "fold" in node else found


def _encode_timedelta(encoder: Encoder, value: Any, place: Place) -> Json:
    stored = int(value.asm8.view("i8"))
    return {"$": "Timedelta", "text": str(value), "unit": value.unit, "value": stored}


def _timedelta(_: Decoder, node: dict[str, Json]) -> Any:
    import numpy as np

    return arrays.need("pandas").Timedelta(np.timedelta64(node["value"], node["unit"]))


def _encode_period(encoder: Encoder, value: Any, place: Place) -> Json:
    dtype = arrays.need("pandas").PeriodDtype(value.freq)
    return {"$": "Period", "text": str(value), "dtype": dtype.name, "value": value.ordinal}


def _period_dtype(node: dict[str, Json]) -> Any:
    return arrays.need("pandas").PeriodDtype(node["dtype"].removeprefix("period[")[:-1])


def _period(_: Decoder, node: dict[str, Json]) -> Any:
    import numpy as np

    pd, ordinals = arrays.need("pandas"), np.array([node["value"]], dtype="i8")
    return pd.arrays.PeriodArray(ordinals, dtype=_period_dtype(node))[0]


# --- columns --------------------------------------------------------------------------------------


def encode_column(encoder: Encoder, column: Any, place: Place) -> Json:
    """Typed JSON of the values of a series or index."""
    import numpy as np

    if isinstance(column.dtype, np.dtype):
        return arrays.encode_array(encoder, column.to_numpy(), place)
    return encode_values(encoder, column.array, place)


def encode_values(encoder: Encoder, value: Values, place: Place) -> Json:
    """Typed JSON of an extension array of pandas."""
    import pandas as pd

    dtype = value.dtype
    kinds: dict[type, Callable[[Encoder, Any, Place], dict[str, Json]]] = {
        pd.CategoricalDtype: _categorical,
        pd.DatetimeTZDtype: _zoned,
        pd.PeriodDtype: _periods,
        pd.IntervalDtype: _intervals,
        pd.StringDtype: _strings,
        pd.ArrowDtype: _arrow,
    }
    kind = kinds.get(type(dtype))
    if kind is not None:
        return {"$": "values", "kind": type(dtype).__name__, **kind(encoder, value, place)}
    if type(value) in (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray):
        return {"$": "values", "kind": type(value).__name__, **_nullable(encoder, value, place)}
    plain = (pd.arrays.NumpyExtensionArray, pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)
    if type(value) in plain:
        return {
            "$": "values",
            "kind": type(value).__name__,
            "values": arrays.encode_array(encoder, value.to_numpy(), place),
        }
    raise NoSafeForm("an extension array of another library")


def _categorical(encoder: Encoder, value: Values, place: Place) -> dict[str, Json]:
    codes, categories = value.codes, value.categories
    return {
        "ordered": value.ordered,
        "categories": encoder.encode(categories, place.field("categories")),
        "codes": arrays.encode_array(encoder, codes, place.field("codes")),
    }


def _zoned(encoder: Encoder, value: Values, place: Place) -> dict[str, Json]:
    instants = value.tz_convert(None).to_numpy()
    return {
        "zone": zone(encoder, value.dtype.tz, place.field("tz")),
        "values": arrays.encode_array(encoder, instants, place),
    }


def _periods(encoder: Encoder, value: Values, place: Place) -> dict[str, Json]:
    return {
        "dtype": value.dtype.name,
        "values": arrays.encode_array(encoder, value.asi8, place),
    }


def _intervals(encoder: Encoder, value: Values, place: Place) -> dict[str, Json]:
    return {
        "closed": value.closed,
        "left": encoder.encode(value.left, place.field("left")),
        "right": encoder.encode(value.right, place.field("right")),
    }


def _strings(encoder: Encoder, value: Values, place: Place) -> dict[str, Json]:
    import pandas as pd

    absent = value.isna()
    items = [None if gone else text for gone, text in zip(absent, value, strict=True)]
    node = {"storage": value.dtype.storage, "items": [encoder.encode(t, place) for t in items]}
    # pandas 3 has two kinds: text with NaN ("str") and text with NA ("string").
    return node | ({} if value.dtype.na_value is pd.NA else {"nan": True})


def _arrow(encoder: Encoder, value: Values, place: Place) -> dict[str, Json]:
    content = parquet.write_arrow(value)
    return encoder.to_file(place, ".arrow", lambda file: file.write(content))


def _nullable(encoder: Encoder, value: Values, place: Place) -> dict[str, Json]:
    values = value.to_numpy(dtype=value.dtype.numpy_dtype, na_value=0)
    return {
        "values": arrays.encode_array(encoder, values, place),
        "mask": arrays.encode_array(encoder, value.isna(), place.field("mask")),
    }


# --- and back -------------------------------------------------------------------------------------


def _has_text_with_nan() -> bool:
    return int(arrays.need("pandas").__version__.split(".")[0]) >= 3


def _from_strings(decoder: Decoder, node: dict[str, Json]) -> Values:
    import numpy as np

    pd = arrays.need("pandas")
    items = [decoder.decode(item) for item in node["items"]]
    if node.get("nan") and not _has_text_with_nan():
        # The same column in pandas 2, whose own reader of parquet does as much.
        return np.array([float("nan") if item is None else item for item in items], dtype=object)
    nan = {"na_value": float("nan")} if node.get("nan") else {}
    try:
        dtype = pd.StringDtype(node["storage"], **nan)
    except ImportError:  # no pyarrow here; the text and its kind are the same without
        dtype = pd.StringDtype("python", **nan)
    return pd.array(items, dtype=dtype)


def _from_zoned(decoder: Decoder, node: dict[str, Json]) -> Values:
    instants = arrays.need("pandas").DatetimeIndex(decoder.decode(node["values"]))
    return instants.tz_localize("UTC").tz_convert(decoder.decode(node["zone"])).array


def _from_codes(decoder: Decoder, node: dict[str, Json]) -> Values:
    pd = arrays.need("pandas")
    dtype = pd.CategoricalDtype(decoder.decode(node["categories"]), node["ordered"])
    return pd.Categorical.from_codes(decoder.decode(node["codes"]), dtype=dtype)


def _from_intervals(decoder: Decoder, node: dict[str, Json]) -> Values:
    left, right = decoder.decode(node["left"]), decoder.decode(node["right"])
    return arrays.need("pandas").arrays.IntervalArray.from_arrays(left, right, node["closed"])


def _from_parts(decoder: Decoder, node: dict[str, Json]) -> Values:
    cls = getattr(arrays.need("pandas").arrays, node["kind"])
    return cls(decoder.decode(node["values"]), decoder.decode(node["mask"]))


def _from_plain(decoder: Decoder, node: dict[str, Json]) -> Values:
    pd, values = arrays.need("pandas"), decoder.decode(node["values"])
    if node["kind"] == "NumpyExtensionArray":
        return pd.arrays.NumpyExtensionArray(values)
    return pd.array(values, dtype=values.dtype)


def _from_arrow(decoder: Decoder, node: dict[str, Json]) -> Values:
    with decoder.open(node) as file:
        return parquet.read_arrow(file, node["file"])


def _from_ordinals(decoder: Decoder, node: dict[str, Json]) -> Values:
    values = decoder.decode(node["values"])
    return arrays.need("pandas").arrays.PeriodArray(values, dtype=_period_dtype(node))


_KINDS: dict[str, Callable[[Decoder, dict[str, Json]], Values]] = {
    "CategoricalDtype": _from_codes,
    "DatetimeTZDtype": _from_zoned,
    "PeriodDtype": _from_ordinals,
    "IntervalDtype": _from_intervals,
    "StringDtype": _from_strings,
    "ArrowDtype": _from_arrow,
    "IntegerArray": _from_parts,
    "FloatingArray": _from_parts,
    "BooleanArray": _from_parts,
    "NumpyExtensionArray": _from_plain,
    "DatetimeArray": _from_plain,
    "TimedeltaArray": _from_plain,
}

DECODERS: dict[str, Callable[[Decoder, dict[str, Json]], object]] = {
    "values": lambda decoder, node: _KINDS[node["kind"]](decoder, node),
    "Timestamp": _timestamp,
    "Timedelta": _timedelta,
    "Period": _period,
    "Interval": lambda decoder, node: arrays.need("pandas").Interval(
        decoder.decode(node["left"]), decoder.decode(node["right"]), node["closed"]
    ),
    "NaT": lambda *_: arrays.need("pandas").NaT,
    "NA": lambda *_: arrays.need("pandas").NA,
    "pytz": _pytz,
}
