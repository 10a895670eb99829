"""A trial's process without Jupyter: IPython's shell, and what its cells show sent as it comes.

Runs in the trial's own process, a fork or a new interpreter. Gives the same cells and outputs as a
kernel, without its event loop and messages.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from pytest_mitosis.run.inside import answer
from pytest_mitosis.run.printed import begin_cell, flush_streams, own_streams, take_streams
from pytest_mitosis.run.stopping import STOPPING
from pytest_mitosis.run.takeover import INLINE_FIGURES, SET_BY_KERNEL, redirect, rehearse
from pytest_mitosis.run.wire import Wire, failure, words


class Publisher(DisplayPublisher):  # type: ignore[misc]  # IPython is untyped here
    """Sends what ``display`` shows."""

    wire: Wire

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *_: Any,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **__: Any,
    ) -> None:
        """Called by ``display``."""
        flush_streams()
        kind = "update_display_data" if update else "display_data"
        content = {"data": _textual(data), "metadata": metadata or {}}
        self.wire.send(kind, transient=transient or {}, **content)

    def clear_output(self, wait: bool = False) -> None:
        """Called by ``clear_output``; a record keeps what was shown."""


class Hook(DisplayHook):  # type: ignore[misc]
    """Sends the value a cell ends in."""

    wire: Wire

    def write_output_prompt(self) -> None:
        """The number is sent with the value."""

    def write_format_data(
        self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None
    ) -> None:
        """Called with the value in all its forms."""
        flush_streams()
        content = {"data": _textual(format_dict), "metadata": md_dict or {}}
        self.wire.send("execute_result", execution_count=self.prompt_count, **content)


class TrialShell(InteractiveShell):  # type: ignore[misc]
    """IPython's shell, whose outputs go over the wire."""

    display_pub_class = Type(Publisher)
    displayhook_class = Type(Hook)
    wire: Wire

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        """Called with an exception a cell raised (IPython's own place to override)."""
        flush_streams()
        self.wire.send("error", ename=etype.__name__, evalue=words(evalue), traceback=stb)

    def enable_gui(self, gui: str | None = None) -> None:
        """There is no event loop to integrate."""


def prepare() -> None:
    """Make the shell, but for what its process has of its own; done before the fork."""
    if not os.environ.get("MPLBACKEND"):
        SET_BY_KERNEL["MPLBACKEND"] = os.environ["MPLBACKEND"] = INLINE_FIGURES
    config = Config()
    config.HistoryManager.enabled = False
    rehearse(TrialShell.instance(config=config))
    take_streams(lambda name, text: TrialShell.wire.send("stream", name=name, text=text))


def serve(life: socket.socket, arguments: dict[str, Any]) -> None:
    """Run cells as they are asked for, until killed."""
    redirect(arguments["stray"])
    wire = Wire(life)
    for part in (Publisher, Hook, TrialShell):
        part.wire = wire
    own_streams()
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    STOPPING.watch(lambda: wire.forward(requests.put))
    wire.send("ready")
    shell = TrialShell.instance()
    while True:
        request = requests.get()
        if "cell" in request:
            wire.send("done", **_run(shell, request["cell"]))
        else:
            answer(wire, request, shell.user_ns)


def main() -> None:
    """Be a trial's process in an interpreter of its own."""
    prepare()
    serve(socket.socket(fileno=int(sys.argv[1])), {"stray": sys.argv[2]})


def _run(shell: TrialShell, source: str) -> dict[str, Any]:
    """Run a cell; how it ended."""
    begin_cell()
    count = shell.execution_count
    result = shell.run_cell(source, store_history=True)
    flush_streams()
    error = result.error_before_exec or result.error_in_exec
    return {"execution_count": count, **(failure(error) if error is not None else {})}


def _textual(data: dict[str, Any]) -> dict[str, Any]:
    """Pictures as base64, as notebooks keep them."""
    import base64

    return {
        kind: base64.b64encode(one).decode("ascii") if isinstance(one, bytes) else one
        for kind, one in data.items()
    }
