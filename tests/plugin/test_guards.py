"""A trial runs only from a commit, and a name means one value for good."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import manifest

FIT = """
    lookup_dict = {"noise": {"low": %s, "high": 0.5}}

    def exp_fit(noise):
        return {"main": 1.0}
"""
LOW = ("--exp", "fit", "--variant", "noise=low")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["plain", "xdist"])
def test_dirty_tree_is_refused_once_and_listed(project, workers):
    project.commit({"exp_fit.py": FIT % 0.1, "notes.txt": "a\n"})
    project.write("notes.txt", "b\n")
    project.write("helper.py", "x = 1\n")
    done = project.run_apart("--exp", "fit", "--variant", "noise=*", *workers)
    assert done.returncode == 10
    assert "modified   notes.txt" in done.stdout
    assert "untracked  helper.py" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("exit 10: 2 files are not committed in ")
    assert "Traceback" not in done.stdout
    assert "INTERNALERROR" not in done.stdout
    assert not project.store.exists()
    if not workers:
        assert done.stdout.count("helper.py") == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
def test_refused_session_leaves_no_process_and_no_folder(project, tmp_path):
    """What runs trials comes up while the guards look."""
    project.commit({"exp_fit.py": FIT % 0.1, "notes.txt": "a\n"})
    project.write("notes.txt", "b\n")
    (tmp_path / "tmp").mkdir()
    done = project.run_apart(*LOW, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")})
    assert done.returncode == 10
    assert not list((tmp_path / "tmp").glob("mitosis-*"))
    assert not [one for one in Path("/proc").glob("[0-9]*/environ") if mentions(one, tmp_path)]


def mentions(environment, folder):
    try:
        return os.fsencode(folder / "tmp") in environment.read_bytes()
    except OSError:  # gone, or another user's
        return False


def test_what_runs_leave_behind_is_not_dirt(project):
    project.commit({"exp_fit.py": FIT % 0.1})
    for _ in range(2):  # the second run meets __pycache__, .pytest_cache and the trials
        assert project.run_apart(*LOW).returncode == 0


def test_clean_ignore_lists_what_does_not_matter(project):
    project.commit(
        {
            "exp_fit.py": FIT % 0.1,
            "pyproject.toml": "[tool.mitosis]\nclean-ignore = ['paper/**']\n",
        }
    )
    project.write("paper/draft.tex", "new")
    assert project.run(*LOW).ret == 0
    project.write("other.tex", "new")
    assert project.run(*LOW).ret == 10


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (
            lambda p: shutil.rmtree(p.path / ".git"),
            "is not in a git repository",
        ),
        (lambda p: None, "has no commits yet"),
    ],
    ids=["no repository", "no commits"],
)
def test_code_without_a_commit_is_refused_in_one_sentence(project, prepare, sentence):
    project.write("exp_fit.py", FIT % 0.1)
    prepare(project)
    result = project.run(*LOW)
    assert result.ret == 10
    assert sentence in result.outlines[-1]
    assert not project.store.exists()


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["plain", "xdist"])
def test_changed_variant_is_locked_out_and_shown(project, workers):
    first = project.commit({"exp_fit.py": FIT % "{'sigma': 0.1, 'kind': 'normal'}"})
    assert project.run(*LOW).ret == 0
    project.commit({"exp_fit.py": FIT % "{'sigma': 0.2, 'kind': 'normal'}"})
    done = project.run_apart("--exp", "fit", "--variant", "noise=*", *workers)
    assert done.returncode == 11
    assert "noise=low changed since it was locked (20" in done.stdout
    assert f"commit {first[:7]}" in done.stdout
    assert "float 0.1 -> float 0.2" in done.stdout
    assert "LOCKED exp_fit.py::exp_fit[noise=low]" in done.stdout
    assert "normal" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("exit 11: noise=low changed")
    assert len(project.folders("fit/noise=low")) == 1
    assert len(project.folders("fit/noise=high")) == 1  # the other name is not held up


def test_equal_value_written_otherwise_keeps_the_lock(project):
    project.commit({"exp_fit.py": FIT % "{'a': 1, 'b': {2, 3}}"})
    assert project.run(*LOW).ret == 0
    project.commit({"exp_fit.py": FIT % "dict(b={3, 2}, a=1)"})
    assert project.run(*LOW).ret == 0


def test_type_counts(project):
    project.commit({"exp_fit.py": FIT % "1"})
    assert project.run(*LOW).ret == 0
    project.commit({"exp_fit.py": FIT % "1.0"})
    assert project.run(*LOW).ret == 11


def test_one_name_is_one_lock_in_every_pipeline(project):
    steps = """
        [tool.mitosis.steps]
        simulate = ["paper:simulate", "paper:lookup"]
        fit = ["paper:fit", "paper:lookup"]
    """
    paper = """
        lookup = {"length": {"short": %d}}
        def simulate(length): return {"main": length, "data": [1.0] * length}
        def fit(data): return {"main": sum(data)}
    """
    project.commit({"pyproject.toml": steps, "paper.py": paper % 10})
    assert project.run("--exp", "simulate", "--variant", "length=short").ret == 0
    project.commit({"paper.py": paper % 11})
    sys.modules.pop("paper", None)
    assert project.run("--exp", "simulate+fit", "--variant", "length=short").ret == 11


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("__import__('time').time()", "float "),
        ("list({'alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta'})", "str "),
        ("__import__('random').random()", "float "),
    ],
    ids=["time", "set order", "unseeded"],
)
def test_irreproducible_value_is_never_locked(project, value, found):
    random.seed()  # another test in this process may have left it as a trial begins with it
    project.commit({"exp_fit.py": FIT % value})
    result = project.run(*LOW)
    assert result.ret == 1
    text = result.stdout.str()
    assert "noise=low is not reproducible; in another process it is another value:" in text
    assert found in text
    assert "->" in text
    assert list(project.store.glob("locks/*/*/*.json")) == []


def test_value_without_identity_is_refused_with_a_remedy(project):
    project.commit({"exp_fit.py": FIT % "(i for i in range(3))"})
    result = project.run(*LOW)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["noise=low is a generator*Put a list*"])
    assert project.folders() == []


def test_damaged_lock_is_not_guessed_about(project):
    project.commit({"exp_fit.py": FIT % 0.1})
    assert project.run(*LOW).ret == 0
    lock = project.store / "locks/fit/noise/low.json"
    lock.write_text("{}")
    result = project.run(*LOW)
    assert result.ret == 13
    result.stdout.fnmatch_lines(["*low.json is no lock; restore it from a copy*"])
    assert lock.read_text() == "{}"


def test_locks_can_live_in_the_repository(project):
    project.commit({"exp_fit.py": FIT % 0.1, "pyproject.toml": "[tool.mitosis]\nlocks = 'locks'\n"})
    assert project.run(*LOW).ret == 0
    assert (project.path / "locks/fit/noise/low.json").exists()
    assert project.run(*LOW).ret == 0  # a new lock is no dirt


def test_conftest_overrides_a_guard(project):
    project.commit(
        {
            "exp_fit.py": FIT % 0.1,
            "conftest.py": """
            import pytest

            @pytest.fixture(scope="session")
            def clean_tree():
                print("our own rule")

            @pytest.fixture
            def variant_lock(trial):
                assert trial.id == "noise=low"
            """,
        }
    )
    project.write("dirt.txt", "x")
    assert project.run(*LOW).ret == 0
    assert not (project.store / "locks").exists()
    (repository,) = manifest(project.only())["repositories"]
    assert [change["path"] for change in repository["changes"]] == ["dirt.txt"]


def test_literals_and_untracked_parameters_are_not_locked(project):
    project.commit({"exp_fit.py": FIT % 0.1})
    assert project.run("--exp", "fit", "--eval-param", "noise=0.1").ret == 0
    assert project.run("--exp", "fit", "--variant", "+noise=low").ret == 0
    assert list(project.store.glob("locks/*/*/*.json")) == []


def test_drafts_need_no_commit_lock_nothing_and_use_no_iteration(project):
    project.write("exp_fit.py", FIT % 0.1)
    for _ in range(2):
        result = project.run(*LOW, "--exp-draft")
        assert result.ret == 0
        result.stdout.fnmatch_lines(["* draft *"])
    folders = project.folders("drafts/fit/*")
    assert [folder.name[:2] for folder in folders] == ["0-", "0-"]
    assert manifest(folders[0])["commit"] is None
    names = {path.name for path in folders[0].iterdir()}
    assert {"trial.json", "job.json", "notebook.ipynb", "notebook.html", "log.txt"} <= names
    assert not (project.store / "locks").exists()
    assert not (project.store / "summary.csv").exists()
    project.commit()
    assert project.run(*LOW).ret == 0
    assert project.only("fit/*").name.startswith("1-")


def test_draft_runs_outside_any_repository(project):
    project.write("exp_fit.py", FIT % 0.1)
    shutil.rmtree(project.path / ".git")
    assert project.run(*LOW, "--exp-draft").ret == 0
    assert "is not in a git repository" in manifest(project.only("drafts/*/*"))["code_problem"]


def test_two_sessions_at_once_agree_on_one_lock(project):
    """Two values for one name at the same time: one session wins, the other is told."""
    project.commit(
        {
            "exp_fit.py": """
            import os
            lookup_dict = {"noise": {"low": os.environ["WHO"]}}
            def exp_fit(noise):
                return {"main": noise}
            """
        }
    )
    sessions = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "mitosis", *LOW],
            cwd=project.path,
            env={**os.environ, "WHO": who},
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in ("ada", "grace")
    ]
    printed = [session.communicate()[0] for session in sessions]
    assert sorted(session.returncode for session in sessions) == [0, 11], printed
    lock = json.loads((project.store / "locks/fit/noise/low.json").read_text())
    winner = "ada" if sessions[0].returncode == 0 else "grace"
    assert lock["value"] == f"str '{winner}'"
    assert manifest(project.only())["metrics"]["main"] == winner


def test_sessions_at_once_get_iterations_of_their_own(project):
    project.commit({"exp_fit.py": FIT % 0.1})
    sessions = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "mitosis", *LOW, "--exp-reuse", "never"],
            cwd=project.path,
            stdout=subprocess.DEVNULL,
        )
        for _ in range(4)
    ]
    assert [session.wait() for session in sessions] == [0] * 4
    assert sorted(manifest(folder)["iteration"] for folder in project.folders()) == [1, 2, 3, 4]


def test_refused_trial_burns_no_name(project):
    """One name is locked to another value, so the other, new one is not locked by the way."""
    grid = """
        lookup_dict = {"noise": {"low": 0.1, "new": 0.3}, "solver": {"tv": %s}}
        def exp_fit(noise, solver): return {"main": noise}
    """
    arguments = ("--exp", "fit", "--variant", "solver=tv", "--variant")
    project.commit({"exp_fit.py": grid % 1})
    assert project.run(*arguments, "noise=low").ret == 0
    project.commit({"exp_fit.py": grid % 2})
    assert project.run(*arguments, "noise=new").ret == 11
    locked = {path.stem for path in project.store.glob("locks/*/*/*.json")}
    assert locked == {"low", "tv"}


def test_name_is_not_locked_by_a_trial_that_never_began(project):
    project.commit(
        {
            "exp_fit.py": """
            import pytest
            lookup_dict = {"noise": {"low": 0.1}}

            @pytest.fixture
            def camera(trial_dir):
                raise RuntimeError("no camera")

            def exp_fit(noise, camera): return {"main": noise}
            """
        }
    )
    result = project.run(*LOW)
    result.assert_outcomes(errors=1)
    assert list(project.store.glob("locks/*/*/*.json")) == []
    assert list(project.store.glob("fit/*/[!.]*")) == []


def test_crash_of_the_experiment_itself_keeps_the_lock(project):
    project.commit({"exp_fit.py": FIT.replace('return {"main": 1.0}', "raise ValueError") % 0.1})
    assert project.run(*LOW).ret == 1
    assert [path.stem for path in project.store.glob("locks/*/*/*.json")] == ["low"]
