"""numpy arrays, scalars and dtypes.

Dtype, shape and the bytes in C order are the identity; memory layout, byte order and views are
not. Numbers are digested in blocks, so that a difference can be placed. numpy is imported inside
functions only: they run when an array exists, so it is loaded already.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity.scalars import complex_text, float_text, int_text
from pytest_mitosis.identity.state import state_of
from pytest_mitosis.identity.walk import Walk, attribute

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from pytest_mitosis.identity.walk import Reader

BLOCK: Final = 8192
MOST_BLOCKS: Final = 512
FEW: Final = 64


def block_size(count: int) -> int:
    """Return how many elements share one digest: a power of two, at most 512 blocks."""
    size = BLOCK
    while size * MOST_BLOCKS < count:
        size *= 2
    return size


def write_blocks(walk: Walk, path: str, digests: Iterable[bytes], count: int) -> None:
    """Write the digest of blocks of elements, and beside it, as a note, each block's own."""
    blocks = list(digests)
    walk.leaf(f"{path}[:]", f"sha256:{hashlib.sha256(b''.join(blocks)).hexdigest()}")
    if len(blocks) > 1:
        short = " ".join(block.hex()[:8] for block in blocks)
        walk.note(f"{path}[:]", f"blocks of {block_size(count)}, {count} elements: {short}")


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Return a dtype without its byte order: ``f8``, ``U5``, ``M8[ns]``, ``{x: f8, n: i4}``."""
    if dtype.names is not None and dtype.fields is not None:
        parts = (f"{name!a}: {dtype_text(dtype.fields[name][0])}" for name in dtype.names)
        return "{" + ", ".join(parts) + "}"
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return f"{dtype_text(base)}{shape}"
    if dtype.kind == "T":
        return "StringDType"
    return dtype.str.lstrip("<>|=") if dtype.kind != "V" else f"V{dtype.itemsize}"


def read_ndarray(walk: Walk, value: Any, path: str) -> None:
    """Write an array; a subclass is named and keeps its own attributes (router's business)."""
    import numpy as np

    array = np.ndarray.view(value, np.ndarray)  # a subclass may define another view()
    walk.leaf(path, f"ndarray dtype={dtype_text(array.dtype)} shape={array.shape}")
    write_data(walk, array, path)


def write_data(walk: Walk, array: np.ndarray[Any, Any], path: str) -> None:
    """Write the elements of an array, whatever its dtype."""
    if array.dtype.names is not None:
        for name in array.dtype.names:
            write_data(walk, array[name], attribute(path, name))
    elif array.dtype.hasobject or array.dtype.kind == "T":
        write_objects(walk, array, path)
    else:
        flat = plain(array)
        write_blocks(walk, path, _digests(flat), len(flat))
        write_note(walk, array, path)


def plain(array: Any) -> Any:
    """Return the elements in C order, little endian, every NaN the same one."""
    import numpy as np

    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not np.little_endian):
        array = array.astype(array.dtype.newbyteorder("<"))
    flat: Any = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.kind in "fc" and flat.size:
        flat = _one_nan(flat)
        if flat.dtype.itemsize > (8 if flat.dtype.kind == "f" else 16):
            flat = _without_padding(flat)
    return flat


def _one_nan(flat: Any) -> Any:
    import numpy as np

    parts: Any = flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat
    # A minimum is NaN if any element is, and costs a third of isnan.
    with np.errstate(all="ignore"):
        clean = parts.min() == parts.min()
    if clean:
        return flat
    parts = parts.copy()
    parts[np.isnan(parts)] = np.nan
    return parts.view(flat.dtype)


