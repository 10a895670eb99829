"""Trials as a data frame: the rows that are meant, each column with the type of its values."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pytest
from stores import COMMIT, add_trial, lock, variant

from pytest_mitosis import load_trial_data, load_trials
from pytest_mitosis.model import PlanError, ResultError, StoreError
from pytest_mitosis.read import frame as module
from pytest_mitosis.store import catalogue
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.results import save_result


@pytest.fixture
def store(tmp_path):
    return tmp_path / "trials"


def trials(store, *arguments, **options):
    return load_trials(*arguments, trials_folder=store, **options)


def ids(frame):
    return list(frame.index)


@dataclass
class Noise:
    sigma: float
    kind: str = "white"


def literal(name, text, kind="literal"):
    return {
        "step": "fit_eval",
        "name": name,
        "kind": kind,
        "variant": text,
        "value": f"float {text}",
        "digest": "d",
        "tracked": True,
    }


def test_rows_are_the_trials_that_are_meant_oldest_first(store):
    add_trial(store, "newest00", [variant("noise", "low")], minute=9, iteration=2, official=True)
    add_trial(store, "oldest00", [variant("noise", "low")], minute=1)
    add_trial(store, "high0000", [variant("noise", "high")], minute=5, status="crashed", metrics={})
    add_trial(store, "sine0000", minute=6, experiment="sine", seed=3)
    assert ids(trials(store)) == ["oldest00", "high0000", "sine0000", "newest00"]
    assert ids(trials(store, "fit_eval", noise="low")) == ["oldest00", "newest00"]
    assert ids(trials(store, "fit_eval", latest=True)) == ["high0000", "newest00"]
    assert ids(trials(store, noise=["low", "high"], status="done")) == ["oldest00", "newest00"]
    assert ids(trials(store, status=["crashed", "lost"])) == ["high0000"]
    assert ids(trials(store, official=True)) == ["newest00"]
    assert ids(trials(store, official=False, noise="low")) == ["oldest00"]
    assert ids(trials(store, seed=range(2, 5))) == ["sine0000"]
    assert "param.noise" not in trials(store, "sine")


def test_latest_is_the_last_of_what_is_selected(store):
    add_trial(store, "good0000", minute=1, iteration=1)
    add_trial(store, "crashed0", minute=2, iteration=2, status="crashed")
    assert ids(trials(store, latest=True)) == ["crashed0"]
    assert ids(trials(store, latest=True, status="done")) == ["good0000"]


def test_names_are_ordered_categories_in_the_order_of_the_dictionary(store):
    for minute, name in enumerate(["high", "low", "medium"]):
        add_trial(store, f"{name:0<8}", [variant("noise", name)], minute=minute)
    column = trials(store)["param.noise"]
    assert list(column.cat.categories) == ["low", "medium", "high"]
    assert column.cat.ordered
    assert list(column.sort_values()) == ["low", "medium", "high"]
    some = trials(store, noise=["high", "low"])["param.noise"]
    assert list(some.cat.categories) == ["low", "high"]


def test_name_that_left_the_dictionary_keeps_its_place_and_literals_come_last_by_size(store):
    old = variant("noise", "medium")
    new = variant("noise", "low", variants=["low", "high", "huge"])
    add_trial(store, "old00000", [old], minute=1)
    add_trial(store, "new00000", [new], minute=2)
    for minute, text in enumerate(["10", "9.5", "-1"], start=3):
        add_trial(store, f"literal{minute}", [literal("noise", text)], minute=minute)
    add_trial(store, "huge0000", [variant("noise", "huge", variants=["huge"])], minute=8)
    categories = trials(store)["param.noise"].cat.categories
    assert list(categories) == ["low", "medium", "huge", "-1", "9.5", "10"]


def test_parameter_added_later_is_filled_with_its_default_and_said_so(store):
    add_trial(store, "before00", [variant("noise", "low")], minute=1)
    add_trial(store, "before01", [variant("noise", "high")], minute=2)
    add_trial(
        store, "after000", [variant("noise", "low"), literal("weight", "0.5", "default")], minute=3
    )
    add_trial(store, "after001", [variant("noise", "low"), literal("weight", "2.0")], minute=4)
    add_trial(store, "left0000", [variant("noise", "low")], minute=5, iteration=2)
    add_trial(store, "sine0000", minute=6, experiment="sine")
    frame = trials(store)
    assert frame["param.weight"].astype(object).where(
        frame["param.weight"].notna(), None
    ).to_list() == [
        "0.5",
        "0.5",
        "0.5",
        "2.0",
        None,
        None,
    ]
    assert frame.attrs["backfilled"] == {"param.weight": ["before00", "before01"]}
    assert trials(store, noise="high").attrs["backfilled"] == {"param.weight": ["before01"]}
    assert trials(store, "sine").attrs["backfilled"] == {}


def test_default_that_no_trial_used_is_known_from_those_that_did_not(store):
    add_trial(store, "before00", [variant("noise", "low")], minute=1)
    given = {**literal("weight", "2.0"), "default": "0.5"}
    add_trial(store, "after000", [variant("noise", "low"), given], minute=2)
    assert list(trials(store)["param.weight"]) == ["0.5", "2.0"]


def test_columns_have_the_type_of_their_values(store):
    metrics = [
        {"main": 0.5, "n": 37, "text": "tv", "flag": True, "mixed": 1, "big": 10**30},
        {"main": float("nan"), "text": "stlsq", "mixed": "many", "big": 1},
        {"main": 1, "n": 2**53 + 1, "flag": False, "mixed": True, "none": None},
    ]
    for minute, one in enumerate(metrics):
        add_trial(store, f"metrics{minute}", minute=minute, metrics=one)
    frame = trials(store)
    assert frame["metric.main"].dtype == "float64"
    assert str(frame["metric.n"].dtype) == "Int64"
    assert frame["metric.n"].iloc[2] == 2**53 + 1
    assert str(frame["metric.flag"].dtype) == "boolean"
    assert frame["metric.flag"].isna().to_list() == [False, True, False]
    assert list(frame["metric.text"])[:2] == ["tv", "stlsq"]
    assert frame["metric.text"].isna().to_list() == [False, False, True]
    assert [type(one) for one in frame["metric.mixed"]] == [int, str, bool]
    assert frame["metric.big"].iloc[0] == 10**30
    assert str(frame["started"].dtype.tz) == "UTC"
    assert frame["duration_s"].to_list() == [42.0] * 3


def test_values_of_names_come_from_the_locks_the_trials_ran_with(store):
    low = lock(store, "noise", "low", Noise(0.1))
    scale = lock(store, "scale", "one", 1.5)
    unlocked = variant("noise", "high", Noise(0.5))
    many = lock(store, "grid", "fine", list(range(1000)))
    add_trial(store, "locked00", [low, scale, many, literal("alpha", "[1, 2]")], minute=1)
    add_trial(store, "unlocked", [unlocked], minute=2)
    frame = trials(store, values=True)
    first = frame.loc["locked00"]
    assert (first["value.noise.sigma"], first["value.noise.kind"]) == (0.1, "white")
    assert (first["value.scale"], first["value.alpha"]) == (1.5, [1, 2])
    assert first["value.grid"] == "list of 1000"
    assert frame.loc["unlocked"]["value.noise"] == "Noise(sigma=0.5, kind='white')"
    assert not [name for name in trials(store) if name.startswith("value.")]


def test_artifacts_are_paths_on_request(store):
    folder = add_trial(store, "files000", minute=1, files={"figures/fit-1.png": "png"})
    add_trial(store, "nothing0", minute=2, iteration=2)
    frame = trials(store, artifacts=True)
    assert frame["artifact.figures/fit-1.png"].iloc[0] == str(folder / "figures/fit-1.png")
    assert frame["artifact.figures/fit-1.png"].isna().to_list() == [False, True]


def code(**bodies):
    return {"modules": [{"place": "lab.py", "skeleton": "s", "bodies": bodies}]}


def test_strict_refuses_mixed_versions_of_code(store):
    add_trial(store, "one00000", [variant("solver", "tv")], minute=1, code=code(fit="a", tv="b"))
    add_trial(store, "two00000", [variant("solver", "stlsq")], minute=2, code=code(fit="a", ls="c"))
    assert len(trials(store, strict=True)) == 2  # other functions of the same code
    add_trial(
        store,
        "three000",
        [variant("solver", "tv")],
        minute=3,
        iteration=2,
        code=code(fit="x", tv="b"),
        commit="a" * 40,
    )
    with pytest.raises(PlanError) as caught:
        trials(store, strict=True)
    assert str(caught.value) == (
        "the 3 trials of fit_eval ran different code: lab.py:fit changed between commits "
        "3f2a91c (2), aaaaaaa (1); select trials of one version, rerun the others, or leave out "
        "strict"
    )
    assert COMMIT.startswith("3f2a91c")
    assert len(trials(store, strict=True, solver="stlsq")) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"experiment": "fit_evel"}, "no trials of 'fit_evel'; there is fit_eval; did you mean"),
        (
            {"status": "crahsed"},
            "no trial has the status 'crahsed'; there are running, done, crashed",
        ),
        ({"noize": "low"}, "no trial has a parameter 'noize'; there is noise; did you mean noise?"),
    ],
)
def test_what_is_not_there_is_said(store, options, message):
    add_trial(store, "one00000", [variant("noise", "low")])
    with pytest.raises(PlanError, match="no trial") as caught:
        trials(store, **options)
    assert str(caught.value).startswith(message)


def test_empty_store_is_an_empty_frame_and_no_store_an_error(store):
    with pytest.raises(StoreError, match="there is no trials folder"):
        trials(store)
    store.mkdir()
    frame = trials(store, "fit_eval", noise="low", latest=True, values=True)
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 0
    assert frame.index.name == "id"


def whole(store, monkeypatch, cache):
    """All trials, as a reader with this cache folder finds them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(catalogue, "_SETTLED_AFTER_NS", -1)
    return trials(store)


