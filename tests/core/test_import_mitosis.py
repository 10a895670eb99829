"""Trials of the tool mitosis become trials here, and what it did not record stays unknown."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from pytest_mitosis import load_trials
from pytest_mitosis.model import StoreError
from pytest_mitosis.read.adoption import adopt
from pytest_mitosis.read.legacy import read_old_store
from pytest_mitosis.store.catalogue import read_manifests
from pytest_mitosis.store.check import check_store

RECORDED = Path(__file__).with_name("mitosis_trials")


@pytest.fixture
def old(tmp_path):
    """The recorded folder, with its databases made again."""
    folder = tmp_path / "old"
    shutil.copytree(RECORDED, folder)
    for dump in folder.glob("*.sql"):
        with sqlite3.connect(dump.with_suffix(".db")) as db:
            db.executescript(dump.read_text())
        db.close()
        dump.unlink()
    return folder


def execute(old, name, statement, *values):
    with sqlite3.connect(old / name) as db:
        db.execute(statement, values)
    db.close()


def imported(old, store):
    return adopt(store, read_old_store(old).trials, old)


def by_hex(store):
    return {t.manifest["imported"]["hex"]: t for t in read_manifests(store, drafts=True)}


def test_trials_have_what_mitosis_recorded(old, tmp_path):
    added, known = imported(old, tmp_path / "trials")
    assert (len(added), known) == (3, 0)
    trial = by_hex(tmp_path / "trials")["d0aea6"]
    m = trial.manifest
    assert (m["experiment"], m["spec"], m["status"]) == (
        "gen+fit",
        "noise=low,amount=few,degree=line",
        "done",
    )
    assert m["commit"] == "e3defdc91473002087d8a9d916164506b3559ef9"
    assert m["metrics"] == {"main": 0.11070513307755307}
    assert [
        (p["step"], p["name"], p["kind"], p["variant"], p["value"], p["digest"], p["tracked"])
        for p in m["parameters"]
    ] == [
        ("gen", "noise", "variant", "low", "0.1", "", True),
        ("gen", "amount", "variant", "few", "20", "", True),
        ("fit", "degree", "variant", "line", "1", "", True),
    ]
    assert [step["action"] for step in m["steps"]] == ["lab:make_data", "lab:fit"]
    assert (trial.folder / "log.txt").read_text().endswith("lab:13:made 20 points\n")
    results = trial.folder / "files/results_1.dill"
    assert results.read_bytes() == (old / "2026-11-25_d0aea6/results_1.dill").read_bytes()
    assert len(load_trials("gen+fit", noise="low", trials_folder=tmp_path / "trials")) == 1


def test_what_is_unknown_is_marked(old, tmp_path):
    imported(old, tmp_path / "trials")
    m = by_hex(tmp_path / "trials")["d0aea6"].manifest
    assert (m["duration_s"], m["finished"], m["user"], m["host"]) == (None, None, None, None)
    assert m["notes"] == ["imported from mitosis; what it did not record is unknown"]
    assert m["imported"]["cpu_time_of_parent"] == pytest.approx(1.214441)
    frame = load_trials(trials_folder=tmp_path / "trials")
    assert frame["duration_s"].isna().all()


def test_literals_and_untracked_arguments_are_told_apart(old, tmp_path):
    imported(old, tmp_path / "trials")
    m = by_hex(tmp_path / "trials")["7949cc"].manifest
    found = {p["name"]: (p["kind"], p["variant"], p["tracked"]) for p in m["parameters"]}
    assert found == {"noise": ("literal", "3", True), "amount": ("literal", "5", False)}
    assert m["spec"] == "noise=3"
    assert m["command"] == "mitosis gen -e gen.noise=3 -e +gen.amount=5"
    assert m["metrics"] == {}


def test_debug_run_is_a_draft(old, tmp_path):
    imported(old, tmp_path / "trials")
    m = by_hex(tmp_path / "trials")["719660"].manifest
    assert (m["draft"], m["commit"], m["iteration"]) == (True, None, 0)


def test_page_runs_no_script_and_the_recorded_one_is_known_by_its_checksum(old, tmp_path):
    imported(old, tmp_path / "trials")
    page = by_hex(tmp_path / "trials")["d0aea6"].folder / "notebook.html"
    head = page.read_text().partition("<script>")[0]
    assert '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';' in head


def test_import_is_complete_repeatable_and_leaves_the_source(old, tmp_path):
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    imported(old, tmp_path / "trials")
    assert imported(old, tmp_path / "trials") == ([], 3)
    assert {path: path.read_bytes() for path in old.rglob("*") if path.is_file()} == before
    assert not [
        f for f in check_store(tmp_path / "trials", tmp_path / "trials/locks") if f.is_damage
    ]


def test_failed_and_killed_runs_are_no_results(old, tmp_path):
    execute(old, "gen_fit.db", "UPDATE trials_gen_fit SET results = NULL")
    row = ("gen-few-high+fit-line", 3, "a" * 40, None, None, None)
    execute(old, "gen_fit.db", "INSERT INTO trials_gen_fit VALUES (?, ?, ?, ?, ?, ?)", *row)
    imported(old, tmp_path / "trials")
    found = by_hex(tmp_path / "trials")
    assert found["d0aea6"].status == "crashed"
    killed = found[""].manifest
    assert (killed["status"], killed["metrics"]) == ("interrupted", {})
    assert killed["failure"]["message"].endswith("it recorded no end: killed, dead, or not over")
    names = {p["name"]: p["variant"] for p in killed["parameters"]}
    assert names == {"amount": "few", "noise": "high", "degree": "line"}


def test_names_with_dashes_are_told_apart_by_what_was_locked(old, tmp_path):
    shutil.rmtree(old / "2026-11-25_d0aea6")
    execute(old, "gen_fit.db", "INSERT INTO gen_variant_noise VALUES ('very-low', '0.01')")
    execute(old, "gen_fit.db", "UPDATE trials_gen_fit SET variant = 'gen-few-very-low+fit-line'")
    (trial,) = [t for t in read_old_store(old).trials if t.hex == "d0aea6"]
    assert {p.name: p.variant for p in trial.parameters} == {
        "amount": "few",
        "noise": "very-low",
        "degree": "line",
    }
    execute(old, "gen_fit.db", "UPDATE trials_gen_fit SET variant = 'gen-a-b-c-d+fit-line'")
    (trial,) = [t for t in read_old_store(old).trials if t.hex == "d0aea6"]
    assert {p.name: p.variant for p in trial.parameters} == {"unknown": "a-b-c-d", "degree": "line"}


def test_what_belongs_to_no_trial_is_told(old, tmp_path):
    (old / "2026-11-24_abcdef").mkdir()
    assert read_old_store(old).left == ("2026-11-24_abcdef: no row and no page belongs to it",)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="has no trials of mitosis"):
        read_old_store(tmp_path / "empty")
    (old / "broken.db").write_text("no database, whatever its name says")
    with pytest.raises(StoreError, match="cannot be read as a database of mitosis"):
        read_old_store(old)
