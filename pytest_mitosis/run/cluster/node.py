"""A trial on a node: begun there, run to its end or its job's, and recorded by its own process.

Runs in the process that a scheduler starts, one trial after the other or some at once. Nobody else
has to live.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from pytest_mitosis.model import Failure, Job, Status, StoreError, Trial
from pytest_mitosis.run.cluster.checks import other_environment
from pytest_mitosis.run.cluster.ends import state_in, stopped, tail
from pytest_mitosis.run.cluster.scheduler import SchedulerError, scheduler_of
from pytest_mitosis.run.elsewhere import begin_here, record_end
from pytest_mitosis.run.environment import scheduler_variables
from pytest_mitosis.run.judging import CodeJudge
from pytest_mitosis.run.launcher import Launcher, Order, taints_nothing
from pytest_mitosis.run.launchers import make_launcher
from pytest_mitosis.run.loop import LoopHandle
from pytest_mitosis.run.machine import VISIBLE
from pytest_mitosis.store.attempts import claim_attempt, put_by
from pytest_mitosis.store.batches import (
    BEGAN,
    TASK,
    Batch,
    is_cancelled,
    let_go,
    place_of,
    read_batch,
    say_ended,
)
from pytest_mitosis.store.files import read_json
from pytest_mitosis.store.folder import (
    HEARTBEAT,
    JOB,
    QUEUED,
    read_trial,
    store_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import FrameType

WALL_TIME = "WallTime"
NO_TURN = "its {title} job came to its time limit before this trial's turn"
LOG_SECONDS = 1.0
"""How long Slurm's remark on why it stops a task may take to come into the log."""
LOG_TICK = 0.05
TICK = 0.2
"""Seconds between two looks at what the scheduler told this process."""


@dataclass
class Notices:
    """What a scheduler told this process: SIGUSR1 ahead of the time limit, SIGTERM to end now."""

    warned: bool = False
    ended: bool = False
    before: dict[int, Any] = field(default_factory=dict)
    timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGUSR1, signal.SIGTERM):
            self.before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if self.timer is not None:
            self.timer.cancel()

    def warn_at(self, moment: float) -> None:
        """Hear a warning at a time of the clock, where no scheduler gives one."""
        if self.timer is None:
            self.timer = threading.Timer(max(0.0, moment - time.time()), self._be_warned)
            self.timer.daemon = True
            self.timer.start()

    def _be_warned(self) -> None:
        self.warned = True

    @property
    def any(self) -> bool:
        """Whether no further trial should begin."""
        return self.warned or self.ended

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.warned |= number == signal.SIGUSR1
        self.ended |= number == signal.SIGTERM


@dataclass(frozen=True, eq=False)
class UnderWay:
    """A trial that runs, in one of the job's slots."""

    handle: LoopHandle
    batch: Batch
    slot: int


@dataclass
class Node:
    """Runs the trials of one task, some at once if its batch says so."""

    notices: Notices
    worst: int = 0
    launcher: Launcher | None = None
    under_way: list[UnderWay] = field(default_factory=list)
    slots: int = 1
    ended: int = 0
    is_put_back: bool = False
    """Whether a trial that ended here goes on later; a scheduler says so only after a moment."""

    def close(self) -> None:
        """End what was started for all trials."""
        if self.launcher is not None:
            self.launcher.close()

    def run(self, folders: Sequence[Path]) -> None:
        """Run the trials in ``folders``; those left when told to stop stay as they are."""
        left = deque(folders)
        while left or self.under_way:
            while left and len(self.under_way) < self.slots and not self.notices.any:
                self._begin(left.popleft())
            if self.under_way:
                self._await()
            elif self.notices.any:
                break
        if left:
            self.worst = 1
            self._leave(left)

    def _begin(self, folder: Path) -> None:
        place = place_of(folder)
        if place is None:
            print(f"{folder}: its end is recorded, there is nothing to do")
            return
        batch = read_batch(store_of(folder), place.batch)
        self.slots = int(batch.record.get("at_once", 1))
        if moment := warning_moment(batch):
            self.notices.warn_at(moment)
        trial = begin_on_node(folder)
        if trial is None:
            self._settle(folder, batch)
        elif failure := other_environment(batch.record.get("versions", {})):
            record_end(folder, Status.CRASHED, failure)
            print(f"{trial.id}: {failure.message}")
            self.worst = 1
            self._settle(folder, batch)
        else:
            self._start(folder, batch)

    def _start(self, folder: Path, batch: Batch) -> None:
        if self.launcher is None:
            self.launcher = make_launcher(str(batch.record.get("node_launcher", "kernel")))
        slot = min(set(range(self.slots)) - {one.slot for one in self.under_way})
        held, facts = read_json(folder / QUEUED), batch.record
        order = Order(
            Job.from_json(read_json(folder / JOB)),
            folder,
            store_of(folder),
            tuple((str(name), str(value)) for name, value in held.get("facts", ())),
            tuple(map(str, held.get("notes", ()))),
            judge=CodeJudge.from_json(facts) if "states" in facts else taints_nothing,
            variables={**own_variables(), **own_gpus(slot, self.slots)},
        )
        handle = self.launcher.submit(order)
        assert isinstance(handle, LoopHandle)
        handle.attempt.is_told = lambda: self.notices.ended  # and so are all of its processes
        self.under_way.append(UnderWay(handle, batch, slot))

    def _await(self) -> None:
        """Take those that end to their records; told to stop, all have time to save."""
        assert self.launcher is not None
        handles = [one.handle for one in self.under_way]
        while not self.notices.any:
            if self.launcher.wait(handles, TICK):
                break
        else:
            self._stop()
        done = [one for one in self.under_way if one.handle.is_done()]
        self.under_way = [one for one in self.under_way if one not in done]
        for one in done:
            ended, job = one.handle.result()[0], one.handle.order.job
            print(f"{ended.status.value}: {job.experiment}[{job.key}] in {ended.folder}")
            self.worst |= ended.status is not Status.DONE
            self.ended += ended.status in {Status.DONE, Status.CRASHED}
            self._settle(ended.folder, one.batch)

    def _stop(self) -> None:
        """End all that run, each in order, and wait until they are recorded."""
        assert self.launcher is not None
        for one in self.under_way:
            attempt = one.handle.attempt
            attempt.stopped_as = self._ending(one)
            if not self.notices.ended:  # else Slurm, say, waits no longer than KillWait
                attempt.grace = max(attempt.grace, float(one.batch.record["warn"]) / 2)
            self.launcher.cancel(one.handle)
        for one in self.under_way:
            self.launcher.wait([one.handle])

    def _settle(self, folder: Path, batch: Batch) -> None:
        let_go_unless_requeued(folder, batch)
        if place_of(folder) is None:
            say_ended(store_of(folder), batch.id, folder.name.partition("-")[2])
        else:
            self.is_put_back = True

    def _leave(self, folders: Iterable[Path]) -> None:
        """What there was no time for goes on later, if this job came to the end of any."""
        if self.notices.ended or self.is_put_back:
            return  # the scheduler says what becomes of them
        batch = None
        for folder in folders:
            if (place := place_of(folder)) is None:
                continue
            batch = batch or read_batch(store_of(folder), place.batch)
            scheduler = scheduler_of(batch.record)
            if scheduler.is_requeued() or (self.ended and put_back(batch)):
                return
            words = NO_TURN.format(title=scheduler.title)
            record_end(folder, Status.INTERRUPTED, Failure(WALL_TIME, words))
            self._settle(folder, batch)

    def _ending(self, one: UnderWay) -> tuple[Status, Failure]:
        scheduler = scheduler_of(one.batch.record)
        task, title = scheduler.this_task(), scheduler.title
        if self.notices.warned:
            words = f"its {title} job {task} comes to its time limit; --exp-resume continues it"
            return Status.TIMEOUT, Failure(WALL_TIME, words)
        state = why_stopped(one.handle.order.folder, one.batch)
        is_requeued = scheduler.is_requeued()
        return Status.INTERRUPTED, stopped(task, state, is_requeued=is_requeued, title=title)


