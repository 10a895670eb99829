"""A trial's process as its driver sees it: a number, an end that is told, signals, last words.

Runs in the process that started the trial. Knows nothing of cells.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pytest_mitosis.model import Failure
from pytest_mitosis.run.inside import OUTPUT
from pytest_mitosis.store.folder import HEARTBEAT, HEARTBEAT_SECONDS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pytest_mitosis.model import Job
    from pytest_mitosis.run.notebook import TrialNotebook
    from pytest_mitosis.run.outputs import Cells


@dataclass(eq=False)
class TrialProcess:
    """A process that leads a process group of its own.

    Attributes
    ----------
    pid : int
        Its number, and its group's.
    died : Future
        Done when the process is gone, with its exit code (None if nobody knows it).
    """

    pid: int
    died: asyncio.Future[int | None]

    def send(self, number: int) -> None:
        """Send a signal to the process and all of its group."""
        if not self.died.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    async def end(self) -> None:
        """Kill the group, at once, and wait until the process is gone."""
        self.send(signal.SIGKILL)
        await asyncio.wait([self.died])


@dataclass(frozen=True)
class Opened:
    """A process that can run cells.

    ``begins_with`` is what its first request must tell it, of a process that was there before its
    trial.
    """

    process: TrialProcess
    cells: Cells
    begins_with: dict[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """Makes processes that run the cells of trials."""

    def open(
        self, job: Job, folder: Path, built: TrialNotebook
    ) -> AbstractAsyncContextManager[Opened]:
        """A process for one trial, with what drives its cells; ended when the context is.

        Raises
        ------
        ProcessFailed
            If the process died before it could run cells, or does not answer.
        """

    async def close(self) -> None:
        """Free what the engine holds."""


class ProcessFailed(Exception):  # noqa: N818  not an error of ours: how a trial ended
    """The trial's process did not come up."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def watch(process: subprocess.Popen[bytes]) -> asyncio.Future[int | None]:
    """The end of a child of this process, told by the operating system and not by polls."""
    loop = asyncio.get_running_loop()
    died: asyncio.Future[int | None] = loop.create_future()

    def wait() -> None:
        can_look = hasattr(os, "waitid")
        if can_look:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            kill_group(process.pid)  # while the number is still its own
        code = process.wait()
        if not can_look:  # the number is given to no other while any of its group is left
            kill_group(process.pid)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(died.set_result, code)

    threading.Thread(target=wait, name="mitosis-wait", daemon=True).start()
    return died


def kill_group(pid: int) -> None:
    """End what a process that is gone had started and left running."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def explain_death(code: int | None, output: Path) -> Failure:
    """What can be said of a process that went away."""
    if code is None:
        return Failure("ProcessDied", "the trial's process is gone", _tail(output))
    if code < 0:
        name = signal.Signals(-code).name
        return Failure(name, f"the trial's process was killed by {name}", _tail(output))
    words = f"the trial's process ended itself with exit code {code}"
    return Failure("ProcessExit", words, _tail(output))


@contextlib.asynccontextmanager
async def heartbeat(folder: Path) -> AsyncIterator[None]:
    """Touch the trial's heartbeat every few seconds, for readers elsewhere."""

    async def beat() -> None:
        while True:
            with contextlib.suppress(OSError):
                (folder / HEARTBEAT).touch()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


def drop_if_empty(output: Path) -> None:
    """A trial that printed nothing has no file of printed text."""
    with contextlib.suppress(OSError):
        if not output.stat().st_size:
            output.unlink()


def output_of(folder: Path) -> Path:
    """The file of what a trial printed."""
    return folder / OUTPUT


def _tail(file: Path, limit: int = 2000) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - limit))
            return stream.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
