"""Trials as flat rows, ``summary.csv``, and a trial against the one before it."""

from __future__ import annotations

import csv
import math

import pytest
from factories import put

from pytest_mitosis.model import Trial
from pytest_mitosis.store.files import write_json
from pytest_mitosis.store.folder import read_trial
from pytest_mitosis.store.rows import (
    against_last,
    column_order,
    flat_row,
    parameters,
    write_summary,
)

FIXED = (
    "id experiment seed iteration status official draft started duration_s commit user host folder"
).split()
KEY = "noise=low,seed=0"


def parameter(name, variant="", value="", *, step="fit_eval", kind="variant"):
    return {"step": step, "name": name, "kind": kind, "variant": variant, "value": value}


def trial(store, number=1, id_="k2m9xwq1", *, key=KEY, experiment="fit_eval", top="", **manifest):
    """A recorded trial; ``main`` is short for its metrics."""
    folder = store / top / experiment / key / f"{number}-{id_}"
    if "main" in manifest:
        manifest["metrics"] = {"main": manifest.pop("main")}
    defaults = {"schema": 1, "id": id_, "experiment": experiment, "iteration": number}
    folder.mkdir(parents=True)
    write_json(folder / "trial.json", {**defaults, "status": "done", **manifest})
    return read_trial(folder)


def summary(store):
    with write_summary(store).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# rows


def test_row_is_flat_and_begins_with_the_fixed_columns(tmp_path):
    one = trial(
        tmp_path,
        3,
        seed=0,
        draft=False,
        started="2026-05-01T10:00:00.000+00:00",
        duration_s=252.0,
        commit="7ab1f20",
        user="jess",
        host="node-17",
        parameters=[parameter("noise", "low", "float 0.1"), parameter("seed", "0", kind="seed")],
        metrics={"main": 0.0103, "f1": 0.98},
    )
    row = flat_row(one)
    assert list(row) == [*FIXED, "param.noise", "metric.main", "metric.f1"]
    assert list(row.values()) == [
        "k2m9xwq1",
        "fit_eval",
        0,
        3,
        "done",
        False,
        False,
        "2026-05-01T10:00:00.000+00:00",
        252.0,
        "7ab1f20",
        "jess",
        "node-17",
        str(one.folder),
        "low",
        0.0103,
        0.98,
    ]


def test_manifest_that_says_little_makes_a_row_with_gaps(tmp_path):
    row = flat_row(trial(tmp_path, status="running", host="elsewhere"))
    assert list(row) == FIXED
    assert [row[name] for name in ("seed", "started", "duration_s", "commit")] == [None] * 4
    assert (row["status"], row["draft"]) == ("running", False)


def test_parameters_are_named_with_their_step_only_where_steps_share_them():
    listed = [
        parameter("noise", "low", step="gen"),
        parameter("noise", "high", step="fit"),
        parameter("alpha", "0.5", "float 0.5", step="fit", kind="literal"),
        parameter("width", "", "ndarray f8 (3,)", step="fit", kind="default"),
        parameter("seed", "0", step="gen", kind="seed"),
        parameter("rng", "0", step="fit", kind="rng"),
    ]
    assert parameters({"parameters": listed}) == {
        "gen.noise": "low",
        "fit.noise": "high",
        "alpha": "0.5",
        "width": "ndarray f8 (3,)",
    }
    assert parameters({}) == {}


# summary.csv


def test_summary_has_all_trials_but_drafts_oldest_first(tmp_path):
    trial(tmp_path, 2, "9aa1cd07", started="2026-05-02", main=0.0094)
    trial(tmp_path, 1, "k2m9xwq1", started="2026-05-01", main=0.0103)
    trial(tmp_path, 1, "7f3k2qaa", key="default", experiment="gen", started="2026-05-01", main=1)
    trial(tmp_path, 0, "0000dead", top="drafts", started="2026-04-01", main=0.5)
    rows = summary(tmp_path)
    assert [row["id"] for row in rows] == ["7f3k2qaa", "k2m9xwq1", "9aa1cd07"]
    assert [row["metric.main"] for row in rows] == ["1", "0.0103", "0.0094"]


def test_summary_puts_columns_of_all_trials_in_one_order_and_leaves_gaps(tmp_path):
    trial(
        tmp_path,
        1,
        "k2m9xwq1",
        started="1",
        metrics={"f1": 0.98, "main": 0.0103},
        parameters=[parameter("noise", "low")],
    )
    trial(
        tmp_path,
        2,
        "9aa1cd07",
        started="2",
        metrics={"main": math.nan, "recall": 1},
        parameters=[parameter("solver", "tv")],
    )
    with write_summary(tmp_path).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header[len(FIXED) :] == [
        "param.noise",
        "param.solver",
        "metric.main",
        "metric.f1",
        "metric.recall",
    ]
    assert [row[len(FIXED) :] for row in rows] == [
        ["low", "", "0.0103", "0.98", ""],
        ["", "tv", "nan", "", "1"],
    ]


