"""pandas: frames, series, indexes, extension types, times."""

import datetime as dt

import numpy as np
import pandas as pd

from identity_cases.plain import _pairs

try:
    pd.Series([1], dtype="int64[pyarrow]")
    HAS_ARROW = True
except ImportError:
    HAS_ARROW = False


def _frame(**changes):
    columns = {
        "time": [0.0, 0.1, 0.2],
        "count": [1, 2, 3],
        "site": ["a", "b", None],
        "ok": [True, False, True],
    }
    return pd.DataFrame({**columns, **changes})


def _with(value, change):
    change(value)
    return value


def _days(count=3, **options):
    return pd.date_range("2026-05-01", periods=count, **options)


LOCKABLE = {
    "frame": _frame,
    "frame-empty": pd.DataFrame,
    "frame-no-rows": lambda: pd.DataFrame({"a": []}),
    "frame-indexed": lambda: _frame().set_index("time"),
    "frame-multiindex": lambda: _frame().set_index(["site", "count"]),
    "frame-columns-multi": lambda: pd.DataFrame(
        np.eye(2), columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None])
    ),
    "frame-duplicate-columns": lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "frame-int-columns": lambda: pd.DataFrame(np.arange(6).reshape(2, 3)),
    "frame-objects": lambda: pd.DataFrame({"mixed": [1, "a", None, (2, 3)]}),
    "frame-times": lambda: pd.DataFrame({"t": _days(), "d": pd.to_timedelta([1, 2, 3], unit="h")}),
    "frame-attrs": lambda: _with(_frame(), lambda f: f.attrs.update(unit="m")),
    "frame-many": lambda: pd.DataFrame(
        {"x": np.arange(5000) / 7, "s": [f"r{i}" for i in range(5000)]}
    ),
    "series": lambda: pd.Series([1.0, 2.0, np.nan], name="x"),
    "series-str": lambda: pd.Series(["a", "b", None, "Grüße"]),
    "series-string": lambda: pd.Series(["a", None], dtype="string"),
    "series-category": lambda: pd.Series(["lo", "hi", "lo"], dtype="category"),
    "series-nullable": lambda: pd.Series([1, None, 3], dtype="Int64"),
    "series-boolean": lambda: pd.Series([True, None], dtype="boolean"),
    "series-float-nullable": lambda: pd.Series([0.1, None], dtype="Float64"),
    "series-zoned": lambda: pd.Series(_days(tz="Europe/Berlin")),
    "series-period": lambda: pd.Series(pd.period_range("2026-01", periods=3, freq="M")),
    "series-interval": lambda: pd.Series(pd.interval_range(0.0, 1.0, periods=2)),
    "series-sparse": lambda: pd.Series(pd.arrays.SparseArray([0.0, 0.0, 1.0])),
    "series-dates": lambda: pd.Series([dt.date(2026, 5, 1), None]),
    "series-bool": lambda: pd.Series([True, False]),
    "index": lambda: pd.Index([3, 1, 2], name="i"),
    "index-str": lambda: pd.Index(["a", "b"]),
    "rangeindex": lambda: pd.RangeIndex(2, 12, 2, name="r"),
    "datetimeindex": _days,
    "timedeltaindex": lambda: pd.to_timedelta(["1h", "2h"]),
    "periodindex": lambda: pd.period_range("2026", periods=2, freq="Y"),
    "intervalindex": lambda: pd.interval_range(0, 3, closed="left"),
    "categoricalindex": lambda: pd.CategoricalIndex(["a", "b"], ordered=True),
    "multiindex": lambda: pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["k", "n"]),
    "categorical": lambda: pd.Categorical(["b", "a"], categories=["a", "b", "c"], ordered=True),
    "array-nullable": lambda: pd.array([1, None], dtype="Int32"),
    "timestamp": lambda: pd.Timestamp("2026-05-01 12:00:00.123456789"),
    "timestamp-zoned": lambda: pd.Timestamp("2026-05-01 02:30", tz="Europe/Berlin"),
    "timedelta": lambda: pd.Timedelta("1 days 00:00:00.000000005"),
    "period": lambda: pd.Period("2026-05", freq="M"),
    "interval": lambda: pd.Interval(0.0, 1.5, closed="both"),
    "offset": lambda: pd.offsets.MonthEnd(2),
    "offset-business": lambda: pd.offsets.BusinessDay(3),
    "na": lambda: pd.NA,
    "nat": lambda: pd.NaT,
    "dtype-category": lambda: pd.CategoricalDtype(["a", "b"], ordered=True),
    "dtype-nullable": lambda: pd.Int64Dtype(),
    "dtype-zoned": lambda: pd.DatetimeTZDtype("ns", "UTC"),
    "arrow-int": lambda: pd.Series([1, None], dtype="int64[pyarrow]"),
    "arrow-str": lambda: pd.Series(["a", None], dtype="string[pyarrow]"),
    "frame-in-dict": lambda: {"train": _frame(), "test": [_frame().iloc[:1]]},
    "class": lambda: pd.DataFrame,
    "function": lambda: pd.read_csv,
}

