"""pandas: frames per column, series, indexes, extension arrays, timestamps and their kin.

The same frame has the same description under pandas 2 and 3: text columns are ``str`` whether
they are object arrays or the new text dtype, a missing text is a missing text, and the resolution
of timestamps is a note. pandas is imported inside functions only: it is loaded already then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity.arrays import (
    dtype_text,
    text_digests,
    write_blocks,
    write_data,
)
from pytest_mitosis.identity.containers import entries, key_text
from pytest_mitosis.identity.scalars import sha256
from pytest_mitosis.identity.walk import Walk, attribute, item

if TYPE_CHECKING:
    import numpy as np

    from pytest_mitosis.identity.walk import Reader

_UNITS: Final = (("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1))
_LABELS: Final = 40


def read_frame(walk: Walk, value: Any, path: str) -> None:
    """Write a DataFrame per column, with its index, names and ``attrs``."""
    import pandas as pd

    frame = value if type(value) is pd.DataFrame else pd.DataFrame(value)
    walk.leaf(path, f"DataFrame rows={len(frame)}")
    write_index(walk, frame.index, attribute(path, "index"))
    write_index(walk, frame.columns, attribute(path, "columns"))
    seen: dict[str, int] = {}
    for name, column in frame.items():
        text = key_text(walk, name, path)
        seen[text] = seen.get(text, 0) + 1
        twin = f"#{seen[text]}" if seen[text] > 1 else ""
        write_column(walk, column, item(path, text) + twin)
    _write_flags(walk, value, path)


def read_series(walk: Walk, value: Any, path: str) -> None:
    """Write a Series with index and name."""
    import pandas as pd

    series = value if type(value) is pd.Series else pd.Series(value)
    walk.leaf(path, f"Series rows={len(series)}")
    write_column(walk, series, path)
    write_index(walk, series.index, attribute(path, "index"))
    walk.visit(series.name, attribute(path, "name"))
    _write_flags(walk, value, path)


def _write_flags(walk: Walk, value: Any, path: str) -> None:
    if value.attrs:
        entries(walk, dict(value.attrs).items(), attribute(path, "attrs"))
    if not value.flags.allows_duplicate_labels:
        walk.leaf(attribute(path, "flags"), "no duplicate labels")


def read_index(walk: Walk, value: Any, path: str) -> None:
    """Write an index given as a value."""
    write_index(walk, value, path)


def write_index(walk: Walk, index: Any, path: str) -> None:
    """Write labels and names of an index; a range is the same as the numbers it stands for."""
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        walk.leaf(path, f"MultiIndex of {len(index)}")
        for level in range(index.nlevels):
            write_index(walk, index.get_level_values(level), item(path, f"level {level}"))
        return
    walk.leaf(path, f"Index of {len(index)}")
    steps = _as_range(index)
    if steps is not None:
        walk.leaf(f"{path}[:]", steps)
    else:
        write_column(walk, index, path)
    if index.name is not None:
        walk.visit(index.name, attribute(path, "name"))


def _as_range(index: Any) -> str | None:
    import numpy as np

    if len(index) == 0:
        return "no labels (i8)" if index.dtype == np.dtype("i8") else None
    if type(index).__name__ == "RangeIndex":
        step = index.step if len(index) > 1 else 1
        return f"range from {index[0]} by {step} (i8)"
    if index.dtype != np.dtype("i8"):
        return None
    numbers = index.to_numpy()
    step = int(numbers[1] - numbers[0]) if len(numbers) > 1 else 1
    if step and bool((np.diff(numbers) == step).all()):
        return f"range from {numbers[0]} by {step} (i8)"
    return None


def write_column(walk: Walk, column: Any, path: str) -> None:
    """Write the values of a Series, an Index or an extension array."""
    import numpy as np
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.StringDtype):
        _write_texts(walk, column, path, "str" if _is_nan(dtype.na_value) else "string")
    elif isinstance(dtype, np.dtype):
        _write_numpy(walk, column, path)
    else:
        for name, writer in _WRITERS:
            if isinstance(dtype, getattr(pd, name)):
                writer(walk, column, path)
                return
        walk.leaf(path, f"dtype {str(dtype)!a}")
        _write_elements(walk, column, path)
        crs = getattr(getattr(column, "array", column), "crs", None)
        if crs is not None:  # where the geometries of geopandas are
            walk.leaf(attribute(path, "crs"), f"crs {str(crs)!a}")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float)


def _write_numpy(walk: Walk, column: Any, path: str) -> None:
    import pandas as pd

    array = column.to_numpy()
    if array.dtype.kind in "Mm":
        walk.leaf(path, "dtype datetime64" if array.dtype.kind == "M" else "dtype timedelta64")
        write_ticks(walk, array, path)
    elif array.dtype.kind == "O":
        kind = pd.api.types.infer_dtype(array, skipna=True)
        if kind in ("string", "empty"):
            _write_texts(walk, column, path, "str")
        else:
            walk.leaf(path, "dtype object")
            _write_elements(walk, column, path)
    else:
        walk.leaf(path, f"dtype {dtype_text(array.dtype)}")
        write_data(walk, array, path)


def write_ticks(walk: Walk, array: np.ndarray[Any, Any], path: str) -> None:
    """Write times in the coarsest unit that keeps them; pandas 3 picks other units than 2."""
    import numpy as np

    unit = np.datetime_data(array.dtype)[0]
    walk.note(path, f"unit {unit}")
    ticks, lost = array.view("i8"), np.isnat(array)
    scale = dict(_UNITS).get(unit)
    if scale is not None:
        known = ticks[~lost]
        for _, coarse in _UNITS:
            factor = coarse // scale
            if coarse >= scale and not (known % factor).any():
                unit = next(name for name, size in _UNITS if size == coarse)
                ticks = ticks // factor
                break
    ticks = np.where(lost, np.iinfo("i8").min, ticks)
    walk.leaf(f"{path}[:]", f"in {unit}")
    write_data(walk, ticks, path)


def _write_texts(walk: Walk, column: Any, path: str, kind: str) -> None:
    missing: Any = column.isna()
    missing = missing.to_numpy() if hasattr(missing, "to_numpy") else missing
    array = column.to_numpy(dtype=object)
    lost = bool(missing.any())
    if len(array) == 0 or bool(missing.all()):
        # Without a single text pandas 2 says object where pandas 3 may say str.
        walk.leaf(path, "dtype object" if kind == "str" else f"dtype {kind}")
        walk.leaf(f"{path}[:]", f"{len(array)} missing")
        return
    walk.leaf(path, f"dtype {kind}")
    if lost:
        array = array.copy()
        array[missing] = ""
    texts = array.tolist()
    write_blocks(walk, path, text_digests(texts), len(texts))
    if len(texts) <= _LABELS:
        shown = (
            "missing" if gone else ascii(text)[:60]
            for text, gone in zip(texts, missing, strict=True)
        )
        walk.note(f"{path}[:]", f"values {' '.join(part.replace(' ', '_') for part in shown)}")
    if lost:
        walk.leaf(f"{path}[missing]", sha256(missing.tobytes()))


def _write_elements(walk: Walk, column: Any, path: str) -> None:
    for index, part in enumerate(column.to_numpy(dtype=object).tolist()):
        walk.visit(part, f"{path}[{index}]")


def _write_category(walk: Walk, column: Any, path: str) -> None:
    import numpy as np

    array = column.array if hasattr(column, "array") else column
    walk.leaf(path, f"dtype category ordered={bool(column.dtype.ordered)}")
    write_index(walk, column.dtype.categories, attribute(path, "categories"))
    write_data(walk, np.asarray(array.codes, dtype="i8"), path)


def _write_zoned(walk: Walk, column: Any, path: str) -> None:
    walk.leaf(path, "dtype datetime64 zoned")
    write_zone(walk, column.dtype.tz, attribute(path, "tz"))
    naive = column.dt.tz_convert("UTC") if hasattr(column, "dt") else column.tz_convert("UTC")
    naive = naive.dt.tz_localize(None) if hasattr(naive, "dt") else naive.tz_localize(None)
    write_ticks(walk, naive.to_numpy(), path)


def write_zone(walk: Walk, zone: Any, path: str) -> None:
    """Write a time zone by name: pandas 2 takes it from pytz where pandas 3 uses zoneinfo."""
    key = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if isinstance(key, str):
        walk.leaf(path, f"zone {key!a}")
    elif str(zone) == "UTC":
        walk.leaf(path, "zone 'UTC'")
    else:
        walk.visit(zone, path)


def _write_period(walk: Walk, column: Any, path: str) -> None:
    array = column.array if hasattr(column, "array") else column
    walk.leaf(path, f"dtype period {column.dtype.freq.freqstr}")
    write_data(walk, array.asi8, path)


def _write_interval(walk: Walk, column: Any, path: str) -> None:
    array = column.array if hasattr(column, "array") else column
    walk.leaf(path, f"dtype interval closed={array.closed}")
    write_column(walk, array.left, attribute(path, "left"))
    write_column(walk, array.right, attribute(path, "right"))


def _write_sparse(walk: Walk, column: Any, path: str) -> None:
    array = column.array if hasattr(column, "array") else column
    walk.leaf(path, f"dtype sparse {dtype_text(array.dtype.subtype)}")
    walk.visit(array.fill_value, attribute(path, "fill_value"))
    write_data(walk, array.to_dense(), path)


def _write_nullable(walk: Walk, column: Any, path: str) -> None:
    array = column.array if hasattr(column, "array") else column
    missing = array.isna()
    walk.leaf(path, f"dtype {column.dtype.name}")
    kind = column.dtype.numpy_dtype
    write_data(walk, array.to_numpy(dtype=kind, na_value=kind.type(0)), path)
    if missing.any():
        write_data(walk, missing, f"{path}[missing]")


def _write_arrow(walk: Walk, column: Any, path: str) -> None:
    array = column.array if hasattr(column, "array") else column
    walk.leaf(path, f"dtype {str(column.dtype)!a}")
    missing = array.isna()
    if column.dtype.kind in "biuf":
        kind = column.dtype.numpy_dtype
        numbers = array.to_numpy(dtype=kind, na_value=kind.type(0))
        write_data(walk, numbers, path)
        if missing.any():
            write_data(walk, missing, f"{path}[missing]")
    else:
        _write_elements(walk, column, path)


_WRITERS: Final = (
    ("CategoricalDtype", _write_category),
    ("DatetimeTZDtype", _write_zoned),
    ("PeriodDtype", _write_period),
    ("IntervalDtype", _write_interval),
    ("SparseDtype", _write_sparse),
    ("ArrowDtype", _write_arrow),
    *((name, _write_nullable) for name in ("BooleanDtype",)),
    *((f"{sign}Int{size}Dtype", _write_nullable) for sign in ("", "U") for size in (8, 16, 32, 64)),
    *((f"Float{size}Dtype", _write_nullable) for size in (32, 64)),
)


def read_extension(walk: Walk, value: Any, path: str) -> None:
    """Write an array of pandas given as a value: categorical, nullable, interval..."""
    import numpy as np
    import pandas as pd

    name, column = type(value).__name__, value
    if isinstance(getattr(value.dtype, "numpy_dtype", None), np.dtype) and hasattr(
        value, "_ndarray"
    ):
        column = pd.Series(value.to_numpy())  # an array of numpy in the clothes of pandas
    # Which class holds texts, and how, changes with releases and with pyarrow being there.
    is_text = isinstance(value.dtype, pd.StringDtype) or (
        column is not value and pd.api.types.infer_dtype(column, skipna=True) == "string"
    )
    walk.leaf(path, f"{'StringArray' if is_text else name} of {len(value)}")
    write_column(walk, column, path)


def read_timestamp(walk: Walk, value: Any, path: str) -> None:
    """Write a Timestamp; its resolution is a note."""
    import pandas as pd

    bare = pd.Timestamp(value).tz_localize(None) if value.tzinfo is not None else value
    walk.leaf(path, f"Timestamp {bare.isoformat()}{' fold' if value.fold else ''}")
    walk.note(path, f"unit {value.unit}")
    if value.tzinfo is not None:
        walk.leaf(attribute(path, "utcoffset"), f"{value.utcoffset()}")
        write_zone(walk, value.tzinfo, attribute(path, "tz"))


def read_timedelta(walk: Walk, value: Any, path: str) -> None:
    """Write a Timedelta."""
    walk.leaf(path, f"Timedelta {value.isoformat()}")


def read_period(walk: Walk, value: Any, path: str) -> None:
    """Write a Period by ordinal and frequency."""
    walk.leaf(path, f"Period {value.ordinal} {value.freqstr}")


def read_interval(walk: Walk, value: Any, path: str) -> None:
    """Write an Interval with both ends."""
    walk.leaf(path, f"Interval closed={value.closed}")
    walk.visit(value.left, attribute(path, "left"))
    walk.visit(value.right, attribute(path, "right"))


def read_offset(walk: Walk, value: Any, path: str) -> None:
    """Write a date offset by count, options and name."""
    walk.leaf(path, f"offset {type(value).__name__} n={value.n} normalize={value.normalize}")
    entries(walk, dict(value.kwds).items(), path)


def read_dtype(walk: Walk, value: Any, path: str) -> None:
    """Write an extension dtype given as a value."""
    import pandas as pd

    if isinstance(value, pd.CategoricalDtype):
        walk.leaf(path, f"dtype category ordered={value.ordered}")
        if value.categories is not None:
            write_index(walk, value.categories, attribute(path, "categories"))
    elif isinstance(value, pd.StringDtype):
        walk.leaf(path, "dtype str" if _is_nan(value.na_value) else "dtype string")
    else:
        walk.leaf(path, f"dtype {str(value)!a}")


FRAMES: Final[dict[str, Reader]] = {
    "pandas:DataFrame": read_frame,
    "pandas:Series": read_series,
    "pandas:Index": read_index,
    "pandas:ExtensionArray": read_extension,
    "pandas:ExtensionDtype": read_dtype,
    "pandas:Timestamp": read_timestamp,
    "pandas:Timedelta": read_timedelta,
    "pandas:Period": read_period,
    "pandas:Interval": read_interval,
    "pandas:BaseOffset": read_offset,
    "pandas:NAType": lambda walk, value, path: walk.leaf(path, "pandas NA"),
    "pandas:NaTType": lambda walk, value, path: walk.leaf(path, "pandas NaT"),
}
