"""The fork server as its parent sees it: started once, asked for forks, told how they end.

Runs on the launcher's loop, in the process that starts trials. Knows nothing of cells.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError
from pytest_mitosis.run.process import TrialProcess, kill_group
from pytest_mitosis.run.upcoming import has_forks, start_server

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.run.upcoming import UpcomingServer


class ForkServerError(Exception):
    """There is no fork server here, or not any more."""


class PreloadError(PlanError):
    """A module of ``preload`` cannot be imported, or must not be."""


class Fork(TrialProcess):
    """A forked process; it ends itself some time after ``life`` is closed."""

    def __init__(self, pid: int, died: asyncio.Future[int | None], life: socket.socket) -> None:
        super().__init__(pid, died)
        self.life = life

    async def end(self) -> None:
        """Kill the group, at once, and wait until the process is gone."""
        await super().end()
        self.life.close()


class ForkServer:
    """A running fork server."""

    def __init__(self, server: UpcomingServer) -> None:
        self.process = server.process
        self._channel = server.channel
        self._turn = asyncio.Lock()
        self._is_ready = False

    @classmethod
    def spawn(cls, kind: str, preload: tuple[str, ...], private: Path) -> ForkServer:
        """Start a server of processes of a kind; it is of use once it is `ready`.

        Raises
        ------
        ForkServerError
            If there cannot be one here.
        """
        if not has_forks():
            raise ForkServerError("this platform has no forks")
        return cls(start_server(kind, preload, private))

    async def ready(self) -> None:
        """Wait until it has imported what forks need.

        Raises
        ------
        ForkServerError
            If it does not come up.
        PreloadError
            If a module of ``preload`` cannot be imported.
        """
        try:
            problem = (await self._answer())["problem"]
            self._is_ready = True
        except ForkServerError:
            await self.close()
            raise
        if problem:
            await self.close()
            raise PreloadError(f"{problem}; correct preload in [tool.mitosis]")

    async def fork(self, stray: Path) -> Fork:
        """A new process; until it has a trial, ``stray`` takes what it prints.

        Raises
        ------
        ForkServerError
            If the server is gone.
        """
        life, theirs = socket.socketpair()
        told, tell = os.pipe()
        try:
            # Not left halfway if this is cancelled: the next one would take the answer for its own.
            pid = await asyncio.shield(self._request({"stray": str(stray)}, theirs, tell))
        except BaseException as error:
            life.close()  # so that the process, if there is one, ends
            os.close(told)
            if isinstance(error, OSError):
                raise ForkServerError(str(error)) from None
            raise
        return Fork(pid, _watch(told, pid), life)

    async def _request(self, request: dict[str, str], theirs: socket.socket, tell: int) -> int:
        """The number of the process that a request is answered with."""
        line = json.dumps(request).encode("ascii") + b"\n"
        try:
            async with self._turn:
                socket.send_fds(self._channel, [line], [theirs.fileno(), tell])
                pid: int = (await self._answer())["pid"]
                return pid
        finally:
            theirs.close()
            os.close(tell)

    async def close(self) -> None:
        """End the server; forks that are left end as if this process had died."""
        self._channel.close()
        if not self._is_ready:  # it hears of that only when all is imported
            self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def _answer(self) -> dict[str, Any]:
        loop, line = asyncio.get_running_loop(), b""
        while not line.endswith(b"\n"):
            try:
                part = await loop.sock_recv(self._channel, 1 << 16)
            except OSError as error:
                raise ForkServerError(str(error)) from None
            if not part:
                raise ForkServerError("the fork server ended")
            line += part
        answer: dict[str, Any] = json.loads(line)
        return answer


def _watch(told: int, pid: int) -> asyncio.Future[int | None]:
    """The end of a fork, as the server tells it; if the server is gone, as the system does."""
    loop = asyncio.get_running_loop()
    died: asyncio.Future[int | None] = loop.create_future()

    def tell(_: object) -> None:
        kill_group(pid)  # which the server would have done
        died.set_result(None)

    def read() -> None:
        line = os.read(told, 4096)
        loop.remove_reader(told)
        os.close(told)
        if line:
            died.set_result(json.loads(line)["code"])
        else:
            task = loop.create_task(_gone(pid))
            task.add_done_callback(tell)

    loop.add_reader(told, read)
    return died


async def _gone(pid: int) -> None:
    """Wait for the end of a process that is nobody's child here."""
    if not hasattr(os, "pidfd_open"):
        while _exists(pid):
            await asyncio.sleep(0.2)
        return
    try:
        number = os.pidfd_open(pid)
    except OSError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(number, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(number)
        os.close(number)


def _exists(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
