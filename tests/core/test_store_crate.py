"""Each trial's folder is a valid Process Run Crate, however the trial ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from factories import put
from stores import add_trial, variant

from pytest_mitosis.model import Failure, Outcome, Status
from pytest_mitosis.store.files import read_json
from pytest_mitosis.store.folder import finish

STARTED, FINISHED = "2026-05-01T08:00:00.000+00:00", "2026-05-01T17:02:11.000+00:00"
FAILURE = Failure("LinAlgError", "array must not contain <infs> or NaNs")
PARAMETERS = [variant("noise", "low", 0.1), variant("odd name", "50 %", "täglich")]
FILES = (
    "log.txt",
    "job.json",
    "files/50 % done #1?.csv",
    "files/ünï/[x].npy",
    "figures/fit_eval-1.png",
)


def ended(store, name, status, *, steps=("fit_eval",), results=(), failure=None, **fields):
    """A trial that ran and was finished as the runner does it."""
    listed = [{"name": step, "action": f"lab:{step}", "lookup": ""} for step in steps]
    folder = add_trial(
        store, name, PARAMETERS, spec=f"n={name}", status="running", steps=listed, **fields
    )
    for file in (*FILES, *(f"results/{step}.json" for step in results)):
        put(folder / file, file)
    finish(
        folder, Outcome(status, STARTED, FINISHED, 1.5, metrics={"main": 0.5}, failure=failure), ""
    )
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    store = tmp_path_factory.mktemp("crates") / "trials"
    found = {
        "done": ended(store, "done0000", Status.DONE, results=["fit_eval"], hypothesis="It holds."),
        "crashed": ended(store, "crashed0", Status.CRASHED, failure=FAILURE),
        "timeout": ended(
            store, "timeout0", Status.TIMEOUT, failure=Failure("Timeout", ""), user=""
        ),
        "interrupted": ended(store, "stopped0", Status.INTERRUPTED, commit=None),
        "second step": ended(
            store,
            "steps000",
            Status.CRASHED,
            steps=["sim", "fit_eval"],
            results=["sim"],
            failure=FAILURE,
        ),
        "no instrument": ended(store, "broken00", Status.DONE),
    }
    crate = found["no instrument"] / "ro-crate-metadata.json"
    record = json.loads(crate.read_text())
    for entity in record["@graph"]:
        entity.pop("instrument", None)
    crate.write_text(json.dumps(record))
    return found


@pytest.fixture(scope="module")
def issues(folders) -> dict[str, list[str]]:
    pytest.importorskip("rocrate_validator", reason="roc-validator is not installed")
    script = Path(__file__).with_name("validate_crates.py")
    done = subprocess.run(
        [sys.executable, str(script), *map(str, folders.values())],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return {name: told[str(folder)] for name, folder in folders.items()}


@pytest.mark.parametrize("name", ["done", "crashed", "timeout", "interrupted", "second step"])
def test_crate_is_valid(issues, name):
    assert issues[name] == []


def test_validator_sees_what_is_missing(issues):
    assert any("MUST have an instrument" in one for one in issues["no instrument"])


def entities(folder):
    return {one["@id"]: one for one in read_json(folder / "ro-crate-metadata.json")["@graph"]}


def test_crate_says_what_ran_with_what_and_what_came_of_it(folders):
    found = entities(folders["done"])
    run = found["#run-fit_eval"]
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert (run["startTime"], run["endTime"]) == (STARTED, FINISHED)
    assert found[run["instrument"]["@id"]]["softwareVersion"].startswith("3f2a91c")
    values = [found[one["@id"]] for one in run["object"]]
    assert [(one["name"], one["value"]) for one in values] == [
        ("noise", "low"),
        ("odd name", "50 %"),
    ]
    assert {"@id": "files/50%20%25%20done%20%231%3F.csv"} in run["result"]
    manifest = read_json(folders["done"] / "trial.json")
    assert found["log.txt"]["sha256"] == manifest["artifacts"]["log.txt"]["sha256"]
    assert "ro-crate-metadata.json" in manifest["artifacts"]


def test_crashed_crate_says_which_step_failed_and_why(folders):
    found = entities(folders["second step"])
    assert found["#run-sim"]["actionStatus"] == "http://schema.org/CompletedActionStatus"
    failed = found["#run-fit_eval"]
    assert failed["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert failed["error"] == f"{FAILURE.type}: {FAILURE.message}"
    assert {"@id": "results/sim.json"} in failed["object"]
