"""The catalogue: a reader's cache is never believed over the disk, and its loss costs nothing."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from pytest_mitosis.model import Status
from pytest_mitosis.store import catalogue as module
from pytest_mitosis.store.cachefile import cache_folder, cache_path, pack, unpack
from pytest_mitosis.store.catalogue import Catalogue, read_manifests
from pytest_mitosis.store.files import write_json
from pytest_mitosis.store.rows import flat_row, write_summary

LONG_AGO = time.time() - 3600


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def store(tmp_path):
    for number in range(5):
        add(tmp_path / "trials", f"k2m9xwq{number}", seed=number)
    return tmp_path / "trials"


def add(store, name, *, seed=0, iteration=1, status="done", experiment="fit_eval", **fields):
    folder = store / experiment / f"noise=low,seed={seed}" / f"{iteration}-{name}"
    folder.mkdir(parents=True)
    record = {
        "id": name,
        "experiment": experiment,
        "spec": f"noise=low,seed={seed}",
        "iteration": iteration,
        "status": status,
        "metrics": {"main": 0.25 * seed},
        "started": f"2026-05-01T08:00:0{seed}.000+00:00",
        **fields,
    }
    write_json(folder / "trial.json", record)
    return folder


@pytest.fixture(autouse=True)
def _settled(monkeypatch):
    """Let every change count as long ago: change times cannot be set, and tests do not wait."""
    monkeypatch.setattr(module, "_SETTLED_AFTER_NS", -1)


def ids(store, **options):
    return sorted(trial.id for trial in read_manifests(store, **options))


def mains(store):
    return {t.id: t.manifest["metrics"]["main"] for t in read_manifests(store)}


def no_reading(monkeypatch):
    """From now on a manifest that is read from the store fails the test."""

    def refuse(folder):
        raise AssertionError(f"{folder} was read again")

    monkeypatch.setattr(module, "read_manifest", refuse)


def test_unchanged_trials_are_not_read_again(store, monkeypatch):
    first = {trial.id: trial.manifest for trial in read_manifests(store)}
    no_reading(monkeypatch)
    again = read_manifests(store)
    assert {trial.id: trial.manifest for trial in again} == first
    assert sorted(trial.folder for trial in again)[0] == store / "fit_eval" / "noise=low,seed=0" / (
        "1-k2m9xwq0"
    )


def test_trial_that_cannot_be_read_is_told_until_it_can(store):
    file = store / "fit_eval/noise=low,seed=0/1-k2m9xwq0/trial.json"
    read_manifests(store)
    text = file.read_text()
    file.write_text(text[:20])
    for _ in range(2):
        found = Catalogue(store)
        assert found.damaged() == [file.parent]
        assert file.parent not in found.folders()
        assert len(found.trials()) == 4
    file.write_text(text)
    assert Catalogue(store).damaged() == []
    assert len(read_manifests(store)) == 5


def test_change_of_the_last_seconds_is_read_in_any_case(store, monkeypatch):
    monkeypatch.setattr(module, "_SETTLED_AFTER_NS", 3600 * 10**9)
    read_manifests(store)
    no_reading(monkeypatch)
    with pytest.raises(AssertionError, match="was read again"):
        read_manifests(store)


@pytest.mark.parametrize("way", ["replaced", "in place", "same size", "old times"])
def test_changed_manifest_is_seen(store, way):
    read_manifests(store)
    file = store / "fit_eval/noise=low,seed=1/1-k2m9xwq1/trial.json"
    record, stat = json.loads(file.read_text()), file.stat()
    record["metrics"]["main"] = 0.75 if way in {"same size", "old times"} else 1234.5
    text = json.dumps(record, indent=1) + "\n"
    if way == "replaced":
        write_json(file, record)
    else:
        file.write_text(text)
    if way == "old times":
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert mains(store)["k2m9xwq1"] == record["metrics"]["main"]
    assert mains(store)["k2m9xwq1"] == record["metrics"]["main"]


def test_added_and_removed_trials_are_seen(store):
    read_manifests(store)
    add(store, "later000", seed=1, iteration=2)
    add(store, "other000", experiment="sine")
    shutil.rmtree(store / "fit_eval/noise=low,seed=4")
    shutil.rmtree(store / "fit_eval/noise=low,seed=3/1-k2m9xwq3")
    expected = ["k2m9xwq0", "k2m9xwq1", "k2m9xwq2", "later000", "other000"]
    assert ids(store) == expected
    shutil.rmtree(store / "sine")
    assert ids(store) == expected[:-1]
    assert ids(store) == expected[:-1]


def test_folder_claimed_before_its_manifest_is_a_trial_once_it_has_one(store):
    folder = store / "fit_eval/noise=low,seed=0/2-claimed0"
    folder.mkdir()
    (folder / "files").mkdir()
    assert len(ids(store)) == 5
    write_json(
        folder / "trial.json", {"id": "claimed0", "experiment": "fit_eval", "status": "done"}
    )
    assert "claimed0" in ids(store)


def test_manifest_that_breaks_is_no_trial_any_more(store):
    assert len(Catalogue(store).each(flat_row)) == 5
    (store / "fit_eval/noise=low,seed=2/1-k2m9xwq2/trial.json").write_text('{"id": "k2m')
    assert "k2m9xwq2" not in ids(store)
    assert len(Catalogue(store).each(flat_row)) == 4
    assert Catalogue(store).whole(count) == 4


def test_drafts_are_left_out_unless_asked_for_and_kept_apart(store):
    add(store / "drafts", "draft000", draft=True)
    for _ in range(2):
        assert "draft000" in ids(store, drafts=True)
        assert "draft000" not in ids(store)
    shutil.rmtree(store / "drafts")
    assert len(ids(store, drafts=True)) == 5


def test_lost_is_looked_at_every_time(store):
    folder = add(store, "running0", seed=7, status="running", host="elsewhere", pid=1)
    (folder / ".heartbeat").touch()
    one = Catalogue(store)
    assert {t.status for t in one.trials() if t.id == "running0"} == {Status.RUNNING}
    assert one.whole(statuses) == ["done"] * 5 + ["running"]
    os.utime(folder / ".heartbeat", (LONG_AGO, LONG_AGO))
    two = Catalogue(store)
    assert {t.status for t in two.trials() if t.id == "running0"} == {Status.LOST}
    assert two.whole(statuses) == ["done"] * 5 + ["lost"]
    assert sorted(row["status"] for row in two.each(flat_row)) == ["done"] * 5 + ["lost"]
    assert json.loads((folder / "trial.json").read_text())["status"] == "running"


# what is made of trials

CALLS = []


def made(trial):
    CALLS.append(trial.id)
    return [trial.id, trial.manifest["metrics"]["main"]]


def count(catalogue):
    return len(catalogue.trials())


def statuses(catalogue):
    CALLS.append("whole")
    return sorted(trial.status.value for trial in catalogue.trials())


def test_what_is_made_of_each_trial_is_made_again_only_for_changed_ones(store):
    CALLS.clear()
    first = Catalogue(store).each(made)
    assert len(CALLS) == 5
    assert sorted(Catalogue(store).each(made)) == sorted(first)
    assert len(CALLS) == 5
    add(store, "another0", seed=6)
    assert ["another0", 1.5] in Catalogue(store).each(made)
    assert CALLS[5:] == ["another0"]


def test_what_is_made_of_all_is_made_again_when_any_changed(store):
    CALLS.clear()
    for _ in range(3):
        assert Catalogue(store).whole(statuses) == ["done"] * 5
    assert CALLS == ["whole"]
    shutil.rmtree(store / "fit_eval/noise=low,seed=4")
    assert Catalogue(store).whole(statuses) == ["done"] * 4
    add(store / "drafts", "draft000", status="crashed")
    assert Catalogue(store).whole(statuses) == ["done"] * 4
    assert Catalogue(store, drafts=True).whole(statuses) == ["crashed", *["done"] * 4]


def test_summary_is_the_same_with_and_without_the_cache(store, cache):
    first = write_summary(store).read_text()
    assert write_summary(store).read_text() == first
    shutil.rmtree(cache)
    assert write_summary(store).read_text() == first
    rows = list(csv.DictReader(io.StringIO(first)))
    assert [row["folder"] for row in rows] == [
        f"fit_eval/noise=low,seed={n}/1-k2m9xwq{n}" for n in range(5)
    ]


# the file


def test_cache_is_the_users_own_and_outside_the_store(store, cache):
    read_manifests(store)
    file = cache_path(store)
    assert file.is_relative_to(cache)
    assert cache_folder() == cache / "pytest-mitosis"
    assert (file.parent.stat().st_mode & 0o777) == 0o700
    assert not [path for path in store.rglob("*") if path.suffix == ".sqlite"]


@pytest.mark.parametrize("damage", ["no database", "torn", "emptied", "one value"])
def test_corrupt_cache_is_built_again_without_a_word(store, damage):
    expected = mains(store)
    file = cache_path(store)
    if damage == "no database":
        file.write_bytes(b"x" * 5000)
    elif damage == "torn":
        content = file.read_bytes()
        file.write_bytes(content[:5000] + b"\xff" * 3000 + content[8000:])
    elif damage == "emptied":
        file.write_bytes(b"")
    else:
        with sqlite3.connect(file) as db:
            db.execute("UPDATE listings SET value = substr(value, 1, 50)")
            db.execute("UPDATE manifests SET value = 'x'")
        db.close()
    assert mains(store) == expected
    assert mains(store) == expected
    db = sqlite3.connect(file)
    assert len(db.execute("SELECT folder FROM manifests").fetchall()) == 5
    db.close()


def test_cache_that_cannot_be_written_costs_only_time(store, cache):
    cache.write_text("a file where the folder should be")
    assert len(mains(store)) == 5
    assert Catalogue(store).whole(count) == 5
    assert len(Catalogue(store).each(flat_row)) == 5


def test_locked_cache_is_done_without(store, monkeypatch):
    monkeypatch.setattr("pytest_mitosis.store.cachefile.SECONDS_FOR_A_LOCK", 0.01)
    expected = mains(store)
    db = sqlite3.connect(cache_path(store), isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    add(store, "another0", seed=6)
    assert mains(store) == {**expected, "another0": 1.5}
    db.execute("ROLLBACK")
    db.close()
    assert mains(store) == {**expected, "another0": 1.5}


def test_packed_values_tell_whether_they_are_whole():
    value = {"a": [1, 1.0, True, None, float("inf")], "ü": "\udcff", "t": (1, (2,))}
    assert unpack(pack(value)) == value
    for damaged in (None, b"", pack(value)[:-1], b"\0" + pack(value)[1:]):
        with pytest.raises(ValueError, match="damaged"):
            unpack(damaged)


def _read_often(store: Path, times: int, answers) -> None:
    for _ in range(times):
        answers.put((len(read_manifests(store)), Catalogue(store).whole(count)))


def test_readers_and_a_writer_at_once_see_only_what_is_there(store):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    readers = [context.Process(target=_read_often, args=(store, 15, answers)) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(20):
        add(store, f"new{number:05}", seed=0, iteration=number + 2)
    seen = [answers.get(timeout=60) for _ in range(45)]
    for reader in readers:
        reader.join(60)
        assert reader.exitcode == 0
    assert all(5 <= one <= 25 and 5 <= two <= 25 for one, two in seen)
    assert len(ids(store)) == 25
    assert Catalogue(store).whole(count) == 25
    shutil.rmtree(cache_folder())
    assert len(ids(store)) == 25
