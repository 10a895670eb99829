"""One trial, from the command line to its folder."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import Project, manifest, notebook

FIT = """
    import logging
    from dataclasses import dataclass

    import matplotlib.pyplot as plt
    import numpy as np
    import pandas as pd

    log = logging.getLogger(__name__)

    @dataclass(frozen=True)
    class Noise:
        sigma: float
        kind: str = "normal"

    lookup_dict = {
        "noise": {"low": Noise(0.1), "high": Noise(0.5, "laplace")},
        "degrees": {"few": (1, 2), "many": (1, 2, 3, 5, 8)},
    }

    def exp_fit_eval(noise, degrees, weight=0.5, *, seed=0, rng):
        \"\"\"How well polynomials of several degrees fit a noisy line.\"\"\"
        log.info("noise of %s", noise.sigma)
        log.debug("seen in drafts only")
        x = np.linspace(0, 1, 200)
        y = 2 * x + noise.sigma * rng.normal(size=x.size)
        fits = {d: np.polyval(np.polyfit(x, y, d), x) for d in degrees}
        errors = {d: float(np.abs(fit - 2 * x).max()) for d, fit in fits.items()}
        plt.plot(x, y)
        plt.show()
        plt.figure()
        plt.plot(list(errors), list(errors.values()))
        print("fitted", len(errors), "polynomials")
        return {
            "main": min(errors.values()),
            "metrics": {"worst": max(errors.values())},
            "errors": errors,
            "data": y,
            "table": pd.DataFrame({"x": x, "y": y}),
            "noise": noise,
        }
"""


CHOICE = ("--exp", "fit_eval", "--variant", "noise=low", "--variant", "degrees=few")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A project with one trial, what the terminal said, and the commit."""
    project = Project(tmp_path_factory.mktemp("paper"))
    commit = project.commit({"exps/exp_fit.py": FIT})
    done = project.run_apart(*CHOICE)
    assert done.returncode == 0, done.stdout
    return Recorded(project, project.only(), done.stdout, commit)


class Recorded(NamedTuple):
    project: Project
    folder: Path
    printed: str
    commit: str


