"""``pytest-mitosis watch`` and ``ls --running``, while another process runs trials."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from terminal import Terminal

EXPERIMENT = """
    import os, time
    from pathlib import Path
    from pytest_mitosis import progress

    def exp_slow(n):
        Path(__file__).with_name(f"pid-{n}").write_text(str(os.getpid()))
        progress(n, 20, loss=0.125)
        while not Path(__file__).with_name(f"go-{n}").exists():
            time.sleep(0.02)
        return {"main": 1.0 * n}
"""


@pytest.fixture
def session(project):
    """Two trials that another process runs."""
    project.commit({"exp_slow.py": EXPERIMENT, ".gitignore": "go-*\npid-*\n"})
    numbers = ("--eval-param=n=1", "--eval-param=n=2", "--exp-jobs=2")
    running = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "mitosis", "--exp", "slow", *numbers],
        cwd=project.path,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while len(list(project.path.glob("pid-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    yield running
    running.terminate()
    running.wait(60)


def watch(project, **size):
    command = ("-m", "pytest_mitosis.read.cli", "watch", "--seconds", "0.2")
    return Terminal(sys.executable, *command, cwd=project.path, **size)


def cells(text, first):
    """The cells of the rows whose parameters are ``first``."""
    return [line.split() for line in text.splitlines() if first in line.split()]


def test_watch_shows_progress_and_how_trials_end(project, session):
    terminal = watch(project, columns=130)
    terminal.until(lambda text: text.count("loss=0.125") == 2)
    (row,) = cells(terminal.text, "n=1")
    assert row[1] == "slow"
    assert row[4] == str(session.pid)
    assert {"1/20", "loss=0.125"} <= set(row)
    (project.path / "go-1").touch()
    terminal.until(lambda text: "done" in text and text.count("loss=") == 1)
    os.kill(int((project.path / "pid-2").read_text()), signal.SIGKILL)
    terminal.until(lambda text: "crashed" in text and "nothing is running" in text)
    assert [row[3] for n in "12" for row in cells(terminal.text, f"n={n}")] == ["done", "crashed"]
    terminal.process.sendintr()
    assert terminal.end() == 0
    assert "Traceback" not in terminal.text


def test_trials_of_a_killed_session_are_lost(project, session, tool):
    terminal = watch(project, rows=12, columns=50)
    terminal.until(lambda text: len(cells(text, "n=1") + cells(text, "n=2")) == 2)
    assert len(terminal.text.splitlines()) == 4  # none of the lines wraps
    store = ("--trials-folder", project.store)
    code, printed, _ = tool("ls", "--running", "--json", *store)
    assert (code, [one["spec"] for one in json.loads(printed)]) == (0, ["n=1", "n=2"])
    session.kill()
    session.wait()
    terminal.until(lambda text: text.count("lost") == 2 and "nothing is running" in text)
    assert tool("ls", "--running", *store)[1] == "nothing is running\n"
    assert [row[3] for row in cells(tool("ls", *store)[1], "n=1")] == ["lost"]
    terminal.process.sendintr()
    assert terminal.end() == 0


def test_watch_fits_a_low_terminal(project, session):
    terminal = watch(project, rows=4, columns=100)
    seen = terminal.until(lambda text: "and 2 more lines" in text)
    assert len(seen.splitlines()) <= 4
    assert not cells(seen, "n=1")
    terminal.process.sendintr()
    assert terminal.end() == 0


def test_pipe_gets_one_table_after_the_other(tmp_path, tool):
    code, printed, _ = tool("watch", "--rounds", 2, "--seconds", 0.1, "--trials-folder", tmp_path)
    assert code == 0
    lines = printed.splitlines()
    assert [line.partition(" ")[2].strip() for line in lines[::2]] == [str(tmp_path)] * 2
    assert lines[1::2] == ["nothing is running"] * 2


def test_folder_without_trials_and_one_that_is_not_there(tmp_path, tool):
    assert tool("ls", "--running", "--trials-folder", tmp_path)[1] == "nothing is running\n"
    for command in (("watch",), ("ls", "--running")):
        code, _, told = tool(*command, "--trials-folder", tmp_path / "none")
        assert code == 13
        assert told.startswith(f"ERROR: there is no trials folder {tmp_path / 'none'}; ")


@pytest.mark.parametrize(("option", "value"), [("--seconds", "-1"), ("--rounds", "0")])
def test_watch_refuses_numbers_that_make_no_sense(tmp_path, tool, option, value):
    code, _, told = tool("watch", option, value, "--trials-folder", tmp_path)
    assert code == 2
    assert f"Invalid value for '{option}'" in told