def run_on_node(folders: Sequence[Path]) -> int:
    """Run trials that a scheduler holds; 0 if all are done, 1 if not."""
    with Notices() as notices:
        node = Node(notices)
        with contextlib.closing(node):
            node.run(folders)
    return int(node.worst)


def why_stopped(folder: Path, batch: Batch) -> str:
    """The state that a task is stopped with, waited for a moment; empty if nobody says."""
    place = place_of(folder)
    if place is None:
        return ""
    log, deadline = batch.folder / f"{place.task}.log", time.monotonic() + LOG_SECONDS
    while True:
        if state := state_in(tail(log)):
            return state
        if is_cancelled(store_of(folder), place):
            return "CANCELLED"
        if time.monotonic() > deadline:
            return ""
        time.sleep(LOG_TICK)


def own_variables() -> dict[str, str]:
    """The environment without what says that this process is a task."""
    return {name: value for name, value in os.environ.items() if name not in {TASK, BEGAN}}


def own_gpus(slot: int, slots: int) -> dict[str, str]:
    """The part of a job's GPUs that the trial in one of its slots may see."""
    visible = [one for one in os.environ.get(VISIBLE, "").split(",") if one]
    each = len(visible) // slots
    if slots == 1 or not each:
        return {}
    return {VISIBLE: ",".join(visible[slot * each : (slot + 1) * each])}


def begin_on_node(folder: Path) -> Trial | None:
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
    return begin_here(folder, manifest, {"scheduler": scheduler_variables(), **attempt})


def let_go_unless_requeued(folder: Path, batch: Batch) -> None:
    """Make what is recorded final, unless the scheduler puts the trial back into its queue."""
    trial = read_trial(folder)
    if trial.status in {Status.DONE, Status.CRASHED}:
        let_go(folder)
    elif trial.status is not Status.RUNNING and not scheduler_of(batch.record).is_requeued():
        failure = trial.manifest.get("failure") or {}
        if failure.get("type") == WALL_TIME and _requeue(folder, batch):
            return
        let_go(folder)


def _requeue(folder: Path, batch: Batch) -> bool:
    """Put this task back, to go on from its checkpoints with a new time limit."""
    checkpoints = folder / "checkpoints"
    if not checkpoints.is_dir() or not any(checkpoints.iterdir()):
        return False  # it would begin anew and come no further
    return put_back(batch)


def put_back(batch: Batch) -> bool:
    """Put this task back into its queue; whether the site wants that and the scheduler does it."""
    if not batch.record.get("requeue"):
        return False
    scheduler = scheduler_of(batch.record)
    try:
        scheduler.requeue(scheduler.this_task())
    except SchedulerError as error:
        print(f"not put back into the queue: {error}")
        return False
    return True


def warning_moment(batch: Batch) -> float | None:
    """When this job is to warn its trials itself, as a time of the clock; None if others do."""
    limit, began = batch.record.get("limit"), os.environ.get(BEGAN)
    if limit is None or began is None:
        return None
    return float(began) + float(limit) - min(float(batch.record["warn"]), float(limit) / 4)
