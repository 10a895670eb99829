"""A Jupyter kernel in a fork, from the fork to its last cell.

It is ipykernel's, but for how its messages travel: over the socket that the fork was born with, and
not over five of ZeroMQ's, which with their threads cost more than all that a small trial does. The
kernel is made once, before the fork, and each trial has a copy of it that nothing ran in. It knows
no trial yet: variables, working directory and the file of printed text come with the first request.
Runs in the trial's own process, but for `prepare`.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from ipykernel.displayhook import ZMQDisplayHook
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.jsonutil import json_default
from jupyter_client.session import Session, new_id
from tornado.ioloop import IOLoop
from traitlets.config import Config

from pytest_mitosis.run.inside import answer
from pytest_mitosis.run.printed import begin_cell, flush_streams, own_streams, take_streams
from pytest_mitosis.run.stopping import STOPPING
from pytest_mitosis.run.takeover import SET_BY_KERNEL, redirect, rehearse
from pytest_mitosis.run.wire import Wire

if TYPE_CHECKING:
    import socket

SHELL, IOPUB = "shell", "iopub"


class WireSession(Session):  # type: ignore[misc]  # jupyter_client is not typed for mypy here
    """Sends Jupyter's messages over the wire, and takes them as they come from there."""

    wire: Wire

    def send(
        self,
        stream: object,
        msg_or_type: Any,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        ident: object = None,
        buffers: list[Any] | None = None,
        track: bool = False,
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a message; ``stream`` is `IOPUB`, or nothing where an answer is meant."""
        message: dict[str, Any] = (
            msg_or_type
            if isinstance(msg_or_type, dict)
            else self.msg(msg_or_type, content, parent, header, metadata)
        )
        parts = buffers or message.get("buffers") or ()
        encoded = [base64.b64encode(memoryview(one)).decode("ascii") for one in parts]
        self.wire.send(IOPUB if stream == IOPUB else SHELL, message={**message, "buffers": encoded})
        return message

    def feed_identities(self, msg_list: Any, copy: bool = True) -> Any:
        """A message comes as a whole, and from one client."""
        return [], msg_list

    def deserialize(self, msg_list: Any, content: bool = True, copy: bool = True) -> Any:
        """A message comes as a whole."""
        return msg_list


class TrialKernel(IPythonKernel):  # type: ignore[misc]  # ipykernel is not typed for mypy here
    """ipykernel's kernel, which is asked for one cell at a time."""

    _execute_sleep = 0.0  # ipykernel's, for streams that another thread sends

    def post_handler_hook(self) -> None:
        """Called before a cell is said to have ended."""
        super().post_handler_hook()
        flush_streams()

    def _abort_queues(self, *_: object, **__: object) -> None:
        """There is no queue (a private name of ipykernel's, as its in-process kernel has it)."""


class TrialKernelApp(IPKernelApp):  # type: ignore[misc]  # ipykernel is not typed for mypy here
    """A kernel on a wire, that looks for no command line, no settings and no startup files.

    There are none: its IPython folder is the session's own, so that nothing of a person's IPython
    takes part in a trial.
    """

    def parse_command_line(self, argv: object = None) -> None:
        """There is none."""

    def load_config_file(self, *_: object, **__: object) -> None:
        """No settings of the person's own."""

    def init_code(self) -> None:
        """No startup files."""

    def _nothing(self) -> None:
        """No sockets, and nothing of theirs."""

    init_connection_file = init_poller = init_sockets = init_heartbeat = _nothing
    write_connection_file = log_connection_info = _nothing

    def init_io(self) -> None:
        """Have what is printed and shown sent over the wire."""

        def send(name: str, text: str) -> None:
            parent = self.kernel.get_parent()
            self.session.send(IOPUB, "stream", {"name": name, "text": text}, parent)

        take_streams(send)
        self.displayhook = sys.displayhook = ZMQDisplayHook(self.session, IOPUB)
        self.patch_io()

    def init_kernel(self) -> None:
        """Make the kernel."""
        self.kernel = TrialKernel.instance(
            parent=self,
            session=self.session,
            iopub_socket=IOPUB,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        self.displayhook.get_execution_count = lambda: self.kernel.execution_count


def prepare() -> None:
    """Make the kernel, but for what its process has of its own; done before the fork."""
    config = Config()
    config.HistoryManager.enabled = False
    app = TrialKernelApp.instance(config=config, session=WireSession(key=b""), log_level=40)
    before = dict(os.environ)
    app.initialize([])
    sys.path[:] = [one for one in sys.path if one]  # the working directory is none yet
    SET_BY_KERNEL.update(set(os.environ.items()) - set(before.items()))
    app.log.setLevel(app.log_level)  # else records are made and then dropped
    rehearse(app.shell)


def serve(life: socket.socket, arguments: dict[str, Any]) -> None:
    """Be a kernel on ``life`` until killed."""
    redirect(arguments["stray"])
    app = TrialKernelApp.instance()
    app.init_path()
    app.init_signal()
    app.session.session = new_id()
    WireSession.wire = wire = Wire(life, default=_plain)
    own_streams()
    asyncio.set_event_loop(asyncio.new_event_loop())  # else tornado's has a warning of asyncio's
    loop = IOLoop.current()
    STOPPING.watch(
        lambda: wire.forward(functools.partial(loop.add_callback, _take, app.kernel, wire))
    )
    app.start()


async def _take(kernel: TrialKernel, wire: Wire, request: dict[str, Any]) -> None:
    """Run a cell, or what no cell shows."""
    if "message" in request:
        begin_cell()
        await kernel.dispatch_shell(request["message"])
    else:
        answer(wire, request, kernel.shell.user_ns)


def _plain(value: object) -> object:
    """What stands in a message for an object that JSON does not know."""
    try:
        return json_default(value)
    except TypeError:
        return repr(value)
