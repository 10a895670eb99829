"""What of a result becomes a table's row, and texts of anything."""

from __future__ import annotations

import enum
import math
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_results_exact import same

from pytest_mitosis.store.results import metrics_of, safe_text


class Level(enum.IntEnum):
    HIGH = 3


class Rate(float):
    def __float__(self) -> float:
        raise AssertionError("not asked")


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    ("main", "metric"),
    [
        (0.1, 0.1),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.10000000149011612),
        (np.array(0.25), 0.25),
        (np.array(3, dtype=">u2"), 3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("ø"), "ø"),
        (np.longdouble(0.5), 0.5),
        (np.float64("nan"), math.nan),
        (-math.inf, -math.inf),
        (Level.HIGH, 3),
        (Rate(0.5), 0.5),
        ("converged", "converged"),
        (None, "None"),
        ([0.5, 0.25], "list [0.5, 0.25]"),
        (Decimal("0.10"), "decimal:Decimal Decimal('0.10')"),
        (1 + 2j, "(1+2j)"),
        (Hostile(), f"{__name__}:Hostile"),
        (np.datetime64("2026-11-21"), "numpy:datetime64 np.datetime64('2026-11-21')"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_main_is_always_there(main: object, metric: object) -> None:
    found = metrics_of({"other": 1, "main": main})
    assert list(found) == ["main", "other"]
    if type(main) is np.datetime64:  # its repr differs between versions of numpy
        assert "2026-11-21" in str(found["main"])
    else:
        assert same(found["main"], metric)


def test_missing_main_is_absent() -> None:
    assert metrics_of({"score": 0.5}) == {"score": 0.5}
    assert metrics_of({}) == {}


def test_numbers_of_the_result_but_not_its_data() -> None:
    result = {"main": 0.5, "n": np.int64(3), "ok": False, "label": "x", "data": 7, "a": np.ones(3),
              3: 4, "nested": {"n": 1}, "z": 1j, "h": Hostile()}  # fmt: skip
    assert metrics_of(result) == {"main": 0.5, "n": 3, "ok": False}


def test_scalars_under_metrics_are_flattened() -> None:
    result = {
        "main": 0.5,
        "n": 3,
        "metrics": {"train": {"r2": np.float64(0.25), "split": {1: "a"}}, "n": 9, "curve": [1]},
    }
    assert metrics_of(result) == {
        "main": 0.5,
        "n": 3,
        "train.r2": 0.25,
        "train.split.1": "a",
        "metrics.n": 9,
    }


def test_metrics_may_contain_themselves() -> None:
    metrics: dict[str, Any] = {"r2": 0.5}
    metrics["again"] = metrics
    assert metrics_of(MappingProxyType({"metrics": metrics}))["again.r2"] == 0.5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (10**5000, "integer of 16610 bits"),
        ("größe", "größe"),
        ("\ud800", "\\ud800"),
        ("x" * 500, "x" * 199 + "…"),
        ([1.5], "list [1.5]"),
        (Hostile(), f"{__name__}:Hostile"),
        ([Hostile()], "list"),
        (object(), "object <object object>"),
        (pd.Timestamp, "type <class 'pandas"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_safe_text(value: object, text: str) -> None:
    assert safe_text(value).startswith(text)
    assert len(safe_text(value)) <= 200


def test_safe_text_has_no_addresses() -> None:
    assert "0x" not in safe_text(lambda: None)
    assert "0x" not in safe_text([object()])


def test_safe_text_is_cut_to_its_limit() -> None:
    assert safe_text("measurement", 5) == "meas…"
    assert safe_text(list(range(1000)), limit=30) == "list [0, 1, 2, 3, 4, 5, 6, 7,…"
