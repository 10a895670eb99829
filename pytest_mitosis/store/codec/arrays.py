"""Tags of numpy's scalars and arrays; touches numpy only if the process has it already.

Small numeric arrays stay in the JSON for people to read, all others become ``.npy`` files, object
arrays are written element by element. Nothing is ever pickled inside an array file.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.codec.dtypes import describe_dtype, restore_any, restore_dtype
from pytest_mitosis.store.codec.names import loaded
from pytest_mitosis.store.codec.place import NoSafeForm

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from pytest_mitosis.store.codec.place import Place
    from pytest_mitosis.store.codec.walk import Decoder, Encoder, Json

Array: TypeAlias = Any  # numpy arrays of any type; numpy is not imported to say so
DType: TypeAlias = Any
_INLINE = 64
# Types whose tolist() is exact: bool, integers, and floats no wider than Python's.
_READABLE = frozenset("?bhilqBHILQefd")
_LONGEST_HEADER = 100_000


def find_encoder(cls: type) -> Callable[[Encoder, Any, Place], Json] | None:
    """Return the encoder of a numpy type, if numpy is loaded and the type is exactly numpy's."""
    np: Any = loaded("numpy")  # Any: may be absent, or still being imported
    if np is None or not hasattr(np, "ma") or not cls.__module__.startswith("numpy"):
        return None
    if issubclass(cls, np.generic):
        return _encode_scalar
    if issubclass(cls, np.dtype):
        return lambda encoder, value, place: {"$": "dtype", **describe_dtype(value)}
    views = (np.recarray, np.matrix, np.memmap)
    known: dict[type, Callable[[Encoder, Any, Place], Json]] = {
        np.ndarray: encode_array,
        np.ma.MaskedArray: _encode_masked,
        type(np.ma.masked): lambda *_: {"$": "masked"},
    }
    return _encode_view if cls in views else known.get(cls)


# --- arrays ---------------------------------------------------------------------------------------


def encode_array(encoder: Encoder, value: Array, place: Place) -> dict[str, Json]:
    """Typed JSON of an exact ``ndarray``."""
    node = {"$": "ndarray"}
    if value.dtype == object and value.dtype.metadata is None:
        items = [encoder.encode(item, place.index(n)) for n, item in enumerate(value.flat)]
        return node | _layout(value) | {"dtype": "object", "items": items}
    if value.dtype.hasobject and value.dtype.kind != "T":
        raise NoSafeForm("objects inside a structured array")
    described = describe_dtype(value.dtype)
    if value.dtype.kind == "T":
        texts = [encoder.encode(item, place.index(n)) for n, item in enumerate(value.flat)]
        return node | described | _layout(value) | {"items": texts}
    if value.size <= _INLINE and value.dtype.char in _READABLE:
        values = _inline(value)
        if values is not None:
            return node | described | _layout(value) | {"values": values}
    fields = described if value.dtype.kind == "V" else {}
    return node | fields | encoder.to_file(place, ".npy", lambda file: _write(file, value))


def _write(file: Any, value: Array) -> None:
    from numpy.lib import format as npy

    if value.dtype.names is not None and not _fits_header(value.dtype):
        value = value.view(f"V{value.dtype.itemsize}")  # the JSON says what the bytes mean
    with warnings.catch_warnings():
        # Field names beyond Latin-1 need a newer version of the format, and numpy says so.
        warnings.simplefilter("ignore", UserWarning)
        npy.write_array(file, value, allow_pickle=False)


def _fits_header(dtype: DType) -> bool:
    from numpy.lib import format as npy

    try:
        description = npy.dtype_to_descr(dtype)
        same = npy.descr_to_dtype(description) == dtype
    except ValueError:  # fields that overlap or are out of order
        return False
    return same and len(repr(description)) < _LONGEST_HEADER // 2


def _layout(value: Array) -> dict[str, Json]:
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    return {"shape": list(value.shape)} | ({"order": "F"} if fortran else {})


def _inline(value: Array) -> Json:
    """Nested lists of an array; None if a bit of it would be lost (a NaN may carry some)."""
    nested = _with_words(value.tolist())
    back = _from_inline(nested, value.dtype, value.shape)
    return nested if back.tobytes() == value.tobytes() else None


def _with_words(value: Json) -> Json:
    if isinstance(value, list):
        return [_with_words(item) for item in value]
    return value if isinstance(value, (bool, int)) or math.isfinite(value) else repr(value)


def _numbers(value: Json) -> Json:
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    return [float(value) if isinstance(value, str) else value]


def _from_inline(values: Json, dtype: DType, shape: tuple[int, ...]) -> Array:
    import numpy as np

    return np.array(_numbers(values), dtype=dtype).reshape(shape)