def _without_padding(flat: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    if np.finfo(np.longdouble).nmant != 63:  # not the 80-bit format of x86
        return flat
    raw = np.array(flat).view(np.uint8).reshape(-1, 16)
    raw[:, 10:] = 0
    return raw.reshape(-1).view(flat.dtype)


def _digests(flat: np.ndarray[Any, Any]) -> Iterable[bytes]:
    import numpy as np

    size = block_size(len(flat)) * flat.dtype.itemsize
    raw = memoryview(flat.view(np.uint8)) if flat.nbytes else memoryview(b"")
    for start in range(0, len(raw), size):
        yield hashlib.sha256(raw[start : start + size]).digest()


def write_note(walk: Walk, array: np.ndarray[Any, Any], path: str) -> None:
    """Write what people want to see of the numbers: the few, or the range of the many."""
    import numpy as np

    if 0 < array.size <= FEW and array.dtype.kind in "biufcMmSU":
        texts = (_element(part) for part in array.reshape(-1))
        walk.note(f"{path}[:]", f"values {' '.join(texts)}")
    elif array.size and array.dtype.kind in "biuf":
        flat: Any = array.reshape(-1)
        flat = flat.view(np.uint8) if array.dtype.kind == "b" else flat
        with np.errstate(all="ignore"):
            low, high = flat.min(), flat.max()
            lost = ""
            if low != low:
                finite = flat[~np.isnan(flat)]
                lost = f" nan={flat.size - finite.size}"
                flat = finite if finite.size else flat
                low, high = flat.min(), flat.max()
            mean = float(flat.mean(dtype=np.float64))
        shown = f"min={_element(low)} max={_element(high)} mean={mean:.6g}{lost}"
        walk.note(f"{path}[:]", shown)


def _element(part: Any) -> str:
    return ascii(scalar_text(part)).strip("'").replace(" ", "_")


def scalar_text(value: Any) -> str:
    """Return the digits of a numpy scalar."""
    kind, size = value.dtype.kind, value.dtype.itemsize
    if kind == "f":
        return float_text(float(value)) if size <= 8 else _long_text(value)
    if kind == "c":
        if size <= 16:
            return complex_text(complex(value))
        return f"({_long_text(value.real)}, {_long_text(value.imag)})"
    if kind in "iu":
        return int_text(int(value))
    if kind == "b":
        return str(bool(value))
    if kind == "m":
        return "NaT" if value.view("i8") == -(2**63) else f"{int(value.view('i8'))}"
    return str(value) if kind == "M" else ascii(value.item())


def _long_text(value: Any) -> str:
    # str() of a longdouble gives the shortest digits that read back, in numpy 1 and 2.
    return "nan" if value != value else str(value)


def write_objects(walk: Walk, array: np.ndarray[Any, Any], path: str) -> None:
    """Write an object array element by element, or many texts by digest."""
    flat = array.reshape(-1).tolist()
    if len(flat) > 1000 and all(type(part) is str for part in flat):
        write_blocks(walk, path, text_digests(flat), len(flat))
        return
    if array.ndim == 1:
        places: Iterable[str] = (str(index) for index in range(len(flat)))
    else:
        import numpy as np

        places = (str(index)[1:-1] for index in np.ndindex(array.shape))
    for place, part in zip(places, flat, strict=True):
        walk.visit(part, f"{path}[{place}]")


def text_digests(texts: list[str]) -> Iterable[bytes]:
    """Return one digest per block of texts; lengths and characters together tell them apart."""
    size = block_size(len(texts))
    for start in range(0, len(texts), size):
        part = texts[start : start + size]
        lengths = ",".join(map(str, map(len, part)))
        raw = f"{lengths}\n{''.join(part)}".encode("utf-8", "surrogatepass")
        yield hashlib.sha256(raw).digest()


def read_scalar(walk: Walk, value: Any, path: str) -> None:
    """Write a numpy scalar with its dtype; a structured one is an array without dimensions."""
    import numpy as np

    if value.dtype.names is not None or value.dtype.kind == "V":
        walk.leaf(path, f"np.void {dtype_text(value.dtype)}")
        write_data(walk, np.asarray(value), path)
        return
    name = {"U": "str_", "S": "bytes_", "M": "datetime64", "m": "timedelta64", "b": "bool"}.get(
        value.dtype.kind, value.dtype.name
    )
    unit = value.dtype.str[3:] if value.dtype.kind in "Mm" else ""
    walk.leaf(path, f"np.{name}{unit} {scalar_text(value)}")


def read_masked(walk: Walk, value: Any, path: str) -> None:
    """Write a masked array: what is under the mask does not count."""
    import numpy as np

    nothing: Any = np.zeros((), value.dtype)[()]
    data = np.ma.MaskedArray.filled(value, nothing)
    mask = np.broadcast_to(np.ma.getmaskarray(value), value.shape)
    walk.leaf(path, f"masked_array dtype={dtype_text(value.dtype)} shape={value.shape}")
    write_data(walk, np.asarray(data), path)
    write_data(walk, np.asarray(mask), attribute(path, "mask"))
    state = state_of(value)
    fill, default = state.get("_fill_value"), np.ma.default_fill_value(value.dtype)
    # The default is filled in by mere looking, so only another one counts.
    if (
        fill is not None
        and plain(np.asarray(fill)).tobytes()
        != plain(np.asarray(default, dtype=np.asarray(fill).dtype)).tobytes()
    ):
        write_data(walk, np.asarray(fill), attribute(path, "fill_value"))
    if state.get("_hardmask"):
        walk.leaf(attribute(path, "hardmask"), "bool True")


def read_dtype(walk: Walk, value: Any, path: str) -> None:
    """Write a dtype given as a value; here byte order and places are the content."""
    order = {">": " big-endian"}.get(value.byteorder, "")
    walk.leaf(path, f"dtype {dtype_text(value)}{order}")
    if value.subdtype is not None:
        read_dtype(walk, value.subdtype[0], attribute(path, "base"))
    elif value.names is not None:
        _write_places(walk, value, path)


def _write_places(walk: Walk, dtype: Any, path: str) -> None:
    end = 0
    for name in dtype.names:
        kind, offset = dtype.fields[name][:2]
        place = attribute(path, name)
        if kind.byteorder == ">" or kind.names is not None or kind.subdtype is not None:
            read_dtype(walk, kind, place)
        if offset != end:
            walk.leaf(place, f"at byte {offset}")
        end = offset + kind.itemsize
    if dtype.itemsize != end:
        walk.leaf(attribute(path, "itemsize"), f"int {dtype.itemsize}")


ARRAYS: Final[dict[str, Reader]] = {
    "numpy:ndarray": read_ndarray,
    "numpy:memmap": read_ndarray,
    "numpy:MaskedArray": read_masked,
    "numpy:generic": read_scalar,
    "numpy:dtype": read_dtype,
}
