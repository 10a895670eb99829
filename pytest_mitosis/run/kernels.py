"""Jupyter kernels from the fork server.

Runs on the launcher's loop, in the process that starts trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.run.channels import WireClient
from pytest_mitosis.run.client import KernelCells
from pytest_mitosis.run.ready import answered
from pytest_mitosis.run.wire import DriversWire

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.run.forks import Fork, ForkServer
    from pytest_mitosis.run.process import Engine


@dataclass(eq=False)
class WarmKernel:
    """A kernel that runs and knows no trial yet."""

    process: Fork
    client: WireClient
    stray: Path

    def cells(self, notebook: Any, folder: Path) -> KernelCells:
        """What drives the cells of a trial in it."""
        return KernelCells(notebook, folder, self.client, self.client.ask)

    async def end(self) -> None:
        """Kill it with all that it started."""
        await self.process.end()
        self.client.wire.close()
        self.stray.unlink(missing_ok=True)


class Kernels:
    """Makes kernels that open no port."""

    async def start(self, server: ForkServer, stray: Path) -> WarmKernel:
        """Fork a kernel and wait until it runs."""
        fork = await server.fork(stray)
        kernel = WarmKernel(fork, WireClient(DriversWire()), stray)
        try:
            await kernel.client.wire.open(fork.life)
            await answered(kernel.client.ready(), fork, stray)
        except BaseException:
            await kernel.end()
            raise
        return kernel

    def alone(self) -> Engine:
        """Kernels as Jupyter starts them."""
        from pytest_mitosis.run.stock import StockKernels

        return StockKernels()
