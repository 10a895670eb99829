"""Trials that a launcher of one's own runs by a command line: taken up there, read back here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from conftest import manifest

EXAMPLE = Path(__file__).parents[2] / "conftest_examples/own_launcher/conftest.py"
COMMAND = "--exp-launcher=command"
OWN = 'return [sys.executable, "-m", "pytest_mitosis.run", str(order.folder / "job.json")]'
ONE = """
    import os
    def exp_one(kind="well"):
        print("seen by", os.getpid())
        return {"main": 1.5}
"""


def commit(project, experiment=ONE, command=OWN, **files):
    """A project with the example's launcher, which runs ``command``."""
    text = EXAMPLE.read_text()
    assert text.count(OWN) == 1
    text = text.replace(OWN, command)
    return project.commit({"conftest.py": text, "exp_one.py": experiment, **files})


def waiting(project):
    """The folder of a trial that a session has begun and nobody runs, and its manifest then."""
    place = str(project.path / "begun.json")
    command = f'return ["cp", str(order.folder / "trial.json"), {place!r}]'
    commit(project, command=command, **{".gitignore": "begun.json\n"})
    session = project.run_apart("--exp", "one", COMMAND)
    assert session.returncode == 1, session.stdout
    folder = project.only()
    begun = json.loads((project.path / "begun.json").read_text())
    (folder / "trial.json").write_text(json.dumps(begun))
    return folder, begun


def run_job(folder):
    return subprocess.run(
        [sys.executable, "-m", "pytest_mitosis.run", str(folder / "job.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_command_that_cannot_run_is_recorded_with_its_last_words(project):
    command = 'return ["sh", "-c", "echo trying; echo lab2: no route to host >&2; exit 255"]'
    commit(project, command=command)
    result = project.run("--exp", "one", COMMAND)
    result.assert_outcomes(failed=1)
    words = "its command ended with 255 and left no end of the trial: lab2: no route to host"
    result.stdout.fnmatch_lines([f"*NotRecorded: {words}"])
    record = manifest(project.only())
    assert record["status"] == "crashed"
    assert record["failure"]["message"] == words


def test_trial_that_nobody_took_up_is_run_in_its_own_folder_with_what_the_session_knew(project):
    folder, begun = waiting(project)
    assert begun["status"] == "running"
    done = run_job(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"done: one[default] in {folder}\n  main = 1.5\n")
    record = manifest(project.only())
    assert record["status"] == "done"
    assert record["pid"] != begun["pid"]
    assert record["submitted"] == begun["started"] < record["started"]
    kept = ("id", "commit", "repositories", "code_problem", "checked", "parameters", "command")
    assert {name: record[name] for name in kept} == {name: begun[name] for name in kept}
    assert "clean" in (folder / "notebook.ipynb").read_text()


def test_trial_is_run_by_one_process_only(project):
    folder, _ = waiting(project)
    (folder / ".heartbeat").touch()
    record = manifest(folder)
    record |= {"host": "elsewhere"}
    (folder / "trial.json").write_text(json.dumps(record))
    refused = run_job(folder)
    assert refused.returncode == 13
    assert refused.stderr == f"ERROR: {folder} is running now; wait for its end\n"
    assert manifest(folder) == record


def test_code_edited_since_the_session_began_taints_the_trial_of_a_command(project):
    command = f'order.folder.parents[3].joinpath("exp_one.py").touch(); {OWN}'
    commit(project, command=command)
    project.run("--exp", "one", COMMAND).assert_outcomes(passed=1)
    (tainted,) = manifest(project.only())["tainted"]
    assert tainted.endswith("exp_one.py was edited after the run began")


def test_command_that_is_killed_leaves_a_crash_and_no_process(project):
    commit(
        project,
        """
        import os, pathlib, signal, time
        PIDS = pathlib.Path(os.environ["PIDS"])
        def exp_one():
            (PIDS / "trial").write_text(str(os.getpid()))
            os.kill(int((PIDS / "command").read_text()), signal.SIGKILL)
            time.sleep(60)
            return {"main": 1.5}
        """,
        'return ["sh", "-c", f"echo $$ > $PIDS/command; exec {sys.executable} '
        "-m pytest_mitosis.run {order.folder / 'job.json'}\"]",
    )
    pids = project.path / ".git"
    started = time.monotonic()
    done = project.run_apart("--exp", "one", COMMAND, env={**os.environ, "PIDS": str(pids)})
    assert done.returncode == 1, done.stdout
    trial = Path("/proc", (pids / "trial").read_text())
    while trial.exists() and time.monotonic() - started < 30:
        time.sleep(0.05)
    assert not trial.exists()
    assert time.monotonic() - started < 30
    record = manifest(project.only())
    assert record["status"] == "crashed"
    assert record["failure"]["message"].startswith("its command ended with -9 and left no end")


def test_full_disk_met_by_a_command_is_the_sessions_exit_13(project, small_disk):
    commit(
        project,
        """
        import numpy as np
        def exp_one(): return {"main": 1.0, "data": np.random.rand(2_000_000)}
        """,
    )
    result = project.run("--exp", "one", COMMAND, "--trials-folder", str(small_disk / "trials"))
    assert result.ret == 13
    last = result.outlines[-1]
    assert "No space left on device" in last
    place = Path(last.partition("what the trial left is in ")[2])
    assert (place / "results/one.json").exists()
    shutil.rmtree(place)
