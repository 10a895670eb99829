"""However a trial ends, it is recorded as what it was, and the next one runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import manifest, notebook

CRASHES = {
    "raises": (
        "print('before'); import math; math.sqrt(-1.0)",
        "ValueError",
        "ValueError: *",
    ),
    "asserts": (
        "x = 3; assert x == 4, 'three is not four'",
        "AssertionError",
        "AssertionError: three is not four",
    ),
    "exits": ("import sys; sys.exit('bye')", "SystemExit", "SystemExit: bye"),
    "exits at once": (
        "import os; os._exit(3)",
        "ProcessExit",
        "*ended itself with exit code 3",
    ),
    "segfaults": ("import ctypes; ctypes.string_at(0)", "SIGSEGV", "*killed by SIGSEGV"),
    "is killed": (
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "SIGKILL",
        "*killed by SIGKILL",
    ),
    "returns a number": (
        "return 3",
        "ResultError",
        "*end returned int, not a dict with 'main'",
    ),
    "returns no main": (
        "return {'other': 1, 'more': 2}",
        "ResultError",
        "*end returned a dict without 'main'; it has 'more', 'other'",
    ),
    "returns nothing": ("pass", "ResultError", "*end returned NoneType, not a dict with 'main'"),
    "raises what cannot be printed": (
        "class Odd(Exception):\n        def __str__(self): raise RuntimeError\n    raise Odd()",
        "RuntimeError",
        "RuntimeError: *",
    ),
}


@pytest.mark.parametrize("how", CRASHES)
def test_crash_is_recorded_with_its_notebook(project, how):
    body, kind, words = CRASHES[how]
    project.commit(
        {
            "exp_end.py": f"def exp_end():\n    print('it began')\n    {body}\n",
            "exp_well.py": "def exp_well(): return {'main': 1}\n",
        }
    )
    result = project.run("--exp", "end", "--exp", "well")
    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines([words, "*CRASHED exp_end.py::exp_end?default?*"])
    result.stdout.no_fnmatch_line("*pytest_mitosis/*.py*")
    folder = project.only("end/*")
    record = manifest(folder)
    assert record["status"] == "crashed"
    assert record["failure"]["type"] == kind
    cell = next(
        c for c in notebook(folder)["cells"] if "result = exp_end()" in "".join(c["source"])
    )
    errors = [out["ename"] for out in cell["outputs"] if out["output_type"] == "error"]
    assert errors[-1] == kind
    assert "it began" in (folder / "output.txt").read_text()
    assert kind in (folder / "notebook.html").read_text()
    assert record["environment"]
    assert "notebook.html" in record["artifacts"]


def test_traceback_shows_the_experiments_own_frames(project):
    project.commit(
        {
            "exp_end.py": """
            def inner(x):
                return 1 / x

            def exp_end():
                return {"main": inner(0)}
            """
        }
    )
    result = project.run("--exp", "end")
    result.stdout.fnmatch_lines(
        [
            "ZeroDivisionError: division by zero",
            "*exp_end.py*line 6, in exp_end*",
            "*exp_end.py*line 3, in inner*",
            "after * s · trial * · notebook *notebook.html · log *log.txt",
        ]
    )
    failure = manifest(project.only())["failure"]
    assert "IPython" not in failure["traceback"]


def test_traceback_shows_what_an_error_came_from(project):
    project.commit(
        {
            "exp_end.py": """
            def load():
                raise FileNotFoundError("oct.h5 is not mounted")

            def exp_end():
                try:
                    load()
                except OSError as error:
                    raise RuntimeError("no data") from error
            """
        }
    )
    result = project.run("--exp", "end")
    result.stdout.fnmatch_lines(
        [
            "RuntimeError: no data",
            "*in load*",
            "FileNotFoundError: oct.h5 is not mounted",
            "The above exception was the direct cause of the following exception:",
            "*in exp_end*",
        ]
    )
    assert "IPython" not in manifest(project.only())["failure"]["traceback"]


def test_first_step_keeps_its_result_when_the_second_crashes(project):
    from pytest_mitosis import load_trial_data

    project.commit(
        {
            "exp_two.py": """
            def exp_first(): return {"main": 1, "data": [1.5, 2.5]}
            def exp_second(data): raise ValueError(len(data))
            """
        }
    )
    project.run("--exp", "first+second").assert_outcomes(failed=1)
    trial = project.only()
    data = load_trial_data(trial.name[2:], trials_folder=project.store)
    assert list(data) == ["first"]
    assert data[0]["data"] == [1.5, 2.5]


@pytest.mark.parametrize("launcher", ["kernel", "process"])
def test_what_cannot_be_pickled_is_told_and_the_rest_is_kept(project, launcher):
    project.commit(
        {
            "exp_odd.py": """
            import threading

            class Model:
                def __init__(self): self.weights = [1.0, 2.0]
                def __repr__(self): raise RuntimeError("no repr")

            def exp_odd():
                return {
                    "main": 1.5,
                    "model": Model(),
                    "lock": threading.Lock(),
                    "lines": (i for i in "ab"),
                    "quits": Quits(),
                }

            class Quits:
                def __reduce__(self): raise SystemExit("not saved")
            """
        }
    )
    result = project.run("--exp", "odd", "--exp-launcher", launcher)
    result.assert_outcomes(passed=1)
    notes = manifest(project.only())["notes"]
    assert any("model" in note and "is kept as a pickle" in note for note in notes)
    assert any("lock" in note and "could not be kept" in note for note in notes)
    assert any("lines" in note and "could not be kept" in note for note in notes)
    assert any("SystemExit: not saved" in note for note in notes)
    result.stdout.fnmatch_lines([" note: odd: *could not be kept*"])


def test_pickles_open_only_with_trust(project):
    from pytest_mitosis import load_trial_data

    project.commit(
        {"exp_obj.py": "class M: pass\ndef exp_obj(): return {'main': 1, 'model': M()}\n"}
    )
    project.run("--exp", "obj").assert_outcomes(passed=1)
    trial = project.only().name[2:]
    careful = load_trial_data(trial, trials_folder=project.store)["obj"]
    assert careful["main"] == 1
    assert type(careful["model"]).__name__ == "Pickled"
    trusted = load_trial_data(trial, trials_folder=project.store, trust=True)["obj"]
    assert type(trusted["model"]).__name__ == "M"


def test_printing_a_lot_keeps_all_of_it_and_a_readable_notebook(project):
    project.commit(
        {
            "exp_loud.py": """
            def exp_loud():
                for number in range(300):
                    print(f"{number:06} " + "x" * 100_000)
                return {"main": 1}
            """
        }
    )
    project.run("--exp", "loud").assert_outcomes(passed=1)
    folder = project.only()
    lines = (folder / "output.txt").read_text().splitlines()
    assert len(lines) == 300
    assert all(len(line) == 100_007 for line in lines)
    assert lines[-1].startswith("000299")
    assert (folder / "notebook.ipynb").stat().st_size < 1_000_000
    assert "all of it is in output.txt" in (folder / "notebook.ipynb").read_text()


@pytest.mark.parametrize("launcher", ["kernel", "process", "inline"])
def test_what_a_step_shows_is_in_the_notebook_while_the_next_one_runs(project, launcher):
    project.commit(
        {
            "exp_two.py": """
            import json
            from pathlib import Path

            def exp_loud():
                print("said by the first")
                return {"data": 1}

            def exp_reader(data):
                text = Path("../notebook.ipynb").read_text()
                return {"main": int("said by the first" in text)}
            """
        }
    )
    project.run("--exp", "loud+reader", "--exp-launcher", launcher).assert_outcomes(passed=1)
    folder = project.only()
    shown = int(launcher != "inline")  # where what is printed goes to the terminal
    assert manifest(folder)["metrics"] == {"main": shown}
    counts = [one["execution_count"] for one in notebook(folder)["cells"] if "outputs" in one]
    assert all(counts) == bool(shown)


def test_forks_neither_answer_for_the_trial_nor_outlive_it(project):
    project.commit(
        {
            "exp_forks.py": """
            import os, subprocess
            def exp_forks():
                straggler = subprocess.Popen(["sleep", "1000"])
                if os.fork() == 0:
                    return {"main": "the child"}
                return {"main": "the parent", "straggler": straggler.pid}
            """
        }
    )
    project.run("--exp", "forks").assert_outcomes(passed=1)
    metrics = manifest(project.only())["metrics"]
    assert metrics["main"] == "the parent"
    with pytest.raises(ProcessLookupError):
        _wait_until_gone(metrics["straggler"])


def _wait_until_gone(pid):
    for _ in range(100):
        os.kill(pid, 0)
        time.sleep(0.05)


def test_time_out_ends_the_trial_and_says_so(project):
    project.commit(
        {
            "exp_slow.py": """
            import time, pytest
            @pytest.mark.experiment(timeout=1.5)
            def exp_slow():
                print("before", flush=True)
                time.sleep(60)
            """
        }
    )
    result = project.run("--exp", "slow")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Timeout: the trial took longer than its time-out of 1.5 s", "*TIMEOUT exp_slow.py*"]
    )
    record = manifest(project.only())
    assert record["status"] == "timeout"
    assert record["duration_s"] < 20
    assert "before" in (project.only() / "output.txt").read_text()


SLEEPER = """
    import time
    import matplotlib.pyplot as plt
    import logging

    def exp_first():
        return {"main": 1, "data": [1.5]}

    def exp_sleep(data):
        print("asleep", flush=True)
        plt.plot([1, 2])
        plt.show()
        logging.getLogger("night").info("still here")
        time.sleep(120)
        return {"main": 1}