def test_trial_leaves_a_complete_folder(recorded):
    project, folder = recorded.project, recorded.folder
    assert folder.parent == project.store / "fit_eval" / "noise=low,degrees=few,seed=0"
    assert folder.name.startswith("1-")
    assert len(folder.name) == 10
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {
        "trial.json",
        "job.json",
        "notebook.ipynb",
        "notebook.html",
        "trial.html",
        "log.txt",
        "output.txt",
        "figures/fit_eval-1.png",
        "figures/fit_eval-2.png",
        "results/fit_eval.json",
        "results/fit_eval.data.npy",
    } <= names
    record = manifest(folder)
    assert record["artifacts"].keys() == names - {"trial.json", "trial.html"}
    for name, facts in record["artifacts"].items():
        content = (folder / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        written = (folder / name).stat().st_mtime_ns
        assert facts == {"bytes": len(content), "sha256": digest, "mtime_ns": written}


def test_manifest_says_what_ran(recorded):
    folder = recorded.folder
    record = manifest(folder)
    assert record["schema"] == 1
    assert record["status"] == "done"
    assert record["commit"] == recorded.commit
    assert record["seed"] == 0
    assert record["iteration"] == 1
    assert record["steps"] == [
        {"name": "fit_eval", "action": "exp_fit:exp_fit_eval", "lookup": "exp_fit:lookup_dict"}
    ]
    by_name = {p["name"]: p for p in record["parameters"]}
    assert by_name["noise"]["variant"] == "low"
    assert by_name["noise"]["kind"] == "variant"
    assert by_name["weight"] | {"digest": ""} == {
        "step": "fit_eval",
        "name": "weight",
        "kind": "default",
        "variant": "0.5",
        "value": "float 0.5",
        "digest": "",
        "tracked": True,
    }
    assert record["metrics"].keys() == {"main", "worst"}
    assert 0 < record["metrics"]["main"] < record["metrics"]["worst"] < 1
    assert record["cpu_s"] > 0
    assert record["peak_memory_bytes"] > 10_000_000
    assert record["duration_s"] > 0
    assert record["started"] < record["finished"]
    assert record["host"]
    assert record["user"]


def test_environment_is_shared_and_installable(recorded):
    from packaging.requirements import Requirement

    project, folder = recorded.project, recorded.folder
    home = project.store / "environments" / manifest(folder)["environment"]
    environment = json.loads((home / "environment.json").read_text())
    assert environment["packages"]["numpy"] == np.__version__
    assert environment["python"]["version"].startswith(
        f"{sys.version_info[0]}.{sys.version_info[1]}"
    )
    assert environment["variables"]["PYTHONHASHSEED"] == "0"
    lines = (home / "requirements.txt").read_text().splitlines()
    parsed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert f"numpy=={np.__version__}" in {str(one) for one in parsed}


def test_notebook_is_what_a_person_would_write(recorded):
    folder = recorded.folder
    cells = notebook(folder)["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert code[1].splitlines() == [
        "from exp_fit import exp_fit_eval, lookup_dict",
        "",
        "parameters = {",
        '    "noise": lookup_dict["noise"]["low"],',
        '    "degrees": lookup_dict["degrees"]["few"],',
        '    "seed": 0,',
        '    "rng": np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, '
        "spawn_key=(4029371310,)))),",
        "}",
    ]
    assert code[2:] == [
        "result = exp_fit_eval(**parameters)",
        'result["main"]',
        'result["metrics"]',
    ]
    assert not any("mitosis" in source for source in code)
    outputs = [o for c in cells if c["cell_type"] == "code" for o in c["outputs"]]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 2
    assert [c["execution_count"] for c in cells if c["cell_type"] == "code"] == [1, 2, 3, 4, 5]
    nbformat.validate(nbformat.reads(json.dumps(notebook(folder)), as_version=4))


def test_notebook_runs_again_in_jupyter_with_the_same_result(recorded):
    """As a colleague would: open the notebook where it lies and run all cells."""
    folder = recorded.folder
    script = """
import nbformat, nbclient, sys
nb = nbformat.read("notebook.ipynb", as_version=4)
before = nb.cells[-2].outputs[0]["data"]["text/plain"]
nbclient.NotebookClient(nb, kernel_name="python3").execute()
print(before == nb.cells[-2].outputs[0]["data"]["text/plain"], before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    same, value = done.stdout.split()
    assert same == "True"
    assert ast.literal_eval(value) > 0


def test_page_shows_the_run_and_cannot_run_anything(recorded):
    folder = recorded.folder
    page = (folder / "notebook.html").read_text()
    assert "Content-Security-Policy" in page
    assert "default-src 'none'" in page
    assert "fitted 2 polynomials" in page
    assert "data:image/png;base64" in page
    assert "How well polynomials" in page


def test_results_come_back_with_value_and_type(recorded):
    from pytest_mitosis import load_trial_data

    project, folder = recorded.project, recorded.folder
    data = load_trial_data(folder.name[2:], trials_folder=project.store)["fit_eval"]
    assert data["data"].dtype == np.float64
    assert data["data"].shape == (200,)
    assert list(data["errors"]) == [1, 2]
    assert isinstance(data["table"], pd.DataFrame)
    np.testing.assert_array_equal(data["table"]["y"].to_numpy(), data["data"])
    assert data["noise"].sigma == 0.1


def test_second_run_is_the_next_iteration_and_agrees(recorded, tmp_path):
    assert re.search(r"low few s0 .* new ", recorded.printed)
    project = recorded.project.copy_to(tmp_path)
    printed = project.run_apart(*CHOICE, "--exp-reuse", "never").stdout
    assert re.search(r"trial +fit_eval +main +worst +against last +time", printed)
    assert re.search(r"low few s0 .* same ", printed)
    first, second = project.folders()
    assert (first.name[0], second.name[0]) == ("1", "2")
    assert manifest(first)["metrics"] == manifest(second)["metrics"]


def test_variants_are_locked_with_their_description(recorded):
    project = recorded.project
    lock = json.loads((project.store / "locks/fit_eval/noise/low.json").read_text())
    assert lock["commit"] == recorded.commit
    assert [".sigma", "value", "float 0.1"] in lock["description"]["leaves"]
    files = sorted(
        p.relative_to(project.store / "locks").as_posix() for p in project.store.glob("locks/*/*/*")
    )
    assert files == ["fit_eval/degrees/few.json", "fit_eval/noise/low.json"]


def test_printed_rerun_command_runs_the_same_trial(recorded, tmp_path):
    project = recorded.project.copy_to(tmp_path)
    command = shlex.split(manifest(recorded.folder)["command"])
    assert command[:3] == ["pytest", "-p", "mitosis"]
    assert project.run_apart(*command[3:]).returncode == 0
    assert [folder.name[0] for folder in project.folders()] == ["1", "2"]
    assert len(list(project.store.glob("fit_eval/*"))) == 1


def test_job_reruns_without_pytest_and_overwrites_nothing(recorded, tmp_path):
    project = recorded.project.copy_to(tmp_path)
    folder = project.only()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = subprocess.run(
        [sys.executable, "-m", "pytest_mitosis.run", str(folder / "job.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    main = manifest(folder)["metrics"]["main"]
    assert f"main = {main!r} (recorded: {main!r})" in done.stdout
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = project.only("drafts/fit_eval/*")
    assert manifest(again)["rerun_of"] == folder.name[2:]


def test_log_has_debug_in_drafts_and_each_line_once(recorded, tmp_path):
    project = recorded.project.copy_to(tmp_path)
    assert project.run_apart(*CHOICE, "--exp-draft").returncode == 0
    log = (project.only("drafts/fit_eval/*") / "log.txt").read_text()
    assert log.count("noise of 0.1") == 1
    assert log.count("seen in drafts only") == 1
    log = (recorded.folder / "log.txt").read_text()
    assert log.count("noise of 0.1") == 1
    assert "seen in drafts only" not in log


def test_ids_of_a_scheduler_are_recorded_beside_the_environment(recorded, tmp_path):
    """They differ from trial to trial, so they are no part of the environment they share."""
    project = recorded.project.copy_to(tmp_path)
    again = (*CHOICE, "--exp-reuse", "never")
    done = project.run_apart(*again, env={**os.environ, "SLURM_JOB_ID": "4711"})
    assert done.returncode == 0, done.stdout
    first, second = (manifest(folder) for folder in project.folders())
    assert "scheduler" not in first
    assert second["scheduler"]["SLURM_JOB_ID"] == "4711"
    assert first["environment"] == second["environment"]
