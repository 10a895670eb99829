"""Each value beside its reference: on which rung it stands."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mitosis.plan.official import Group, Tolerance
from pytest_mitosis.read.ladder import Rung, compare_metrics, compare_parts, spread_of, worst
from pytest_mitosis.read.student import t_quantile, t_within
from pytest_mitosis.store.evidence import Part, parts_of

MAIN = 0.9935058472813604
TEN_SEEDS = [0.812, 0.798, 0.821, 0.804, 0.809, 0.795, 0.817, 0.8, 0.806, 0.811]
GROUP = Group(
    "fig3",
    "fit",
    tolerances={
        "loose": Tolerance(1e-3, declared=True),
        "n_iter": Tolerance(exact=True, declared=True),
        "time.*": Tolerance(ignore=True, declared=True),
    },
)


def rung(name, old, new, seeds=()):
    before = {} if old is None else {name: old}
    after = {} if new is None else {name: new}
    (step,) = compare_metrics(before, after, GROUP, {name: seeds})
    return step.rung


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("main", MAIN, MAIN, Rung.IDENTICAL),
        ("main", math.nan, math.nan, Rung.IDENTICAL),
        ("main", -math.inf, -math.inf, Rung.IDENTICAL),
        ("main", 0.0, -0.0, Rung.IDENTICAL),
        ("main", MAIN, MAIN * (1 + 5e-10), Rung.TOLERANCE),
        ("main", MAIN, MAIN * (1 + 2e-9), Rung.CHANGED),
        ("main", MAIN, math.nan, Rung.CHANGED),
        ("main", math.inf, MAIN, Rung.CHANGED),
        ("main", 0.0, 1e-300, Rung.CHANGED),
        ("main", 37, 38, Rung.CHANGED),
        ("main", 37, 37.0, Rung.TYPE),
        ("main", 1, True, Rung.TYPE),
        ("main", True, False, Rung.CHANGED),
        ("main", "converged", "converged", Rung.IDENTICAL),
        ("main", "converged", "diverged", Rung.CHANGED),
        ("main", MAIN, None, Rung.MISSING),
        ("main", None, MAIN, Rung.NEW),
        ("loose", MAIN, MAIN * 1.0009, Rung.TOLERANCE),
        ("loose", MAIN, MAIN * 1.0011, Rung.CHANGED),
        ("n_iter", 100.0, 100.0 * (1 + 1e-15), Rung.CHANGED),
        ("time.fit", 0.3, 71.0, Rung.IGNORED),
        ("time.fit", 0.3, None, Rung.IGNORED),
    ],
)
def test_rung_of_a_metric(name, old, new, expected):
    assert rung(name, old, new) is expected


def test_spread_counts_from_five_seeds_on_and_never_for_what_is_exact():
    moved = 0.8041 + 0.014
    assert rung("main", 0.8041, moved, TEN_SEEDS) is Rung.SPREAD
    assert rung("main", 0.8041, moved, TEN_SEEDS[:4]) is Rung.CHANGED
    assert rung("main", 0.8041, 0.95, TEN_SEEDS) is Rung.CHANGED
    assert rung("n_iter", 0.8041, moved, TEN_SEEDS) is Rung.CHANGED
    assert rung("main", 0.8041, moved, [*TEN_SEEDS[:5], math.nan]) is Rung.CHANGED
    mean, half = spread_of(TEN_SEEDS)
    sd = np.std(TEN_SEEDS, ddof=1)
    assert mean == pytest.approx(np.mean(TEN_SEEDS), rel=1e-12)
    assert half == pytest.approx(3.2498355 * sd * np.sqrt(1.1), rel=1e-7)  # t tables, 99 %


def test_message_says_by_how_much_and_beyond_what():
    (step,) = compare_metrics({"main": 0.8}, {"main": 0.96}, GROUP, {"main": TEN_SEEDS})
    assert (step.old, step.new) == ("0.8", "0.96")
    assert step.distance == pytest.approx(0.2)
    assert step.remark == ("beyond rtol 1e-09, and 0.8073 ± 0.028, 99% interval of 10 seeds")


def test_worst_rung_decides_and_only_some_hold():
    assert worst([Rung.IDENTICAL, Rung.SPREAD, Rung.TOLERANCE]) is Rung.SPREAD
    assert worst([Rung.NEW, Rung.CHANGED, Rung.MISSING]) is Rung.CHANGED
    assert worst([]) is Rung.IDENTICAL
    assert [one for one in Rung if not one.holds] == [Rung.MISSING, Rung.TYPE, Rung.CHANGED]


@given(st.floats(allow_nan=True), st.floats(allow_nan=True))
def test_rung_is_identical_for_equal_numbers_only(old, new):
    same = old == new or (old != old and new != new)
    assert (rung("main", old, new) is Rung.IDENTICAL) is same


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 29, 100, 101])
def test_t_distribution_is_that_of_scipy(degrees):
    stats = pytest.importorskip("scipy.stats")
    for t in (0.0, 0.3, 1.0, 2.5, 30.0):
        assert t_within(t, degrees) == pytest.approx(1 - 2 * stats.t.sf(t, degrees), abs=1e-12)
    for confidence in (0.5, 0.95, 0.99, 0.999):
        expected = stats.t.ppf((1 + confidence) / 2, degrees)
        assert t_quantile(confidence, degrees) == pytest.approx(expected, rel=1e-9)


X = np.random.default_rng(3).normal(size=(40, 5))


MANY = np.random.default_rng(4).normal(size=1_000_000)
SPARSE = np.concatenate([np.full(10_000, np.nan), X.ravel()])


def at(array, index, change):
    """The array with one element moved."""
    new = array.copy()
    new[index] += change
    return new


def part_rung(old, new, name="data.x"):
    before, after = parts_of({"data": {"x": old}}), parts_of({"data": {"x": new}})
    (step,) = compare_parts(before, after, GROUP)
    assert step.name == name
    return step.rung


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (X, X.copy(order="F"), Rung.IDENTICAL),
        (X, X * (1 + 1e-12), Rung.TOLERANCE),
        (X, X * (1 + 1e-6), Rung.CHANGED),
        (X, X[::-1].copy(), Rung.CHANGED),  # the same numbers in another order
        (X, X.reshape(5, 40), Rung.CHANGED),
        (X, X.astype("f4"), Rung.CHANGED),
        (X, np.where(X > 2, np.nan, X), Rung.CHANGED),
        (X + 1j, (X + 1j) * (1 + 1e-12), Rung.TOLERANCE),
        (np.array([1e-17, 1.0]), np.array([3e-18, 1.0]), Rung.TOLERANCE),  # noise beside 1
        ([0.1, 0.2], [0.1, 0.2 + 1e-14], Rung.TOLERANCE),
        ([1e6, 1.0], [1e6, 1.0005], Rung.CHANGED),  # not hidden by what stands beside it
        (MANY, at(MANY, 777_777, 1e-5), Rung.CHANGED),  # one of a million
        (MANY, MANY + 1e-11 * np.sin(np.arange(MANY.size)), Rung.TOLERANCE),
        (MANY, MANY * (1 + 1e-11), Rung.TOLERANCE),
        (SPARSE, at(SPARSE, -1, 1e-4), Rung.CHANGED),  # many NaN do not widen what is allowed
        ([0.5] * 20, [0.5] * 19, Rung.CHANGED),
        (SPARSE, np.roll(SPARSE, 1), Rung.CHANGED),
        ([1, 2], [1, 3], Rung.CHANGED),
        (np.arange(9), np.arange(9) + 1, Rung.CHANGED),
        (0.1, 0.1 + 1e-12, Rung.TOLERANCE),
        ("a noisy line", "a noisy lime", Rung.CHANGED),
        ("long " * 100, "long " * 99 + "lang ", Rung.CHANGED),
        (None, "text", Rung.CHANGED),
    ],
)
def test_rung_of_a_part_of_the_result(old, new, expected):
    assert part_rung(old, old) is Rung.IDENTICAL
    assert part_rung(old, new) is expected


@given(st.integers(0, 9999), st.floats(1e-6, 1e3), st.booleans())
def test_change_of_one_element_is_seen_with_and_without_the_trial(index, change, is_here):
    old = MANY[:10_000]
    new = at(old, index, change)
    before, after = parts_of({"x": old}), parts_of({"x": new})
    both = (lambda name: (old, new)) if is_here else (lambda name: None)
    (step,) = compare_parts(before, after, GROUP, both)
    assert step.rung is Rung.CHANGED
    assert step.distance == pytest.approx(change / np.abs(old).max(), rel=1e-3)
    how = "in 1 of 10000 elements" if is_here else ", by sums over it"
    assert step.remark == f"beyond rtol 1e-09{how if not is_here else ' ' + how}"


@given(st.integers(0, 2**32), st.sampled_from([13, 100, 10_000]))
def test_what_is_within_tolerance_everywhere_is_so_by_sums(seed, size):
    rng = np.random.default_rng(seed)
    old = rng.normal(size=size)
    loose = Group("g", "fit", tolerances={"x": Tolerance(1e-4, 1e-7, declared=True)})
    new = old + (1e-4 * np.abs(old) + 1e-7) * rng.uniform(-0.999, 0.999, size)
    (step,) = compare_parts(parts_of({"x": old}), parts_of({"x": new}), loose)
    assert (step.rung, step.remark) == (Rung.TOLERANCE, "rtol 0.0001 atol 1e-07, by sums over it")


def test_reference_without_sums_is_compared_by_its_moments():
    part = parts_of({"x": X})["x"]
    older = Part(part.digest, part.summary, part.numbers, are_moments=True)
    assert "sums" not in older.to_json()
    for factor, expected in ((1 + 1e-12, Rung.TOLERANCE), (1.01, Rung.CHANGED)):
        (step,) = compare_parts({"x": older}, parts_of({"x": X * factor}), GROUP)
        assert step.rung is expected


def test_parts_are_what_is_no_metric_and_survive_json():
    frame = pd.DataFrame({"x": [0.5, 1.5], "name": ["a", "b"]})
    parts = parts_of(
        {
            "main": 0.5,
            "count": np.int64(3),
            "metrics": {"f1": 0.25},
            "label": "low",
            "data": {"x": X, "table": frame},
            "log": print,
        }
    )
    assert list(parts) == [
        "label", "data.x", "data.table.index", "data.table.x", "data.table.name", "log",
    ]  # fmt: skip
    assert parts["label"].summary == "'low'"
    assert parts["data.table.x"].numbers == (0.5, 1.5)
    assert {name: Part.from_json(one.to_json()) for name, one in parts.items()} == parts


def test_part_without_identity_is_not_compared_and_says_so(tmp_path):
    with (tmp_path / "log").open("w") as file:
        (part,) = parts_of({"main": 0.5, "file": file}).values()
    assert part.digest == ""
    assert part.summary.startswith("not compared: . is ")
    (step,) = compare_parts({"file": part}, {"file": part}, GROUP)
    assert (step.rung, step.remark) == (Rung.IGNORED, part.summary)
