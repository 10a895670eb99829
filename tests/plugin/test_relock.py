"""A name gets another value on purpose only: with a reason, and with its old meaning kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from conftest import Project, manifest

from pytest_mitosis.store.files import read_json

FIT = """
    lookup_dict = {"noise": {"low": %s, "high": 0.5}}

    def exp_fit(noise):
        return {"main": 1.0}
"""
LOW = ("--exp", "fit", "--variant", "noise=low")
WHY = ("--why", "the sensor was replaced")


def tool(project, *arguments, **options):
    """``pytest-mitosis …`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pytest_mitosis.read.cli", *arguments],
        **{"cwd": project.path, "capture_output": True, "text": True, "timeout": 100, **options},
    )


def changed(project, old="0.1", new="0.25"):
    """The project after a trial with one value and a commit with another one."""
    project.commit({"exp_fit.py": FIT % old})
    assert project.run_apart(*LOW).returncode == 0
    return project.commit({"exp_fit.py": FIT % new})


def revisions(project):
    return sorted(file.name for file in project.store.glob("locks/fit/noise/*"))


def test_relocked_name_runs_with_its_new_value_and_old_trials_stay(project):
    commit = changed(project)
    (folder,) = project.folders()
    before = (folder / "trial.json").read_bytes()
    refused = project.run_apart(*LOW)
    assert refused.returncode == 11
    assert 'or: pytest-mitosis relock fit noise=low --why "..."' in refused.stdout

    done = tool(project, "relock", "fit", "noise=low", *WHY)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["fit: noise=low", "  .  float 0.1 -> float 0.25"]
    assert lines[2].startswith("noise=low is now revision 2 (was locked 20")

    again = project.run_apart(*LOW)
    assert again.returncode == 0, again.stdout
    first, second = project.folders()
    assert (first / "trial.json").read_bytes() == before
    digests = [manifest(one)["parameters"][0]["digest"] for one in (first, second)]
    assert digests[0] != digests[1]
    locks = [read_json(project.store / "locks/fit/noise" / n) for n in ("low.json", "low@2.json")]
    assert [lock["digest"] for lock in locks] == digests
    assert (locks[1]["why"], locks[1]["commit"]) == ("the sensor was replaced", commit)


def test_locks_lists_each_name_once_with_its_revision_and_reason(project):
    changed(project)
    assert tool(project, "relock", "fit", "fit.noise=low", *WHY).returncode == 0
    assert project.run_apart("--exp", "fit", "--variant", "noise=high").returncode == 0
    done = tool(project, "locks")
    header, high, low = (line.split() for line in done.stdout.splitlines())
    assert header == ["step", "name", "value", "locked", "by", "why"]
    assert high[:4] == ["fit", "noise=high", "float", "0.5"]
    assert low[:4] == ["fit", "noise=low@2", "float", "0.25"]
    assert low[-4:] == ["the", "sensor", "was", "replaced"]
    told = json.loads(tool(project, "locks", "fit", "--json").stdout)
    assert [(one["variant"], one["revision"]) for one in told] == [("high", 1), ("low", 2)]
    missing = tool(project, "locks", "nope")
    assert (missing.returncode, missing.stdout) == (4, "")
    assert "no experiment named 'nope'" in missing.stderr
    assert "2 locked variants" in project.run_apart(*LOW).stdout


def test_locks_of_a_project_without_any(project):
    project.commit({"exp_fit.py": FIT % 0.1})
    assert tool(project, "locks").stdout == "no locked names\n"


def test_value_that_is_not_committed_is_not_relocked(project):
    changed(project)
    project.write("exp_fit.py", FIT % 0.375)
    done = tool(project, "relock", "fit", "noise=low", *WHY)
    assert done.returncode == 10
    (line,) = done.stderr.splitlines()
    assert line.startswith("ERROR: not committed in ")
    assert ": exp_fit.py; commit first" in line
    assert revisions(project) == ["low.json"]


@pytest.mark.parametrize(
    "value",
    ["list({'alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta'})", "__import__('time').time()"],
)
def test_value_that_another_process_does_not_find_is_not_relocked(project, value):
    changed(project, new=value)
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = tool(project, "relock", "fit", "noise=low", *WHY, env=environment)
    assert done.returncode == 11
    assert "noise=low is not reproducible: another process found another value" in done.stderr
    assert " -> " in done.stderr
    assert "Traceback" not in done.stderr
    assert revisions(project) == ["low.json"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("fit", "noise=low", *WHY), 11, "noise=low is already locked to this value (20"),
        (("fit", "noise=high", *WHY), 11, "noise=high of fit was never locked, so there is noth"),
        (("fit", "noise=lwo", *WHY), 4, "fit.noise has no variant 'lwo'; there are low, high"),
        (("fit", "solver=tv", *WHY), 4, "fit has no parameter 'solver'"),
        (("fti", "noise=low", *WHY), 4, "no experiment named 'fti'"),
        (("fit", "noise", *WHY), 4, "noise: write one name as [STEP.]PARAMETER=NAME"),
        (("fit", "noise=low,high", *WHY), 4, "write one name as [STEP.]PARAMETER=NAME"),
        (("fit", "noise=low@1", *WHY), 4, "write one name as [STEP.]PARAMETER=NAME"),
        (("fit", "noise=low", "--why", " "), 4, "--why is empty; say why the value changed"),
        (("fit", "noise=low"), 2, "Missing option '--why'"),
    ],
)
def test_mistake_is_one_line_and_locks_nothing(locked_project, arguments, code, sentence):
    done = tool(locked_project, "relock", *arguments)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert code == 2 or len(done.stderr.splitlines()) == 1
    assert revisions(locked_project) == ["low.json"]


PIPELINE = """
    [tool.mitosis]
    locks = "locks"
    [tool.mitosis.steps]
    simulate = ["paper:simulate", "paper:lookup"]
    fit = ["paper:fit", "paper:lookup"]
    [tool.mitosis.experiments]
    both = ["simulate", "fit"]
"""
PAPER = """
    lookup = {"length": {"short": %s}}
    def simulate(length): return {"main": length, "data": [1.0] * length}
    def fit(data, length): return {"main": sum(data) + length}
"""


def test_step_of_a_pipeline_is_relocked_by_its_own_name_or_the_pipelines(project):
    project.commit({"pyproject.toml": PIPELINE, "paper.py": PAPER % 3})
    both = ("--exp", "both", "--variant", "simulate.length=short", "--variant", "fit.length=short")
    assert project.run_apart(*both).returncode == 0
    project.commit({"paper.py": PAPER % 4})
    done = tool(project, "relock", "both", "length=short", *WHY)
    assert done.returncode == 4
    assert "write simulate.length or fit.length" in done.stderr
    assert tool(project, "relock", "both", "fit.length=short", *WHY).returncode == 0
    assert tool(project, "relock", "simulate", "length=short", *WHY).returncode == 0
    assert project.run_apart(*both).returncode == 0
    steps = [file.parent.parent.name for file in project.path.glob("locks/*/*/short@2.json")]
    assert sorted(steps) == ["fit", "simulate"]


def test_branches_that_relock_one_name_conflict_on_exactly_its_file(project):
    toml = "[tool.mitosis]\nlocks = 'locks'\n"
    project.commit({"exp_fit.py": FIT % 0.1, "pyproject.toml": toml, ".gitignore": "trials\n"})
    assert project.run_apart("--exp", "fit", "--variant", "noise=*").returncode == 0
    project.commit()
    for branch, value in (("left", "0.25"), ("right", "0.375")):
        project.git("checkout", "-q", "-b", branch, "main")
        project.commit({"exp_fit.py": FIT % value})
        assert tool(project, "relock", "fit", "noise=low", *WHY).returncode == 0
        project.commit()
    merged = subprocess.run(
        ["git", "merge", "left"], cwd=project.path, capture_output=True, text=True
    )
    assert merged.returncode == 1
    conflicts = project.git("diff", "--name-only", "--diff-filter=U").splitlines()
    assert conflicts == ["exp_fit.py", "locks/fit/noise/low@2.json"]


def test_relocks_at_once_leave_one_revision_each(project):
    changed(project)
    copies = []
    for number in range(3):
        copy = project.copy_to(project.path.parent / f"{project.path.name}-{number}")
        copy.commit({"exp_fit.py": FIT % f"0.{number + 3}"})
        copies.append(copy)
    command = [sys.executable, "-m", "pytest_mitosis.read.cli", "relock", "fit", "noise=low", *WHY]
    command += ["--trials-folder", str(project.store)]
    running = [
        subprocess.Popen(
            command, cwd=copy.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for copy in copies
    ]
    told = [(*one.communicate(timeout=100), one.returncode) for one in running]
    won = [out.splitlines()[-1] for out, _, code in told if code == 0]
    assert won
    numbers = sorted(line.partition("revision ")[2][0] for line in won)
    assert numbers == [str(number) for number in range(2, len(won) + 2)]
    assert revisions(project) == ["low.json", *(f"low@{number}.json" for number in numbers)]
    for _, said, code in told:
        assert code == 0 or (code == 11 and "noise=low was relocked at the same time" in said)


@pytest.fixture(scope="module")
def locked_project(tmp_path_factory):
    """A project in which ``noise=low`` is locked, for what must not change it."""
    project = Project(tmp_path_factory.mktemp("locked"))
    project.commit({"exp_fit.py": FIT % 0.1})
    assert project.run_apart(*LOW).returncode == 0
    return project
