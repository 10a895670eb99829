"""``pytest-mitosis`` as it is called: what it prints, what it changes, how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from html import escape
from pathlib import Path

import pytest
from factories import put
from stores import COMMIT, add_trial, lock, variant

from pytest_mitosis import load_trials
from pytest_mitosis.read import cli
from pytest_mitosis.store.catalogue import read_manifests
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.folder import iterate_folders
from pytest_mitosis.store.locks import Name, read_lock, relock


@pytest.fixture
def call(tmp_path, monkeypatch, tool):
    """Call the tool in an empty project."""
    monkeypatch.chdir(tmp_path)
    return tool


@pytest.fixture
def store(tmp_path):
    return tmp_path / "trials"


def fill(store):
    low, high = lock(store, "noise", "low", 0.1), lock(store, "noise", "high", 0.5)
    log = {"log.txt": "it began\n", "results/fit_eval.json": '{"schema": 1, "value": 1}'}
    add_trial(store, "k2m9xwq1", [low], minute=1, seed=0, files=log)
    add_trial(store, "7f3k2qaa", [high], minute=2, seed=1, metrics={"main": 0.5, "f1": 1.0})
    add_trial(
        store,
        "7f9xxxaa",
        [low],
        minute=3,
        iteration=2,
        status="crashed",
        metrics={},
        failure={"type": "ValueError", "message": "bad\x1b[31m", "traceback": ""},
    )
    return store


# ls, show, log, open


def test_ls_selects_sorts_and_shows_what_is_asked_for(call, store):
    fill(store)
    code, out, _ = call("ls", "--where", "noise=low and main<2")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["trial", "k2m9xwq1"]
    _, out, _ = call("ls", "-c", "noise,main,f1", "-s", "-main")
    assert [line.split() for line in out.splitlines()] == [
        ["noise", "main", "f1"],
        ["low", "1.25", "–"],
        ["high", "0.5", "1"],
        ["low", "–", "–"],
    ]
    _, out, _ = call("ls", "--latest", "--limit", "1", "--json")
    (row,) = json.loads(out)
    assert (row["id"], row["status"], row["param.noise"]) == ("7f9xxxaa", "crashed", "low")
    assert call("ls", "-w", "main>99") == (0, "no trials\n", "")
    _, out, _ = call("ls", "-s", "noise", "-c", "id")
    assert out.split()[1:] == ["k2m9xwq1", "7f9xxxaa", "7f3k2qaa"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ls", "--where", "noise="], 4, "expected a value after noise="),
        (["ls", "-c", "nois"], 4, "no trial has 'nois'"),
        (["ls", "fit"], 4, "no trials of 'fit'; there is fit_eval"),
        (
            ["show", "7f"],
            13,
            "'7f' begins the ids of 2 trials: 7f3k2qaa (noise=high), 7f9xxxaa (noise=low)",
        ),
        (["show", "nope"], 13, "no trial in "),
        (
            ["show", "fit_eval[noise=medium]"],
            13,
            "no trial of fit_eval has noise=medium; there are high, low",
        ),
        (["show", "fit_eval[nois=low]"], 4, "no trial of fit_eval has a parameter 'nois'"),
        (["log", "7f3"], 13, "trial 7f3k2qaa has no log.txt; it logged nothing"),
        (["export", "a.xls"], 4, "the name has to end in .csv, .json, .parquet, .zip"),
        (["gc", "--drafts", "old"], 4, "--drafts old: an age is a number with h, d or w"),
        (["merge", "nowhere"], 13, "there is no folder nowhere"),
        (["merge", "trials"], 13, "is this store; name another one"),
        (["rename", "fit_eval", "a b"], 4, "is called 'a b', which is no safe file name"),
        (["rename", "fit", "fits"], 4, "no trials of 'fit'; there is fit_eval"),
        (["rename", "fit_eval.noise=lo", "few"], 4, "no trial of fit_eval has noise=lo"),
        (
            ["rename", "fit_eval.noise=low", "high"],
            4,
            "there are trials of fit_eval.noise=high already",
        ),
    ],
)
def test_mistake_is_one_line_with_its_exit_code(call, store, arguments, code, message):
    fill(store)
    before = sorted(path for path in store.rglob("*"))
    found, out, err = call(*arguments)
    assert (found, out) == (code, "")
    assert err.startswith("ERROR: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert sorted(path for path in store.rglob("*")) == before


@pytest.mark.parametrize(
    "name",
    ["k2", "fit_eval[noise=low,seed=0]", "exp_fit_eval[seed=0]", "folder", "fit_eval[noise=low]"],
)
def test_trial_is_found_by_id_by_folder_and_as_the_latest(call, store, name):
    fill(store)
    if name == "folder":
        name = os.path.relpath(next(store.glob("*/*/*-k2m9xwq1")))
    _, out, _ = call("show", name, "--json")
    expected = "7f9xxxaa" if name == "fit_eval[noise=low]" else "k2m9xwq1"
    assert json.loads(out)["id"] == expected


def test_trial_that_cannot_be_read_is_no_trial_that_is_not_there(call, store):
    fill(store)
    (manifest,) = store.glob("*/*/*-k2m9xwq1/trial.json")
    manifest.write_text('{"schema": 1, ')
    told = (
        "1 trial is left out, whose trial.json cannot be read: "
        f"{manifest.parent.relative_to(store).as_posix()}; pytest-mitosis verify says what is wrong"
    )
    code, out, error = call("ls", "--json")
    assert (code, error) == (0, f"{told}\n")
    assert {row["id"] for row in json.loads(out)} == {"7f3k2qaa", "7f9xxxaa"}
    code, out, error = call("site")
    assert (code, error) == (0, f"{told}\n")
    assert escape(told) in Path(out.strip()).read_text()
    code, _, error = call("show", "k2m9")
    assert code == 13
    assert error.startswith(f"ERROR: {manifest} is no valid JSON: ")
    with pytest.warns(UserWarning, match="1 trial is left out, whose trial.json cannot be read"):
        assert len(load_trials(trials_folder=store)) == 2


def test_show_is_safe_to_print_and_complete(call, store):
    fill(store)
    _, out, _ = call("show", "7f9")
    assert "\x1b[31m" not in out
    assert "failure      ValueError: bad" in out
    assert "noise        low (float 0.1)" in out


def test_log_and_open(call, store):
    fill(store)
    assert call("log", "k2") == (0, "it began\n", "")
    _, out, _ = call("open", "k2", "--print")
    assert out.strip().endswith("1-k2m9xwq1")


def test_log_follows_until_the_trial_ends(call, store):
    folder = add_trial(
        store, "running0", status="running", host="elsewhere", pid=1, files={"log.txt": "a\n"}
    )
    (folder / ".heartbeat").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_mitosis.read.cli", "log", "running", "-f"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=store.parent,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "a\n"
    with (folder / "log.txt").open("a") as log:
        log.write("the end\n")
    write_json(folder / "trial.json", {**read_json(folder / "trial.json"), "status": "done"})
    rest, _ = process.communicate(timeout=60)
    assert rest == "the end\n"
    assert process.returncode == 0


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_every_command_has_help(call, command):
    code, out, _ = call(command, "--help")
    assert code == 0
    assert out.startswith(f"Usage: pytest-mitosis {command} ")
    assert "--trials-folder" in out or command == "summary"  # which reads no trials


# diff


def test_diff_shows_only_what_differs(call, store):
    fill(store)
    _, out, _ = call("diff", "k2", "7f3")
    lines = [line.split() for line in out.splitlines()]
    assert ["noise", "low", "(float", "0.1)", "high", "(float", "0.5)"] in lines
    assert [".", "float", "0.1", "->", "float", "0.5"] in lines
    assert ["main", "1.25", "0.5", "-0.75", "(-60", "%)"] in lines
    assert "commit" not in out
    _, out, _ = call("diff", "k2", "k2")
    assert out.startswith("nothing differs in parameters, metrics, code and environment\n")


def test_diff_of_two_commits_has_the_patch(call, tmp_path, store):
    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    commits = []
    for number in (1, 2):
        (tmp_path / "lab.py").write_text(f"gain = {number}\n")
        git("add", "lab.py")
        git("commit", "-qm", "work")
        commits.append(git("rev-parse", "HEAD"))
    add_trial(store, "one00000", minute=1, commit=commits[0], environment="e1")
    add_trial(store, "two00000", minute=2, iteration=2, commit=commits[1], environment="e2")
    add_trial(store, "evil0000", minute=3, iteration=3, commit="--output=evil")
    for digest, version in (("e1", "2.0"), ("e2", "2.1")):
        (store / "environments" / digest).mkdir(parents=True)
        record = {"packages": {"numpy": version}}
        write_json(store / "environments" / digest / "environment.json", record)
    _, out, _ = call("diff", "one", "two")
    assert "-gain = 1\n+gain = 2\n" in out
    assert ["packages.numpy", "2.0", "2.1"] in [line.split() for line in out.splitlines()]
    assert "gain" not in call("diff", "one", "two", "--stat")[1]
    _, out, _ = call("diff", "one", "evil", "--json")
    assert "no patch: a recorded commit is no commit id" in json.loads(out)["notes"]
    assert not (tmp_path / "evil").exists()


# export


def test_export_writes_tables(call, store, tmp_path):
    fill(store)
    assert call("export", "t.csv", "fit_eval", "-w", "status=done")[1] == "2 trials in t.csv\n"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text())))
    assert [(row["id"], row["metric.f1"]) for row in rows] == [
        ("k2m9xwq1", ""),
        ("7f3k2qaa", "1.0"),
    ]
    call("export", "t.json", "-t", "k2")
    assert [one["id"] for one in json.loads((tmp_path / "t.json").read_text())] == ["k2m9xwq1"]
    pandas = pytest.importorskip("pandas")
    call("export", "t.parquet")
    assert list(pandas.read_parquet(tmp_path / "t.parquet").index) == [
        "k2m9xwq1",
        "7f3k2qaa",
        "7f9xxxaa",
    ]


def test_archive_is_a_store_of_its_own(call, store, tmp_path):
    fill(store)
    call("export", "a.zip", "-w", "status=done")
    zipfile.ZipFile(tmp_path / "a.zip").extractall(tmp_path / "unpacked")
    assert {t.id for t in read_manifests(tmp_path / "unpacked")} == {"k2m9xwq1", "7f3k2qaa"}
    code, out, _ = call("verify", "--trials-folder", "unpacked")
    assert (code, out) == (0, "2 trials, all as recorded\n")
    crate = read_json(tmp_path / "unpacked/ro-crate-metadata.json")
    root = next(one for one in crate["@graph"] if one["@id"] == "./")
    assert {"@id": "fit_eval/noise%3Dlow/1-k2m9xwq1/"} in root["hasPart"]


# merge


def other_store(tmp_path, **values):
    other = tmp_path / "other"
    entry = lock(other, "noise", "low", values.get("low", 0.1))
    add_trial(other, "other000", [entry], minute=5, files={"files/a b.txt": "mine"})
    return other


def content(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_merge_takes_over_trials_and_joins_equal_locks(call, store, tmp_path):
    fill(store)
    other = other_store(tmp_path)
    lock(other, "noise", "medium", 0.3)
    before = content(other)
    assert "would merge 1 trial and 1 locked name;" in call("merge", "other", "--dry-run")[1]
    assert len(read_manifests(store)) == 3
    _, out, _ = call("merge", "other")
    assert out == "merged 1 trial and 1 locked name; 0 trials were here already\n"
    assert content(other) == before
    folder = next(store.glob("*/*/*-other000"))
    manifest = read_json(folder / "trial.json")
    assert folder.name == f"{manifest['iteration']}-other000"
    assert manifest["merged"]["iteration"] == 1
    assert (folder / "files/a b.txt").read_text() == "mine"
    assert read_lock(store / "locks/fit_eval/noise/medium.json").description.summary == "float 0.3"
    assert call("merge", "other")[1].endswith(
        "merged 0 trials and 0 locked names; 1 trials were here already\n"
    )
    assert "other000" in (store / "summary.csv").read_text()
    assert call("verify")[0] == 0


def test_both_iterations_of_a_spec_are_kept_under_numbers_of_their_own(call, store, tmp_path):
    fill(store)
    call("merge", other_store(tmp_path))
    names = sorted(one.name for one in store.glob("fit_eval/noise=low/*-*"))
    assert names == ["1-k2m9xwq1", "2-7f9xxxaa", "3-other000"]
    assert json.loads(call("show", "fit_eval[noise=low]", "--json")[1])["id"] == "other000"


def test_conflicting_locks_stop_the_merge_until_a_name_is_given(call, store, tmp_path):
    fill(store)
    other = other_store(tmp_path, low=0.2)
    before = content(store)
    code, _, err = call("merge", other)
    assert code == 11
    assert "fit_eval: noise=low is float 0.1 here" in err
    assert "float 0.1 -> float 0.2" in err
    assert err.endswith("--rename fit_eval.noise=low:low_2\n")
    assert content(store) == before
    assert call("merge", other, "--rename", "fit_eval.noise=low:high")[0] == 11
    assert content(store) == before
    assert call("merge", other, "-r", "fit_eval.noise=low:low_b")[0] == 0
    manifest = json.loads(call("show", "other000", "--json")[1])
    assert (manifest["spec"], manifest["parameters"][0]["variant"]) == ("noise=low_b", "low_b")
    assert manifest["recorded_as"]["spec"] == "noise=low"
    assert call("verify")[0] == 0
    again = call("merge", other, "-r", "fit_eval.noise=low:low_b")
    assert "merged 0 trials and 0 locked names" in again[1]


def test_merge_that_was_killed_is_completed_by_the_next(call, store, tmp_path):
    fill(store)
    other = other_store(tmp_path)
    half = store / "fit_eval/noise=low/.other000.merging"
    (half / "files").mkdir(parents=True)
    (half / "files/a b.txt").write_text("mi")
    assert call("merge", other)[0] == 0
    assert not half.exists()
    assert (next(store.glob("*/*/*-other000")) / "files/a b.txt").read_text() == "mine"


def test_damaged_trial_is_not_merged(call, store, tmp_path):
    fill(store)
    other = other_store(tmp_path)
    next(other.glob("*/*/*-other000/files/a b.txt")).write_text("MINE")
    code, _, err = call("merge", other)
    assert code == 13
    assert "is not what trial other000 recorded (its sha256 differs)" in err
    assert not list(store.glob("*/*/*-other000"))


def test_running_trials_and_other_trials_of_the_same_id_are_left(call, store, tmp_path):
    fill(store)
    other = other_store(tmp_path)
    running = add_trial(other, "running0", status="running", host="elsewhere", pid=1)
    (running / ".heartbeat").touch()
    add_trial(other, "7f3k2qaa", minute=9, experiment="other")
    _, out, _ = call("merge", other)
    assert "left: running0 is running; merge again when it has ended" in out
    assert "left: 7f3k2qaa is here already with another started" in out


def test_later_revisions_of_a_lock_are_merged(call, store, tmp_path):
    fill(store)
    other = other_store(tmp_path)
    from pytest_mitosis.identity import describe

    relock(other / "locks", Name("fit_eval", "noise", "low"), describe(0.2), COMMIT, "calibrated")
    assert "1 trial and 1 locked name;" in call("merge", other)[1]
    assert read_json(store / "locks/fit_eval/noise/low@2.json")["why"] == "calibrated"


# verify, gc


def test_verify_tells_damage_from_what_is_worth_knowing(call, store):
    fill(store)
    assert call("verify") == (0, "3 trials, all as recorded\n", "")
    (store / "fit_eval/noise=low/1-k2m9xwq1/notes.txt").write_text("later")
    lock(store, "noise", "unused", 9.5)
    (store / "environments/unused").mkdir(parents=True)
    found = {one["problem"]: one for one in json.loads(call("verify", "--json")[1])}
    assert set(found) == {"unrecorded", "orphan", "unproven lock"}
    assert call("verify")[0] == 0
    (store / "fit_eval/noise=low/1-k2m9xwq1/log.txt").write_text("it began!")
    (store / "fit_eval/noise=low/1-k2m9xwq1/results/fit_eval.json").unlink()
    (store / "fit_eval/noise=low/4-half0000").mkdir()
    shutil.copytree(
        store / "fit_eval/noise=high/1-7f3k2qaa", store / "fit_eval/noise=high/2-7f3k2qaa"
    )
    (store / "locks/fit_eval/noise/high.json").write_text("{}")
    code, out, _ = call("verify", "--json")
    damage = {one["problem"] for one in json.loads(out) if one["damage"]}
    assert code == 1
    assert damage == {
        "changed",
        "missing",
        "half a trial",
        "id twice",
        "lock damaged",
        "not locked",
    }
    assert call("verify")[1].endswith(" damaged\n")


def test_gc_lists_first_and_removes_only_what_may_go(call, store):
    fill(store)
    add_trial(store / "drafts", "draftold", draft=True, finished="2020-01-01T00:00:00+00:00")
    add_trial(
        store / "drafts", "draftnew", iteration=2, draft=True, finished="2999-01-01T00:00:00+00:00"
    )
    for number, official in ((3, True), (4, False), (5, False)):
        add_trial(
            store,
            f"again{number:03}",
            [variant("noise", "low", 0.1)],
            minute=number + 1,
            iteration=number,
            official=official,
        )
    (store / "fit_eval/noise=low/.old.json.0a1b2c3d").write_text("half")
    (store / "fit_eval/noise=low/.fresh.json.0a1b2c3e").write_text("half")
    mine = store / "fit_eval/noise=low/1-k2m9xwq1/files/.mine.0a1b2c3d"
    mine.parent.mkdir()
    mine.write_text("an experiment's own")
    for path in (store / "fit_eval/noise=low/.old.json.0a1b2c3d", mine):
        os.utime(path, (time.time() - 1e6,) * 2)
    before = content(store)
    assert call("gc")[1].endswith("nothing was removed, --yes removes them\n")
    assert content(store) == before
    listed = json.loads(call("gc", "--superseded", "1d", "--json")[1])
    names = {one["path"].rsplit("/", 1)[1] for one in listed}
    expected = {"1-draftold", ".old.json.0a1b2c3d", "1-k2m9xwq1", "2-7f9xxxaa", "4-again004"}
    assert names == expected
    assert call("gc", "--yes")[1].startswith(" what")
    assert {f.name.partition("-")[2] for f in iterate_folders(store, drafts=True)} == {
        "k2m9xwq1",
        "7f3k2qaa",
        "7f9xxxaa",
        "again003",
        "again004",
        "again005",
        "draftnew",
    }
    call("gc", "--superseded", "1d", "--yes")
    left = {f.name.partition("-")[2] for f in iterate_folders(store)}
    assert left == {"7f3k2qaa", "again003", "again005"}
    assert call("gc")[1] == "nothing to remove\n"


def test_gc_removes_steps_that_no_trial_took_for_long(call, store):
    fill(store)
    shared = store / "steps/sim_data/0a1b2c3d4e5f6071"
    for name, days in (("1-k2m9xwq1", 40), ("2-7f3k2qaa", 10)):
        (shared / name / "results").mkdir(parents=True)
        put(shared / name / "results/sim_data.json", "x" * 1000)
        put(shared / name / "step.json", "{}")
        os.utime(shared / name / "step.json", (time.time() - days * 86400,) * 2)
    kept = store / "fit_eval/noise=low/1-k2m9xwq1/taken.json"
    os.link(shared / "1-k2m9xwq1/results/sim_data.json", kept)
    (one,) = json.loads(call("gc", "--json")[1])
    assert one["path"].endswith("1-k2m9xwq1")
    assert one["why"] == "shared step, not used for 40 days"
    assert one["bytes"] == 2, "what the trial has as well is not freed"
    assert json.loads(call("gc", "--steps", "never", "--json")[1]) == []
    call("gc", "--yes")
    assert [path.name for path in shared.iterdir()] == ["2-7f3k2qaa"]
    assert kept.read_text() == "x" * 1000


# rename


def test_renamed_variant_is_found_under_its_new_name_and_files_stay(call, store):
    fill(store)
    before = content(store)
    _, out, _ = call("rename", "fit_eval.noise=low", "quiet", "--why", "clearer")
    assert out.startswith(
        "fit_eval.noise=low is quiet now in 2 trials; their files stay as they are\n"
    )
    after = content(store)
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == set()
    assert "noise=quiet" in call("ls", "-w", "noise=quiet")[1]
    assert json.loads(call("show", "k2", "--json")[1])["recorded_as"]["spec"] == "noise=low"
    locked = read_lock(store / "locks/fit_eval/noise/quiet.json")
    assert locked.description.summary == "float 0.1"
    assert call("verify")[0] == 0
    assert (store / "summary.csv").read_text().count("quiet") == 2


def test_parameter_and_experiment_are_renamed_for_trials_of_before(call, store):
    fill(store)
    assert call("rename", "fit_eval.noise", "sigma")[0] == 0
    assert call("rename", "fit_eval", "fit")[0] == 0
    rows = json.loads(call("ls", "fit", "-w", "sigma=low", "--json")[1])
    assert [row["id"] for row in rows] == ["k2m9xwq1", "7f9xxxaa"]
    assert call("ls", "fit_eval")[0] == 4
    add_trial(
        store,
        "later000",
        [variant("noise", "low")],
        minute=9,
        iteration=9,
        started="2999-01-01T00:00:00.000+00:00",
    )
    assert [row["id"] for row in json.loads(call("ls", "fit_eval", "--json")[1])] == ["later000"]
    assert {"fit_eval", "fit"} == {one.name for one in (store / "locks").iterdir()}


def test_chain_of_names_is_followed_in_order(call, store):
    fill(store)
    call("rename", "fit_eval.noise=low", "quiet")
    call("rename", "fit_eval.noise=quiet", "silent")
    assert len(json.loads(call("ls", "-w", "noise=silent", "--json")[1])) == 2