"""


def _stop_while_asleep(project, how, *arguments):
    """Send a signal to a whole pytest session once its trial has printed and drawn."""
    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "mitosis", "--exp", "first+sleep", *arguments],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with session:
        deadline = time.monotonic() + 60
        while not list(project.store.glob("*/*/*/figures/*.png")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(session.pid, how)
        try:
            printed = session.communicate(timeout=60)[0]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session.pid, signal.SIGKILL)
    return session.returncode, printed


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_trial_is_interrupted_and_keeps_what_it_made(project, how):
    project.commit({"exp_night.py": SLEEPER})
    code, printed = _stop_while_asleep(project, how)
    assert code == 2, printed
    assert "interrupted" in printed
    assert "Traceback" not in printed
    folder = project.only()
    record = manifest(folder)
    assert record["status"] == "interrupted"
    kept = {name for name in record["artifacts"] if not name.startswith(".")}
    assert {"output.txt", "figures/sleep-1.png", "results/first.json", "notebook.html"} <= kept
    assert "asleep" in (folder / "output.txt").read_text()
    assert "still here" in (folder / "log.txt").read_text()
    assert not _processes_in(folder)


def test_stopped_trial_under_xdist_is_interrupted(project):
    project.commit({"exp_night.py": SLEEPER})
    code, printed = _stop_while_asleep(project, signal.SIGINT, "-n", "1")
    assert code == 2
    assert "INTERNALERROR" not in printed
    assert manifest(project.only())["status"] == "interrupted"


def test_killed_session_leaves_a_trial_that_reads_lost(project):
    from pytest_mitosis import load_trials

    project.commit({"exp_night.py": SLEEPER})
    code, _ = _stop_while_asleep(project, signal.SIGKILL)
    assert code == -signal.SIGKILL
    folder = project.only()
    assert manifest(folder)["status"] == "running"
    assert list(load_trials(trials_folder=project.store)["status"]) == ["lost"]
    assert "asleep" in (folder / "output.txt").read_text()
    for _ in range(200):  # the kernel notices by itself that its parent is gone
        if not _processes_in(folder):
            break
        time.sleep(0.05)
    assert not _processes_in(folder)


def _processes_in(folder):
    """Processes whose working directory is in ``folder``."""
    found = []
    for process in os.listdir("/proc"):
        if process.isdecimal():
            try:
                place = os.readlink(f"/proc/{process}/cwd")
            except OSError:
                continue
            if place.startswith(str(folder)):
                found.append(process)
    return found


def test_process_that_cannot_start_leaves_its_last_words(project, monkeypatch):
    """A broken environment (a missing system library, say) ends the trial, not the session."""
    project.write(
        "broken/sitecustomize.py",
        """
        import os, sys
        if any("ipykernel" in one or "forkserver" in one for one in sys.orig_argv):
            sys.stderr.write("libopenblas.so.0: cannot open shared object file\\n")
            os._exit(5)
        """,
    )
    project.commit({"exp_one.py": "def exp_one(): return {'main': 1}\n"})
    monkeypatch.setenv("PYTHONPATH", str(project.path / "broken"))
    result = project.run("--exp", "one")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["ProcessExit: the trial's process ended itself with exit code 5", "libopenblas.so.0: *"]
    )
    assert manifest(project.only())["status"] == "crashed"