CHANGES = _pairs(
    ("cell", lambda: (_frame(), _frame(count=[1, 2, 4])), "['count'][:]"),
    ("cell-float", lambda: (_frame(), _frame(time=[0.0, 0.1, 0.25])), "['time'][:]"),
    ("cell-text", lambda: (_frame(), _frame(site=["a", "c", None])), "['site'][:]"),
    ("cell-bool", lambda: (_frame(), _frame(ok=[True, True, True])), "['ok'][:]"),
    ("cell-missing", lambda: (_frame(), _frame(site=["a", None, None])), "['site'][missing]"),
    ("cell-missing-to-empty", lambda: (_frame(), _frame(site=["a", "b", ""])), "['site'][missing]"),
    ("column-dtype", lambda: (_frame(), _frame(count=[1.0, 2.0, 3.0])), "['count']"),
    ("column-width", lambda: (_frame(), _frame().astype({"count": "i4"})), "['count']"),
    ("column-added", lambda: (_frame(), _frame(extra=1)), "['extra']"),
    ("column-gone", lambda: (_frame(), _frame().drop(columns="ok")), "['ok']"),
    ("column-name", lambda: (_frame(), _frame().rename(columns={"ok": "fine"})), "['fine']"),
    ("column-order", lambda: (_frame(), _frame()[["count", "time", "site", "ok"]]), ".columns[:]"),
    ("row-order", lambda: (_frame(), _frame().iloc[::-1]), ".index[:]"),
    ("row-added", lambda: (_frame(), pd.concat([_frame(), _frame()])), "."),
    ("index-values", lambda: (_frame(), _frame().set_axis([1, 2, 3])), ".index[:]"),
    ("index-empty-dtype", lambda: (pd.Index([], dtype="f8"), pd.Index([], dtype="i8")), "."),
    ("index-dtype", lambda: (_frame(), _frame().set_axis([0.0, 1.0, 2.0])), ".index"),
    ("index-name", lambda: (_frame(), _frame().rename_axis("row")), ".index.name"),
    ("columns-name", lambda: (_frame(), _frame().rename_axis(columns="v")), ".columns.name"),
    (
        "multiindex-name",
        lambda: (
            _frame().set_index(["site", "count"]),
            _frame().set_index(["site", "count"]).rename_axis(["s", "count"]),
        ),
        ".index[level 0].name",
    ),
    ("duplicate-column", lambda: (_twins(1), _twins(2)), "['a']#2[:]"),
    (
        "attrs",
        lambda: (_frame(), _with(_frame(), lambda f: f.attrs.update(unit="m"))),
        ".attrs['unit']",
    ),
    ("frame-to-dict", lambda: (_frame(), {"a": 1}), "."),
    ("series-value", lambda: (pd.Series([1.0]), pd.Series([2.0])), "[:]"),
    ("series-name", lambda: (pd.Series([1.0]), pd.Series([1.0], name="x")), ".name"),
    ("series-index", lambda: (pd.Series([1, 2]), pd.Series([1, 2], index=[1, 2])), ".index[:]"),
    ("series-to-array", lambda: (pd.Series([1.0]), np.array([1.0])), "."),
    ("series-to-frame", lambda: (pd.Series([1.0]), pd.DataFrame([1.0])), "."),
    ("series-nan-position", lambda: (pd.Series([1, None]), pd.Series([None, 1])), "[:]"),
    ("str-to-string", lambda: (pd.Series(["a"]), pd.Series(["a"], dtype="string")), "."),
    ("str-to-category", lambda: (pd.Series(["a"]), pd.Series(["a"], dtype="category")), "."),
    ("objects", lambda: (pd.Series([1, "a"]), pd.Series([1, "b"])), "[1]"),
    ("objects-type", lambda: (pd.Series([1, "a"]), pd.Series(["1", "a"])), "."),
    ("int-to-nullable", lambda: (pd.Series([1]), pd.Series([1], dtype="Int64")), "."),
    (
        "nullable-value",
        lambda: (pd.Series([1, None], dtype="Int64"), pd.Series([2, None], dtype="Int64")),
        "[:]",
    ),
    (
        "nullable-missing",
        lambda: (pd.Series([0, None], dtype="Int64"), pd.Series([0, 0], dtype="Int64")),
        "[missing][:]",
    ),
    ("category-ordered", lambda: (_category(False), _category(True)), "."),
    (
        "category-order",
        lambda: (pd.Categorical(["a"], ["a", "b"]), pd.Categorical(["a"], ["b", "a"])),
        ".categories[:]",
    ),
    (
        "category-unused",
        lambda: (pd.Categorical(["a"], ["a"]), pd.Categorical(["a"], ["a", "b"])),
        ".categories",
    ),
    ("category-value", lambda: (_category(False), _category(False)[::-1]), "[:]"),
    ("times", lambda: (_days(), _days() + pd.Timedelta("1ns")), "[:]"),
    ("times-zone", lambda: (_days(), _days(tz="UTC")), "."),
    (
        "times-other-zone",
        lambda: (_days(tz="UTC"), _days(tz="UTC").tz_convert("Europe/Berlin")),
        ".tz",
    ),
    ("times-step", lambda: (_days(), _days(freq="h")), "[:]"),
    ("timedeltas", lambda: (pd.to_timedelta(["1h"]), pd.to_timedelta(["2h"])), "[:]"),
    (
        "period-freq",
        lambda: (
            pd.period_range("2026", periods=1, freq="Y"),
            pd.period_range("2026", periods=1, freq="M"),
        ),
        ".",
    ),
    (
        "interval-closed",
        lambda: (pd.interval_range(0, 2), pd.interval_range(0, 2, closed="left")),
        ".",
    ),
    ("interval-ends", lambda: (pd.interval_range(0, 2), pd.interval_range(1, 3)), ".left[:]"),
    ("sparse-fill", lambda: (_sparse(0.0), _sparse(1.0)), ".fill_value"),
    ("range-step", lambda: (pd.RangeIndex(4), pd.RangeIndex(0, 8, 2)), "[:]"),
    ("index-to-list", lambda: (pd.Index([1, 2]), [1, 2]), "."),
    ("timestamp", lambda: (pd.Timestamp("2026"), pd.Timestamp("2026") + pd.Timedelta(1)), "."),
    ("timestamp-to-datetime", lambda: (pd.Timestamp("2026"), dt.datetime(2026, 1, 1)), "."),
    (
        "timestamp-zone",
        lambda: (pd.Timestamp("2026", tz="UTC"), pd.Timestamp("2026", tz="Europe/London")),
        ".tz",
    ),
    ("timedelta", lambda: (pd.Timedelta("1h"), pd.Timedelta("1h") + pd.Timedelta(1)), "."),
    ("period", lambda: (pd.Period("2026", "M"), pd.Period("2026-02", "M")), "."),
    ("interval", lambda: (pd.Interval(0, 1), pd.Interval(0, 2)), ".right"),
    ("offset", lambda: (pd.offsets.MonthEnd(1), pd.offsets.MonthEnd(2)), "."),
    ("offset-kind", lambda: (pd.offsets.MonthEnd(1), pd.offsets.YearEnd(1)), "."),
    ("na-to-nat", lambda: (pd.NA, pd.NaT), "."),
    ("na-to-nan", lambda: (pd.NA, float("nan")), "."),
    ("arrow-value", lambda: (_arrow([1, 2]), _arrow([1, 3])), "[:]"),
    ("arrow-to-numpy", lambda: (_arrow([1, 2]), pd.Series([1, 2])), "."),
    (
        "dtype-category",
        lambda: (pd.CategoricalDtype(["a"]), pd.CategoricalDtype(["b"])),
        ".categories[:]",
    ),
)


