"""The wire between a trial's process and its driver: JSON, each with its length before it.

A socket that both have from the process's start. Its end is also how a trial's process learns that
its driver is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import struct
import threading
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_SIZE = struct.Struct(">Q")


class Wire:
    """The end in the trial's process, for whatever thread, and for no fork of the experiment's."""

    def __init__(self, channel: socket.socket, default: Callable[[Any], Any] = repr) -> None:
        self.channel = channel
        self._default = default  # what stands for an object that JSON does not know
        self._lock = threading.RLock()
        self._pid = os.getpid()

    def send(self, kind: str, **content: Any) -> None:
        """Send an event, if there is still a driver."""
        if os.getpid() != self._pid:
            return
        data = json.dumps({"kind": kind, **content}, default=self._default).encode("ascii")
        with self._lock, contextlib.suppress(OSError):  # that it is gone is told by `receive`
            self.channel.sendall(_SIZE.pack(len(data)) + data)

    def receive(self) -> dict[str, Any] | None:
        """The next request, or None if the driver is gone."""
        size = self._exactly(_SIZE.size)
        data = self._exactly(_SIZE.unpack(size)[0]) if size else b""
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


class DriversWire(asyncio.Protocol):
    """The driver's end; ``take`` is handed each event as it comes.

    Nothing comes any more of a process that is gone: that it is gone is told elsewhere, by the
    system.
    """

    def __init__(self) -> None:
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.take: Callable[[dict[str, Any]], None] = self._events.put_nowait
        self._rest = bytearray()
        self._transport: asyncio.Transport | None = None

    async def open(self, channel: socket.socket) -> None:
        """Listen on a socket that is this process's end; events may come from here on."""
        await asyncio.get_running_loop().create_connection(lambda: self, sock=channel)

    def send(self, **request: Any) -> None:
        """Send a request."""
        assert self._transport is not None
        data = json.dumps(request, default=repr).encode("ascii")
        self._transport.write(_SIZE.pack(len(data)) + data)

    async def told(self) -> dict[str, Any]:
        """The next event, unless ``take`` is another's."""
        return await self._events.get()

    def close(self) -> None:
        """Let go of the socket."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called with some bytes."""
        self._rest += data
        while len(self._rest) >= _SIZE.size:
            end = _SIZE.size + _SIZE.unpack_from(self._rest)[0]
            if len(self._rest) < end:
                return
            event = json.loads(self._rest[_SIZE.size : end])
            del self._rest[:end]
            self.take(event)


def failure(error: BaseException) -> dict[str, str]:
    """What is told of an exception, by the names Jupyter has for it."""
    return {"ename": type(error).__name__, "evalue": words(error)}


def words(error: BaseException) -> str:
    """What an exception says, if it can."""
    try:
        return str(error)
    except Exception:
        return "<unprintable>"
