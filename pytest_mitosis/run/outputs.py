"""What a trial's cells show, written to its folder as it comes.

Figures become PNG files of their own while the cells run, so that a killed trial keeps them, and
the printed text that the notebook holds is bounded; all of that text is in ``output.txt``, which
the trial's process writes itself. Runs in the process that started the trial.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from pytest_mitosis.run.inside import OUTPUT
from pytest_mitosis.store.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jupyter_client import AsyncKernelClient

    from pytest_mitosis.run.wire import DriversWire

NOTEBOOK = "notebook.ipynb"
FIGURES = "figures"
STREAM_LIMIT = 200_000
"""Characters of printed text one notebook cell keeps; ``output.txt`` keeps all of it."""

# Jupyter's libraries log what the trial's outcome says in better words.
SILENT = logging.getLogger("pytest_mitosis.jupyter")
SILENT.setLevel(logging.CRITICAL + 1)


class CellFailed(Exception):  # noqa: N818  how a cell ended, no error of ours
    """A cell raised an exception."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name, self.message = name, message


class Cells(Protocol):
    """Runs cells of a notebook in a trial's process, and code that no cell shows."""

    step: str

    async def run(self, index: int) -> None:
        """Run a cell of the notebook; what it shows is put below it.

        Raises
        ------
        CellFailed
            If it raises an exception.
        """

    async def ask(self, code: str) -> None:
        """Run code unseen.

        Raises
        ------
        CellFailed
            If it raises an exception.
        """

    def save(self) -> None:
        """Write the notebook as it stands, in one step."""


@dataclass
class Shown:
    """What the cells of one trial have shown so far, as far as it is bounded or kept apart."""

    folder: Path
    step: str = "setup"
    _kept: dict[int, int] = field(default_factory=dict)
    _figures: dict[str, int] = field(default_factory=dict)

    def bound(self, text: str, cell_index: int) -> str:
        """What the notebook keeps of printed text."""
        kept = self._kept.get(cell_index, 0)
        self._kept[cell_index] = kept + len(text)
        if kept >= STREAM_LIMIT:
            return ""
        if kept + len(text) <= STREAM_LIMIT:
            return text
        return f"{text[: STREAM_LIMIT - kept]}\n[cut here; all of it is in {OUTPUT}]\n"

    def keep_figure(self, data: Mapping[str, Any]) -> None:
        """Write a figure to a file of its own."""
        png = data.get("image/png")
        if not png:
            return
        number = self._figures[self.step] = self._figures.get(self.step, 0) + 1
        folder = self.folder / FIGURES
        folder.mkdir(exist_ok=True)
        (folder / f"{self.step}-{number}.png").write_bytes(base64.b64decode(png))


def save_notebook(notebook: Any, folder: Path, *, sync: bool = False) -> None:
    """Write a notebook so that readers see the old or the new one."""
    text = nbformat.v4.writes(notebook) + "\n"  # the check of every cell is left to the tests
    write_bytes(folder / NOTEBOOK, text.encode("utf-8", "backslashreplace"), sync=sync)


class KernelCells(NotebookClient):  # type: ignore[misc]  # nbclient is not typed for mypy here
    """Drives the cells of one trial's notebook in a Jupyter kernel."""

    def __init__(
        self,
        notebook: Any,
        folder: Path,
        client: AsyncKernelClient,
        wire: DriversWire | None = None,
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
        self._wire = wire
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

    async def ask(self, code: str) -> None:
        """Run code unseen: over the wire to a fork, else silently as a message of Jupyter's."""
        if self._wire is not None:
            content = await self._wire.answer(source=code)
            if "ename" in content:
                raise CellFailed(content["ename"], content["evalue"])
            return
        request = self.kc.execute(code, silent=True, store_history=False)
        while True:
            reply = await self.kc.get_shell_msg()
            if reply["parent_header"].get("msg_id") == request:
                break
        content = reply["content"]
        if content["status"] != "ok":
            raise CellFailed(content.get("ename", content["status"]), content.get("evalue", ""))

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
