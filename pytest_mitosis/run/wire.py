"""The wire between a trial's process and its driver: JSON, each with its length before it.

A socket that both have from the process's start. Its end is also how a trial's process learns that
its driver is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


class Wire:
    """The end in the trial's process, for whatever thread, and for no fork of the experiment's."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self._lock = threading.RLock()
        self._pid = os.getpid()

    def send(self, kind: str, **content: Any) -> None:
        """Send an event."""
        if os.getpid() != self._pid:
            return
        data = json.dumps({"kind": kind, **content}, default=repr).encode("ascii")
        with self._lock:
            self.channel.sendall(struct.pack(">Q", len(data)) + data)

    def receive(self) -> dict[str, Any] | None:
        """The next request, or None if the driver is gone."""
        size = self._exactly(8)
        data = self._exactly(struct.unpack(">Q", size)[0]) if size else b""
        return json.loads(data) if data else None

    def forward(self, take: Callable[[dict[str, Any]], object]) -> None:
        """Hand on requests, from a thread, as long as there is a driver."""
        while (request := self.receive()) is not None:
            take(request)

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            try:
                part = self.channel.recv(min(count, 1 << 20))
            except OSError:
                return b""
            if not part:
                return b""
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


@dataclass
class DriversWire:
    """The driver's end; for one task of its loop at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def on(cls, channel: socket.socket) -> DriversWire:
        """A wire over a socket that is this process's end."""
        return cls(*await asyncio.open_connection(sock=channel))

    async def ask(self, **request: Any) -> None:
        """Send a request."""
        data = json.dumps(request).encode("ascii")
        self.writer.write(struct.pack(">Q", len(data)) + data)
        await self.writer.drain()

    async def told(self) -> dict[str, Any]:
        """The next event."""
        size = struct.unpack(">Q", await self.reader.readexactly(8))[0]
        event: dict[str, Any] = json.loads(await self.reader.readexactly(size))
        return event

    async def answer(self, **request: Any) -> dict[str, Any]:
        """The one event a request is answered with; none comes of a process that is gone.

        That it is gone is told elsewhere, by the system.
        """
        try:
            await self.ask(**request)
            return await self.told()
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.Event().wait()
            raise

    def close(self) -> None:
        """Let go of the socket."""
        self.writer.close()


def words(error: BaseException) -> str:
    """What an exception says, if it can."""
    try:
        return str(error)
    except Exception:
        return "<unprintable>"
