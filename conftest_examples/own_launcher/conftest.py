"""A launcher of our own: it runs each trial by a command line, a few at once."""

import contextlib
import subprocess
import sys
import tempfile
import time

from pytest_mitosis.model import StoreError
from pytest_mitosis.run.elsewhere import outcome_of

AT_ONCE = 2


def pytest_mitosis_launcher(config, name):
    """Answer to ``--exp-launcher command``."""
    return CommandLauncher() if name == "command" else None


def command_of(order):
    """Return the command line of a trial.

    For another machine that has the same folders: ``["ssh", "-tt", "lab2", shlex.join(...)]``.
    """
    return [sys.executable, "-m", "pytest_mitosis.run", str(order.folder / "job.json")]


class CommandHandle:
    """A trial, and the command that runs it once it is its turn."""

    def __init__(self, order, launcher):
        self.order = order
        self.launcher = launcher
        self.command = None
        self.said = tempfile.TemporaryFile()  # noqa: SIM115  the launcher closes it
        self.is_cancelled = False

    def start(self):
        """Run the command; in a session of its own, so that Ctrl-C is not for it but for pytest."""
        self.command = subprocess.Popen(
            command_of(self.order),
            stdin=subprocess.DEVNULL,
            stdout=self.said,
            stderr=subprocess.STDOUT,
            env=self.order.variables,
            start_new_session=True,
        )

    def is_done(self):
        """Whether the command ended, or will never start."""
        return self.is_cancelled if self.command is None else self.command.poll() is not None

    def result(self):
        """Return the recorded trial and what its job left; waits for the end."""
        self.launcher.wait([self])
        self.said.seek(0)
        return outcome_of(
            self.order,
            None if self.command is None else self.command.returncode,
            self.said.read().decode(errors="replace"),
            is_cancelled=self.is_cancelled,
        )


class CommandLauncher:
    """Runs trials by command lines, in the order they came."""

    def __init__(self):
        self.handles = []

    def submit(self, order):
        """Note a trial; it starts when there is room."""
        self.handles.append(CommandHandle(order, self))
        return self.handles[-1]

    def wait(self, handles, timeout=None):
        """Return those that are done; waits up to ``timeout`` seconds for the first."""
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            self._start_some()
            done = [one for one in handles if one.is_done()]
            if done or time.monotonic() >= deadline:
                return done
            time.sleep(0.05)

    def cancel(self, handle):
        """Have a trial end as interrupted; SIGTERM leaves it a moment to save what it has."""
        if not handle.is_done():
            handle.is_cancelled = True
            if handle.command is not None:
                handle.command.terminate()

    def close(self):
        """End what is still under way."""
        for one in self.handles:
            self.cancel(one)
        for one in self.handles:
            with contextlib.suppress(StoreError):
                one.result()
            one.said.close()

    def _start_some(self):
        left = [one for one in self.handles if not one.is_done()]
        for one in left[:AT_ONCE]:
            if one.command is None:
                one.start()
