"""Kill each party at any moment; afterwards nothing is lost, doubled, half or left running.

Each round runs a grid in several sessions, one after the other or two at once. While one runs,
randomly chosen processes of it are killed: a trial's, the fork server, pytest itself. The last
session is left alone and has to finish the grid. ``MITOSIS_FAULT_ROUNDS=30`` makes a few hundred
kills; what is run by default makes some forty. A failing round says its seed,
``MITOSIS_FAULT_SEED`` begins with it.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import Project, manifest

from pytest_mitosis.model import Status
from pytest_mitosis.store.artifacts import damaged
from pytest_mitosis.store.check import Problem, check_store
from pytest_mitosis.store.folder import iterate_trials

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = int(os.environ.get("MITOSIS_FAULT_ROUNDS", "2"))
FIRST_SEED = int(os.environ.get("MITOSIS_FAULT_SEED", "0"))
TRIALS = 16
SESSIONS = 2
MARK = "MITOSIS_FAULTS"
"""A variable of all processes of a round, by which those that are left are found."""
LEFT_SECONDS = 20.0
"""How long what is left of a killed session may take to end; it has five seconds to save things."""

WEIGHTS = {"pytest": 1, "server": 1, "trial": 12}
"""How often each is hit where there are several."""

GRID = """
    import random
    import subprocess
    import time

    lookup_dict = {"size": {"small": 10, "large": 20_000}}

    def exp_grid(size, seed):
        rng = random.Random(seed)
        helper = subprocess.Popen(["sleep", "60"])  # must not outlive its trial
        print("x" * size, flush=True)
        time.sleep(rng.random() * 0.2)
        return {"main": seed, "data": [rng.random() for _ in range(size)]}
"""
OPTIONS = ("-q", "--exp", "grid", "--variant", "size=*", "--seeds", f"0-{TRIALS // 2 - 1}")


class Round:
    """Sessions on one store, some of them hit."""

    def __init__(self, project: Project, seed: int) -> None:
        self.project, self.rng = project, random.Random(seed)
        self.launcher = ("kernel", "process")[seed % 2]
        self.mark = f"{os.getpid()}-{seed}-{time.time_ns()}"
        self.kills: Counter[str] = Counter()

    def session(self) -> subprocess.Popen[bytes]:
        """Start pytest on the grid."""
        jobs = ("--exp-jobs", str(self.rng.randint(1, 3)), "--exp-launcher", self.launcher)
        return self.start(*OPTIONS, *jobs)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start pytest."""
        command = [sys.executable, "-m", "pytest", "-p", "mitosis", *options]
        with (self.project.path / "session.txt").open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=self.project.path,
                env={**os.environ, MARK: self.mark},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def hit(self, session: subprocess.Popen[bytes]) -> None:
        """Kill something of a session every now and then, until pytest ends or is killed.

        Not both the server and pytest: what a killed trial had started is ended by one of them, and
        without either nobody is left to.
        """
        lost_server = False
        is_early = self.rng.random() < 0.2  # pytest itself, before there is anything else
        while session.poll() is None:
            time.sleep(self.rng.random() * 0.3)
            victims = self.parties(session.pid)
            if is_early or (victims and not lost_server and self.rng.random() < 0.08):
                victims = {"pytest": [session.pid]}
            if not victims:
                continue
            party = self.rng.choices(list(victims), [WEIGHTS[name] for name in victims])[0]
            with suppress(ProcessLookupError):
                os.kill(self.rng.choice(victims[party]), signal.SIGKILL)
                self.kills[party] += 1
                lost_server = lost_server or party == "server"
            if party == "pytest":
                break
        session.wait()

    def parties(self, pid: int) -> dict[str, list[int]]:
        """The processes of a running session: its fork server, and those of trials.

        Trials are forks of the server, or children of pytest's own once it has lost its server.
        """
        running = processes(self.mark)
        children = [one for one, parent in running.items() if parent == pid]
        servers = [one for one in children if "forkserver" in command_of(one)]
        trials = [one for one in children if one not in servers]
        trials += [one for one, parent in running.items() if parent in servers]
        found = {"server": servers, "trial": trials}
        return {name: found[name] for name in found if found[name]}

    def await_end(self) -> dict[int, int]:
        """Wait until no process of the round is left; those that stay, with their parents."""
        deadline = time.monotonic() + LEFT_SECONDS
        while (left := processes(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left


def processes(mark: str) -> dict[int, int]:
    """Processes that have the mark in their environment, with their parents."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    found[int(folder.name)] = int(fields[1])
    return found


def command_of(pid: int) -> str:
    """The command line of a process; empty if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def iterations(store: Path) -> Iterator[tuple[str, list[int], list[int]]]:
    """Of each spec the iterations that have a folder, and those that were claimed."""
    for spec in store.glob("grid/*"):
        names = [path.name for path in spec.iterdir() if re.match(r"\d+-", path.name)]
        claimed = [int(path.name) for path in (spec / ".iterations").glob("[0-9]*")]
        yield spec.name, sorted(int(name.partition("-")[0]) for name in names), sorted(claimed)


def check(store: Path) -> None:
    """What has to hold whenever nothing runs."""
    for file in store.rglob("*.json"):
        if not any(part.startswith(".") for part in file.relative_to(store).parts):
            json.loads(file.read_text("utf-8"))
    for spec, folders, claimed in iterations(store):
        assert len(folders) == len(set(folders)), f"{spec}: an iteration twice"
        assert set(folders) <= set(claimed), f"{spec}: a folder without a claim"
    for trial in iterate_trials(store):
        assert trial.status is not Status.RUNNING, trial.folder
        assert trial.folder.name == f"{trial.manifest['iteration']}-{trial.id}"
        if trial.status is Status.DONE:
            assert damaged(trial.folder, trial.manifest["artifacts"]) == []
    done = Counter(t.manifest["spec"] for t in iterate_trials(store) if t.status is Status.DONE)
    assert set(done.values()) <= {1}, f"done twice: {done}"
    for found in check_store(store, store / "locks"):
        half = store / found.place
        if found.problem is Problem.HALF and not (half / "trial.json").exists():
            continue  # killed between its claim and its manifest: no trial yet
        assert not found.is_damage, found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + ROUNDS))