def test_frame_from_the_cache_is_the_one_that_was_made(store, tmp_path, monkeypatch):
    add_trial(store, "oldest00", minute=1)
    noise = {**variant("noise", "low"), "default": "low", "variants": ["low", "high"]}
    add_trial(store, "newest00", [noise], minute=2, seed=3)
    first = whole(store, monkeypatch, tmp_path / "cache")
    made = []
    monkeypatch.setattr(module, "frame_of", lambda table: made.append(table) or first)
    again = whole(store, monkeypatch, tmp_path / "cache")
    assert not made
    pd.testing.assert_frame_equal(first, again)
    assert again.attrs["backfilled"] == {"param.noise": ["oldest00"]}
    again["seed"] = 0
    assert whole(store, monkeypatch, tmp_path / "cache").seed["newest00"] == 3

    add_trial(store, "another0", minute=3)
    monkeypatch.undo()
    assert ids(whole(store, monkeypatch, tmp_path / "cache"))[-1] == "another0"


def test_kept_frame_that_cannot_be_read_is_made_again(store, tmp_path, monkeypatch):
    add_trial(store, "oldest00")
    monkeypatch.setattr(module, "_pickled_frame", damaged_frame)
    assert ids(whole(store, monkeypatch, tmp_path / "cache")) == ["oldest00"]


