"""A trials folder that cannot be written ends with exit 13 and nothing called done."""

from __future__ import annotations

import shutil
from pathlib import Path

from conftest import manifest

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
