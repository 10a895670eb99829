"""Which edits of a project make its trials run again, each tried on a project that has run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import Project, manifest
from core.edits import EDITS, SITE, Edit, write_project

from pytest_mitosis.identity.code import CodeIdentity, compare_code

RECORDS_CALLS = sys.version_info >= (3, 12)
VALUE = "import exp_fit; print(exp_fit.exp_fit()['main'])"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with one trial."""
    path = tmp_path_factory.mktemp("done")
    write_project(path)
    project = Project(path)
    project.commit()
    told = project.run_apart("--exp", "fit", env={**os.environ, "PYTHONPATH": str(path / SITE)})
    assert told.returncode == 0, told.stdout
    return project


@pytest.fixture
def copied(done: Project, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """That project again, to be edited."""
    done.copy_to(project.path)
    monkeypatch.syspath_prepend(project.path / SITE)
    return project


def trials(project: Project) -> int:
    return len(project.folders("fit/*")) + len(project.folders("exp_fit/*"))


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_edit_reruns_what_it_should(copied: Project, edit: Edit) -> None:
    edit.apply(copied.path)
    copied.commit()
    reruns = edit.reruns_on(sys.version_info[:2])
    recorded = CodeIdentity.from_json(manifest(copied.only())["code"])
    differences = compare_code(recorded, copied.path)
    assert bool(differences) is reruns
    assert not reruns or edit.told in " ".join(differences)
    result = copied.run("--exp", "fit")
    assert result.ret == 0
    assert trials(copied) == 1 + reruns
    assert ("reused" in result.stdout.str()) is not reruns


def test_without_an_edit_nothing_reruns(copied: Project) -> None:
    assert copied.run("--exp", "fit").ret == 0
    assert trials(copied) == 1


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_edit_changes_the_result_as_it_says(tmp_path, edit: Edit) -> None:
    write_project(tmp_path)
    before = value(tmp_path)
    edit.apply(tmp_path)
    assert (value(tmp_path) != before) is edit.changes_result


def value(root) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root / SITE), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", VALUE], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


SOLVERS = """
    def direct(value):
        return value / 3.5

    def iterative(value):
        return value / 3.25
"""
CHOICE = """
    import solvers

    def exp_solve(solver, value):
        return {"main": getattr(solvers, solver)(value)}

    lookup_dict = {
        "solver": {"direct": "direct", "iterative": "iterative"},
        "value": {"low": 0.1, "high": 1e9},
    }
"""
GRID = ("--exp", "solve", "--variant", "solver=*", "--variant", "value=*")


def by_solver(project: Project) -> dict[str, int]:
    names = [folder.parent.name for folder in project.folders("*solve/*")]
    return {
        solver: sum(f"solver={solver}" in name for name in names)
        for solver in ("direct", "iterative")
    }


def test_edit_of_a_helper_reruns_exactly_the_trials_that_ran_it(project: Project) -> None:
    project.commit({"exp_solve.py": CHOICE, "solvers.py": SOLVERS})
    assert project.run(*GRID).ret == 0
    assert by_solver(project) == {"direct": 2, "iterative": 2}
    project.commit({"solvers.py": SOLVERS.replace("3.25", "3.125")})
    result = project.run(*GRID)
    assert result.ret == 0
    assert by_solver(project) == {"direct": 2 if RECORDS_CALLS else 4, "iterative": 4}
