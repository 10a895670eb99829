"""A kernel's process from start to end: started fresh, watched, and taken down with its children.

Runs in the process that started the trial. Knows nothing of cells.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client import AsyncKernelClient, AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from pytest_mitosis.model import Failure
from pytest_mitosis.run.inside import OUTPUT
from pytest_mitosis.store.folder import HEARTBEAT, HEARTBEAT_SECONDS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Iterator


# As ``python -m ipykernel_launcher``, but without importing the debugger no trial has a use for,
# which takes a third of a kernel's start; the experiment can import it as ever.
_LAUNCH = """
import sys
sys.path[:1] = [] if sys.path[0] == "" else sys.path[:1]
sys.modules["debugpy"] = None
from ipykernel import kernelapp
del sys.modules["debugpy"]
kernelapp.launch_new_instance()
"""

STARTUP_SECONDS = 120


class _ThisInterpreter(KernelSpecManager):  # type: ignore[misc]  # traitlets are untyped here
    """Kernels of the running interpreter, whatever ``python3`` means to Jupyter elsewhere."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-c", _LAUNCH, "-f", "{connection_file}"]
        argv += ["--HistoryManager.enabled=False", "--log-level=ERROR"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


@contextlib.asynccontextmanager
async def kernel_process(folder: Path, cwd: str) -> AsyncIterator[AsyncKernelManager]:
    """A started kernel; at the end its process and all that it left running are killed.

    What the process writes past Jupyter (a fault handler, a C library at start-up) goes to
    ``output.txt`` of the trial.
    """
    # A socket's path has at most 107 characters, so not in the trial's folder.
    private = Path(tempfile.mkdtemp(prefix="mitosis-"))
    manager = AsyncKernelManager(
        kernel_spec_manager=_ThisInterpreter(),
        transport="ipc",
        ip=str(private / "k"),
        connection_file=str(private / "kernel.json"),
    )
    process = None
    try:
        with (folder / OUTPUT).open("ab") as stray:
            await manager.start_kernel(
                cwd=cwd, env=_environment(private), stdout=stray, stderr=stray
            )
        process = getattr(manager.provisioner, "process", None)
        with _heartbeat(folder):
            yield manager
    finally:
        _kill(process)
        with contextlib.suppress(Exception):
            await manager.cleanup_resources()
        shutil.rmtree(private, ignore_errors=True)
        with contextlib.suppress(OSError):
            if not (folder / OUTPUT).stat().st_size:
                (folder / OUTPUT).unlink()


async def connect(manager: AsyncKernelManager) -> AsyncKernelClient:
    """A client of a kernel that answers on all channels.

    Jupyter's own ``wait_for_ready`` ends with 0.2 s of listening to silence. Here the kernel is
    asked who it is until the answer and its echo on the channel of outputs have both come, after
    which no output can be missed.

    Raises
    ------
    RuntimeError
        If the kernel dies, or does not answer in two minutes.
    """
    client = manager.client()
    client.start_channels(hb=False, stdin=False)
    client.allow_stdin = False
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        client.kernel_info()
        with contextlib.suppress(queue.Empty):
            await client.get_shell_msg(timeout=1)
            await client.get_iopub_msg(timeout=0.2)
            return client
        if not await manager.is_alive():
            break
    client.stop_channels()
    raise RuntimeError("the kernel did not answer")


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    """End a process and all of its group, at once."""
    if process is None:
        return
    with contextlib.suppress(OSError):  # it may have ended, and usually its group is empty then
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def explain_death(manager: AsyncKernelManager, folder: Path) -> Failure:
    """What can be said of a process that went away."""
    process = getattr(manager.provisioner, "process", None)
    code = process.poll() if process is not None else None
    if code is None:
        return Failure("ProcessDied", "the trial's process is gone")
    last_words = _tail(folder / OUTPUT)
    if code < 0:
        name = signal.Signals(-code).name
        return Failure(name, f"the trial's process was killed by {name}", last_words)
    return Failure(
        "ProcessExit", f"the trial's process ended itself with exit code {code}", last_words
    )


@contextlib.contextmanager
def cancel_on_signals(task: asyncio.Task[Any]) -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C: the task is cancelled, the trial interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    caught = [s for n in ("SIGTERM", "SIGHUP") if (s := getattr(signal, n, None)) is not None]
    before = {one: signal.getsignal(one) for one in caught}
    for one in caught:
        loop.add_signal_handler(one, task.cancel)
    try:
        yield
    finally:
        for one in caught:
            loop.remove_signal_handler(one)
            signal.signal(one, before[one])


@contextlib.contextmanager
def _heartbeat(folder: Path) -> Iterator[None]:
    """Touch the trial's heartbeat every few seconds from a thread, for readers elsewhere."""
    stop = threading.Event()

    def beat() -> None:
        while True:
            with contextlib.suppress(OSError):
                (folder / HEARTBEAT).touch()
            if stop.wait(HEARTBEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="mitosis-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _environment(private: Path) -> dict[str, str]:
    """The parent's variables, with fixed hashing and without the user's IPython start-up files."""
    variables = {**os.environ, "PYTHONHASHSEED": "0", "IPYTHONDIR": str(private / "ipython")}
    variables["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a warning about frozen modules
    variables.pop("PYTEST_CURRENT_TEST", None)
    return variables


def _tail(file: Path, limit: int = 2000) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - limit))
            return stream.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
