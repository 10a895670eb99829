"""Watching: which of the trials in a store Slurm still holds, and the end of those it does not.

A trial's own record is the truth. Slurm is asked for the rest, with one squeue for all trials; what
it holds no more and has no end of its own is given one, with Slurm's reason. Runs in any process
that waits for trials or looks after them; several may do so at once and come to the same.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_mitosis.model import Failure, Outcome, Status, StoreError
from pytest_mitosis.run.copies import remove_unused_copies
from pytest_mitosis.run.slurm import commands
from pytest_mitosis.run.slurm.commands import Queued, SlurmError, task_id
from pytest_mitosis.run.slurm.ends import end_of
from pytest_mitosis.store.batches import (
    Batch,
    Place,
    iterate_batches,
    let_go,
    place_of,
    read_batch,
    take_away,
)
from pytest_mitosis.store.folder import HEARTBEAT, finish, now, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHORTEST_POLL = 0.5
LAG_SECONDS = 3.0
"""How long a record may take from a node to here after Slurm let its task go."""
NEVER = Failure("NotSubmitted", "the session that was to submit it ended before it did")

GIVEN_UP = Failure("Cancelled", "it was cancelled before it was submitted")


@dataclass
class Watching:
    """What is known of one store's batches; ``longest`` is the pause between two polls at most."""

    store: Path
    longest: float = 10.0
    batches: dict[str, Batch] = field(default_factory=dict)
    tasks: dict[str, Queued] = field(default_factory=dict)
    problem: str = ""
    _jobs: dict[str, str] = field(default_factory=dict)
    _absent: dict[Path, float] = field(default_factory=dict)
    _pause: float = SHORTEST_POLL
    _next: float = 0.0

    def hasten(self) -> None:
        """Ask soon: something was submitted or cancelled."""
        self._pause, self._next = SHORTEST_POLL, time.monotonic() + SHORTEST_POLL

    def find(self, batch: str) -> str:
        """The number of a batch's job, asked of Slurm by name; empty if it has none."""
        with contextlib.suppress(SlurmError):
            return next((one.job for one in commands.queue().values() if one.name == batch), "")
        return ""

    def is_final(self, folder: Path) -> bool:
        """Whether what is recorded of a trial is its end, and Slurm holds it no more."""
        if place_of(folder) is not None:
            return False
        with contextlib.suppress(StoreError):
            return bool(read_manifest(folder)["status"] != Status.RUNNING)
        return False

    def task_of(self, place: Place | None) -> str:
        """Slurm's id of a task; empty if none is known."""
        job = self._job(place) if place is not None else ""
        return task_id(job, place.task) if place is not None and job else ""

    def waits(self, place: Place | None) -> str:
        """``PENDING (Resources)`` of a task in the queue, empty of others."""
        one = self.tasks.get(self.task_of(place))
        return f"{one.state} ({one.reason})" if one is not None and one.state != "RUNNING" else ""

    def says(self, place: Place) -> str:
        """What Slurm says of a task: ``12_3 RUNNING``, ``12_4 PENDING (Resources)``."""
        task = self.task_of(place)
        if not task:
            return "to be submitted"
        one = self.tasks.get(task)
        if one is None:
            return f"{task} {self.problem or 'is not in the queue any more'}"
        return f"{task} {one.state if one.state == 'RUNNING' else self.waits(place)}"

    def look(self, folders: Iterable[Path], *, at_once: bool = False) -> bool:
        """Settle those of ``folders`` that Slurm let go; whether it was time to ask it."""
        if not at_once and time.monotonic() < self._next:
            return False
        try:
            self.tasks = commands.queue()
            self.problem = ""
        except SlurmError as error:
            self.problem = str(error)
        self._pause = min(self._pause * 1.5, self.longest)
        self._next = time.monotonic() + self._pause
        if self.problem:
            return False  # jobs run on without their controller
        self._jobs |= {one.name: one.job for one in self.tasks.values()}
        for folder in folders:
            self._settle(folder)
        return True

    def catch_up(self) -> None:
        """Settle every trial of the store that Slurm let go, and take away what is done with."""
        batches = list(iterate_batches(self.store))
        held = {batch.id: batch.held() for batch in batches}
        folders = [folder for one in held.values() for folder in one]
        if folders:
            self.look(folders, at_once=True)
            while self._absent and not self.problem:
                time.sleep(SHORTEST_POLL)
                self.look(list(self._absent), at_once=True)
        self.tidy()

    def forsake(self, folders: Iterable[Path]) -> None:
        """Give up those that were written for a person to submit, and never were."""
        for folder in folders:
            place = place_of(folder)
            if place is not None and not self._job(place):
                record_end(folder, Status.INTERRUPTED, GIVEN_UP)
                let_go(folder)

    def tidy(self, own: str = "") -> None:
        """Take away batches none of whose trials is held, and the code they ran.

        ``own`` is the copy of the code of the session that ends here.
        """
        for batch in iterate_batches(self.store):
            if batch.is_done():
                take_away(batch)
        remove_unused_copies(self.store, own)

    def _settle(self, folder: Path) -> None:
        place = place_of(folder)
        if place is None:
            self._absent.pop(folder, None)
            return
        job = self._job(place)
        if job and task_id(job, place.task) in self.tasks:
            self._absent.pop(folder, None)
            return
        batch = self._batch(place)
        if not job and batch is not None and not batch.is_forsaken():
            return  # about to be submitted, or left to a person
        self._end(folder, place, batch, job)

    def _end(self, folder: Path, place: Place, batch: Batch | None, job: str) -> None:
        """Give a trial that Slurm let go its end, unless it recorded one."""
        with contextlib.suppress(StoreError):
            manifest = read_manifest(folder)
            if manifest["status"] == Status.RUNNING:
                # Its last words may be on their way through a shared folder.
                since = self._absent.setdefault(folder, time.monotonic())
                if job and time.monotonic() - since < LAG_SECONDS:
                    self._next = min(self._next, time.monotonic() + SHORTEST_POLL)
                    return
                began = (folder / HEARTBEAT).exists()
                status, failure = Status.INTERRUPTED, NEVER
                if job:
                    task = task_id(job, place.task)
                    facts = commands.facts_of(task)
                    if facts.state in {"PENDING", "RUNNING", "CONFIGURING", "REQUEUED"}:
                        return  # it was put back between two questions
                    log = batch.folder / f"{place.task}.log" if batch else folder / "no.log"
                    status, failure = end_of(task, facts, log, began=began)
                record_end(folder, status, failure)
            let_go(folder)
        self._absent.pop(folder, None)

    def _job(self, place: Place) -> str:
        """The number of a batch's job; squeue knows it by name if nobody wrote it down."""
        known = self._jobs.get(place.batch, "")
        if not known and (batch := self._batch(place, anew=True)) is not None:
            known = batch.job
            if known:
                self._jobs[place.batch] = known
        return known

    def _batch(self, place: Place, *, anew: bool = False) -> Batch | None:
        if anew or place.batch not in self.batches:
            with contextlib.suppress(StoreError):
                self.batches[place.batch] = read_batch(self.store, place.batch)
        return self.batches.get(place.batch)


def record_end(folder: Path, status: Status, failure: Failure) -> None:
    """Record the end of a trial in place of a process that could not."""
    started = str(read_manifest(folder).get("started") or now())
    finished, seconds = now(), 0.0
    with contextlib.suppress(OSError):  # it was alive until then
        beat = datetime.fromtimestamp((folder / HEARTBEAT).stat().st_mtime, UTC)
        finished = beat.isoformat(timespec="milliseconds")
        seconds = max(0.0, (beat - datetime.fromisoformat(started)).total_seconds())
    finish(folder, Outcome(status, started, finished, seconds, failure=failure), "")
