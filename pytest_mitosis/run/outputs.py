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

from pytest_mitosis.run.inside import OUTPUT
from pytest_mitosis.store.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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

    async def ask(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a function of :mod:`pytest_mitosis.run.inside`, unseen; what it answers.

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
