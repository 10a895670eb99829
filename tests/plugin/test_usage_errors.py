"""A mistake is one line that says what was wrong, what exists and what to do; exit 4."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

EXPERIMENTS = """
    import pytest
    from lab import things

    lookup_dict = {
        "noise": {"low": 0.1, "high": 0.5},
        "solver": {"tv": 1},
        "odd": {"a/b": 1, "ok": 2},
        "flat": 3,
    }

    def exp_fit(noise, solver, *, seed=0): return {"main": 1}
    def exp_odd(odd): return {"main": 1}
    def exp_flat(flat): return {"main": 1}
    def exp_needs(alpha): return {"main": 1}
    async def exp_async(): return {"main": 1}
    exp_number = 3
"""
TABLE = """
    [tool.mitosis.steps]
    sim = ["lab.things:sim", "lab.things:lookup"]
    same = ["lab.things:sim", "lab.things:lookup"]
    broken = ["lab.broken:run", "lab.things:lookup"]
    absent = ["lab.things:simulate", "lab.things:lookup"]
    nomodule = ["lab.nothing:run", "lab.things:lookup"]
    nolookup = ["lab.things:sim", "lab.things:lookups"]
    notmapping = ["lab.things:sim", "lab.things:number"]
    notcallable = ["lab.things:number", "lab.things:lookup"]
    nodata = ["lab.things:nodata", "lab.things:lookup"]
    [tool.mitosis.experiments]
    both = ["sim", "same"]
    missing = ["sim", "nosuch"]
"""
THINGS = """
    lookup = {"length": {"short": 1}}
    number = 3
    def sim(data=None, length=1): return {"main": 1, "data": 2}
    def nodata(): return {"main": 1}
