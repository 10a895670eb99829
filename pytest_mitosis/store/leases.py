"""Leases: who has which part of this machine, across all sessions that share a store.

``leases/HOST/ID.json``, one file a trial, with its owner and what it holds; its time is the owner's
heartbeat. A lease is given while an operating system's lock on ``leases/HOST/.lock`` is held, which
ends with its process: all of a request at once or nothing, so nobody keeps one part while waiting
for another. A dead owner's file is removed by whoever asks next. Must not know what a trial is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import SCHEMA, StoreError
from pytest_mitosis.store.files import create_json, read_json
from pytest_mitosis.store.folder import HEARTBEAT_SECONDS, folder_name, now, user_name
from pytest_mitosis.store.owners import lives, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_mitosis.plan.resources import Request

LEASES = "leases"
LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a machine: what is asked for, or what a lease holds.

    ``gpus`` are names where they are held, ``processors`` the numbers of those that may be used.
    """

    cpus: int = 0
    gpus: tuple[str, ...] = ()
    memory: int = 0
    processors: frozenset[int] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Plain builtins."""
        return {
            "cpus": self.cpus,
            "gpus": list(self.gpus),
            "memory": self.memory,
            "processors": sorted(self.processors),
        }


@dataclass(frozen=True, slots=True)
class Lease:
    """A share that belongs to one trial until it is released."""

    file: Path
    share: Share


@dataclass
class Leases:
    """The leases of one machine in one store, and the heartbeat of those of this process."""

    store: Path
    host: str = field(default_factory=socket.gethostname)
    held: list[Lease] = field(default_factory=list)
    _stop: threading.Event | None = None

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.store / LEASES / folder_name(self.host)

    def try_take(self, owner: str, there_is: Share, wanted: Request) -> Lease | None:
        """A lease of all that is asked for, or None as long as others have too much of it.

        ``there_is`` is what this process could have if it were alone.

        Raises
        ------
        OSError
            If the store cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            shares = [one.share for one in self._living() if _meet(one.share, there_is)]
            taken = {name for share in shares for name in share.gpus}
            free = [name for name in there_is.gpus if name not in taken]
            cpus = there_is.cpus - sum(one.cpus for one in shares)
            memory = there_is.memory - sum(one.memory for one in shares)
            if wanted.cpus > cpus or wanted.gpus > len(free):
                return None
            if there_is.memory and wanted.memory > memory:
                return None
            gpus = tuple(free[: wanted.gpus])
            share = Share(wanted.cpus, gpus, wanted.memory, there_is.processors)
            file = self.folder / f"{owner}.json"
            create_json(file, self._record(owner, share))
        lease = Lease(file, share)
        self.held.append(lease)
        self._beat()
        return lease

    def release(self, lease: Lease) -> None:
        """Give back what a lease holds."""
        self.held.remove(lease)
        lease.file.unlink(missing_ok=True)
        if not self.held and self._stop is not None:
            self._stop.set()
            self._stop = None

    def _record(self, owner: str, share: Share) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "trial": owner,
            "user": user_name(),
            **this_process(),
            "host": self.host,
            "since": now(),
            **share.to_json(),
        }

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _living(self) -> list[Lease]:
        """The leases whose owners live; those of dead ones are removed."""
        found = []
        for file in self.folder.glob("[!.]*.json"):
            try:
                record, age = read_json(file), time.time() - file.stat().st_mtime
                share = _share_of(record)
            except OSError:
                continue  # released this moment
            except (StoreError, KeyError, TypeError, ValueError):
                continue  # no lease: nobody can be asked about it
            if lives({**record, "host": self.host}, age):
                found.append(Lease(file, share))
            else:
                file.unlink(missing_ok=True)
        return found

    def _beat(self) -> None:
        """Touch the files of the leases held here every few seconds, from a thread."""
        if self._stop is not None:
            return
        stop = self._stop = threading.Event()

        def beat() -> None:
            while not stop.wait(HEARTBEAT_SECONDS):
                for lease in list(self.held):
                    with contextlib.suppress(OSError):
                        os.utime(lease.file)

        threading.Thread(target=beat, name="mitosis-leases", daemon=True).start()


def _share_of(record: dict[str, Any]) -> Share:
    return Share(
        int(record["cpus"]),
        tuple(map(str, record["gpus"])),
        int(record["memory"]),
        frozenset(map(int, record["processors"])),
    )


def _meet(one: Share, other: Share) -> bool:
    """Whether two processes can be in each other's way: a scheduler may keep them apart."""
    if not one.processors or not other.processors or set(one.gpus) & set(other.gpus):
        return True
    return not one.processors.isdisjoint(other.processors)