def damaged_frame(catalogue):
    return b"of a library that is another one now"


# results


class Odd:
    """Nothing but a pickle keeps it."""

    def __init__(self):
        self.__dict__["f"] = len


def with_result(store, name="result00"):
    folder = add_trial(store, name)
    (folder / "results").mkdir()
    saved = save_result({"main": 0.5, "odd": Odd()}, folder / "results", "fit_eval")
    manifest = read_json(folder / "trial.json")
    manifest["artifacts"] = {
        f"results/{one.name}": {"bytes": one.size, "sha256": one.sha256} for one in saved.files
    }
    write_json(folder / "trial.json", manifest)
    return folder


def test_pickle_is_opened_only_if_trusted_and_intact(store):
    folder = with_result(store)
    data = load_trial_data("result", trials_folder=store)
    assert data["fit_eval"]["main"] == 0.5
    assert not isinstance(data["fit_eval"]["odd"], Odd)
    trusted = load_trial_data("result", trials_folder=store, trust=True)
    assert isinstance(trusted[0]["odd"], Odd)
    pickled = next(one for one in (folder / "results").iterdir() if one.suffix != ".json")
    pickled.write_bytes(pickled.read_bytes() + b".")
    with pytest.raises(ResultError, match="is not the file that was saved"):
        trusted["fit_eval"]
    assert data["fit_eval"]["main"] == 0.5


def test_changed_result_is_refused(store):
    folder = with_result(store)
    file = folder / "results/fit_eval.json"
    file.write_text(file.read_text().replace("0.5", "0.4"))
    for trust in (False, True):
        data = load_trial_data(str(folder), trials_folder=store, trust=trust)
        with pytest.raises(ResultError, match="is not the file that was recorded"):
            data["fit_eval"]


def test_trust_needs_a_recorded_checksum(store):
    folder = with_result(store)
    manifest = read_json(folder / "trial.json")
    del manifest["artifacts"]
    write_json(folder / "trial.json", manifest)
    assert load_trial_data("fit_eval[]", trials_folder=store)[0]["main"] == 0.5
    with pytest.raises(
        ResultError, match="has no recorded checksum, because the trial did not end"
    ):
        load_trial_data("result00", trials_folder=store, trust=True)[0]


def test_steps_are_found_by_name_and_position_or_said(store):
    with_result(store)
    data = load_trial_data("result00", trials_folder=store)
    assert list(data) == ["fit_eval"]
    with pytest.raises(KeyError, match="fit: there is fit_eval"):
        data["fit"]
    with pytest.raises(IndexError, match="results of trial result00: fit_eval"):
        data[1]