def _twins(second):
    return pd.DataFrame([[1, second]], columns=["a", "a"])


def _category(ordered):
    return pd.Categorical(["lo", "hi"], categories=["lo", "hi"], ordered=ordered)


def _sparse(fill):
    return pd.arrays.SparseArray([0.0, 1.0], fill_value=fill)


def _arrow(values):
    return pd.Series(values, dtype="int64[pyarrow]")


def _split_blocks():
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    frame["b"] = [3.0, 4.0]
    return frame


EQUAL = {
    "frame-copy": lambda: (_frame(), _frame().copy()),
    "frame-blocks": lambda: (_split_blocks(), pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})),
    "frame-slice": lambda: (_frame().iloc[:2], pd.concat([_frame()]).iloc[:2].copy()),
    "frame-transposed": lambda: (
        pd.DataFrame(np.eye(3)[:, :2].copy()),
        pd.DataFrame(np.asfortranarray(np.eye(3)[:, :2])),
    ),
    "range-or-numbers": lambda: (pd.RangeIndex(3), pd.Index([0, 1, 2])),
    "str-or-object": lambda: (pd.Series(["a", None]), pd.Series(["a", None], dtype=object)),
    "str-missing-kind": lambda: (
        pd.Series(["a", None], dtype=object),
        pd.Series(["a", np.nan], dtype=object),
    ),
    "columns-object": lambda: (
        pd.DataFrame({"a": [1]}),
        pd.DataFrame([[1]], columns=pd.Index(["a"], dtype=object)),
    ),
    "unit": lambda: (
        pd.Series(_days()).astype("datetime64[ns]"),
        pd.Series(_days()).astype("datetime64[s]"),
    ),
    "unit-index": lambda: (_days().as_unit("ns"), _days().as_unit("ms")),
    "unit-missing": lambda: (
        pd.Series([pd.NaT, pd.Timestamp("2026")]).astype("datetime64[ns]"),
        pd.Series([pd.NaT, pd.Timestamp("2026")]).astype("datetime64[us]"),
    ),
    "timestamp-unit": lambda: (
        pd.Timestamp("2026-05-01").as_unit("ns"),
        pd.Timestamp("2026-05-01").as_unit("s"),
    ),
    "string-storage": lambda: (
        pd.Series(["a", None], dtype="string[python]"),
        pd.Series(["a", None], dtype="string[pyarrow]"),
    ),
    "nullable-under": lambda: (
        pd.arrays.IntegerArray(np.array([1, 7]), np.array([False, True])),
        pd.arrays.IntegerArray(np.array([1, 9]), np.array([False, True])),
    ),
    "multiindex-levels": lambda: (
        pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]),
        pd.MultiIndex.from_tuples([("c", 3), ("a", 1), ("b", 2)])[1:],
    ),
    "index-cached": lambda: (pd.Index([3, 1]), _with(pd.Index([3, 1]), lambda i: i.get_loc(1))),
    "freq-lost": lambda: (_days(), pd.DatetimeIndex(list(_days()))),
}

REFUSED = _pairs(
    ("groups", lambda: _frame().groupby("ok"), "."),
    ("groupby", lambda: iter(_frame().groupby("ok")), "."),
    ("objects-with-iterator", lambda: pd.Series([1, iter([])], dtype=object), "[1]"),
    ("frame-with-lock", lambda: pd.DataFrame({"a": [object()]}), "['a'][0]"),
)

if not HAS_ARROW:
    for _table in (LOCKABLE, CHANGES, EQUAL):
        for _name in [name for name in _table if "arrow" in name or name == "string-storage"]:
            del _table[_name]
