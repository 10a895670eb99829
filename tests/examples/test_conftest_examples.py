"""Every project below ``conftest_examples`` runs as it stands, as from a clone."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Project, manifest

EXAMPLES = Path(__file__).parents[2] / "conftest_examples"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The examples in a repository of their own, committed, as a clone has them."""
    path = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns("trials", "__pycache__", ".pytest_cache")
    shutil.copytree(EXAMPLES, path / "conftest_examples", ignore=ignored)
    shutil.copy(EXAMPLES.parent / ".gitignore", path)
    project = Project(path)
    project.commit()
    return project


@pytest.fixture
def run(clone):
    """Run the arguments of a ``pytest`` command in an example's folder."""

    def run(example, command):
        done = clone.run_apart(
            *shlex.split(command)[3:], cwd=clone.path / "conftest_examples" / example
        )
        return done.returncode, done.stdout + done.stderr

    return run


def folders(clone, example, pattern):
    store = clone.path / "conftest_examples" / example / "trials"
    return [file.parent for file in sorted(store.glob(f"{pattern}/*/trial.json"))]


def test_sine_confirms_its_hypothesis_for_the_slow_wave_only(clone, run):
    command = (
        "pytest -p mitosis --exp my_exp --variant frequency=slow,fast --eval-param amplitude=4"
    )
    code, printed = run("sine", command)
    assert code == 0, printed
    (slow,) = folders(clone, "sine", "my_exp/*frequency=slow*")
    (fast,) = folders(clone, "sine", "my_exp/*frequency=fast*")
    assert manifest(slow)["metrics"]["main"] == 0.0
    assert manifest(fast)["metrics"]["main"] == pytest.approx(0.0079, abs=5e-5)
    assert (slow / "figures/my_exp-1.png").stat().st_size > 5_000


def test_error_of_classifiers_grows_with_noise(clone, run):
    command = (
        "pytest -p mitosis --exp noisy_fit --variant dataset=wine --variant noise=* "
        "--variant solver=logistic"
    )
    code, printed = run("noisy_classifiers", command)
    assert code == 0, printed
    main = {
        name: manifest(folder)["metrics"]["main"]
        for name in ("none", "low", "heavy")
        for folder in folders(clone, "noisy_classifiers", f"noisy_fit/*noise={name},*")
    }
    assert 0 <= main["none"] < main["low"] < main["heavy"] < 1
    (heavy,) = folders(clone, "noisy_classifiers", "noisy_fit/*noise=heavy,*")
    assert len(list((heavy / "figures").glob("*.png"))) >= 2
    assert {path.name for path in (heavy / "results").glob("*.json")} == {
        "load_data.json",
        "corrupt.json",
        "evaluate.json",
    }


def test_main_job_of_the_readme(clone, run):
    command = "pytest -p mitosis --exp fit_eval --variant noise=low --variant solver=logistic"
    code, printed = run("noisy_classifiers", command)
    assert code == 0, printed
    (folder,) = folders(clone, "noisy_classifiers", "fit_eval/noise=low,solver=logistic,seed=0")
    assert 0 < manifest(folder)["metrics"]["main"] < 0.5


def test_overridden_guard_allows_notes_and_nothing_else(clone, run):
    command = "pytest -p mitosis --exp integral --variant integrand=* --seeds 0"
    note = clone.path / "conftest_examples/guard_override/notes/today.md"
    note.write_text("the peak needs more samples\n")
    code, printed = run("guard_override", command)
    assert code == 0, printed
    found = folders(clone, "guard_override", "integral/*")
    assert len(found) == 2
    assert all(manifest(folder)["hypothesis"] for folder in found)
    experiment = clone.path / "conftest_examples/guard_override/exps/exp_integral.py"
    before = experiment.read_text()
    experiment.write_text(before + "# a change\n")
    code, printed = run("guard_override", command)
    experiment.write_text(before)
    note.unlink()
    assert code == 1
    assert "commit these first (only notes/ may differ)" in printed


