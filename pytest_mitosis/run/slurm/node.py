"""A trial on a node: begun there, run to its end or to Slurm's, and recorded by its own process.

Runs in the process that Slurm starts, one trial after the other. Nobody else has to live.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from pytest_mitosis.identity.code import installed_versions
from pytest_mitosis.identity.imported import ImportedFile
from pytest_mitosis.identity.repository import RepositoryState
from pytest_mitosis.identity.verdicts import verdicts
from pytest_mitosis.model import Failure, Job, Status, StoreError, Trial
from pytest_mitosis.run.environment import scheduler_variables
from pytest_mitosis.run.launcher import Launcher, Order
from pytest_mitosis.run.launchers import make_launcher
from pytest_mitosis.run.loop import LoopHandle
from pytest_mitosis.run.slurm import commands
from pytest_mitosis.run.slurm.commands import SlurmError, task_id
from pytest_mitosis.run.slurm.ends import stopped
from pytest_mitosis.run.slurm.watching import record_end
from pytest_mitosis.store.attempts import claim_attempt, put_by
from pytest_mitosis.store.batches import Batch, let_go, place_of, read_batch, say_ended
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.folder import (
    HEARTBEAT,
    JOB,
    MANIFEST,
    QUEUED,
    now,
    read_trial,
)
from pytest_mitosis.store.owners import this_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import FrameType

OF_AN_END = (
    *("finished", "duration_s", "cpu_s", "peak_memory_bytes", "environment", "metrics", "notes"),
    *("tainted", "randomness", "code", "failure", "progress", "artifacts", "proven", "unproven"),
)
"""What a manifest says of an attempt that ended."""
WALL_TIME = "WallTime"
LOG_SECONDS = 1.0


class Told(KeyboardInterrupt):
    """Slurm told this process to stop."""


@dataclass
class Notices:
    """What Slurm told this process: SIGUSR1 ahead of the time limit, SIGTERM to end now."""

    warned: bool = False
    ended: bool = False
    is_waiting: bool = False
    before: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for number in (signal.SIGUSR1, signal.SIGTERM):
            self.before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    @property
    def any(self) -> bool:
        """Whether no further trial should begin."""
        return self.warned or self.ended

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.warned |= number == signal.SIGUSR1
        self.ended |= number == signal.SIGTERM
        if self.is_waiting:
            self.is_waiting = False
            raise Told


@dataclass
class Node:
    """Runs the trials of one task."""

    notices: Notices
    worst: int = 0
    launcher: Launcher | None = None

    def close(self) -> None:
        """End what was started for all trials."""
        if self.launcher is not None:
            self.launcher.close()

    def run(self, folders: Sequence[Path]) -> None:
        """Run the trials in ``folders``; those left when Slurm says stop stay as they are."""
        for folder in folders:
            if self.notices.any:
                self.worst = 1
                return
            self._run(folder)

    def _run(self, folder: Path) -> None:
        place = place_of(folder)
        if place is None:
            print(f"{folder}: its end is recorded, there is nothing to do")
            return
        store = _store_of(folder)
        batch = read_batch(store, place.batch)
        trial = begin_here(folder)
        if trial is not None:
            self._take_to_its_end(trial, batch, store)
        let_go_unless_requeued(folder)
        if place_of(folder) is None:
            say_ended(store, batch.id, folder.name.partition("-")[2])

    def _take_to_its_end(self, trial: Trial, batch: Batch, store: Path) -> None:
        folder = trial.folder
        if failure := other_environment(batch.record.get("versions", {})):
            record_end(folder, Status.CRASHED, failure)
            print(f"{trial.id}: {failure.message}")
            self.worst = 1
            return
        held = read_json(folder / QUEUED)
        order = Order(
            Job.from_json(read_json(folder / JOB)),
            folder,
            store,
            tuple((str(name), str(value)) for name, value in held.get("facts", ())),
            tuple(map(str, held.get("notes", ()))),
            judge=CodeJudge(batch.record),
        )
        ended = self._drive(order, batch)
        print(f"{ended.status.value}: {order.job.experiment}[{order.job.key}] in {folder}")
        self.worst |= ended.status is not Status.DONE

    def _drive(self, order: Order, batch: Batch) -> Trial:
        """Run one trial; when Slurm says stop, it has the time that is left to save."""
        if self.launcher is None:
            self.launcher = make_launcher(str(batch.record.get("node_launcher", "kernel")))
        launcher = self.launcher
        handle = launcher.submit(order)
        assert isinstance(handle, LoopHandle)
        attempt = handle.attempt
        attempt.is_told = lambda: self.notices.ended  # by Slurm, and all of its processes
        try:
            self.notices.is_waiting = True
            if not self.notices.any:
                launcher.wait([handle])
        except Told:
            pass
        self.notices.is_waiting = False
        if self.notices.any and not handle.is_done():
            attempt.stopped_as = self._ending(batch)
            if not self.notices.ended:  # else Slurm waits no longer than KillWait
                attempt.grace = max(attempt.grace, float(batch.record["warn"]) / 2)
            launcher.cancel(handle)
        return handle.result()[0]

    def _ending(self, batch: Batch) -> tuple[Status, Failure]:
        task = this_task()
        if self.notices.warned:
            words = f"its Slurm job {task} comes to its time limit; --exp-resume continues it"
            return Status.TIMEOUT, Failure(WALL_TIME, words)
        log = batch.folder / f"{os.environ.get('SLURM_ARRAY_TASK_ID', '')}.log"
        deadline = time.monotonic() + LOG_SECONDS
        while not (found := stopped(task, log, is_requeued=is_requeued())).message.count("was"):
            if time.monotonic() > deadline:
                break
        return Status.INTERRUPTED, found


def run_on_node(folders: Sequence[Path]) -> int:
    """Run trials that a scheduler holds; 0 if all are done, 1 if not."""
    with Notices() as notices:
        node = Node(notices)
        with contextlib.closing(node):
            node.run(folders)
    return int(node.worst)


def begin_here(folder: Path) -> Trial | None:
    """Make the trial in ``folder`` this process's; None if it is another's, or has ended.

    A trial that was begun before, by a process that is gone, goes on as its next attempt.
    """
    trial = read_trial(folder)
    manifest = trial.manifest
    attempt: dict[str, Any] = {}
    if trial.status in {Status.DONE, Status.CRASHED}:
        return None
    if (folder / HEARTBEAT).exists() or trial.status is not Status.RUNNING:
        claimed = None if trial.status is Status.RUNNING else claim_attempt(trial)
        if claimed is None:
            raise StoreError(f"{folder} is run by another process; this one leaves it alone")
        attempt = put_by(claimed)
    (folder / HEARTBEAT).touch()
    begun = {name: value for name, value in manifest.items() if name not in OF_AN_END}
    begun |= {
        "status": Status.RUNNING.value,
        "submitted": manifest.get("submitted", manifest["started"]),
        "started": now(),
        **this_process(),
        "scheduler": scheduler_variables(),
        **attempt,
    }
    write_json(folder / MANIFEST, begun)
    return Trial(folder, begun)


def let_go_unless_requeued(folder: Path) -> None:
    """Make what is recorded final, unless Slurm puts the trial back into its queue."""
    trial = read_trial(folder)
    if trial.status in {Status.DONE, Status.CRASHED}:
        let_go(folder)
    elif trial.status is not Status.RUNNING and not is_requeued():
        failure = trial.manifest.get("failure") or {}
        if failure.get("type") == WALL_TIME and _requeue(folder):
            return
        let_go(folder)


def _requeue(folder: Path) -> bool:
    """Put this task back, to go on from its checkpoints with a new time limit."""
    place = place_of(folder)
    assert place is not None
    if not read_batch(_store_of(folder), place.batch).record.get("requeue"):
        return False
    checkpoints = folder / "checkpoints"
    if not checkpoints.is_dir() or not any(checkpoints.iterdir()):
        return False  # it would begin anew and come no further
    try:
        commands.requeue(this_task())
    except SlurmError:
        return False
    return True


def this_task() -> str:
    """Slurm's id of the task this process is."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID", "") for name in ("JOB", "TASK"))
    return task_id(array, task) if array else os.environ.get("SLURM_JOB_ID", "")


