"""A Jupyter kernel in a fork, from the fork to its last cell.

Runs in the trial's own process. It is warm before it knows its trial: what it takes from one
(variables, working directory, file of printed text) comes with the first request.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from ipykernel.kernelapp import IPKernelApp
from tornado.ioloop import IOLoop
from traitlets.config import Config

from pytest_mitosis.run.stopping import STOPPING
from pytest_mitosis.run.wire import Wire, words

if TYPE_CHECKING:
    import socket

SET_BY_KERNEL: dict[str, str] = {}
"""Variables a kernel sets as it starts; one kernel runs in a process."""


class TrialKernelApp(IPKernelApp):  # type: ignore[misc]  # ipykernel is not typed for mypy here
    """A kernel that looks for no command line, no settings and no startup files.

    There are none: its IPython folder is the session's own, so that nothing of a person's IPython
    takes part in a trial. Not to look saves about 10 ms of a kernel's start.
    """

    def parse_command_line(self, argv: object = None) -> None:
        """There is none."""

    def load_config_file(self, *_: object, **__: object) -> None:
        """No settings of the person's own."""

    def init_code(self) -> None:
        """No startup files."""


def serve(life: socket.socket, arguments: dict[str, Any]) -> None:
    """Be a kernel on the sockets of ``connection_file`` until killed."""
    redirect(arguments["stray"])
    config = Config()
    config.HistoryManager.enabled = False
    app = TrialKernelApp.instance(
        config=config,
        connection_file=arguments["connection_file"],
        # Only to have it poll no parent and print nothing of its connection: `life` tells more.
        parent_handle=1,
        log_level=40,
    )
    before = dict(os.environ)
    app.initialize([])
    SET_BY_KERNEL.update(set(os.environ.items()) - set(before.items()))
    wire, loop, namespace = Wire(life), IOLoop.current(), app.shell.user_ns
    STOPPING.watch(
        lambda: wire.forward(functools.partial(loop.add_callback, _answer, wire, namespace))
    )
    app.start()


def _answer(wire: Wire, namespace: dict[str, Any], request: dict[str, Any]) -> None:
    """Run what no cell shows, between cells; a message of Jupyter's costs ten times as much."""
    told = {}
    try:
        exec(request["source"], namespace)  # noqa: S102  the driver's
    except BaseException as error:  # an object of the experiment's may raise anything
        told = {"ename": type(error).__name__, "evalue": words(error)}
    wire.send("done", **told)


def redirect(file: str) -> None:
    """Have what is written past Python's streams go to a file."""
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for number in (1, 2, *_copies()):
        os.dup2(target, number)
    os.close(target)


def _copies() -> list[int]:
    """Where ipykernel's streams keep the descriptors they stand in for.

    A private name of ipykernel's; without it a fault handler's words are lost, and nothing else.
    """
    copies = [getattr(s, "_original_stdstream_copy", None) for s in (sys.stdout, sys.stderr)]
    return [one for one in copies if isinstance(one, int)]


def take_over(environment: dict[str, str], cwd: str, output: str) -> None:
    """Become the process of one trial: its variables, its folder, its file of printed text."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update({**environment, **SET_BY_KERNEL})
    if environment.get("MPLBACKEND"):  # the user's choice wins, as in any kernel
        os.environ["MPLBACKEND"] = environment["MPLBACKEND"]
    time.tzset()
    target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    # Where ipykernel watches 1 and 2 itself, those are its pipes and stay.
    for number in _copies() or (1, 2):
        os.dup2(target, number)
    os.close(target)