"""


@pytest.fixture
def mistakes(project):
    project.commit(
        {
            "exps/exp_all.py": EXPERIMENTS,
            "exps/exp_bad.py": "def exp_bad(:\n",
            "exps/exp_none.py": "from exp_all import exp_fit\n",
            "other/exp_twin.py": "def exp_twin(): pass\n",
            "more/exp_twin.py": "def exp_twin(): pass\n",
            "pyproject.toml": TABLE,
            "lab/__init__.py": "",
            "lab/things.py": THINGS,
            "lab/broken.py": "import numpy as np\nnp.no_such_function()\n",
        }
    )
    return project


CASES = {
    "experiment": (["--exp", "fti"], "no experiment named 'fti'; there are *did you mean *fit?*"),
    "step": (["--exp", "sim+fitt"], "sim+fitt: no step named 'fitt'; *did you mean fit?*"),
    "declared step": (["--exp", "missing"], "missing: no step named 'nosuch'; there are *"),
    "module": (["--exp", "lab.nothing"], "no experiment named 'lab.nothing'; there are *"),
    "parameter": (
        ["--exp", "fit", "--variant", "niose=low"],
        "fit has no parameter 'niose'; there are noise, solver, seed; did you mean noise?",
    ),
    "variant": (
        ["--exp", "fit", "--variant", "noise=lo", "--variant", "solver=tv"],
        "fit.noise has no variant 'lo'; it has low, high",
    ),
    "no lookup entry": (
        ["--exp", "needs", "--variant", "alpha=low"],
        "needs.alpha has no variants in the lookup dictionary (there are noise, *",
    ),
    "star of nothing": (
        ["--exp", "needs", "--variant", "alpha=*"],
        "needs.alpha has no variants in the lookup dictionary *so '[*]' stands for nothing",
    ),
    "no value": (
        ["--exp", "fit", "--variant", "noise=low"],
        "fit.solver needs a value; it has the variants tv: --variant solver=tv, *",
    ),
    "no fixture": (
        ["--exp", "needs"],
        "needs.alpha needs a value: give --eval-param alpha=…, *or a pytest fixture named 'alpha'",
    ),
    "unsafe name": (
        ["--exp", "odd", "--variant", "odd=a/b"],
        "a variant of odd.odd is called 'a/b', which is no safe file name; *",
    ),
    "unsafe star": (
        ["--exp", "odd", "--variant", "odd=*"],
        "*'a/b', which is no safe file name; *",
    ),
    "lookup entry is no mapping": (
        ["--exp", "flat", "--variant", "flat=a"],
        "flat.flat: its entry in the lookup dictionary has to be a mapping *",
    ),
    "literal": (
        ["--exp", "needs", "--eval-param", "alpha=rbf"],
        "alpha: 'rbf' is not a Python literal; for a text add quotes: *",
    ),
    "call in literal": (
        ["--exp", "needs", "--eval-param", "alpha=__import__('os').getpid()"],
        "alpha: * is not a Python literal",
    ),
    "no equals": (
        ["--exp", "fit", "--variant", "noise"],
        "--variant noise: write PARAMETER=VALUE, such as --variant noise=low",
    ),
    "empty name": (["--exp", "fit", "--variant", "noise=low,"], "*a variant name is missing*"),
    "twice": (
        ["--exp", "fit", "--variant", "noise=low", "--eval-param", "noise=1"],
        "noise is given twice, by --variant and by --eval-param; give one of them",
    ),
    "seed twice": (
        ["--exp", "fit", "--variant", "noise=low", "--seeds", "1", "--eval-param", "seed=2"],
        "the seed is given twice, *",
    ),
    "seeds": (["--exp", "fit", "--seeds", "a-b"], "--seeds a-b: 'a-b' is no seed; *"),
    "seeds of seedless": (
        ["--exp", "needs", "--seeds", "1"],
        "--seeds: needs has no parameter 'seed', 'rng' or 'rng_NAME'",
    ),
    "ambiguous parameter": (
        ["--exp", "both", "--variant", "length=short"],
        "length is a parameter of 2 steps of both; write sim.length or same.length",
    ),
    "unknown step prefix": (
        ["--exp", "both", "--variant", "sime.length=short"],
        "sime.length: no step named 'sime'; there are sim, same; did you mean *sim*?",
    ),
    "step twice": (["--exp", "sim+sim"], "sim+sim has the step sim twice; *"),
    "ambiguous experiment": (
        ["--exp", "twin"],
        "twin names 2 experiments: more/exp_twin.py::exp_twin and other/exp_twin.py::exp_twin; *",
    ),
    "syntax error": (["--exp", "bad"], "*exps/exp_bad.py line 1 does not parse: *"),
    "file that does not parse": (["exps/exp_bad.py"], "exps/exp_bad.py line 1 does not parse: *"),
    "file without experiments": (["exps/exp_none.py"], "exps/exp_none.py defines no experiment *"),
    "unknown node": (
        ["exps/exp_all.py::exp_fti"],
        "exps/exp_all.py has no experiment exp_fti; *did you mean exp_fit*?",
    ),
    "unknown node file": (["exps/exp_no.py::exp_fit"], "exps/exp_no.py does not exist; *"),
    "unknown trial": (
        ["exps/exp_all.py::exp_fit[noise=lo,solver=tv,seed=0]"],
        "fit.noise has no variant 'lo'; it has low, high",
    ),
    "malformed trial": (
        ["exps/exp_all.py::exp_fit[noise]"],
        "[[]noise] is no trial: 'noise' has to be PARAMETER=NAME",
    ),
    "node id and variant": (
        ["exps/exp_all.py::exp_fit[noise=low,solver=tv,seed=0]", "--variant", "noise=high"],
        "a node id with [[]brackets] says all parameters: *",
    ),
    "reference does not import": (
        ["--exp", "broken"],
        "the step broken: lab.broken does not import: AttributeError: module 'numpy' *",
    ),
    "no attribute": (
        ["--exp", "absent"],
        "the step absent: lab.things:simulate does not exist: no 'simulate' in lab.things; *",
    ),
    "no module": (
        ["--exp", "nomodule"],
        "the step nomodule: lab.nothing does not import: ModuleNotFoundError: *",
    ),
    "no lookup": (["--exp", "nolookup"], "*did you mean *lookup?"),
    "lookup is no mapping": (["--exp", "notmapping"], "*lab.things:number does not (int)"),
    "action is no callable": (["--exp", "notcallable"], "*is not callable (int)"),
    "step takes no data": (
        ["--exp", "sim+nodata"],
        "the step nodata takes nothing from the step before it; *",
    ),
    "coroutine": (["--exp", "async"], "*has to be a plain function that returns a dict"),
    "not a function": (["--exp", "number"], "*is not callable (int)"),
    "options alone": (["--variant", "noise=low"], "--variant is for experiments; *--exp NAME"),
    "debugger": (
        [
            "--exp",
            "fit",
            "--variant",
            "noise=low",
            "--variant",
            "solver=tv",
            "--pdb",
            "--exp-launcher",
            "kernel",
        ],
        "--pdb and --trace cannot follow a trial *",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_mistake_is_one_line(mistakes, case):
    arguments, sentence = CASES[case]
    result = mistakes.run(*arguments)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])
    text = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in text
    assert "/pytest_mitosis/" not in text
    if case != "reference does not import":
        assert len([line for line in result.errlines if line.strip()]) == 1
    assert not mistakes.store.exists()


def test_import_failure_shows_their_frames(mistakes):
    result = mistakes.run("--exp", "broken")
    result.stderr.fnmatch_lines(["*lab/broken.py*line 2*", "*np.no_such_function()*"])
    assert "importlib" not in result.stderr.str()


@pytest.mark.parametrize("case", ["experiment", "variant", "reference does not import"])
def test_mistake_is_one_line_under_xdist_too(mistakes, case):
    arguments, sentence = CASES[case]
    done = mistakes.run_apart(*arguments, "-n", "2")
    assert done.returncode == 4
    pytest.LineMatcher(done.stderr.splitlines()).fnmatch_lines([f"ERROR: {sentence}"])
    assert "INTERNALERROR" not in done.stdout + done.stderr


TABLES = {
    "no TOML": ("[tool.mitosis", "* is not valid TOML: *"),
    "steps": ("[tool.mitosis.steps]\na = ['x:y']\n", "* steps is malformed: a = [[]'x:y'] has *"),
    "steps list": ("[tool.mitosis]\nsteps = []\n", "* steps is malformed: it has to be a table*"),
    "experiments": (
        "[tool.mitosis.experiments]\na = 'sim'\n",
        "* experiments: a has to be a list of names, not 'sim'",
    ),
    "unknown key": (
        "[tool.mitosis]\ntrial-folder = 'x'\n",
        "* has an unknown key 'trial-folder'; *did you mean trials-folder*?",
    ),
    "type": ("[tool.mitosis]\ntrials-folder = 3\n", "* trials-folder has to be a text, not 3"),
    "choice": ("[tool.mitosis]\ncwd = 'home'\n", "* cwd is 'home'; it can be trial or root"),
    "time-out": ("[tool.mitosis]\ntimeout = -1\n", "* timeout has to be a number of seconds *"),
    "name": ("[tool.mitosis.steps]\n'a/b' = ['x:y', 'x:z']\n", "* is called 'a/b', which is no *"),
}


@pytest.mark.parametrize("case", TABLES)
def test_malformed_table_is_one_line(project, case):
    table, sentence = TABLES[case]
    project.commit({"pyproject.toml": table, "exp_fit.py": "def exp_fit(): return {'main': 1}\n"})
    # pytest itself reads the file of its folder, and has words of its own for what is no TOML.
    result = project.run("--exp", "fit", "-c", "/dev/null", "--rootdir", str(project.path))
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])
    assert "/pytest_mitosis/" not in result.stderr.str()


def test_command_line_tool_says_what_is_wrong_in_one_line(project):
    tool = [sys.executable, "-m", "pytest_mitosis.read.cli"]
    done = subprocess.run([*tool, "ls"], cwd=project.path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (13, "")
    assert done.stderr.startswith("ERROR: there is no trials folder ")


@pytest.mark.parametrize("launcher", ["slurm", "gpu"])
def test_cluster_where_there_is_none_is_refused_before_anything_is_made(
    mistakes, tmp_path, monkeypatch, launcher
):
    table = (mistakes.path / "pyproject.toml").read_text()
    mistakes.commit({"pyproject.toml": f"{table}\n[tool.mitosis.launchers.gpu]\n"})
    (tmp_path / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tmp_path))
    fit = ("--exp", "fit", "--variant", "noise=low", "--variant", "solver=tv")
    result = mistakes.run(*fit, "--exp-launcher", launcher)
    assert result.ret == 4
    (line,) = filter(None, result.errlines)
    assert line.startswith(
        f"ERROR: --exp-launcher {launcher} needs Slurm, and there is no sbatch and no squeue here: "
    )
    assert not mistakes.store.exists()
    assert mistakes.run(*fit, "--exp-launcher", launcher, "--collect-only").ret == 0
    assert mistakes.run(*fit, "--exp-launcher", launcher, "--exp-generate").ret == 0