def is_requeued() -> bool:
    """Whether Slurm has put this task back into its queue while it still runs."""
    facts = commands.facts_of(this_task())
    return facts.restarts > int(os.environ.get("SLURM_RESTART_COUNT") or 0)


def other_environment(wanted: dict[str, str]) -> Failure | None:
    """What is installed here otherwise than where the trial was submitted; None if all is alike."""
    here = installed_versions()
    differs = [
        f"{name} {version} is {here.get(name, 'not installed')}"
        for name, version in wanted.items()
        if here.get(name) != version
    ]
    if not differs:
        return None
    more = f" and {len(differs) - 3} more" if len(differs) > 3 else ""
    words = (
        f"the environment on {os.uname().nodename} is not that of the session: "
        f"{'; '.join(differs[:3])}{more}; install the same there, or name its Python in "
        "[tool.mitosis.launchers]"
    )
    return Failure("OtherEnvironment", words)


@dataclass(frozen=True, slots=True)
class CodeJudge:
    """Says which imported files taint a trial, by what its batch says of the code."""

    record: dict[str, Any]

    def __call__(self, imported: Sequence[dict[str, Any]]) -> tuple[str, ...]:
        """Sentences on the files that are not what the commit holds."""
        if "states" not in self.record:
            return ()  # a draft vouches for none
        files = [ImportedFile.from_json(one) for one in imported]
        states = [RepositoryState.from_json(one) for one in self.record["states"]]
        copy = str(self.record.get("worktree") or "")
        copied = [one for one in files if copy and one.path.is_relative_to(copy)]
        others = [one for one in files if one not in copied]
        found = verdicts(copied, states)  # checked out after the session began, edited by nobody
        found += verdicts(others, states, since=self.record.get("since"))
        return tuple(str(one) for one in found)


def _store_of(folder: Path) -> Path:
    top = folder.parents[2]
    return top.parent if top.name == "drafts" else top
