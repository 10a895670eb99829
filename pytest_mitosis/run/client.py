"""The cells of a trial's notebook in a Jupyter kernel, driven by nbclient.

Runs in the process that started the trial, on the launcher's loop. Imports nbclient, so only
launchers of kernels import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from pytest_mitosis.run.outputs import SILENT, CellFailed, Shown, save_notebook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from jupyter_client.client import KernelClient


class KernelCells(NotebookClient):  # type: ignore[misc]  # nbclient is not typed for mypy here
    """Drives the cells of one trial's notebook in a Jupyter kernel."""

    def __init__(
        self,
        notebook: Any,
        folder: Path,
        client: KernelClient,
        ask: Callable[..., Awaitable[dict[str, Any]]],
    ) -> None:
        super().__init__(
            notebook,
            timeout=None,
            iopub_timeout=30,
            record_timing=False,
            coalesce_streams=True,
            log=SILENT,
        )
        self.kc = client
        self._ask = ask
        self.shown = Shown(folder)

    @property
    def step(self) -> str:
        """The step whose cells run; figures are named after it."""
        return self.shown.step

    @step.setter
    def step(self, name: str) -> None:
        self.shown.step = name

    async def run(self, index: int) -> None:
        """Run a cell of the notebook; what it shows is put below it."""
        try:
            await self.async_execute_cell(self.nb.cells[index], index)
        except CellExecutionError as error:
            raise CellFailed(error.ename, error.evalue) from None

    async def ask(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a function unseen."""
        folder = str(self.shown.folder)
        told = await self._ask(function=function, folder=folder, arguments=arguments)
        if "ename" in told:
            raise CellFailed(told["ename"], told["evalue"])
        reply: dict[str, Any] = told["reply"]
        return reply

    def save(self) -> None:
        """Write the notebook as it stands, in one step."""
        save_notebook(self.nb, self.shown.folder)

    async def _async_poll_kernel_alive(self) -> None:
        """Nothing: that the process died is told by an event (nbclient asks every second)."""

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Bound printed text and keep figures as files before nbclient sees the message."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            content["text"] = self.shown.bound(content["text"], cell_index)
            if not content["text"]:
                return None
        elif msg["msg_type"] in {"display_data", "execute_result"}:
            self.shown.keep_figure(content.get("data", {}))
        return super().process_message(msg, cell, cell_index)