def test_summary_survives_odd_text(tmp_path):
    texts = ['a, "b"\nc', "naïve 数据", "\udce9"]
    for number, text in enumerate(texts, start=1):
        trial(tmp_path, number, f"k2m9xwq{number}", started=str(number), main=text)
    assert [row["metric.main"] for row in summary(tmp_path)] == [*texts[:2], "\\udce9"]


def test_summary_of_an_empty_store_is_a_header(tmp_path):
    assert write_summary(tmp_path).read_bytes() == b"id\n"


def test_summary_passes_over_damaged_trials_and_is_replaced(tmp_path):
    put(tmp_path / "fit_eval" / KEY / "1-k2m9xwq1" / "trial.json", "{")
    trial(tmp_path, 2, "9aa1cd07", main=0.5)
    put(tmp_path / "summary.csv", "old")
    assert [row["id"] for row in summary(tmp_path)] == ["9aa1cd07"]


def test_columns_are_fixed_ones_parameters_main_metrics_artifacts():
    rows = [
        {"id": 1, "artifact.log.txt": 1, "metric.f1": 1, "param.b": 1},
        {"id": 1, "metric.main": 1, "host": 1, "param.a": 1, "metric.auc": 1},
    ]
    assert column_order(rows) == [
        "id",
        "host",
        "param.b",
        "param.a",
        "metric.main",
        "metric.f1",
        "metric.auc",
        "artifact.log.txt",
    ]


def test_main_comes_before_metrics_that_begin_like_it():
    rows = [{"metric.main_error": 1}, {"metric.main": 1}]
    assert column_order(rows) == ["metric.main", "metric.main_error"]


# against the last one


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (0.0103, 0.0103, "same"),
        (1.0, 0.999, "-0.1 %"),
        (0.5, 0.75, "+50 %"),
        (-2.0, -1.0, "+50 %"),
        (-2.0, -3.0, "-50 %"),
        (3, 4, "+33 %"),
        (1, 1.0, "+0 %"),
        (0.0, 0.5, "changed"),
        (0, 0, "same"),
        ("stable", "stable", "same"),
        ("stable", "unstable", "changed"),
        (0.5, "diverged", "changed"),
        (True, False, "changed"),
        (True, 1, "changed"),
    ],
)
def test_main_is_told_against_the_last_iteration(tmp_path, before, now, told):
    trial(tmp_path, 1, "k2m9xwq1", main=before)
    assert against_last(trial(tmp_path, 2, "9aa1cd07", main=now)) == told


def test_first_iteration_is_new(tmp_path):
    assert against_last(trial(tmp_path, 1, main=0.5)) == "new"


def test_last_one_is_the_last_earlier_one_that_is_done(tmp_path):
    trial(tmp_path, 1, "aaaaaaa1", main=9.0)
    trial(tmp_path, 9, "aaaaaaa2", main=2.0)
    trial(tmp_path, 10, "aaaaaaa3", status="crashed", main=5.0)
    trial(tmp_path, 12, "aaaaaaa5", main=7.0)
    put(tmp_path / "fit_eval" / KEY / "10-aaaaaaa6" / "trial.json", "{")
    put(tmp_path / "fit_eval" / KEY / "10-notes.txt")
    (tmp_path / "fit_eval" / KEY / ".iterations").mkdir()
    assert against_last(trial(tmp_path, 11, "aaaaaaa4", main=3.0)) == "+50 %"


def test_trial_of_another_spec_does_not_count(tmp_path):
    trial(tmp_path, 1, "aaaaaaa1", key="noise=high,seed=0", main=0.5)
    assert against_last(trial(tmp_path, 2, "aaaaaaa2", main=0.5)) == "new"


@pytest.mark.parametrize("status", ["crashed", "timeout", "interrupted", "running"])
def test_trial_that_is_not_done_is_not_compared(tmp_path, status):
    trial(tmp_path, 1, "aaaaaaa1", main=0.5)
    assert against_last(trial(tmp_path, 2, "aaaaaaa2", main=0.5, status=status, host="x")) == ""


def test_draft_is_not_compared(tmp_path):
    trial(tmp_path, 0, "aaaaaaa1", top="drafts", main=0.5, draft=True)
    own = trial(tmp_path, 0, "aaaaaaa2", top="drafts", main=0.5, draft=True)
    assert isinstance(own, Trial)
    assert against_last(own) == ""


@pytest.mark.parametrize(
    ("before", "now"), [(math.nan, math.nan), (math.nan, 0.5), (0.5, math.nan), (math.inf, 0.5)]
)
def test_no_percentage_is_told_of_what_is_no_number(tmp_path, before, now):
    trial(tmp_path, 1, "k2m9xwq1", main=before)
    told = against_last(trial(tmp_path, 2, "9aa1cd07", main=now))
    assert told in ({"same"} if before is now else {"changed"})
