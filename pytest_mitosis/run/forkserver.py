"""The process that trials are forked from: libraries of Jupyter loaded, nothing of the user's.

As the fork server of ``multiprocessing``, which is not used itself because a trial would inherit
it: what an experiment starts with ``multiprocessing`` has to come from the trial's own process,
and that server imports the ``__main__`` of pytest. One thread, no sockets of Jupyter, no random
numbers drawn: what a fork inherits is imported modules, and what is known to be installed. Runs in
a process of its own, whose parent is the one that starts trials; ends when that is gone.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# `debugpy` takes a third of a kernel's start; the experiment can import it as ever.
LEFT_OUT = "debugpy"
# What is imported while a trial runs; the rest comes with these.
MODULES = (
    "IPython.core.completer",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "pytest_mitosis.identity.code",
    "pytest_mitosis.identity.executed",
    "pytest_mitosis.identity.hooks",
    "pytest_mitosis.run.environment",
    "pytest_mitosis.run.inside",
    "pytest_mitosis.run.handover",
    "pytest_mitosis.run.takeover",
    "pytest_mitosis.run.watch",
    "pytest_mitosis.store.results",
    "faulthandler",
    "mimetypes",
    "pydoc",
    "unicodedata",
)
KINDS = {
    "kernel": ("pytest_mitosis.run.forked", "tornado.platform.asyncio"),
    "process": ("pytest_mitosis.run.shell",),
}
"""What runs in forks of each kind, and what it imports while it works."""
GRACE_SECONDS = 5.0
PRELOADED: set[str] = set()
"""Modules that are here because the project asked for them; empty in a process of its own."""


def main() -> None:
    """Import what forks need, then fork on request until the parent is gone."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    kind, preload, private = json.loads(sys.argv[2])
    sys.argv[:] = ["-c"]
    sys.path[:1] = [] if sys.path[0] == "" else sys.path[:1]
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent says when to end: by ending
    sys.modules[LEFT_OUT] = None  # type: ignore[assignment]  # the import system's own convention
    problem = ""
    for name in (*KINDS[kind], *MODULES):
        with contextlib.suppress(ModuleNotFoundError):  # other versions have other modules
            importlib.import_module(name)
    runs = sys.modules[KINDS[kind][0]]
    runs.prepare()
    del sys.modules[LEFT_OUT]
    before = set(sys.modules)
    for name in preload:
        problem = problem or _import(name)
    PRELOADED.update(set(sys.modules) - before)
    from pytest_mitosis.identity.editable import installed
    from pytest_mitosis.identity.imported import settle

    installed()  # remembered, by the time of each folder's last change
    settle()
    gc.collect()
    gc.freeze()  # what is here stays as it is: no copies of pages for counting it
    with contextlib.suppress(OSError):  # a parent that is gone by now is told by what is received
        channel.sendall(_line({"problem": problem}))
    if not problem:
        Server(channel, runs.serve).serve()
        shutil.rmtree(private, ignore_errors=True)  # a parent that was killed did not
    os._exit(0)  # the parent waits, and nothing of an interpreter's end is of use


def _import(name: str) -> str:
    """Import a module of others; returns why that cannot be."""
    from pytest_mitosis.identity.imported import project_paths

    try:
        importlib.import_module(name)
    except Exception as error:
        return f"{name} cannot be preloaded: {type(error).__name__}: {error}"
    if own := project_paths():
        return f"{name} cannot be preloaded: {min(own)} is the project's own and may be edited"
    return ""


class Server:
    """Forks on request, and tells of each fork how it ended."""

    def __init__(self, channel: socket.socket, run: Callable[..., None]) -> None:
        self._channel, self._run = channel, run
        self._told: dict[int, int] = {}  # process -> where its end is told
        self._woken, self._wake = os.pipe()
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Answer until the parent is gone, then end all that was forked."""
        while True:
            ready, _, _ = select.select([self._channel.fileno(), self._woken], [], [])
            if self._woken in ready:
                self._reap()
            if self._channel.fileno() in ready:
                line, fds = b"", list[int]()
                with contextlib.suppress(ConnectionError):  # it left an answer unread
                    line, fds, _, _ = socket.recv_fds(self._channel, 1 << 20, 2)
                if not line:
                    break
                while not line.endswith(b"\n"):
                    line += self._channel.recv(1 << 20)
                self._fork(json.loads(line), *fds)
        self._end_all()

    def _fork(self, request: dict[str, Any], life: int, told: int) -> None:
        pid = os.fork()
        if pid:
            self._told[pid] = told
            os.close(life)
            with contextlib.suppress(OSError):  # the next that is received is the end then
                self._channel.sendall(_line({"pid": pid}))
            return
        try:
            self._become_trial()
            os.close(told)
            self._run(socket.socket(fileno=life), request)
        except BaseException:  # what is above on the stack belongs to the server
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)

    def _become_trial(self) -> None:
        """Leave nothing of the server in a fork but its modules."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._channel.close()
        for end in (self._woken, self._wake, *self._told.values()):
            os.close(end)
        if (numpy := sys.modules.get("numpy")) is not None:
            numpy.random.seed()  # preloaded, so its global state would be every fork's

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        for pid in list(self._told):
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, pid, options) is None:
                continue
            with contextlib.suppress(OSError):  # what it left running; its number is still its own
                os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            told = self._told.pop(pid)
            with contextlib.suppress(OSError):
                os.write(told, _line({"code": os.waitstatus_to_exitcode(status)}))
            os.close(told)

    def _end_all(self) -> None:
        """The parent is gone: SIGTERM, a moment to save, SIGKILL."""
        for pid in self._told:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while self._told and (left := deadline - time.monotonic()) > 0:
            select.select([self._woken], [], [], left)
            self._reap()
        for pid in self._told:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode("ascii") + b"\n"