def read_array(file: IO[bytes]) -> Array:
    """Return the array of an ``.npy`` file; refuses pickles."""
    from numpy.lib import format as npy

    return npy.read_array(file, allow_pickle=False, max_header_size=_LONGEST_HEADER)


def _array(decoder: Decoder, node: dict[str, Json]) -> Array:
    import numpy as np

    if "file" in node:
        with decoder.open(node) as file:
            found = read_array(file)
        return found.view(restore_dtype(node)) if found.dtype.kind == "V" else found
    shape, order = tuple(node["shape"]), node.get("order", "C")
    if "values" in node:
        return _from_inline(node["values"], restore_dtype(node), shape).copy(order=order)
    flat = np.empty(len(node["items"]), dtype=restore_dtype(node))
    # One by one: numpy would take a list of lists apart.
    for number, item in enumerate(node["items"]):
        flat[number] = decoder.decode(item)
    return flat.reshape(shape).copy(order=order)


# --- kinds of arrays ------------------------------------------------------------------------------


def _encode_view(encoder: Encoder, value: Array, place: Place) -> Json:
    import numpy as np

    if vars(value) if type(value) is np.matrix else False:
        raise NoSafeForm("it has attributes beside its items")
    node = encode_array(encoder, value.view(np.ndarray), place)
    # A file mapped into memory becomes an array of its own.
    if type(value) is np.memmap:
        return node
    return {"$": type(value).__name__, "base": node}


def _encode_masked(encoder: Encoder, value: Array, place: Place) -> Json:
    import numpy as np

    if type(value.data) is not np.ndarray:
        raise NoSafeForm("a masked array of another kind")
    node = {"$": "MaskedArray", "data": encode_array(encoder, value.data, place.field("values"))}
    if value.mask is not np.ma.nomask:
        node["mask"] = encode_array(encoder, value.mask, place.field("mask"))
    if value._fill_value is not None:  # the attribute without underscore would set a default
        node["fill"] = encode_array(encoder, np.asarray(value._fill_value), place.field("fill"))
    return node | ({"hard": True} if value.hardmask else {})


def _masked(decoder: Decoder, node: dict[str, Json]) -> Array:
    import numpy as np

    mask = decoder.decode(node["mask"]) if "mask" in node else np.ma.nomask
    found = np.ma.MaskedArray(decoder.decode(node["data"]), mask=mask, hard_mask="hard" in node)
    if "fill" in node:
        found.fill_value = decoder.decode(node["fill"])
    return found


def _view(name: str) -> Callable[[Decoder, dict[str, Json]], Array]:
    def decode(decoder: Decoder, node: dict[str, Json]) -> Array:
        import numpy as np

        return decoder.decode(node["base"]).view(getattr(np, name))

    return decode


# --- scalars --------------------------------------------------------------------------------------


def _encode_scalar(encoder: Encoder, value: Any, place: Place) -> Json:
    import numpy as np

    if value.dtype.char in _READABLE:
        number = _with_words(value.item())
        back = np.array(_numbers(number)[0], dtype=value.dtype)
        if back.tobytes() == value.tobytes():
            return {"$": "numpy", "dtype": value.dtype.str, "value": number} | _alias(value)
    array = np.empty((), dtype=value.dtype)
    array[()] = value
    if array[()].dtype != value.dtype or type(array[()]) is not type(value):
        raise NoSafeForm("a numpy scalar of another kind")
    node = encode_array(encoder, array, place)
    return {"$": "numpy", "base": node, "text": _text(value)} | _alias(value)


def _alias(value: Any) -> dict[str, Json]:
    # Two C types may have one size (long and long long): the character tells them apart.
    import numpy as np

    return {} if np.dtype(value.dtype.str).char == value.dtype.char else {"char": value.dtype.char}


def _text(value: Any) -> str:
    return str(value) if value.dtype.kind in "MmcfSU" else value.dtype.name


def _scalar(decoder: Decoder, node: dict[str, Json]) -> Any:
    import numpy as np

    if "base" in node:
        return decoder.decode(node["base"])[()]
    dtype = np.dtype(node.get("char", node["dtype"]))
    return np.array(_numbers(node["value"])[0], dtype=dtype)[()]


def _constant(decoder: Decoder, node: dict[str, Json]) -> Any:
    import numpy as np

    return np.ma.masked


def need(module: str) -> Any:
    """Import a library that a result needs; says what to install if it is absent."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ResultError(
            f"this result needs {module} to be loaded: pip install {module}"
        ) from error


DECODERS: dict[str, Callable[[Decoder, dict[str, Json]], object]] = {
    "ndarray": _array,
    "dtype": lambda _, node: restore_any(node),
    "recarray": _view("recarray"),
    "matrix": _view("matrix"),
    "MaskedArray": _masked,
    "masked": _constant,
    "numpy": _scalar,
}
