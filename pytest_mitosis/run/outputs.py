"""What a trial's cells show, written to its folder as it comes.

An nbclient client that keeps figures as PNG files of their own while the cells run, so that a
killed trial keeps them, and bounds how much printed text the notebook holds; all of that text is
in ``output.txt``, which the trial's process writes itself.
"""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient

from pytest_mitosis.run.inside import OUTPUT
from pytest_mitosis.store.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_client import AsyncKernelManager

NOTEBOOK = "notebook.ipynb"
FIGURES = "figures"
STREAM_LIMIT = 200_000
"""Characters of printed text one notebook cell keeps; ``output.txt`` keeps all of it."""

# Jupyter's libraries log what the trial's outcome says in better words.
SILENT = logging.getLogger("pytest_mitosis.jupyter")
SILENT.setLevel(logging.CRITICAL + 1)


class TrialClient(NotebookClient):  # type: ignore[misc]  # nbclient is not typed for mypy here
    """Drives the cells of one trial's notebook."""

    def __init__(self, notebook: Any, folder: Path, manager: AsyncKernelManager) -> None:
        super().__init__(
            notebook,
            km=manager,
            timeout=None,
            iopub_timeout=30,
            record_timing=False,
            coalesce_streams=True,
            log=SILENT,
        )
        self.folder = folder
        self.step = "setup"
        self._kept: dict[int, int] = {}
        self._figures: dict[str, int] = {}

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Bound printed text and keep figures as files before nbclient sees the message."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            content["text"] = self._bounded(content["text"], cell_index)
            if not content["text"]:
                return None
        elif msg["msg_type"] in {"display_data", "execute_result"}:
            self._keep_figure(content.get("data", {}).get("image/png"))
        return super().process_message(msg, cell, cell_index)

    def save(self) -> None:
        """Write the notebook as it stands, in one step."""
        text = nbformat.writes(self.nb)
        write_bytes(self.folder / NOTEBOOK, text.encode("utf-8", "backslashreplace"))

    def _bounded(self, text: str, cell_index: int) -> str:
        kept = self._kept.get(cell_index, 0)
        self._kept[cell_index] = kept + len(text)
        if kept >= STREAM_LIMIT:
            return ""
        if kept + len(text) <= STREAM_LIMIT:
            return text
        return f"{text[: STREAM_LIMIT - kept]}\n[cut here; all of it is in {OUTPUT}]\n"

    def _keep_figure(self, png: str | None) -> None:
        if not png:
            return
        number = self._figures[self.step] = self._figures.get(self.step, 0) + 1
        folder = self.folder / FIGURES
        folder.mkdir(exist_ok=True)
        (folder / f"{self.step}-{number}.png").write_bytes(base64.b64decode(png))
