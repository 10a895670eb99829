"""Watching: which of the trials in a store a scheduler holds, and the end of those it does not.

A trial's own record is the truth. The scheduler is asked for the rest, once for all trials; what it
holds no more and has no end of its own is given one, with the scheduler's reason. Runs in any
process that waits for trials or looks after them; several may do so at once and come to the same.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Failure, Status, StoreError
from pytest_mitosis.run.cluster.ends import end_of
from pytest_mitosis.run.cluster.scheduler import SchedulerError, scheduler_of
from pytest_mitosis.run.copies import remove_unused_copies
from pytest_mitosis.run.elsewhere import record_end
from pytest_mitosis.store.batches import (
    BATCHES,
    Batch,
    Place,
    is_cancelled,
    iterate_batches,
    let_go,
    place_of,
    read_batch,
    say_cancelled,
    take_away,
)
from pytest_mitosis.store.folder import HEARTBEAT, read_manifest
from pytest_mitosis.store.owners import lives

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_mitosis.run.cluster.scheduler import Queued, Scheduler

SHORTEST_POLL = 0.5
LAG_SECONDS = 3.0
"""How long a record may take from a node to here after its task was let go."""
OPEN = ("FAILED", "COMPLETED")
"""States of a task that leave open why it ended."""
NEVER = Failure("NotSubmitted", "the session that was to submit it ended before it did")

UNKNOWN_JOB = "it runs, and the id of its job was never written down"
GIVEN_UP = Failure("Cancelled", "it was cancelled before it was submitted")


@dataclass
class Watching:
    """What is known of one store's batches; ``longest`` is the pause between two polls at most."""

    store: Path
    longest: float = 10.0
    batches: dict[str, Batch] = field(default_factory=dict)
    tasks: dict[str, Queued] = field(default_factory=dict)
    problems: dict[Scheduler, str] = field(default_factory=dict)
    _jobs: dict[str, str] = field(default_factory=dict)
    _absent: dict[Path, float] = field(default_factory=dict)
    _pause: float = SHORTEST_POLL
    _next: float = 0.0

    def hasten(self) -> None:
        """Ask soon: something was submitted or cancelled."""
        self._pause, self._next = SHORTEST_POLL, time.monotonic() + SHORTEST_POLL

    @property
    def problem(self) -> str:
        """Why a scheduler did not answer when it was last asked; empty if all did."""
        return "; ".join(self.problems.values())

    def is_final(self, folder: Path) -> bool:
        """Whether what is recorded of a trial is its end, and no scheduler holds it."""
        if place_of(folder) is not None:
            return False
        with contextlib.suppress(StoreError):
            return bool(read_manifest(folder)["status"] != Status.RUNNING)
        return False

    def task_of(self, place: Place | None) -> str:
        """The scheduler's id of a task; empty if none is known."""
        if place is None:
            return ""
        folder = self.store / BATCHES / place.batch
        return self.scheduler(place).task_of(folder, self._job(place), place.task)

    def tasks_of(self, places: Iterable[Place]) -> dict[Scheduler, dict[str, Place]]:
        """Those of ``places`` that schedulers have, by their ids, for each scheduler."""
        found: dict[Scheduler, dict[str, Place]] = {}
        for place in places:
            tasks = found.setdefault(self.scheduler(place), {})
            if task := self.task_of(place):
                tasks[task] = place
        return found

    def scheduler(self, place: Place) -> Scheduler:
        """The scheduler that has a task."""
        batch = self._batch(place)
        return scheduler_of(batch.record if batch is not None else {})

    def waits(self, place: Place | None) -> str:
        """``PENDING (Resources)`` of a task in the queue, empty of others."""
        one = self.tasks.get(self.task_of(place))
        return f"{one.state} ({one.reason})" if one is not None and one.state != "RUNNING" else ""

    def says(self, place: Place) -> str:
        """What the scheduler says of a task: ``12_3 RUNNING``, ``12_4 PENDING (Resources)``."""
        task = self.task_of(place)
        if not task:
            return "to be submitted"
        one = self.tasks.get(task)
        if one is None:
            problem = self.problems.get(self.scheduler(place), "")
            return f"{task} {problem or 'is not in the queue any more'}"
        return f"{task} {one.state if one.state == 'RUNNING' else self.waits(place)}"

    def look(self, folders: Iterable[Path], *, at_once: bool = False) -> bool:
        """Settle those of ``folders`` that schedulers let go; whether it was time to ask them."""
        if not at_once and time.monotonic() < self._next:
            return False
        given = list(folders)
        self.ask(place for one in given if (place := place_of(one)) is not None)
        self._pause = min(self._pause * 1.5, self.longest)
        self._next = time.monotonic() + self._pause
        for folder in given:
            self._settle(folder)
        return not self.problems

    def ask(self, places: Iterable[Place]) -> None:
        """Ask the schedulers that have some of ``places``, each once, for what waits or runs."""
        before, self.tasks, self.problems = self.tasks, {}, {}
        for scheduler, tasks in self.tasks_of(places).items():
            try:
                self.tasks |= scheduler.queue(tasks)
            except SchedulerError as error:
                self.problems[scheduler] = str(error)
                self.tasks |= {task: before[task] for task in tasks if task in before}
        self._jobs |= {one.name: one.job for one in self.tasks.values() if one.job}

    def catch_up(self) -> None:
        """Settle every trial of the store that was let go, and take away what is done with."""
        batches = list(iterate_batches(self.store))
        held = {batch.id: batch.held() for batch in batches}
        folders = [folder for one in held.values() for folder in one]
        if folders:
            self.look(folders, at_once=True)
            while self._absent and not self.problem:
                time.sleep(SHORTEST_POLL)
                self.look(list(self._absent), at_once=True)
        self.tidy()

    def cancel(self, folders: Iterable[Path]) -> dict[Path, str]:
        """End trials, waiting or running, and those that nobody submitted; why not, of others."""
        places = {one: place for one in folders if (place := place_of(one)) is not None}
        refused: dict[Place, str] = {}
        self.ask(places.values())
        for scheduler, tasks in self.tasks_of(places.values()).items():
            for task in self.tasks.keys() & tasks.keys():  # others ended by themselves
                say_cancelled(self.store, tasks[task])
            try:
                scheduler.cancel(sorted(tasks))
            except SchedulerError as error:
                for task in error.tasks or tasks:
                    refused[tasks[task]] = str(error)
                    say_cancelled(self.store, tasks[task], refused=True)
        kept = {one: refused[place] for one, place in places.items() if place in refused}
        for folder, place in places.items():
            if self.task_of(place):
                continue
            if is_alive(folder, read_manifest(folder)):
                kept[folder] = UNKNOWN_JOB
            else:
                record_end(folder, Status.INTERRUPTED, GIVEN_UP)
                let_go(folder)
        return kept

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
        scheduler, task = self.scheduler(place), self.task_of(place)
        if scheduler in self.problems:
            return  # jobs run on without their controller
        if task in self.tasks:
            self._absent.pop(folder, None)
            return
        batch = self._batch(place)
        if not task and batch is not None and not (batch.job or batch.is_forsaken()):
            return  # about to be submitted, or left to a person
        self._end(folder, place, task)

    def _end(self, folder: Path, place: Place, task: str) -> None:
        """Give a trial that its scheduler let go its end, unless it recorded one."""
        with contextlib.suppress(StoreError):
            manifest = read_manifest(folder)
            if manifest["status"] == Status.RUNNING:
                if not task and is_alive(folder, manifest):
                    return  # it was taken, and its id was never written down
                # Its last words may be on their way through a shared folder.
                since = self._absent.setdefault(folder, time.monotonic())
                if task and time.monotonic() - since < LAG_SECONDS:
                    self._next = min(self._next, time.monotonic() + SHORTEST_POLL)
                    return
                began = (folder / HEARTBEAT).exists()
                status, failure = Status.INTERRUPTED, NEVER
                if task:
                    scheduler = self.scheduler(place)
                    held_in = self.store / BATCHES / place.batch
                    facts = scheduler.facts_of(task, held_in)
                    if facts.state in {"PENDING", "RUNNING", "CONFIGURING", "REQUEUED"}:
                        return  # it was put back between two questions
                    is_open = facts.state in OPEN or (began and not facts.state)
                    if is_open and is_cancelled(self.store, place):
                        facts = replace(facts, state="CANCELLED", reason="")
                    log = held_in / f"{place.task}.log"
                    title = scheduler.title
                    status, failure = end_of(task, facts, log, began=began, title=title)
                record_end(folder, status, failure)
            let_go(folder)
        self._absent.pop(folder, None)

    def _job(self, place: Place) -> str:
        """What a batch's job is called; Slurm knows it by name if nobody wrote it down."""
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


def is_alive(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether a process runs a trial, as its heartbeat has it."""
    with contextlib.suppress(OSError):
        return lives(manifest, time.time() - (folder / HEARTBEAT).stat().st_mtime)
    return False
