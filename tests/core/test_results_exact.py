"""What "exactly the same value" means in the tests of results: types, bits, order, everything."""

from __future__ import annotations

import collections
import dataclasses
import enum
import math
import struct
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pytest_mitosis.store.results import SavedResult, load_result, save_result


def same(left: Any, right: Any) -> bool:
    """Whether two values cannot be told apart: by type, by bits, by order."""
    if type(left) is not type(right):
        return False
    for kind, compare in _COMPARE.items():
        if isinstance(left, kind):
            return compare(left, right)
    if dataclasses.is_dataclass(left):
        names = [field.name for field in dataclasses.fields(left)]
        return all(same(getattr(left, name), getattr(right, name)) for name in names)
    return bool(left == right)


def _all(left: Any, right: Any) -> bool:
    left, right = list(left), list(right)
    return len(left) == len(right) and all(map(same, left, right))


def _pairs(left: Any, right: Any) -> bool:
    factory = getattr(left, "default_factory", 0), getattr(right, "default_factory", 0)
    return _all(left.items(), right.items()) and factory[0] is factory[1]


def _unordered(left: Any, right: Any) -> bool:
    # Elements that are equal (1 and 1.0) cannot be in one set: pair them by equality, or by text
    # where that fails (nan).
    rest = list(right)
    for item in left:
        match = next((n for n, other in enumerate(rest) if same(item, other)), None)
        if match is None:
            return False
        del rest[match]
    return not rest


def _float(left: float, right: float) -> bool:
    return struct.pack("<d", left) == struct.pack("<d", right)


def _array(left: Any, right: Any) -> bool:
    order = ("c_contiguous", "f_contiguous")
    layout = right.flags.c_contiguous or right.flags.f_contiguous
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    if left.dtype.char != right.dtype.char:
        return False
    if layout and [getattr(left.flags, o) for o in order] != [
        getattr(right.flags, o) for o in order
    ]:
        return False
    kinds = [(array.dtype.type, array.dtype.isalignedstruct) for array in (left, right)]
    if kinds[0] != kinds[1]:
        return False
    if left.dtype.kind in "OT":
        return _all(left.ravel(), right.ravel())
    if left.dtype.kind in "fc" and left.dtype.itemsize > 16 - (left.dtype.kind == "f"):
        return repr(left) == repr(right)  # long doubles have bytes without meaning
    return left.tobytes() == right.tobytes()


def _masked(left: Any, right: Any) -> bool:
    masks = np.ma.getmask(left), np.ma.getmask(right)
    return (
        _array(left.data, right.data)
        and (masks[0] is np.ma.nomask) == (masks[1] is np.ma.nomask)
        and same(np.asarray(masks[0]), np.asarray(masks[1]))
        and same(np.asarray(left._fill_value), np.asarray(right._fill_value))
        and left.hardmask == right.hardmask
    )


def _scalar(left: Any, right: Any) -> bool:
    return left.dtype.char == right.dtype.char and _array(np.asarray(left), np.asarray(right))


def _timestamp(left: Any, right: Any) -> bool:
    return (left.unit, left.asm8, left.fold, repr(left.tz)) == (
        right.unit, right.asm8, right.fold, repr(right.tz))  # fmt: skip


def _moment(left: Any, right: Any) -> bool:
    return (left.isoformat(), left.fold, type(left.tzinfo), str(left.tzinfo)) == (
        right.isoformat(), right.fold, type(right.tzinfo), str(right.tzinfo))  # fmt: skip


def _index(left: Any, right: Any) -> bool:
    if isinstance(left, pd.MultiIndex):
        return (
            _all(left.levels, right.levels)
            and all(
                same(*map(np.asarray, pair)) for pair in zip(left.codes, right.codes, strict=True)
            )
            and _all(left.names, right.names)
        )
    return (
        same(left.name, right.name)
        and getattr(left, "freq", None) == getattr(right, "freq", None)
        and _column(left, right)
    )


def _column(left: Any, right: Any) -> bool:
    if left.dtype != right.dtype or str(left.dtype) != str(right.dtype):
        return False
    if left.dtype == object or not isinstance(left.dtype, np.dtype):
        storage = getattr(left.dtype, "storage", None) == getattr(right.dtype, "storage", None)
        return storage and _all(left.array, right.array)
    return np.asarray(left).tobytes() == np.asarray(right).tobytes()


def _series(left: Any, right: Any) -> bool:
    return (
        same(left.name, right.name)
        and same(left.index, right.index)
        and _column(left, right)
        and same(left.attrs, right.attrs)
        and left.flags.allows_duplicate_labels == right.flags.allows_duplicate_labels
    )


def _frame(left: Any, right: Any) -> bool:
    return (
        same(left.columns, right.columns)
        and same(left.index, right.index)
        and same(left.attrs, right.attrs)
        and left.shape == right.shape
        and all(_column(left.iloc[:, n], right.iloc[:, n]) for n in range(left.shape[1]))
        and left.flags.allows_duplicate_labels == right.flags.allows_duplicate_labels
    )


_COMPARE: dict[Any, Any] = {
    type(np.ma.masked): lambda left, right: left is right,
    Decimal: lambda left, right: left.as_tuple() == right.as_tuple(),
    np.ma.MaskedArray: _masked,
    np.ndarray: _array,
    np.generic: _scalar,
    pd.Timestamp: _timestamp,
    type(pd.NaT): lambda left, right: left is right,
    type(pd.NA): lambda left, right: left is right,
    pd.Index: _index,
    pd.Series: _series,
    pd.DataFrame: _frame,
    pd.api.extensions.ExtensionArray: lambda *pair: _column(*map(pd.Series, pair)),
    pd.Interval: lambda left, right: _all((left.left, left.right, left.closed),
                                          (right.left, right.right, right.closed)),
    enum.Enum: lambda left, right: left is right,
    float: _float,
    complex: lambda left, right: _float(left.real, right.real) and _float(left.imag, right.imag),
    datetime: _moment,
    time: _moment,
    collections.deque: lambda left, right: left.maxlen == right.maxlen and _all(left, right),
    dict: _pairs,
    set: _unordered,
    frozenset: _unordered,
    list: _all,
    tuple: _all,
    slice: lambda left, right: _all((left.start, left.stop, left.step),
                                    (right.start, right.stop, right.step)),
    SimpleNamespace: lambda left, right: _pairs(vars(left), vars(right)),
}  # fmt: skip


def through(value: object, folder: Path, **how: Any) -> tuple[SavedResult, Any]:
    """Save and load a value; what saving said, and what came back."""
    return save_result(value, folder, "fit"), load_result(folder, "fit", **how)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ([0.25], (0.25,)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1}, frozenset({1})),
        (np.float32(0.1), np.float64(np.float32(0.1))),
        (np.zeros((2, 3)), np.zeros((2, 3), order="F")),
        (np.arange(3), np.arange(3).astype(">i8")),
        (pd.Series([1.0]), pd.Series([1.0], name="x")),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1]})),
        (pd.Timestamp("2026-11-21", tz="UTC"), pd.Timestamp("2026-11-21")),
    ],
)
def test_same_tells_apart(left: object, right: object) -> None:
    assert same(left, left)
    assert not same(left, right)


def test_same_takes_nan_for_nan() -> None:
    assert same([math.nan, {"a": math.nan}], [math.nan, {"a": math.nan}])
