"""Trials that say by files that they began, and wait for files to end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from conftest import manifest

WAITS = """
    import os, time
    from pathlib import Path

    FLAGS = Path({flags!r})
    lookup_dict = {{"name": {{one: one for one in {names!r}}}}}

    def exp_wait(name, checkpoint_dir):
        place = checkpoint_dir / "count"
        count = int(place.read_text()) if place.exists() else 0
        (FLAGS / f"began-{{name}}-{{count}}").write_text(str(os.getppid()))
        try:
            deadline = time.monotonic() + 100
            while not (FLAGS / f"end-{{name}}").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
        except BaseException:
            place.write_text(str(count + 1))
            raise
        return {{"main": 0.5 + count}}
"""
PYTEST = (sys.executable, "-m", "pytest", "-p", "mitosis")


class Waits:
    """A grid of trials that wait for the test."""

    def __init__(self, project, names, launcher="slurm"):
        self.project, self.flags, self.sessions = project, project.path / "flags", []
        self.launcher = launcher
        self.flags.mkdir(exist_ok=True)
        project.commit({"exp_wait.py": WAITS.format(flags=str(self.flags), names=list(names))})
        self.arguments = ("--exp", "wait", "--variant", "name=*", "-v", "-rs")

    def start(self, *more):
        """A session in the background."""
        session = subprocess.Popen(
            [*PYTEST, *self.arguments, "--exp-launcher", self.launcher, *more],
            cwd=self.project.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.sessions.append(session)
        return session

    def hears(self, session, *words):
        """Whether a session says a line with all of ``words``; one that never does is ended."""
        timer = threading.Timer(90, session.kill)
        timer.start()
        try:
            lines = iter(session.stdout.readline, "")
            return any(all(word in line for word in words) for line in lines)
        finally:
            timer.cancel()

    def kill(self):
        """End all sessions at once, as a machine does that is switched off."""
        while self.sessions:
            session = self.sessions.pop()
            session.kill()
            session.wait()
            session.stdout.close()

    def until_begun(self, *names, counts=(0,)):
        """Wait until all have begun, each for one of these times; a stop it hears is counted."""
        # Slurm itself holds a requeued task for as long as its credentials last (cred_expire).
        deadline = time.monotonic() + 90
        while not all(
            any((self.flags / f"began-{one}-{count}").exists() for count in counts) for one in names
        ):
            assert time.monotonic() < deadline, [*self.flags.iterdir()]
            time.sleep(0.05)

    def end(self, *names):
        for one in names:
            (self.flags / f"end-{one}").touch()

    def manifest(self, name):
        return manifest(self.project.only(f"wait/name={name}"))

    def statuses(self):
        return [manifest(one)["status"] for one in self.project.folders()]

    def failure_before(self, name):
        folder = self.project.only(f"wait/name={name}")
        return manifest(folder / "attempts" / "1")["failure"]

    def node(self, name):
        return self.manifest(name)["scheduler"]["SLURMD_NODENAME"]

    def task(self, name):
        scheduler = self.manifest(name)["scheduler"]
        return f"{scheduler['SLURM_ARRAY_JOB_ID']}_{scheduler['SLURM_ARRAY_TASK_ID']}"


def mitosis(*arguments, cwd):
    """What ``pytest-mitosis`` prints."""
    command = [sys.executable, "-m", "pytest_mitosis.read.cli", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