def test_detectors_are_locked_by_their_settings(clone, run):
    command = "pytest -p mitosis --exp counting --variant detector=* --variant rate=*"
    code, printed = run("described_objects", command)
    assert code == 0, printed
    assert len(folders(clone, "described_objects", "counting/*")) == 6
    example = clone.path / "conftest_examples/described_objects"
    lock = json.loads((example / "trials/locks/counting/detector/photodiode.json").read_text())
    leaves = {path: text for path, _, text in lock["description"]["leaves"]}
    assert leaves["['efficiency']"] == "float 0.8"
    assert "connection" not in str(leaves)
    conftest = example / "conftest.py"
    before = conftest.read_text()
    conftest.write_text("")
    clone.commit()
    code, printed = run("described_objects", command)
    conftest.write_text(before)
    clone.commit()
    assert code == 1
    assert ".connection is a _thread.lock: process state, not a value" in printed


ORBIT = "pytest -p mitosis --exp orbit --variant integrator=* --variant step=coarse"
PER_RUN = {
    *("id", "iteration", "started", "submitted", "checked", "finished", "duration_s", "cpu_s"),
    *("peak_memory_bytes", "pid", "process", "launcher", "artifacts"),
}


def test_trials_of_the_command_launcher_have_the_provenance_of_others(clone, run):
    """Only what no two runs of a trial share differs, and which launcher it was."""
    for more in ("--exp-launcher process", "--exp-launcher command --exp-reuse never"):
        code, printed = run("own_launcher", f"{ORBIT} --seeds 0 --exp-jobs 2 {more}")
        assert code == 0, printed
    for integrator in ("euler", "leapfrog"):
        pattern = f"orbit/integrator={integrator},step=coarse,seed=0"
        one, two = (manifest(folder) for folder in folders(clone, "own_launcher", pattern))
        assert (one["launcher"], two["launcher"]) == ("process", "command")
        assert one.keys() | {"submitted"} == two.keys()
        assert {n for n in one if one[n] != two[n]} <= PER_RUN
        assert one["commit"] == clone.git("rev-parse", "HEAD")
        assert one["repositories"][0]["changes"] == []
        assert one["code"]["modules"]
        assert one["status"] == "done"
        assert one["artifacts"].keys() == two["artifacts"].keys()


def test_first_failure_ends_what_the_command_launcher_runs(clone, run):
    """Both run at once; the one that fails ends the other, which would take minutes."""
    options = "--variant integrator=leapfrog --eval-param step=0.002 --eval-param step=None"
    command = f"pytest -p mitosis --exp orbit {options} --eval-param years=500 --seeds 1"
    code, printed = run("own_launcher", f"{command} --exp-launcher command --exp-jobs 2 -x")
    assert code == 1, printed
    assert "TypeError" in printed
    found = [manifest(folder) for folder in folders(clone, "own_launcher", "orbit/*years=500*")]
    assert sorted(one["status"] for one in found) == ["crashed", "interrupted"]


def test_ctrl_c_ends_what_the_command_launcher_runs_and_what_waits(clone):
    example = clone.path / "conftest_examples/own_launcher"
    command = f"{ORBIT} --eval-param years=400 --seeds 2-4 --exp-launcher command --exp-jobs 3"
    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", *shlex.split(command)[1:]],
        cwd=example,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    pattern = "trials/orbit/*years=400*/*"
    while len(list(example.glob(f"{pattern}/.heartbeat"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    session.send_signal(signal.SIGINT)
    printed = session.communicate(timeout=60)[0]
    assert session.returncode == 2, printed
    found = [manifest(folder) for folder in folders(clone, "own_launcher", "orbit/*years=400*")]
    assert [one["status"] for one in found] == ["interrupted"] * 3
    assert sum("submitted" in one for one in found) == 2  # the third was never its turn
    for one in found:
        assert one["failure"]["message"] == "stopped before it ended"
        assert not Path(f"/proc/{one['pid']}").exists()


def test_every_command_of_the_examples_names_what_exists(clone, run):
    """Collecting is enough: the commands themselves run above, or differ in seeds only."""
    for readme in EXAMPLES.glob("*/README.md"):
        commands = re.findall(r"^\$ (pytest .*)$", readme.read_text(), flags=re.MULTILINE)
        assert commands
        for command in commands:
            code, printed = run(readme.parent.name, f"{command} --collect-only -q")
            assert code == 0, f"{command}\n{printed}"
            assert "::" in printed
