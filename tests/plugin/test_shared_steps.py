"""An earlier step that trials have in common runs once, and the others take over what it left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Project, manifest, notebook

from pytest_mitosis import load_trial_data
from pytest_mitosis.run import sharing
from pytest_mitosis.store.steps import Found, SharedStep

RECORDS_CALLS = sys.version_info >= (3, 12)
TABLE = """
    [tool.mitosis.steps]
    sim = ["sim:make", "sim:lookup"]
    fit = ["fit:fit", "fit:lookup"]
"""
SIM = """
    import os
    import random
    import helper

    lookup = {"noise": {"low": 0.1, "high": 0.5}}

    def make(noise, seed=0):
        import numpy as np
        with open(os.environ["RUNS"], "a") as runs:
            runs.write(f"make {noise} {seed}\\n")
        with open("made.txt", "w") as made:
            made.write(f"noise {noise}")
        random.random()
        y = np.random.default_rng(seed).normal(0, noise, 2000)
        return {"data": {"y": helper.shifted(y), "labels": ("α", 1, 1.0)}, "main": noise}
"""
HELPER = """
    def shifted(y):
        return y + 0.25

    def never_called(y):
        return y
"""
FIT = """
    import random

    lookup = {"alpha": {"few": 0.1, "more": 0.2, "most": 0.3}}

    def fit(data, alpha):
        assert data["labels"] == ("α", 1, 1.0)
        with open("made.txt") as made:
            made = made.read()
        main = float(abs(data["y"]).sum() * alpha)
        return {"main": main, "metrics": {"drawn": random.random(), "made": made}}
