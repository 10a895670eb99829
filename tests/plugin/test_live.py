"""Lines of running trials on a terminal: what a person sees while they run, and nothing after."""

from __future__ import annotations

import subprocess
import sys

import pytest
from terminal import Terminal

EXPERIMENTS = """
    import os, time
    from pathlib import Path
    from pytest_mitosis import progress

    GO = Path(__file__).with_name("go")

    def exp_slow(n):
        phase = os.environ.get("PHASE", "warm")
        print("printed by", n)
        progress(n, 20, loss=0.125, a_metric_with_a_long_name=3.14159, phase=phase)
        while not GO.exists():
            time.sleep(0.02)
        return {"main": 1.0 * n}

    def exp_bar(n):
        from tqdm import tqdm
        bar = tqdm(total=8)
        bar.update(n)
        while not GO.exists():
            time.sleep(0.02)
            bar.refresh()
        return {"main": 1.0 * n}
"""
LINES = "slow[n="


@pytest.fixture
def lively(project):
    project.commit({"exp_slow.py": EXPERIMENTS, ".gitignore": "go\n"})
    return project


def session(project, *options, trials=2, experiment="slow", **size):
    """A session of some trials at once, on a terminal."""
    numbers = [one for n in range(1, trials + 1) for one in ("--eval-param", f"n={n}")]
    command = ("-m", "pytest", "-p", "mitosis", "--exp", experiment, *numbers)
    return Terminal(
        *(sys.executable, *command, f"--exp-jobs={trials}", *options), cwd=project.path, **size
    )


def let_go(project):
    (project.path / "go").touch()


def lines(text, words=LINES):
    return [line for line in text.splitlines() if words in line]


@pytest.mark.parametrize("options", [(), ("-s", "-v"), ("-q",)], ids=" ".join)
def test_each_running_trial_has_a_line_that_is_gone_in_the_end(lively, options):
    terminal = session(lively, *options, rows=24, columns=100)
    seen = terminal.until(lambda text: text.count("loss=") == 2)
    first, second = lines(seen)
    assert "1/20 loss=0.125 a_metric_with_a_long_name=3.142 phase=warm · about " in first
    assert "2/20 loss=0.125 " in second
    let_go(lively)
    assert terminal.end() == 0
    assert "loss=" not in terminal.text
    words = {"": "exp_slow.py DD", "-s": "exp_slow.py::exp_slow[n=1] DONE", "-q": "DD"}
    assert lines(terminal.text, words[options[0] if options else ""])
    assert lines(terminal.text, "collected 2 items") or "-q" in options


def test_bar_of_tqdm_is_a_line_too(lively):
    terminal = session(lively, experiment="bar")
    terminal.until(lambda text: " 1/8 · about" in text and " 2/8 · about" in text)
    let_go(lively)
    assert terminal.end() == 0
    assert "/8" not in terminal.text


@pytest.mark.parametrize(("rows", "columns"), [(24, 30), (5, 100), (3, 100)])
def test_lines_fit_small_terminals(lively, rows, columns):
    """None wraps and none scrolls away, or they could not be taken back."""
    terminal = session(lively, "-q", trials=4, rows=rows, columns=columns)
    if rows > 3:
        seen = terminal.until(lambda text: len(lines(text)) == min(4, rows - 3))
        assert all(line.startswith(f" {LINES}") for line in lines(seen))
    if rows == 5:
        terminal.until(lambda text: "and 2 more" in text)
    if rows == 3:
        terminal.until(lambda text: "and 4 more" in text)
    let_go(lively)
    assert terminal.end() == 0
    assert LINES not in terminal.text
    assert "more" not in terminal.text
    assert "DDDD" in terminal.text.replace("\n", "")


def test_terminal_that_becomes_narrow_is_seen(lively):
    terminal = session(lively, "-q", rows=24, columns=100)
    terminal.until(lambda text: "about" in text)
    terminal.resize(24, 40)
    seen = terminal.until(lambda text: "loss=" in text and "long_name" not in text)
    assert len(lines(seen)) == 2
    let_go(lively)
    assert terminal.end() == 0
    assert LINES not in terminal.text


@pytest.mark.parametrize(
    "phase", ["a\n\x1b[2J\x1b[Hb", "\u5206\u6790" * 30], ids=["control", "wide"]
)
def test_odd_texts_of_progress_do_no_harm(lively, monkeypatch, phase):
    monkeypatch.setenv("PHASE", phase)
    terminal = session(lively, rows=24, columns=100)
    seen = terminal.until(lambda text: text.count("phase=") == 2)
    assert "test session starts" in seen
    assert len(lines(seen)) == 2
    let_go(lively)
    assert terminal.end() == 0
    assert "phase" not in terminal.text


def test_more_than_eight_lines_are_too_many(lively):
    terminal = session(lively, "-q", trials=10, rows=40)
    seen = terminal.until(lambda text: len(lines(text)) == 8)
    assert " and 2 more" in seen.splitlines()
    let_go(lively)
    assert terminal.end() == 0


def test_ctrl_c_takes_the_lines_away(lively):
    terminal = session(lively, rows=24, columns=100)
    terminal.until(lambda text: text.count("loss=") == 2)
    terminal.process.sendintr()
    assert terminal.end() == 2
    assert "loss=" not in terminal.text
    assert terminal.text.count("interrupted") >= 2


INTERRUPTER = """
    import os
    import signal
    from pytest_mitosis.live import Live

    draw, hide = Live._draw, Live.hide

    class Interrupted:
        'A terminal where Ctrl-C is pressed as soon as some word is on it, once.'

        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, text):
            self.file.write(text)
            if WORD in text:
                self.file.flush()
                Live._draw, Live.hide = draw, hide
                os.kill(os.getpid(), signal.SIGINT)

    def interrupted(method):
        def wrapped(live, *arguments):
            writer = live.terminal._tw
            kept, writer._file = writer._file, Interrupted(writer._file)
            try:
                return method(live, *arguments)
            finally:
                writer._file = kept
        return wrapped

    Live._draw, Live.hide = interrupted(draw), interrupted(hide)
"""


@pytest.mark.parametrize("word", ["loss=", "\x1b[J"], ids=["drawn", "hidden"])
def test_ctrl_c_while_lines_are_drawn_takes_them_away(lively, word):
    lively.commit({"conftest.py": INTERRUPTER.replace("WORD", repr(word))})
    terminal = session(lively, rows=24, columns=100)
    assert terminal.end() == 2
    assert "loss=" not in terminal.text
    assert terminal.text.count("interrupted") >= 2


def test_pipe_gets_no_lines(lively):
    let_go(lively)
    done = lively.run_apart("--exp", "slow", "--eval-param", "n=1", "--eval-param", "n=2")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert not [line for line in done.stdout.splitlines() if "loss=" in line]


def test_log_is_told_now_and_then(lively):
    lively.write(
        "conftest.py", "import pytest_mitosis.live\npytest_mitosis.live.LOG_SECONDS = 0.5\n"
    )
    lively.commit()
    command = [sys.executable, "-m", "pytest", "-p", "mitosis", "--exp", "slow"]
    with subprocess.Popen(
        [*command, "--eval-param", "n=1"], cwd=lively.path, stdout=subprocess.PIPE, text=True
    ) as running:
        told = next(line for line in running.stdout if "loss=" in line)
        let_go(lively)
        rest = running.stdout.read()
    assert running.returncode == 0
    assert told.startswith("mitosis: slow[n=1]  ")
    assert "\x1b" not in told + rest
