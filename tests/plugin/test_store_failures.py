"""A trials folder that cannot be written ends with exit 13 and nothing called done."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import manifest

from pytest_mitosis.model import Status
from pytest_mitosis.store.check import check_store
from pytest_mitosis.store.folder import iterate_trials
from pytest_mitosis.store.results import load_result

EXPERIMENT = """
    import numpy as np
    def exp_big(): return {"main": 1.0, "data": np.random.rand(2_000_000)}
"""


def test_folder_that_cannot_be_made_is_one_sentence(project):
    project.commit({"exp_big.py": EXPERIMENT, "trials": "a file in the way\n"})
    result = project.run("--exp", "big")
    assert result.ret == 13
    last = result.outlines[-1]
    assert last.startswith("exit 13: the trials folder ")
    assert "cannot be written: Not a directory" in last
    assert "Traceback" not in result.stdout.str()


def test_full_disk_is_told_and_nothing_is_done(project, small_disk):
    project.commit({"exp_big.py": EXPERIMENT})
    store = small_disk / "trials"
    result = project.run("--exp", "big", "--trials-folder", str(store))
    assert result.ret == 13
    assert "No space left on device" in result.outlines[-1]
    assert "INTERNALERROR" not in result.stdout.str()
    statuses = [manifest(file.parent)["status"] for file in store.glob("big/*/*/trial.json")]
    assert statuses == ["crashed"]
    place = Path(result.outlines[-1].partition("what the trial left is in ")[2])
    rescued = load_result(place / "results", "big")
    assert rescued["main"] == 1.0
    assert rescued["data"].shape == (2_000_000,)
    shutil.rmtree(place)


MIXED = """
    import os, time
    from pathlib import Path
    import numpy as np

    MARK = Path(os.environ["MARK"])

    def exp_mixed(n, rng):
        if n == 1:
            while len(list(MARK.glob("*"))) < 2:
                time.sleep(0.02)
            fill()
        else:
            (MARK / str(n)).touch()
            while not (MARK / "full").exists():
                time.sleep(0.02)
        return {"main": 1.0 * n, "data": rng.random(1000)}

    def fill():
        if "FILL" in os.environ:
            with open("ballast", "wb", buffering=0) as file:
                for size in (65536, 1):
                    try:
                        while True:
                            file.write(b"x" * size)
                    except OSError:
                        pass
        (MARK / "full").touch()
"""
IS_RECORDED = """
    def is_recorded():
        files = Path.cwd().parents[2].glob("n=1,*/*/trial.json")
        return any('"status": "crashed"' in file.read_text() for file in files)
"""
FOUR = ("--exp", "mixed", *(f"--eval-param=n={n}" for n in (1, 2, 3, 4)), "--exp-jobs", "3")
RESCUED = re.compile(r"what the trial left is in (\S+)")


def run_mixed(project, store, launcher, **variables):
    """Four trials, three at a time, on a disk that is full in the end; what was printed."""
    mark = project.path / ".git/mark"
    mark.mkdir()
    options = ("--exp-launcher", launcher, "--trials-folder", str(store))
    done = project.run_apart(*FOUR, *options, env={**os.environ, "MARK": str(mark), **variables})
    assert done.returncode == 13, done.stdout
    assert done.stdout.splitlines()[-1].startswith("exit 13: the trials folder ")
    assert "INTERNALERROR" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not processes_with(f"MARK={mark}")
    return done.stdout


def processes_with(variable):
    """The processes that run now and have a variable in their environment."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if variable.encode() in file.read_bytes().split(b"\0"):
                found.append(file.parent.name)
    return found


@pytest.mark.parametrize("launcher", ["kernel", "process"])
def test_disk_filled_by_one_trial_costs_none_its_result(project, small_disk, launcher):
    """The three that run are rescued, each to a place that is told; the fourth never begins."""
    store = small_disk / "trials"
    project.commit({"exp_mixed.py": MIXED})
    printed = run_mixed(project, store, launcher, FILL="yes")
    places = [Path(one) for one in set(RESCUED.findall(printed))]
    assert sorted(load_result(one / "results", "mixed")["main"] for one in places) == [1, 2, 3]
    trials = list(iterate_trials(store))
    assert sorted(one.manifest["spec"] for one in trials) == [f"n={n},seed=0" for n in (1, 2, 3)]
    assert {one.status for one in trials} <= {Status.CRASHED, Status.LOST}
    for place in places:
        shutil.rmtree(place)


@pytest.mark.parametrize("launcher", ["kernel", "process"])
def test_result_too_large_for_the_disk_harms_no_other_trial(project, small_disk, launcher):
    """The others end once it is recorded: while it is written the disk is full for them too."""
    store = small_disk / "trials"
    large = MIXED.replace("rng.random(1000)", "rng.random(1_000_000 if n == 1 else 1000)")
    large = large.replace('(MARK / "full").exists()', "is_recorded()") + IS_RECORDED
    project.commit({"exp_mixed.py": large})
    printed = run_mixed(project, store, launcher)
    (place,) = set(RESCUED.findall(printed))
    assert load_result(Path(place) / "results", "mixed")["data"].shape == (1_000_000,)
    shutil.rmtree(place)
    ended = {one.manifest["spec"]: one.status for one in iterate_trials(store)}
    assert ended["n=1,seed=0"] is Status.CRASHED
    assert ended["n=2,seed=0"] is ended["n=3,seed=0"] is Status.DONE


CANNOT_BEGIN = """
    import errno, os
    from pytest_mitosis.run import trial

    begin_trial = trial.begin_trial

    def begin(job, folder, provenance):
        if job.key.startswith("n=3"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "job.json"))
        begin_trial(job, folder, provenance)

    trial.begin_trial = begin
"""


def test_trial_that_cannot_begin_while_others_run_leaves_nothing(project):
    unhurried = MIXED.replace("while len(", "while False and len(")
    project.commit({"exp_mixed.py": unhurried, "conftest.py": CANNOT_BEGIN})
    printed = run_mixed(project, project.store, "process")
    assert "No space left on device" in printed.splitlines()[-1]
    ended = {one.manifest["spec"]: one.status for one in iterate_trials(project.store)}
    assert ended["n=1,seed=0"] is ended["n=2,seed=0"] is Status.DONE
    assert "n=3,seed=0" not in ended
    assert list(check_store(project.store, project.store / "locks")) == []


def test_fault_while_driving_a_trial_leaves_no_running_one(project, monkeypatch):
    from pytest_mitosis.run import attempt

    def fail(*_):
        raise ValueError("something nobody thought of")

    monkeypatch.setattr(attempt, "build_notebook", fail)
    project.commit({"exp_big.py": EXPERIMENT})
    assert project.run("--exp", "big").ret == 1
    record = manifest(project.only())
    assert record["status"] == "crashed"
    assert "something nobody thought of" in record["failure"]["message"]


def test_trial_that_cannot_be_read_is_told_at_the_end(project):
    project.commit({"exp_one.py": "def exp_one(n): return {'main': n}\n"})
    project.run("--exp", "one", "--eval-param", "n=1").assert_outcomes(passed=1)
    (project.only() / "trial.json").write_text('{"schema": 1, ')
    result = project.run("--exp", "one", "--eval-param", "n=2")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            " *browse trials/index.html*",
            " 1 trial is left out, whose trial.json cannot be read: one/n=1/1-*; pytest-mitosis *",
        ]
    )
