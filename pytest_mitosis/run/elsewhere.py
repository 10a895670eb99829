"""Trials that begin in one process and run in another: taken up there, read back here.

What a launcher of one's own needs that runs ``python -m pytest_mitosis.run JOB.json`` somewhere,
and what the launcher for clusters needs too. The trial's folder is all that both processes share.
Must not know pytest, nor how a trial gets from here to there.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.repository import RepositoryState, describe_code
from pytest_mitosis.model import Failure, Job, Outcome, Status, StoreError, Trial
from pytest_mitosis.run.judging import CodeJudge
from pytest_mitosis.run.launcher import Judge, Order, taints_nothing
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.folder import (
    HEARTBEAT,
    JOB,
    MANIFEST,
    finish,
    now,
    read_manifest,
    read_trial,
    store_of,
)
from pytest_mitosis.store.owners import this_process

if TYPE_CHECKING:
    from pathlib import Path

OF_AN_END = (
    *("finished", "duration_s", "cpu_s", "peak_memory_bytes", "environment", "metrics", "notes"),
    *("tainted", "randomness", "code", "failure", "progress", "artifacts", "proven", "unproven"),
)
"""What a manifest says of an attempt that ended."""
STORE_EXIT = 13
"""How ``python -m pytest_mitosis.run`` ends if the trials folder cannot be written."""
PAUSE = 0.2


def outcome_of(
    order: Order, code: int | None, said: str = "", *, is_cancelled: bool = False
) -> tuple[Trial, Outcome]:
    """What became of an order whose command line ended: the trial as it was recorded.

    Parameters
    ----------
    order : Order
        What was submitted.
    code : int or None
        The exit code of the command; None if it was never started.
    said : str
        What it printed. The last line is why, where a trial could not be run or recorded.
    is_cancelled : bool
        Whether the launcher was told to cancel it.

    Raises
    ------
    StoreError
        If the trials folder could not be written over there; says where the results are instead.
    """
    told = said.strip().rpartition("\n")[2]
    while _runs_on(order.folder):  # the command is gone (a connection, say), its trial is not
        time.sleep(PAUSE)
    if code == STORE_EXIT:
        raise StoreError(told.removeprefix("ERROR: "))
    if read_manifest(order.folder)["status"] == Status.RUNNING:
        status, failure = Status.CRASHED, Failure("NotRecorded", _reason(code, told))
        if is_cancelled:
            status, failure = Status.INTERRUPTED, Failure("Interrupted", "stopped before it ended")
        record_end(order.folder, status, failure)
    return recorded(order.folder)


def _reason(code: int | None, told: str) -> str:
    ended = "it was never started" if code is None else f"its command ended with {code}"
    return f"{ended} and left no end of the trial" + (f": {told}" if told else "")


def _runs_on(folder: Path) -> bool:
    """Whether another process is at the trial, as far as its heartbeat tells."""
    return (folder / HEARTBEAT).exists() and read_trial(folder).status is Status.RUNNING


def recorded(folder: Path) -> tuple[Trial, Outcome]:
    """A trial that another process recorded, and what its job left as far as that is recorded."""
    trial = read_trial(folder)
    m = trial.manifest
    failure = Failure(**m["failure"]) if m.get("failure") else None
    return trial, Outcome(
        trial.status,
        m["started"],
        m["finished"],
        m["duration_s"],
        metrics=m["metrics"],
        notes=tuple(m["notes"]),
        tainted=tuple(m["tainted"]),
        failure=failure,
        supported=m.get("supported"),
        proven=bool(m.get("proven")),
        unproven=m.get("unproven", {}),
    )


def record_end(folder: Path, status: Status, failure: Failure) -> None:
    """Record the end of a trial in place of a process that could not."""
    started = str(read_manifest(folder).get("started") or now())
    finished, seconds = now(), 0.0
    with contextlib.suppress(OSError):  # it was alive until then
        beat = datetime.fromtimestamp((folder / HEARTBEAT).stat().st_mtime, UTC)
        finished = beat.isoformat(timespec="milliseconds")
        seconds = max(0.0, (beat - datetime.fromisoformat(started)).total_seconds())
    finish(folder, Outcome(status, started, finished, seconds, failure=failure), "")


def is_waiting(folder: Path) -> bool:
    """Whether a trial has begun, and no process that runs it has taken it up yet."""
    return read_manifest(folder)["status"] == Status.RUNNING and not (folder / HEARTBEAT).exists()


def take_up(folder: Path) -> Order:
    """The order of a trial that waits in ``folder``, which is this process's from now on.

    Its manifest keeps what it says of code, session and values; so the code is judged by the state
    of the repositories when the session looked at them.

    Raises
    ------
    StoreError
        If another process took it up first.
    """
    manifest = read_manifest(folder)
    try:
        (folder / HEARTBEAT).touch(exist_ok=False)
    except FileExistsError:
        raise StoreError(f"{folder} is running now; wait for its end") from None
    begin_here(folder, manifest)
    states = tuple(map(RepositoryState.from_json, manifest.get("repositories", ())))
    problem = str(manifest.get("code_problem") or "")
    judge: Judge = taints_nothing
    if states and not problem and not manifest["draft"]:
        checked = datetime.fromisoformat(manifest.get("checked", manifest["started"]))
        judge = CodeJudge(states, checked.timestamp())
    return Order(
        Job.from_json(read_json(folder / JOB)),
        folder,
        store_of(folder),
        (("code", describe_code(states, problem)),),
        tuple(manifest.get("notes", ())),
        judge,
    )


def begin_here(folder: Path, manifest: dict[str, Any], more: dict[str, Any] | None = None) -> Trial:
    """Write the manifest of a trial that begins in this process, begun by another one before."""
    begun = {name: value for name, value in manifest.items() if name not in OF_AN_END}
    begun |= {
        "status": Status.RUNNING.value,
        "submitted": manifest.get("submitted", manifest["started"]),
        "started": now(),
        **this_process(),
        **(more or {}),
    }
    write_json(folder / MANIFEST, begun)
    return Trial(folder, begun)
