"""A recorded trial is run again at its commit, in its environment, and compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Project

FIT = """
    import helper

    lookup_dict = {"noise": {"low": 0.1, "high": 0.5}}

    def exp_fit(noise, *, seed=0):
        return {"main": helper.scale(noise), "label": "a"}
"""
FILES = {
    "lab/exps/exp_fit.py": FIT,
    "lab/exps/helper.py": "def scale(x):\n        return x / 3\n",
    "lab/pyproject.toml": """
        [tool.mitosis.official.fig3]
        exp = "fit"
        variants = {noise = "*"}
    """,
    ".gitignore": "trials/\n",
}
# Stands in for uv: notes what it is asked for, and makes an environment of this interpreter.
FAKE_UV = """#!{python}
import os, pathlib, sys
arguments = sys.argv[1:]
with open(os.environ["UV_LOG"], "a") as log:
    log.write(" ".join(arguments) + "\\n")
    if "-r" in arguments:
        log.write(pathlib.Path(arguments[arguments.index("-r") + 1]).read_text())
if os.environ.get("UV_FAILS") == arguments[0]:
    print(os.environ.get("UV_SAYS", "error: Because there is no version of numpy==1.99 and you"))
    sys.exit(1)
if arguments[0] == "venv":
    file = pathlib.Path(arguments[-1], "bin", "python")
    file.parent.mkdir(parents=True)
    file.write_text('#!/bin/sh\\nexec {python} "$@"\\n')
    file.chmod(0o755)
"""


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """A project whose trials were accepted two commits ago, and whose helper changed since."""
    project = Project(tmp_path_factory.mktemp("paper"))
    project.commit(FILES)
    where = {"cwd": project.path / "lab"}
    done = project.run_apart("--exp-official", "--exp-accept", "--why", "so", **where)
    assert done.returncode == 0, done.stdout
    project.commit()
    project.commit({"lab/exps/helper.py": "def scale(x):\n        return x / 4\n"})
    return project


@pytest.fixture
def reproduce(paper, tmp_path):
    """``pytest-mitosis reproduce`` in the project's folder; gives the finished process."""
    (tmp_path / "bin").mkdir()
    uv = tmp_path / "bin/uv"
    uv.write_text(FAKE_UV.format(python=sys.executable))
    uv.chmod(0o755)
    path = os.pathsep.join([str(uv.parent), str(Path(sys.executable).parent), os.environ["PATH"]])

    def run(*arguments, **variables):
        command = [sys.executable, "-m", "pytest_mitosis.read.cli", "reproduce", *arguments]
        variables = {"UV_LOG": str(tmp_path / "log"), "PATH": path, **variables}
        environment = {**os.environ, **variables}
        return subprocess.run(
            command, cwd=paper.path / "lab", env=environment, capture_output=True, text=True
        )

    return run


def test_group_is_identical_at_its_commit_and_drifted_at_another(paper, reproduce):
    done = reproduce("fig3", "--here")
    assert done.returncode == 0, done.stderr
    assert "· run 2 trials" in done.stderr
    assert "fit[noise=low,seed=0], recorded as " in done.stdout
    assert "metrics   identical; expected identical: same code" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 trials: 2 identical"
    assert len(paper.git("worktree", "list").splitlines()) == 1
    moved = reproduce("fig3", "--here", "--at", "HEAD", "--json")
    assert moved.returncode == 12
    verdicts = json.loads(moved.stdout)
    assert {one["rung"] for one in verdicts} == {"CHANGED"}
    assert "lab/exps/helper.py changed" in verdicts[0]["code"]


def test_environment_is_built_from_what_was_recorded(paper, reproduce, tmp_path):
    (trial,) = (paper.path / "trials/fit").glob("noise=low*/1-*")
    done = reproduce(trial.name.partition("-")[2], "--keep", str(tmp_path / "kept"))
    assert done.returncode == 0, done.stderr
    assert "1 trial: 1 identical" in done.stdout
    asked = (tmp_path / "log").read_text().splitlines()
    assert asked[0].startswith("venv --quiet --python ")
    (complete,) = [line for line in asked if "--no-deps -r" in line]
    assert complete.startswith("pip install --quiet --python ")
    assert f"pytest=={pytest.__version__}" in asked
    # What is given stands in for what was recorded.
    other = reproduce("fig3", "--with", "pytest==8.4.2", UV_LOG=str(tmp_path / "other"))
    assert other.returncode == 0, other.stderr
    assert "by the versions recorded, but pytest==8.4.2" in other.stderr
    told = (tmp_path / "other").read_text().splitlines()
    assert [one for one in told if one.startswith("pytest==")] == ["pytest==8.4.2"]
    (own,) = [line for line in asked if " -c " in line]
    assert " -e " in own or "pytest-mitosis==" in own
    assert "· install " in done.stderr
    assert "by the versions recorded" in done.stderr
    assert (tmp_path / "kept/1/code/lab/exps/exp_fit.py").is_file()
    paper.git("worktree", "remove", "--force", str(tmp_path / "kept/1/code"))
    again = reproduce("fig3", "--keep", str(tmp_path / "kept"))
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


def test_each_failure_is_a_sentence_with_what_to_do(paper, reproduce, tmp_path):
    withdrawn = reproduce("fig3", UV_FAILS="pip")
    assert withdrawn.returncode == 1
    assert "numpy==1.99 is not to be had, it may have been withdrawn" in withdrawn.stderr
    assert "take another version with --with numpy==VERSION, or build an env" in withdrawn.stderr
    says = "error: Failed to fetch: https://pypi.org\n  cause: error sending request for url"
    offline = reproduce("fig3", UV_FAILS="pip", UV_SAYS=says)
    assert "the package index cannot be reached: look at the network" in offline.stderr
    broken = reproduce("fig3", UV_FAILS="pip", UV_SAYS="x" * 500 + "error: no compiler")
    assert "the packages cannot be installed: take another version of what fai" in broken.stderr
    assert max(map(len, broken.stderr.splitlines()[-1:])) < 320
    both = reproduce("fig3", "--here", "--with", "numpy==2.0")
    assert (both.returncode, "leave --here out" in both.stderr) == (4, True)
    unknown = reproduce("fig9")
    assert unknown.returncode == 13
    assert "has an id that begins with 'fig9'" in unknown.stderr
    gone = reproduce("fig3", "--here", "--at", "4b825dc642cb")
    assert gone.returncode == 1
    assert "commit 4b825dc642cb is not in " in gone.stderr
    assert "git fetch origin 4b825dc642cb" in gone.stderr
    before = reproduce("fig3", "--python", "/no/such/python", UV_FAILS="venv")
    assert before.returncode == 1
    assert "is not available here: install it (uv python install " in before.stderr
    assert len(paper.git("worktree", "list").splitlines()) == 1
    assert "Traceback" not in withdrawn.stderr + unknown.stderr + gone.stderr + before.stderr
