"""Processes without Jupyter, and the cells that are run in them.

Runs on the launcher's loop, in the process that starts trials; what runs there is
:mod:`pytest_mitosis.run.shell`.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbformat import from_dict

from pytest_mitosis.run.outputs import CellFailed, Shown, save_notebook
from pytest_mitosis.run.process import (
    Opened,
    TrialProcess,
    drop_if_empty,
    output_of,
    watch,
)
from pytest_mitosis.run.ready import answered
from pytest_mitosis.run.upcoming import trial_environment
from pytest_mitosis.run.wire import DriversWire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_mitosis.model import Job
    from pytest_mitosis.run.forks import ForkServer
    from pytest_mitosis.run.notebook import TrialNotebook

_START = "from pytest_mitosis.run.shell import main; main()"


@dataclass
class ShellCells:
    """Drives the cells of one trial's notebook over a wire."""

    notebook: Any
    folder: Path
    wire: DriversWire
    shown: Shown
    _displays: dict[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> str:
        """The step whose cells run; figures are named after it."""
        return self.shown.step

    @step.setter
    def step(self, name: str) -> None:
        self.shown.step = name

    async def run(self, index: int) -> None:
        """Run a cell of the notebook; what it shows is put below it."""
        cell = self.notebook.cells[index]
        if cell.cell_type == "code":
            cell.outputs = []
            self.wire.send(cell=cell.source)
            cell["execution_count"] = (await self._done(cell.outputs, index))["execution_count"]

    async def ask(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a function unseen."""
        self.wire.send(function=function, folder=str(self.folder), arguments=arguments)
        reply: dict[str, Any] = (await self._done([], -1))["reply"]
        return reply

    def save(self) -> None:
        """Write the notebook as it stands, in one step."""
        save_notebook(self.notebook, self.folder)

    async def _done(self, outputs: list[Any], index: int) -> dict[str, Any]:
        while (event := await self.wire.told())["kind"] != "done":
            self._show(event.pop("kind"), event, outputs, index)
        if "ename" in event:
            raise CellFailed(event["ename"], event["evalue"])
        return event

    def _show(self, kind: str, content: dict[str, Any], outputs: list[Any], index: int) -> None:
        if kind == "stream":
            content["text"] = self.shown.bound(content["text"], index)
            last = outputs[-1] if outputs else {}
            if last.get("output_type") == "stream" and last["name"] == content["name"]:
                last["text"] += content["text"]
                return
            if not content["text"]:
                return
        self.shown.keep_figure(content.get("data", {}))
        name = content.pop("transient", {}).get("display_id")
        if kind == "update_display_data":
            if name in self._displays:
                self._displays[name].update(data=content["data"], metadata=content["metadata"])
            return
        output = from_dict({"output_type": kind, **content})
        outputs.append(output)
        if name:
            self._displays[name] = output


@dataclass(eq=False)
class WarmShell:
    """A process that runs cells and knows no trial yet."""

    process: TrialProcess
    wire: DriversWire
    stray: Path | None = None
    """What it wrote before its trial, removed at its end."""

    def cells(self, notebook: Any, folder: Path) -> ShellCells:
        """What drives the cells of a trial in it."""
        return ShellCells(notebook, folder, self.wire, Shown(folder))

    async def end(self) -> None:
        """Kill it with all that it started."""
        await self.process.end()
        self.wire.close()
        if self.stray is not None:
            self.stray.unlink(missing_ok=True)


class Shells:
    """Makes processes without Jupyter."""

    async def start(self, server: ForkServer, stray: Path) -> WarmShell:
        """Fork a process and wait until it can run cells."""
        fork = await server.fork(stray)
        return await _ready(WarmShell(fork, DriversWire(), stray), fork.life, stray)

    def alone(self) -> NewShells:
        """A new interpreter for each trial."""
        return NewShells()


class NewShells:
    """Starts an interpreter for each trial."""

    @contextlib.asynccontextmanager
    async def open(self, job: Job, folder: Path, built: TrialNotebook) -> AsyncIterator[Opened]:
        """A process for one trial; at the end it is killed with all that it left running."""
        private = Path(tempfile.mkdtemp(prefix="mitosis-"))
        ours, theirs = socket.socketpair()
        output = output_of(folder)
        with theirs, output.open("ab") as stray:
            popen = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno()), str(output)],
                cwd=job.cwd,
                env=trial_environment(private / "ipython", job.environment),
                stdin=subprocess.DEVNULL,
                stdout=stray,
                stderr=stray,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        process = TrialProcess(popen.pid, watch(popen))
        try:
            shell = await _ready(WarmShell(process, DriversWire()), ours, output)
            try:
                yield Opened(process, shell.cells(built.notebook, folder))
            finally:
                await shell.end()
        finally:
            shutil.rmtree(private, ignore_errors=True)
            drop_if_empty(output)

    async def close(self) -> None:
        """Nothing is held."""


async def _ready(shell: WarmShell, life: socket.socket, output: Path) -> WarmShell:
    """Wait until a process says that it can run cells."""
    try:
        await shell.wire.open(life)
        await answered(shell.wire.told(), shell.process, output)
    except BaseException:
        await shell.end()
        raise
    return shell
