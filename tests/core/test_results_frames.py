"""Tables, series and indexes of pandas come back exactly, with and without pyarrow."""

from __future__ import annotations

import json
import math
import sys
import zoneinfo
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_results_exact import same, through

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.results import load_result, save_result

ROWS = 80
HAS_PYARROW = bool(sys.modules.get("pyarrow")) or __import__("importlib.util").util.find_spec(
    "pyarrow"
)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def measurements(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "x": rng.normal(size=rows),
        "y": rng.normal(size=rows),
        "n": np.arange(rows),
        "ok": np.arange(rows) % 2 == 0,
        "größe": np.arange(rows, dtype="f4"),
    })  # fmt: skip


def columns() -> dict[str, Any]:
    nullable = [None, *range(ROWS - 1)]
    words = ["a", "größe", None, "c"] * (ROWS // 4)
    stamps = pd.date_range("2026-03-28", periods=ROWS, freq="h")
    return {
        "int8": np.arange(ROWS, dtype="i1"),
        "nan": pd.Series([math.nan, -0.0, math.inf, 0.1] * (ROWS // 4)),
        "words": words,
        "objects": pd.Series([None, 1, 1.0, "a", math.nan, (1, 2), [3], True] * 10, dtype=object),
        "Int64": pd.array(nullable, dtype="Int64"),
        "UInt8": pd.array(nullable, dtype="UInt8"),
        "Float32": pd.array(nullable, dtype="Float32"),
        "boolean": pd.array([True, None] * (ROWS // 2), dtype="boolean"),
        "string": pd.array(words, dtype="string"),
        "python string": pd.array(words, dtype=pd.StringDtype("python")),
        "category": pd.Categorical(words, categories=["c", "a", "größe", "unused"], ordered=True),
        "number category": pd.Categorical([0.5, 0.1] * (ROWS // 2)),
        "datetime": stamps,
        "seconds": stamps.as_unit("s"),
        "berlin": stamps.tz_localize("UTC").tz_convert(BERLIN),
        "utc": stamps.tz_localize("UTC"),
        "offset": stamps.tz_localize(timezone(timedelta(hours=3))),
        "named zone": stamps.tz_localize("UTC").tz_convert("America/New_York"),
        "timedelta": stamps - stamps[0],
        "period": stamps.to_period("D"),
        "interval": pd.IntervalIndex.from_breaks(np.linspace(0, 1, ROWS + 1), closed="left"),
        "nat": pd.Series([pd.NaT] * ROWS),
    }


def frames() -> dict[str, pd.DataFrame]:
    table = measurements()
    return {
        "plain": table,
        "all kinds": pd.DataFrame(columns()),
        "small": table.head(3),
        "no rows": table.head(0),
        "no columns": table[[]],
        "empty": pd.DataFrame(),
        "named index": table.set_index("n"),
        "text index": table.set_index(pd.Index([f"r{n}" for n in range(ROWS)], name="row")),
        "two levels": table.set_index(["n", "ok"]),
        "times": table.set_index(pd.date_range("2026-01-01", periods=ROWS, freq="D", tz=BERLIN)),
        "stepped": table.iloc[::2],
        "number columns": pd.DataFrame(np.arange(200.0).reshape(20, 10)),
        "repeated columns": pd.concat([table, table], axis=1),
        "two column levels": pd.concat({"a": table, "b": table}, axis=1, names=["run", None]),
        "mixed columns": table.set_axis([1, "1", (2, 3), None, 1.5], axis=1),
        "float16": pd.DataFrame(np.ones((40, 3), dtype="f2")),
        "categories as columns": table.set_axis(pd.CategoricalIndex(list("abcde")), axis=1),
        "repeated rows": table.set_index(np.zeros(ROWS, dtype="i8")),
    }


SERIES = {
    **{name: pd.Series(values, name=name) for name, values in columns().items()},
    **{f"few {name}": pd.Series(values, name=(1, name))[:4] for name, values in columns().items()},
    "empty object": pd.Series([], dtype=object),
    "unused categories": pd.Series(["a"], dtype="category").cat.add_categories(["z"]),
}
INDEXES = [
    pd.RangeIndex(2, 20, 3, name="r"), pd.Index([1.5, math.nan], name=("a", 1)),
    pd.Index(["a", "b"]), pd.Index(["a", 1, None], dtype=object), pd.Index([True, False]),
    pd.Index(["a", "b"], dtype=object),
    pd.date_range("2026-01-01", periods=4, freq="MS"), pd.DatetimeIndex(["2026-01-01", pd.NaT]),
    pd.timedelta_range("1h", periods=3, freq="90min"),
    pd.period_range("2026Q1", periods=3, freq="Q"),
    pd.interval_range(0, 3), pd.CategoricalIndex(["b", "a"]), pd.Index([1, 2], dtype="u1"),
    pd.MultiIndex.from_product([["a", "b"], [1.5, math.nan]], names=["x", None])[1:],
    pd.MultiIndex.from_arrays([pd.date_range("2026-01-01", periods=2, freq="D"), [None, 2]]),
    pd.MultiIndex.from_tuples([], names=["a", "a"]),
]  # fmt: skip
SCALARS = [
    pd.Timestamp("2026-11-21 22:04:11.123456789"), pd.Timestamp("2026-11-21").as_unit("s"),
    pd.Timestamp("2026-07-25 02:30", tz=BERLIN), pd.Timestamp("2026-10-25 01:30", tz="UTC"),
    pd.Timestamp("2026-10-25 00:30", tz="UTC").tz_convert(BERLIN),
    pd.Timestamp("2026-10-25 01:30", tz="UTC").tz_convert("Europe/Berlin"), pd.Timestamp.min,
    pd.Timedelta(5, "ns"), pd.Timedelta("1D").as_unit("s"), pd.Period("2026Q3"),
    pd.Period("2026-11-21 22:04", "15min"), pd.Interval(0.1, 0.2, "both"), pd.NaT, pd.NA,
    pd.Interval(pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02")),
    pd.array([1, None], dtype="Int16"), pd.Categorical(["a", None]),
    pd.array(["x"], dtype="string"),
    pd.array(np.array([1.5])), pd.date_range("2026-01-01", periods=2).array,
]  # fmt: skip


@pytest.fixture(params=["pyarrow", "without pyarrow"])
def with_or_without_pyarrow(request: pytest.FixtureRequest, monkeypatch: Any) -> bool:
    if request.param == "pyarrow":
        if not HAS_PYARROW:
            pytest.skip("pyarrow is not installed")
        return True
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    return False


def comes_back(value: object, folder: Path) -> dict[str, Any]:
    value = {"main": 0.5, "data": value}
    saved, back = through(value, folder)
    assert (saved.pickled, saved.unsaved) == ((), ())
    assert same(back, value)
    return json.loads((folder / "fit.json").read_text())["value"]["data"]


@pytest.mark.parametrize("name", frames())
@pytest.mark.usefixtures("with_or_without_pyarrow")
def test_frame_comes_back(name: str, tmp_path: Path) -> None:
    comes_back(frames()[name], tmp_path)


@pytest.mark.parametrize("name", SERIES)
def test_series_comes_back(name: str, tmp_path: Path) -> None:
    comes_back(SERIES[name], tmp_path)


@pytest.mark.parametrize("name", columns())
def test_column_comes_back_as_frame(name: str, tmp_path: Path) -> None:
    comes_back(pd.DataFrame({name: columns()[name]}), tmp_path)


@pytest.mark.parametrize("value", INDEXES, ids=lambda value: type(value).__name__)
def test_index_comes_back(value: pd.Index, tmp_path: Path) -> None:
    comes_back(value, tmp_path)


@pytest.mark.parametrize("value", SCALARS, ids=lambda value: type(value).__name__)
def test_scalar_comes_back(value: object, tmp_path: Path) -> None:
    comes_back(value, tmp_path)


def test_attrs_and_flags_come_back(tmp_path: Path) -> None:
    table = measurements()
    table.attrs = {"unit": ("m", np.float32(0.1)), 1: [None]}
    table.flags.allows_duplicate_labels = False
    comes_back([table, table.head(2), table["x"]], tmp_path)


def test_parquet_where_it_is_exact(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    node = comes_back(measurements(), tmp_path)
    assert node["file"] == "fit.data.parquet"
    assert same(pd.read_parquet(tmp_path / "fit.data.parquet"), measurements())


def test_no_parquet_where_it_would_change_the_table(tmp_path: Path) -> None:
    hourly = measurements().set_index(pd.date_range("2026-01-01", periods=ROWS, freq="h"))
    assert "file" not in comes_back(hourly, tmp_path)
    assert not list(tmp_path.glob("*.parquet"))


def test_small_tables_can_be_read_in_the_json(tmp_path: Path) -> None:
    comes_back(measurements(3), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fit.json"]


def test_wide_table_needs_few_files(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 300)))
    wide[300] = np.arange(100)
    comes_back(wide, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("rows", [2, 100])
def test_arrow_columns(rows: int, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    numbers = pd.Series([1, None] * (rows // 2), dtype=pd.ArrowDtype(pa.int64()))
    lists = pd.Series([[0.5], None] * (rows // 2), dtype=pd.ArrowDtype(pa.list_(pa.float64())))
    comes_back([numbers, pd.DataFrame({"a": numbers, "b": lists})], tmp_path)


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    save_result(measurements(), tmp_path, "fit")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ResultError, match=r"fit\.parquet needs pyarrow .* pip install"):
        load_result(tmp_path, "fit")


def test_text_saved_with_pyarrow_is_read_without(monkeypatch: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    save_result(pd.Series(["a", None], dtype="string[pyarrow]"), tmp_path, "fit")

    def absent(storage: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if storage == "pyarrow":
            raise ImportError
        return real(storage, *args, **kwargs)

    real = pd.StringDtype
    monkeypatch.setattr(pd, "StringDtype", absent)
    back = load_result(tmp_path, "fit")
    assert list(back) == ["a", pd.NA]
    assert back.dtype.storage == "python"


def test_zone_of_pytz_is_read_without_pytz(monkeypatch: Any, tmp_path: Path) -> None:
    moment = {"$": "Timestamp", "unit": "ns", "value": 0}
    node = moment | {"zone": {"$": "pytz", "zone": "Europe/Berlin"}}
    (tmp_path / "fit.json").write_text(json.dumps({"schema": 1, "value": node}))
    monkeypatch.setitem(sys.modules, "pytz", None)
    assert same(load_result(tmp_path, "fit"), pd.Timestamp(0, tz="UTC").tz_convert(BERLIN))


def test_subclass_of_a_table_is_pickled_and_told(tmp_path: Path) -> None:
    saved, back = through({"main": 1, "data": Survey({"a": [1.0]})}, tmp_path, trust=True)
    assert saved.pickled == ((".data", f"{__name__}:Survey", "fit.data.pickle"),)
    assert type(back["data"]) is Survey


class Survey(pd.DataFrame):
    @property
    def _constructor(self) -> Any:
        return Survey
