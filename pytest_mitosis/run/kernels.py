"""Jupyter kernels from the fork server.

Runs on the launcher's loop, in the process that starts trials.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zmq.asyncio
from jupyter_client import AsyncKernelClient
from jupyter_client.connect import write_connection_file

from pytest_mitosis.run.client import KernelCells
from pytest_mitosis.run.ready import connect
from pytest_mitosis.run.stock import StockKernels
from pytest_mitosis.run.wire import DriversWire

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.run.forks import Fork, ForkServer

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


@dataclass(eq=False)
class WarmKernel:
    """A kernel that answers and knows no trial yet."""

    process: Fork
    client: AsyncKernelClient
    private: Path
    wire: DriversWire

    def cells(self, notebook: Any, folder: Path) -> KernelCells:
        """What drives the cells of a trial in it."""
        return KernelCells(notebook, folder, self.client, self.wire)

    async def end(self) -> None:
        """Kill it with all that it started."""
        self.client.stop_channels()
        await self.process.end()
        self.wire.close()
        shutil.rmtree(self.private, ignore_errors=True)


class Kernels:
    """Makes kernels whose sockets are files, so that no port is open."""

    def __init__(self) -> None:
        self._context = zmq.asyncio.Context()

    async def start(self, server: ForkServer, private: Path) -> WarmKernel:
        """Fork a kernel and wait until it answers."""
        file, _ = write_connection_file(
            str(private / "kernel.json"),
            **{f"{name}_port": number for number, name in enumerate(CHANNELS, 1)},
            ip=str(private / "k"),
            transport="ipc",
            key=secrets.token_hex(16).encode("ascii"),
        )
        stray = private / "output"
        fork = await server.fork("kernel", {"connection_file": file, "stray": str(stray)})
        client = AsyncKernelClient(context=self._context, connection_file=file)
        client.load_connection_file()
        kernel = WarmKernel(fork, client, private, await DriversWire.on(fork.life))
        try:
            await connect(client, fork, stray)
        except BaseException:
            await kernel.end()
            raise
        return kernel

    def alone(self) -> StockKernels:
        """Kernels as Jupyter starts them."""
        return StockKernels()

    def close(self) -> None:
        """Close the sockets."""
        self._context.destroy(linger=0)
