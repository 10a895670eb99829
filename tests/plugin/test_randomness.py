"""Random numbers of a trial: streams of its seed, and what is said of those from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import pytest
from conftest import Project, manifest, notebook

SEES_CALLS = sys.version_info >= (3, 12)
EXPERIMENTS = """
    import random


    def exp_clean(rng, rng_noise, rng_init, seed):
        drawn = [one.random() for one in (rng, rng_noise, rng_init, random.Random(seed))]
        return {"main": drawn[1], "different": len(set(drawn))}


    def exp_late():
        import numpy as np
        return {"main": np.random.rand()}


    def exp_crash(seed):
        random.random()
        raise ValueError("too late")
"""
STEPS = """
    import random

    lookup_dict = {}

    def gen(seed):
        return {"data": random.random()}


    def fit(data):
        from exps.lab import jitter

        return {"main": data + jitter()}
"""
LAB = """
    def jitter():
        import numpy as np
        return np.random.default_rng().random()
"""
TABLE = """
    [tool.mitosis.steps]
    gen = ["exps.steps:gen", "exps.steps:lookup_dict"]
    fit = ["exps.steps:fit", "exps.steps:lookup_dict"]
"""


class Ran(NamedTuple):
    project: Project
    printed: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """One run of all; numpy is imported by no module, so that it comes late."""
    project = Project(tmp_path_factory.mktemp("random"))
    files = {"pyproject.toml": TABLE, "exps/exp_r.py": EXPERIMENTS, "exps/steps.py": STEPS}
    project.commit({**files, "exps/lab.py": LAB, "exps/__init__.py": ""})
    names = [part for name in ("clean", "late", "crash", "gen+fit") for part in ("--exp", name)]
    done = project.run_apart(*names, "--seeds", "3,4")
    assert done.returncode == 1, done.stdout + done.stderr
    return Ran(project, done.stdout)


def findings(folder):
    return [
        (one["kind"], one["step"], one["generator"], one["file"], one["line"])
        for one in manifest(folder)["randomness"]
    ]


def place(file, line):
    return (file, line) if SEES_CALLS else ("", 0)


def test_streams_are_filled_from_the_seed_and_nothing_is_found(ran):
    folders = ran.project.folders("clean/*")
    assert [findings(folder) for folder in folders] == [[], []]
    metrics = [manifest(folder)["metrics"] for folder in folders]
    assert metrics[0]["main"] != metrics[1]["main"]
    assert [one["different"] for one in metrics] == [4, 4]
    kinds = {p["name"]: p["kind"] for p in manifest(folders[0])["parameters"]}
    assert kinds == {"rng": "rng", "rng_noise": "rng", "rng_init": "rng", "seed": "seed"}
    assert "stream clean/rng\\_noise of seed 3" in "".join(
        notebook(folders[0])["cells"][0]["source"]
    )
    assert not list(ran.project.store.glob("locks/**/*.json"))


def test_package_imported_late_is_seeded_as_the_shown_cells_seed_it(ran):
    folder = ran.project.only("late/*")
    cells = [c for c in notebook(folder)["cells"] if c["cell_type"] == "code"]
    source = "\n".join("".join(cell["source"]) for cell in cells[:-1])
    assert "import numpy as np\n" in source
    assert "np.random.seed(0)" in source
    rerun = subprocess.run(
        [sys.executable, "-c", f"{source}\nprint(repr(result['main']))"],
        cwd=ran.project.path.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(rerun.stdout) == manifest(folder)["metrics"]["main"]
    assert findings(folder) == [("global", "late", "numpy.random", *place("exps/exp_r.py", 12))]


def test_cells_of_a_trial_without_numpy_do_not_import_it(ran):
    folder = ran.project.folders("crash/*")[0]
    assert "numpy" not in "".join(notebook(folder)["cells"][1]["source"])


def test_findings_of_a_trial_that_failed_are_recorded(ran):
    for folder in ran.project.folders("crash/*"):
        assert findings(folder) == [("global", "crash", "random", *place("exps/exp_r.py", 16))]


def test_findings_are_told_by_step(ran):
    for folder in ran.project.folders("gen+fit/*"):
        assert findings(folder) == [
            ("global", "gen", "random", *place("exps/steps.py", 7)),
            ("unseeded", "fit", "numpy", "exps/lab.py", 4),
        ]


def test_summary_says_each_finding_once(ran):
    notes = [line.strip() for line in ran.printed.splitlines() if line.startswith(" note: ")]
    late, crash, gen = (
        f" ({file}:{line})" if SEES_CALLS else ""
        for file, line in (("exps/exp_r.py", 12), ("exps/exp_r.py", 16), ("exps/steps.py", 7))
    )
    assert sorted(notes) == [
        f"note: crash uses the global generator random{crash}; it is seeded from the trial's seed",
        f"note: gen uses the global generator random{gen}; it is seeded from the trial's seed",
        f"note: late uses the global generator numpy.random{late}; "
        "it is seeded with 0, as the trial has no seed",
        "note: not reproducible: fit lets numpy take a seed from the operating system "
        "(exps/lab.py:4); give it one, or take an argument rng or seed",
    ]


def test_show_says_what_was_found(ran):
    folder = ran.project.folders("gen+fit/*")[0]
    command = [sys.executable, "-m", "pytest_mitosis.read.cli", "show", manifest(folder)["id"]]
    shown = subprocess.run(
        command, cwd=ran.project.path, capture_output=True, text=True, check=True
    ).stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert [line for line in lines if line.startswith("randomness")] == [
        f"randomness {one['text']}" for one in manifest(folder)["randomness"]
    ]
    assert manifest(folder)["notes"] == [one["text"] for one in manifest(folder)["randomness"]]


def test_loudest_notes_come_first_and_the_rest_are_counted(project):
    lines = ["random.random()", *["random.SystemRandom().random()"] * 11]
    body = "\n".join(f"    {line}" for line in lines)
    project.write(
        "exp_many.py", f"import random\n\n\ndef exp_many():\n{body}\n    return {{'main': 1}}\n"
    )
    result = project.run("--exp-draft", "--exp", "many")
    assert result.ret == 0
    notes = [line for line in result.outlines if line.startswith((" note:", " and "))]
    assert [note[:38] for note in notes[:10]] == [
        " note: not reproducible: many draws fro"[:38]
    ] * 10
    assert notes[10:] == [" and 2 more notes, in the trials' trial.json"]
