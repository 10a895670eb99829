"""A client of a kernel whose messages travel over the wire its process was born with.

Runs on the launcher's loop, in the process that starts trials.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from jupyter_client.client import KernelClient

if TYPE_CHECKING:
    from pytest_mitosis.run.wire import DriversWire


class WireChannel:
    """One of Jupyter's channels, for one reader."""

    def __init__(self, wire: DriversWire) -> None:
        self._wire = wire
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self._wire.send(message=message)

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
        """The next message; ``timeout`` is for kernels of which nobody tells that they died."""
        return await self.messages.get()


class WireClient(KernelClient):  # type: ignore[misc]  # jupyter_client is not typed for mypy here
    """Talks with the kernel at the other end of a wire."""

    def __init__(self, wire: DriversWire) -> None:
        super().__init__()
        self.allow_stdin = False
        self.wire = wire
        self._shell_channel, self._iopub_channel = WireChannel(wire), WireChannel(wire)
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        wire.take = self._take

    async def ready(self) -> None:
        """Wait for the kernel's first word, which is that it starts."""
        await self._iopub_channel.messages.get()

    async def ask(self, **request: Any) -> dict[str, Any]:
        """Have the process do something between cells; how it ended."""
        self.wire.send(**request)
        return await self._answers.get()

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["kind"]
        if kind == "done":
            self._answers.put_nowait(event)
            return
        message = event["message"]
        message["buffers"] = [base64.b64decode(one) for one in message["buffers"]]
        channel = self._iopub_channel if kind == "iopub" else self._shell_channel
        channel.messages.put_nowait(message)
