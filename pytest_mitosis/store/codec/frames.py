"""Tags of pandas' tables, series and indexes.

A table becomes a parquet file where that gives back exactly the same table; otherwise, and wherever
pyarrow is not installed, column by column. What a column is made of is ``columns``'s affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_mitosis.store.codec import arrays, columns, parquet
from pytest_mitosis.store.codec.names import loaded
from pytest_mitosis.store.codec.place import NoSafeForm

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.store.codec.place import Place
    from pytest_mitosis.store.codec.walk import Decoder, Encoder, Json

_FEW_CELLS = 64


def find_encoder(cls: type) -> Callable[[Encoder, Any, Place], Json] | None:
    """Return the encoder of a pandas type, if pandas is loaded and the type is exactly pandas's."""
    pd: Any = loaded("pandas")  # Any: may be absent, or still being imported
    if not hasattr(pd, "NA") or not str(cls.__module__).startswith("pandas"):
        return None
    known: dict[type, Callable[[Encoder, Any, Place], Json]] = {
        pd.DataFrame: _encode_frame,
        pd.Series: _encode_series,
        pd.RangeIndex: _encode_range,
        pd.MultiIndex: _encode_levels,
    }
    if cls not in known and issubclass(cls, pd.Index):
        return _encode_index
    return known.get(cls) or columns.find_encoder(cls)


# --- indexes --------------------------------------------------------------------------------------


def _encode_range(encoder: Encoder, value: Any, place: Place) -> Json:
    node = {"$": "RangeIndex", "start": value.start, "stop": value.stop, "step": value.step}
    return node | _name(encoder, value, place)


def _name(encoder: Encoder, value: Any, place: Place) -> dict[str, Json]:
    if value.name is None:
        return {}
    return {"name": encoder.encode(value.name, place.field("name"))}


def _encode_levels(encoder: Encoder, value: Any, place: Place) -> Json:
    levels = [level.rename(None) for level in value.levels]
    return {
        "$": "MultiIndex",
        "names": encoder.encode(list(value.names), place.field("names")),
        "levels": encoder.encode(levels, place.field("levels")),
        "codes": encoder.encode([*map(_bare, value.codes)], place.field("codes")),
    } | ({} if value.sortorder is None else {"sortorder": int(value.sortorder)})


def _bare(codes: Any) -> Any:
    import numpy as np

    return np.asarray(codes)


def _encode_index(encoder: Encoder, value: Any, place: Place) -> Json:
    node = {"$": "Index", "kind": type(value).__name__, **_name(encoder, value, place)}
    node["values"] = columns.encode_column(encoder, value, place)
    freq = getattr(value, "freq", None) if node["kind"] != "PeriodIndex" else None
    if freq is not None:
        from pandas.tseries.frequencies import to_offset

        if to_offset(freq.freqstr) != freq:
            raise NoSafeForm("a frequency that its text does not say in full")
        node["freq"] = freq.freqstr
    return node


def _range(decoder: Decoder, node: dict[str, Json]) -> Any:
    bounds = (node["start"], node["stop"], node["step"])
    return arrays.need("pandas").RangeIndex(*bounds, name=decoder.decode(node.get("name")))


def _levels(decoder: Decoder, node: dict[str, Json]) -> Any:
    return arrays.need("pandas").MultiIndex(
        levels=decoder.decode(node["levels"]),
        codes=decoder.decode(node["codes"]),
        names=decoder.decode(node["names"]),
        sortorder=node.get("sortorder"),
    )


def _index(decoder: Decoder, node: dict[str, Json]) -> Any:
    pd, values = arrays.need("pandas"), decoder.decode(node["values"])
    # The type is said, or pandas would guess one for objects.
    found = pd.Index(values, dtype=values.dtype, name=decoder.decode(node.get("name")))
    if "freq" in node:
        found.freq = node["freq"]
    return found


# --- series and tables ----------------------------------------------------------------------------


def _notes(encoder: Encoder, value: Any, place: Place) -> dict[str, Json]:
    node = {}
    if value.attrs:
        node["attrs"] = encoder.encode(value.attrs, place.field("attrs"))
    if not value.flags.allows_duplicate_labels:
        node["unique_labels"] = True
    return node