def test_store_is_whole_whatever_is_killed(tmp_path, seed):
    project = Project(tmp_path)
    project.commit({"exp_grid.py": GRID, ".gitignore": "trials/\nsession.txt\n"})
    play = Round(project, seed)
    for _ in range(SESSIONS):
        play.hit(play.session())
        left = play.await_end()
        assert not left, f"left after {play.kills}: {[command_of(one) for one in left]}"
        check(project.store)
    last = play.session()
    assert last.wait(timeout=120) == 0, (tmp_path / "session.txt").read_text()[-3000:]
    assert not play.await_end()
    check(project.store)
    done = [folder for folder in project.folders() if manifest(folder)["status"] == "done"]
    assert len(done) == TRIALS
    print(f"seed {seed}, {play.launcher}: {dict(play.kills)}")
    assert play.kills.total() >= SESSIONS, play.kills


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + max(1, ROUNDS // 2)))
def test_store_is_whole_whatever_is_killed_of_two_sessions_at_once(tmp_path, seed):
    project = Project(tmp_path)
    project.commit({"exp_grid.py": GRID, ".gitignore": "trials/\nsession.txt\n"})
    plays = [Round(project, seed), Round(project, seed + 1)]  # with the two launchers
    for _ in range(SESSIONS):
        hits = [threading.Thread(target=one.hit, args=(one.session(),)) for one in plays]
        for hit in hits:
            hit.start()
        for hit in hits:
            hit.join()
        for one in plays:
            left = one.await_end()
            assert not left, f"left after {one.kills}: {[command_of(pid) for pid in left]}"
        check(project.store)
    last = [one.session() for one in plays]
    assert [one.wait(timeout=120) for one in last] == [0, 0]
    assert not any(one.await_end() for one in plays)
    check(project.store)
    done = [folder for folder in project.folders() if manifest(folder)["status"] == "done"]
    assert len(done) == TRIALS


WAITS = """
    import pathlib
    import time

    FLAG = pathlib.Path(__file__).with_name("flag")

    def exp_grid(seed):
        while not (seed == 0 and FLAG.exists()):
            time.sleep(0.01)
        raise ValueError("no convergence")
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("launcher", ["kernel", "process"])
@pytest.mark.parametrize("how", ["Ctrl-C", "-x", "killed"])
def test_processes_that_wait_for_trials_end_with_the_session(tmp_path, launcher, how):
    project = Project(tmp_path)
    project.write(".gitignore", "trials/\nflag\nsession.txt\n")
    project.commit({"exp_grid.py": WAITS})
    one = Round(project, 0)
    one.launcher = launcher
    options = ["--exp", "grid", "--seeds", "0-7", "--exp-jobs", "2", "--exp-launcher", launcher]
    options += ["-x"] if how == "-x" else []
    session = one.start(*options)
    try:
        deadline = time.monotonic() + 60
        while len(one.parties(session.pid).get("trial", ())) < 4:  # two run, two wait
            assert session.poll() is None, (tmp_path / "session.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if how == "-x":
            project.write("flag", "")
        else:
            session.send_signal(signal.SIGINT if how == "Ctrl-C" else signal.SIGKILL)
        assert session.wait(60) == {"Ctrl-C": 2, "-x": 1, "killed": -signal.SIGKILL}[how]
        if how != "killed":
            assert processes(one.mark) == {}, "all has ended before pytest has"
    finally:
        session.kill()
        session.wait()
    assert one.await_end() == {}