"""
MARKED = """
    import pytest

    @pytest.mark.experiment(reuse=False)
    def make"""
FILES = {"pyproject.toml": TABLE, "sim.py": SIM, "fit.py": FIT, "helper.py": HELPER}
LOW = ("--exp", "sim+fit", "--variant", "noise=low")


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    file = tmp_path / "runs.txt"
    monkeypatch.setenv("RUNS", str(file))
    return file


def count(runs: Path) -> int:
    return len(runs.read_text().splitlines()) if runs.exists() else 0


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Project:
    """The project after a grid over the last step."""
    path = tmp_path_factory.mktemp("shared")
    project = Project(path)
    project.commit(FILES)
    runs = tmp_path_factory.mktemp("runs") / "runs.txt"
    told = project.run_apart(*LOW, "--variant", "alpha=*", env={**os.environ, "RUNS": str(runs)})
    assert told.returncode == 0, told.stdout
    assert count(runs) == 1
    assert told.stdout.count("note: sim: reused from trial ") == 1
    return project


@pytest.fixture
def copied(done: Project, project: Project) -> Project:
    done.copy_to(project.path)
    return project


def of(project: Project, part: str) -> Path:
    return next(folder for folder in project.folders() if part in folder.parent.name)


def test_record_says_which_step_came_from_where(done):
    first, second = of(done, "alpha=few"), of(done, "alpha=most")
    assert "reused" not in manifest(first)["steps"][0]
    told = manifest(second)["steps"][0]["reused"]
    assert told["trial"] == manifest(first)["id"]
    record = json.loads((done.store / told["folder"] / "step.json").read_text("utf-8"))
    assert record["trial"] == manifest(first)["id"]
    assert told["duration_s"] == record["duration_s"]
    assert "reused" not in manifest(second)["steps"][1]


def test_findings_of_a_step_taken_over_are_findings_of_the_trial(done):
    steps = [
        [found["step"] for found in manifest(of(done, name))["randomness"]]
        for name in ("alpha=few", "alpha=most")
    ]
    assert steps == [["sim", "fit"], ["sim", "fit"]]


def test_notebook_says_that_the_cell_did_not_run_and_keeps_its_source(done):
    first, second = (notebook(of(done, name))["cells"] for name in ("alpha=few", "alpha=most"))
    place = next(i for i, c in enumerate(first) if "sim_result = make(" in "".join(c["source"]))
    assert second[place]["source"] == first[place]["source"]
    assert second[place]["execution_count"] is None
    assert "reused: trial " in "".join(second[place]["outputs"][0]["text"])
    assert first[place]["execution_count"] is not None


def test_every_trial_has_all_results_and_what_the_step_left_beside_itself(done):
    few, most = of(done, "alpha=few"), of(done, "alpha=most")
    one, other = (
        load_trial_data(manifest(folder)["id"], trials_folder=done.store)["sim"]
        for folder in (few, most)
    )
    assert np.array_equal(one["data"]["y"], other["data"]["y"])
    assert manifest(most)["metrics"]["made"] == "noise 0.1"
    assert "results/sim.json" in manifest(most)["artifacts"]
    assert (most / "files/made.txt").read_text() == "noise 0.1"


def test_a_trial_that_takes_a_step_over_returns_what_it_would_have_returned(copied, runs):
    """Random numbers go on where the step left them."""
    before = manifest(of(copied, "alpha=most"))["metrics"]
    grid = (*LOW, "--variant", "alpha=most", "--exp-reuse", "never")
    assert copied.run(*grid).ret == 0
    assert count(runs) == 1
    assert manifest(copied.folders()[-1])["metrics"] == before


def edited(copied: Project, runs: Path, file: str, before: str, after: str) -> tuple[int, int]:
    """After an edit: how often the first step ran, and how many of the trials ran again."""
    text = (copied.path / file).read_text("utf-8")
    assert before in text
    (copied.path / file).write_text(text.replace(before, after), encoding="utf-8")
    copied.commit()
    trials = len(copied.folders())
    assert copied.run(*LOW, "--variant", "alpha=few,most").ret == 0
    return count(runs), len(copied.folders()) - trials


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("sim.py", "random.random()", "random.random(), random.random()"),
        ("helper.py", "y + 0.25", "y + 0.5"),
        ("sim.py", "seed=0)", "seed=1)"),
    ],
    ids=["the step", "a helper of it", "a default of it"],
)
def test_edit_of_the_first_step_runs_it_once_more(copied, runs, file, before, after):
    assert edited(copied, runs, file, before, after) == (1, 2)


@pytest.mark.skipif(not RECORDS_CALLS, reason="Python 3.11 cannot tell which functions ran")
@pytest.mark.parametrize(
    ("file", "before", "after", "trials"),
    [
        ("fit.py", "* alpha)", "* alpha * 2)", 2),
        ("fit.py", "import random", "import random\n\nSCALE = 2\n\ndef new(): return SCALE", 2),
        ("helper.py", "return y\n", "return -y\n", 0),
    ],
    ids=["the last step", "a helper and a constant for the last step", "a function not called"],
)
def test_edit_of_something_else_does_not(copied, runs, file, before, after, trials):
    assert edited(copied, runs, file, before, after) == (0, trials)


@pytest.mark.parametrize(
    "changed",
    [
        {"pyproject.toml": f"{TABLE}    [tool.mitosis.reuse]\n    sim = false\n"},
        {"sim.py": SIM.replace("    def make", MARKED)},
        {"pyproject.toml": f'    [tool.mitosis]\n    cwd = "root"\n{TABLE}'},
    ],
    ids=["table", "mark", "one working directory of all"],
)
def test_step_that_is_not_to_be_shared_runs_every_time(project, runs, changed):
    project.commit({**FILES, ".gitignore": "made.txt\n", **changed})
    assert project.run(*LOW, "--variant", "alpha=few,most").ret == 0
    assert count(runs) == 2
    assert not (project.store / "steps").exists()


def test_drafts_neither_share_nor_take_over(copied, runs):
    assert copied.run(*LOW, "--variant", "alpha=most", "--exp-draft").ret == 0
    assert count(runs) == 1


SEEDS = {
    "pyproject.toml": TABLE,
    "sim.py": """
        import os, random
        lookup = {"noise": {"drawn": True, "fixed": False}}
        def make(noise):
            with open(os.environ["RUNS"], "a") as runs:
                runs.write("make\\n")
            return {"data": random.random() if noise else 0.5}
    """,
    "fit.py": """
        lookup = {"alpha": {"few": 0.1}}
        def fit(data, alpha, seed):
            return {"main": data}
    """,
}


@pytest.mark.parametrize(("noise", "times"), [("fixed", 1), ("drawn", 3)])
def test_seed_of_the_trial_counts_for_a_step_that_drew_by_it(project, runs, noise, times):
    project.commit(SEEDS)
    grid = ("--exp", "sim+fit", "--variant", f"noise={noise}", "--seeds", "0-2")
    assert project.run(*grid, "--variant", "alpha=few").ret == 0
    assert count(runs) == times
    mains = {manifest(folder)["metrics"]["main"] for folder in project.folders()}
    assert len(mains) == times


THREE = {
    "pyproject.toml": """
        [tool.mitosis.steps]
        a = ["steps:a", "steps:lookup"]
        b = ["steps:b", "steps:lookup"]
        c = ["steps:c", "steps:lookup"]
    """,
    "steps.py": """
        import os
        lookup = {"p": {"one": 1, "two": 2}, "q": {"one": 1, "two": 2}, "r": {"one": 1, "two": 2}}
        def ran(name):
            with open(os.environ["RUNS"], "a") as runs:
                runs.write(name + "\\n")
        def a(p):
            ran("a")
            return {"data": [p]}
        def b(data, q):
            ran("b")
            data.append(q)
            return {"data": data}
        def c(data, r):
            return {"main": 100 * data[0] + 10 * data[1] + r}
    """,
}


def test_longest_beginning_that_was_run_is_taken_over(project, runs):
    project.commit(THREE)
    grid = [f"--variant={name}=*" for name in "pqr"]
    assert project.run("--exp", "a+b+c", *grid).ret == 0
    assert sorted(runs.read_text().split()) == ["a"] * 2 + ["b"] * 4
    mains = sorted(manifest(folder)["metrics"]["main"] for folder in project.folders())
    assert mains == [100 * p + 10 * q + r for p in (1, 2) for q in (1, 2) for r in (1, 2)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('os.symlink("/etc/hostname", "link")', "files/link is no plain file"),
        ("noise = lambda: 0.1", ".data of its result could not be kept"),
        ("import numpy; numpy.random.default_rng()", "not reproducible: sim lets "),
        ("noise.append(1.0)", "sim.noise was changed by the experiment as it ran"),
    ],
    ids=["link", "unsaved", "unseeded", "changed argument"],
)
def test_what_cannot_be_shared_is_run_by_each_and_its_record_says_why(project, runs, body, told):
    sim = f"""
        import os
        lookup = {{"noise": {{"any": [0.1]}}}}
        def make(noise):
            with open(os.environ["RUNS"], "a") as runs:
                runs.write("make\\n")
            {body}
            return {{"data": noise}}
    """
    fit = SEEDS["fit.py"].replace('"main": data', '"main": 0.5')
    project.commit({**SEEDS, "sim.py": sim, "fit.py": fit})
    grid = ("--exp", "sim+fit", "--variant", "noise=any", "--seeds", "0-1")
    assert project.run(*grid, "--variant", "alpha=few").ret == 0
    assert count(runs) == 2
    (record,) = project.store.glob("steps/sim/*/1-*/step.json")
    assert told in json.loads(record.read_text())["unshared"]


def test_next_step_gets_the_object_itself_where_it_could_not_be_kept(project, runs):
    sim = """
        import os
        lookup = {"noise": {"any": 0.1}}
        def make(noise):
            return {"data": {"call": lambda: 2.5 * noise, "file": open(os.devnull)}}
    """
    fit = """
        lookup = {"alpha": {"few": 0.1}}
        def fit(data, alpha):
            data["file"].close()
            return {"main": data["call"]()}
    """
    project.commit({**SEEDS, "sim.py": sim, "fit.py": fit})
    grid = ("--exp", "sim+fit", "--variant", "noise=any", "--variant", "alpha=few")
    assert project.run(*grid).ret == 0
    assert manifest(project.only())["metrics"]["main"] == 0.25


def test_damaged_step_and_anothers_pickle_are_not_taken_over(copied, runs):
    (record,) = copied.store.glob("steps/sim/*/1-*/step.json")
    content = json.loads(record.read_text("utf-8"))
    record.write_text(json.dumps({**content, "pickled": [".data"], "user": "mallory"}), "utf-8")
    for number, tag in enumerate(("alpha=few", "alpha=more"), start=1):
        grid = (*LOW, "--variant", tag, "--exp-reuse", "same-code", "--trials-folder", "trials")
        copied.commit({"fit.py": FIT.replace("* alpha)", f"* alpha * {number + 1})")})
        assert copied.run(*grid).ret == 0
        assert count(runs) == number
        (latest,) = copied.store.glob(f"steps/sim/*/{number + 1}-*/results/sim.json")
        latest.unlink()
        latest.write_text("{}")


def start(project: Project, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "-p", "mitosis", *arguments]
    return subprocess.Popen(
        command, cwd=project.path, stdout=subprocess.DEVNULL, start_new_session=True
    )


SLOW = {
    **FILES,
    "sim.py": SIM.replace(
        'with open("made.txt"',
        'while not os.path.exists(os.environ["GO"]): pass\n        with open("made.txt"',
    ),
}


def until(happened) -> None:
    import time

    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_trials_at_once_run_a_step_once(project, runs, tmp_path, monkeypatch):
    go = tmp_path / "go"
    monkeypatch.setenv("GO", str(go))
    project.commit(SLOW)
    sessions = [start(project, *LOW, "--variant", f"alpha={a}") for a in ("few", "more", "most")]
    until(lambda: len(list(project.store.glob("sim+fit/*/*/notebook.ipynb"))) == 3)
    go.touch()
    assert [session.wait() for session in sessions] == [0, 0, 0]
    assert count(runs) == 1


@pytest.mark.parametrize("before", [[], [Found(1), Found(1, busy="trial a is at it")]])
def test_step_that_is_left_between_two_looks_is_taken_over(before, tmp_path, monkeypatch):
    """Whether the trial waited for it, ``before``, or comes just then."""
    left = Found(1, SharedStep(tmp_path, {"trial": "a", "duration_s": 1.0, "steps": ["sim"]}))
    found = iter([*before, Found(1), left, left])
    monkeypatch.setattr(sharing, "look", lambda *_: next(found))
    monkeypatch.setattr(sharing, "take_over", lambda *_: None)
    trial = sharing.Sharing(None, tmp_path, tmp_path, None, [None])
    assert asyncio.run(trial.obtain(0, lambda _: None)) == 1
    assert trial.taken == {"sim": left.step}


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_step_of_a_killed_session_is_taken_over_by_who_waits(project, runs, tmp_path, monkeypatch):
    go = tmp_path / "go"
    monkeypatch.setenv("GO", str(go))
    project.commit(SLOW)
    first = start(project, *LOW, "--variant", "alpha=few")
    until(lambda: count(runs) == 1)
    second = start(project, *LOW, "--variant", "alpha=most")
    until(lambda: len(list(project.store.glob("sim+fit/*/*/notebook.ipynb"))) == 2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    go.touch()
    assert second.wait() == 0
    assert count(runs) == 2