def _with_notes(decoder: Decoder, node: dict[str, Json], value: Any) -> Any:
    if "attrs" in node:
        value.attrs.update(decoder.decode(node["attrs"]))
    if node.get("unique_labels"):
        value.flags.allows_duplicate_labels = False
    return value


def _encode_series(encoder: Encoder, value: Any, place: Place) -> Json:
    return {
        "$": "Series",
        **_name(encoder, value, place),
        "index": encoder.encode(value.index, place.field("index")),
        "values": columns.encode_column(encoder, value, place),
        **_notes(encoder, value, place),
    }


def _series(decoder: Decoder, node: dict[str, Json]) -> Any:
    values = decoder.decode(node["values"])
    found = arrays.need("pandas").Series(values, dtype=values.dtype)
    found.index = decoder.decode(node["index"])
    found.name = decoder.decode(node.get("name"))
    return _with_notes(decoder, node, found)


def _encode_frame(encoder: Encoder, value: Any, place: Place) -> Json:
    notes = _notes(encoder, value, place)
    if value.size > _FEW_CELLS:
        content = parquet.exact(value, encode_table)
        if content is not None:
            dtypes = [str(dtype) for dtype in value.dtypes]
            node = {"$": "DataFrame", "dtypes": dtypes, **notes}
            return node | encoder.to_file(place, ".parquet", lambda file: file.write(content))
    return {"$": "DataFrame", **encode_table(encoder, value, place), **notes}


def encode_table(encoder: Encoder, value: Any, place: Place) -> dict[str, Json]:
    """Typed JSON of a table, column by column; long columns of one type share a file."""
    node = {
        "columns": encoder.encode(value.columns, place.field("columns")),
        "index": encoder.encode(value.index, place.field("index")),
    }
    blocks = _blocks(value)
    data: list[Json] = [None] * value.shape[1]
    for number, positions in enumerate(blocks):
        for at, position in enumerate(positions):
            data[position] = {"block": number, "at": at}
    for position, done in enumerate(data):
        if done is None:
            label = place.item(value.columns[position], position)
            data[position] = columns.encode_column(encoder, value.iloc[:, position], label)
    node["data"] = data
    if blocks:
        together = [value.iloc[:, positions].to_numpy() for positions in blocks]
        node["blocks"] = [
            arrays.encode_array(encoder, block, place.field(f"block{number}"))
            for number, block in enumerate(together)
        ]
    return node


def _blocks(value: Any) -> list[list[int]]:
    import numpy as np

    if len(value) <= _FEW_CELLS:
        return []
    found: dict[Any, list[int]] = {}
    for position, dtype in enumerate(value.dtypes):
        if isinstance(dtype, np.dtype) and dtype.kind != "O":
            found.setdefault(dtype, []).append(position)
    return [positions for positions in found.values() if len(positions) > 1]


def _frame(decoder: Decoder, node: dict[str, Json]) -> Any:
    pd = arrays.need("pandas")
    if "file" in node:
        with decoder.open(node) as file:
            return _with_notes(decoder, node, parquet.read(file, node["file"], node["dtypes"]))
    blocks = [decoder.decode(block) for block in node.get("blocks", [])]
    index, labels = decoder.decode(node["index"]), decoder.decode(node["columns"])
    rows = pd.RangeIndex(len(index))
    data = {}
    for position, column in enumerate(node["data"]):
        values = decoder.decode(column) if "block" not in column else None
        if values is None:
            values = blocks[column["block"]][:, column["at"]]
        data[position] = pd.Series(values, index=rows, dtype=values.dtype)
    # Under plain numbers first: labels may be repeated, and pandas would align by them.
    found = pd.DataFrame(data, index=rows)
    found.index, found.columns = index, labels
    return _with_notes(decoder, node, found)


DECODERS: dict[str, Callable[[Decoder, dict[str, Json]], object]] = {
    "RangeIndex": _range,
    "MultiIndex": _levels,
    "Index": _index,
    "Series": _series,
    "DataFrame": _frame,
    **columns.DECODERS,
}
