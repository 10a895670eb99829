"""The fork server's process as it is started, before anything that can talk to it is imported.

Imports a few modules of the standard library, so that the server comes up while its parent imports
the rest. Runs in the process that starts trials.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_START = "from pytest_mitosis.run.forkserver import main; main()"


@dataclass(frozen=True)
class UpcomingServer:
    """A fork server that comes up, and the socket it is asked over."""

    process: subprocess.Popen[bytes]
    channel: socket.socket


def has_forks() -> bool:
    """Whether there can be a fork server here."""
    return hasattr(os, "fork") and hasattr(os, "waitid")


def start_server(kind: str, preload: tuple[str, ...], private: Path) -> UpcomingServer:
    """Start a server of processes of a kind; it is of use once it says so.

    ``private`` is a folder of the session's, which the server removes when its parent is gone.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _START,
                str(theirs.fileno()),
                json.dumps([kind, preload, str(private)]),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=trial_environment(private / "ipython", {}),
            start_new_session=True,  # Ctrl-C is for this process, which then ends trials
        )
    ours.setblocking(False)
    return UpcomingServer(process, ours)


def trial_environment(ipython: Path, given: Mapping[str, str]) -> dict[str, str]:
    """``given``, with fixed hashing and without the user's IPython start-up files.

    The parent's own variables only if nothing is given.
    """
    variables = {**(given or os.environ), "PYTHONHASHSEED": "0", "IPYTHONDIR": str(ipython)}
    variables["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a warning about frozen modules
    variables.pop("PYTEST_CURRENT_TEST", None)
    return variables
