"""Owners: which process on which machine something in the store belongs to, and whether it lives.

Asked of claims, of running trials, of leases. On the owner's own machine its process is looked at;
from elsewhere only its heartbeat tells. Must not know what is owned.
"""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LOST_AFTER_SECONDS = 60.0
"""Without a sign of life for this long, an owner that cannot be looked at counts as dead."""


def this_process() -> dict[str, Any]:
    """Return this process as an owner: host, number, what tells it from others of its number."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "process": dict(_own_process(pid))}


@lru_cache(maxsize=1)
def _own_process(pid: int) -> dict[str, str]:
    """What never changes while this process lives; a fork of it has another number."""
    return _process_of(pid)


def lives(owner: Mapping[str, Any], age: float) -> bool:
    """Whether an owner's process lives; ``age`` are the seconds since its last sign of life.

    A process that ended and was not waited for does not live, nor does another one that was given
    its number later. Where that cannot be told (another machine, another container, a record
    without ``process``) an owner without a sign of life for a minute counts as dead.
    """
    pid, recorded = owner.get("pid"), owner.get("process")
    if owner.get("host") != socket.gethostname():
        return age < LOST_AFTER_SECONDS
    if not isinstance(recorded, dict):
        return not _is_gone(pid) and age < LOST_AFTER_SECONDS
    if recorded.get("space") != _space():
        return age < LOST_AFTER_SECONDS
    return not _is_gone(pid) and _process_of(int(pid or 0)) == recorded


def _is_gone(pid: object) -> bool:
    """Whether no process of this machine has the number ``pid``."""
    if type(pid) is not int or not 0 < pid < 2**31:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _process_of(pid: int) -> dict[str, str]:
    """The container a process is in, and when it started; without the latter it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        started = "" if fields[0] == "Z" else fields[19]  # a zombie has ended
    except (OSError, IndexError):
        started = ""
    return {"space": _space(), "started": started}


@lru_cache(maxsize=1)
def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
