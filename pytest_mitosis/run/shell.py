"""A trial's process without Jupyter: IPython's shell, and what its cells show sent as it comes.

Runs in the trial's own process, a fork or a new interpreter. Gives the same cells and outputs as a
kernel, without its sockets and threads.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
from io import TextIOBase
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from pytest_mitosis.run.forked import SET_BY_KERNEL, redirect
from pytest_mitosis.run.stopping import STOPPING
from pytest_mitosis.run.wire import Wire, words

INLINE_FIGURES = "module://matplotlib_inline.backend_inline"
SENT_CHARACTERS = 250_000
"""Printed text that is sent of one cell; more than the notebook keeps. All is in a file."""
BUFFERED_CHARACTERS = 8192


class Stream(TextIOBase):
    """Printed text: at once to ``echo``, and sent as far as the notebook could keep it."""

    encoding = "utf-8"
    errors = "strict"
    echo: Any = None

    def __init__(self, name: str, wire: Wire, number: int) -> None:
        self.name = name
        self._wire, self._number = wire, number
        self._buffer: list[str] = []
        self._sent = self._held = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """Where programs that the experiment starts print."""
        return self._number

    def write(self, text: str) -> int:
        """Print."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self.echo is not None:
            self.echo.write(text)
        if self._sent < SENT_CHARACTERS:
            self._buffer.append(text[:SENT_CHARACTERS])
            self._sent += len(text)
            self._held += len(text)
            if self._held > BUFFERED_CHARACTERS:
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what is held back."""
        if self._buffer:
            text, self._buffer, self._held = "".join(self._buffer), [], 0
            self._wire.send("stream", name=self.name, text=text)

    def begin_cell(self) -> None:
        """Text is bounded by cell."""
        self._sent = 0


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


def serve(life: socket.socket, arguments: dict[str, Any]) -> None:
    """Run cells as they are asked for, until killed."""
    redirect(arguments["stray"])
    if not os.environ.get("MPLBACKEND"):
        SET_BY_KERNEL["MPLBACKEND"] = os.environ["MPLBACKEND"] = INLINE_FIGURES
    wire = Wire(life)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    STOPPING.watch(lambda: wire.forward(requests.put))
    config = Config()
    config.HistoryManager.enabled = False
    for part in (Publisher, Hook, TrialShell):
        part.wire = wire
    shell = TrialShell.instance(config=config)
    sys.stdout, sys.stderr = Stream("stdout", wire, 1), Stream("stderr", wire, 2)
    wire.send("ready")
    while True:
        _run(shell, wire, requests.get())


def main() -> None:
    """Be a trial's process in an interpreter of its own."""
    serve(socket.socket(fileno=int(sys.argv[1])), {"stray": sys.argv[2]})


def flush_streams() -> None:
    """Keep the order of what is printed and what is shown."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _run(shell: TrialShell, wire: Wire, request: dict[str, Any]) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Stream):
            stream.begin_cell()
    count = shell.execution_count
    result = shell.run_cell(request["source"], store_history=request["numbered"])
    flush_streams()
    error = result.error_before_exec or result.error_in_exec
    told = {} if error is None else {"ename": type(error).__name__, "evalue": words(error)}
    wire.send("done", execution_count=count, **told)


def _textual(data: dict[str, Any]) -> dict[str, Any]:
    """Pictures as base64, as notebooks keep them."""
    import base64

    return {
        kind: base64.b64encode(one).decode("ascii") if isinstance(one, bytes) else one
        for kind, one in data.items()
    }
