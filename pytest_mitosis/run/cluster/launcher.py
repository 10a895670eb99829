"""The launcher that hands trials to a scheduler and waits for their records.

Trials go out together: what is submitted between two waits becomes one batch for each set of equal
needs, for Slurm one job array. Nothing is cancelled when the launcher is closed. Runs in the
process that starts trials; must not know pytest.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.code import installed_versions
from pytest_mitosis.model import Failure, Status, StoreError
from pytest_mitosis.run.cluster.ends import outlook
from pytest_mitosis.run.cluster.scheduler import Load, SchedulerError, scheduler_at
from pytest_mitosis.run.cluster.watching import Watching
from pytest_mitosis.run.copies import keep_alive
from pytest_mitosis.run.elsewhere import record_end, recorded
from pytest_mitosis.run.launcher import LeftRunning
from pytest_mitosis.run.refused import failure_of
from pytest_mitosis.store.batches import (
    SCRIPT,
    Batch,
    Place,
    ended_in,
    let_go,
    make_batch,
    place_of,
    read_batch,
)
from pytest_mitosis.store.files import unwritable
from pytest_mitosis.store.folder import HEARTBEAT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from pytest_mitosis.model import Outcome, Trial
    from pytest_mitosis.plan.resources import Request
    from pytest_mitosis.plan.sites import Site
    from pytest_mitosis.run.cluster.scheduler import Scheduler
    from pytest_mitosis.run.launcher import Handle, Order

PAUSE = 0.2
LARGEST_ARRAY = 1000
"""Slurm's own limit where a site has set none (MaxArraySize 1001)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a session hands trials over.

    Attributes
    ----------
    throttle : int or None
        How many trials of equal needs run at once; None for what the site says.
    detach : bool
        Nobody waits for trials once they are submitted.
    generate : bool
        Everything is written and nothing submitted.
    code : callable
        Facts about the code for the nodes: ``states``, ``since``, ``worktree``.
    """

    throttle: int | None = None
    detach: bool = False
    generate: bool = False
    code: Callable[[], dict[str, Any]] = dict


@dataclass(eq=False)
class ClusterHandle:
    """A trial that a scheduler has, or is about to get."""

    order: Order
    launcher: ClusterLauncher
    place: Place | None = None
    is_own: bool = True
    ended: tuple[Trial, Outcome] | None = None
    left: str = ""
    problem: StoreError | None = None

    def is_done(self) -> bool:
        """Whether the trial has ended and is recorded, or nobody waits for it."""
        return self.ended is not None or bool(self.left) or self.problem is not None

    def result(self) -> tuple[Trial, Outcome]:
        """The recorded trial and what its job left; waits for the end."""
        while not self.is_done():
            self.launcher.wait([self])
        if self.problem is not None:
            raise self.problem
        if self.ended is None:
            raise LeftRunning(self.left)
        return self.ended

    def waits(self) -> str:
        """Why it does not run yet, in the scheduler's words; empty once it does."""
        return self.launcher.watching.waits(self.place)


@dataclass(eq=False)
class ClusterLauncher:
    """Sends trials to a site."""

    store: Path
    site: Site
    terms: Terms = field(default_factory=Terms)
    say: Callable[[str], None] = print
    watching: Watching = field(init=False)
    scheduler: Scheduler = field(init=False)
    _pending: list[ClusterHandle] = field(default_factory=list)
    _cancelled: list[ClusterHandle] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)
    _copy: str = ""

    def __post_init__(self) -> None:
        self.watching = Watching(self.store, self.site.poll)
        self.scheduler = scheduler_at(self.site)

    def submit(self, order: Order) -> ClusterHandle:
        """Note a trial, for the next batch; one that was handed over before is only watched."""
        place = place_of(order.folder)
        handle = ClusterHandle(order, self, place, is_own=place is None)
        if place is None:
            (order.folder / HEARTBEAT).unlink(missing_ok=True)  # of an attempt before
            self._pending.append(handle)
        return handle

    def wait(self, handles: Collection[Handle], timeout: float | None = None) -> list[Handle]:
        """Those of ``handles`` that are done; waits up to ``timeout`` seconds for the first."""
        self.flush()
        self._cancel()
        ours = [one for one in handles if isinstance(one, ClusterHandle)]
        if self.terms.detach or self.terms.generate:
            self.watching.look([one.order.folder for one in ours], at_once=True)
            self.leave(ours)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._look([one for one in ours if not one.is_done()])
            done = [one for one in handles if one.is_done()]
            left = PAUSE if deadline is None else min(PAUSE, deadline - time.monotonic())
            if done or left <= 0:
                return done
            time.sleep(left)

    def cancel(self, handle: Handle) -> None:
        """End a trial of this session as interrupted; others' are left alone."""
        if isinstance(handle, ClusterHandle) and not handle.is_done():
            if handle.is_own:
                self._cancelled.append(handle)
            else:
                handle.left = "it is another session's"

    def leave(self, handles: Collection[Handle]) -> None:
        """Wait for none of ``handles`` any more; they run on."""
        self.flush()
        for one in handles:
            if isinstance(one, ClusterHandle) and not one.is_done():
                one.left = self._where(one)

    def close(self) -> None:
        """Take away what no trial needs any more; those under way run on."""
        self.flush()
        with contextlib.suppress(OSError, StoreError):
            self.watching.tidy(self._copy)

    def flush(self) -> None:
        """Submit what was noted, one batch for each set of equal needs."""
        groups: dict[Request, list[ClusterHandle]] = {}
        for handle in self._pending:
            groups.setdefault(handle.order.request, []).append(handle)
        step = LARGEST_ARRAY * self.site.per_job
        for request, handles in groups.items():
            for first in range(0, len(handles), step):
                self._send(request, handles[first : first + step])

    def _send(self, request: Request, handles: list[ClusterHandle]) -> None:
        """Hand over a batch; what the scheduler has none of is recorded, whatever went wrong."""
        self._pending = [one for one in self._pending if one not in handles]
        batch, job, error = None, "", None
        try:
            load = self._load(request, handles)
            batch = self._written(load, handles)
            self.scheduler.prepare(batch.folder, self.site, load)
            if self.terms.generate:
                script = batch.folder / SCRIPT
                self.say(f"{_count(handles)} written; submit with: sbatch {script}")
                return
            job = self.scheduler.submit(batch)
        except BaseException as raised:
            error = raised
            # It may be taken, and only the answer be lost.
            job = self.scheduler.find(batch) if batch is not None else ""
        refused = [one for one in handles if batch is None or not self._is_taken(batch, job, one)]
        refuse(refused, *_why_not(self.scheduler.title, error))
        if batch is not None and job:
            batch.submitted(job)
            taken = [one for one in handles if one not in refused]
            self.say(f"{_count(taken)} submitted to {self.scheduler.title} as job {job}")
            self.watching.hasten()
        if error is not None and not isinstance(error, Exception):
            raise error

    def _load(self, request: Request, handles: list[ClusterHandle]) -> Load:
        throttle = self.terms.throttle or self.site.jobs
        at_once = min(self.site.at_once, throttle or self.site.at_once)
        return Load(len(handles), request, self.site.python or sys.executable, throttle, at_once)

    def _written(self, load: Load, handles: list[ClusterHandle]) -> Batch:
        """The batch on disk, from which its trials know that they are held."""
        facts = {
            "at_once": load.at_once,
            "launcher": self.site.name,
            "node_launcher": self.site.node_launcher,
            "generated": self.terms.generate,
            "requeue": self.site.requeue,
            "warn": self.site.warn,
            "versions": dict(installed_versions()),
            **self.scheduler.record(self.site, load),
            **self.terms.code(),
        }
        self._copy = str(facts.get("worktree") or "")
        trials = {
            one.order.folder: {"facts": one.order.facts, "notes": one.order.notes}
            for one in handles
        }
        batch = make_batch(self.store, trials, facts, per_task=self.site.per_job)
        for number, one in enumerate(handles):
            one.place = Place(batch.id, number // self.site.per_job)
        return batch

    def _is_taken(self, batch: Batch, job: str, handle: ClusterHandle) -> bool:
        assert handle.place is not None
        return bool(self.scheduler.task_of(batch.folder, job, handle.place.task))

    def _look(self, handles: list[ClusterHandle]) -> None:
        """Take in what ended, by the trials' own word or by the scheduler's."""
        asked = self.watching.look([one.order.folder for one in handles])
        ended: set[str] = set()
        for name in {one.place.batch for one in handles if one.place is not None}:
            ended |= ended_in(self.store, name)
        for one in handles:
            may_be = asked or one.order.job.trial in ended
            if may_be and self.watching.is_final(one.order.folder):
                one.ended = recorded(one.order.folder)
        if asked:
            keep_alive(self._copy)
            self._tell_hopeless(handles)
        if self.watching.problem and self.watching.problem not in self._told:
            self._told.add(self.watching.problem)
            self.say(f"{self.watching.problem}; jobs run on, it is asked again")

    def _tell_hopeless(self, handles: list[ClusterHandle]) -> None:
        """Say, once for each reason, that trials wait for what may not come by waiting."""
        waiting: dict[str, list[ClusterHandle]] = {}
        for one in handles:
            why = one.waits()
            if outlook(why):
                waiting.setdefault(why, []).append(one)
        for why, those in waiting.items():
            if why not in self._told:
                self._told.add(why)
                self.say(
                    f"{_count(those)} in {self.scheduler.title}'s queue: {why}, {outlook(why)}; "
                    f"pytest-mitosis cancel {those[0].order.job.trial} gives up"
                )

    def _cancel(self) -> None:
        cancelled, self._cancelled = self._cancelled, []
        if not cancelled:
            return
        refused = self.watching.cancel(one.order.folder for one in cancelled)
        if left := [one for one in cancelled if one.order.folder in refused]:
            why = "; ".join(dict.fromkeys(refused.values()))
            self.say(f"{_count(left)} could not be cancelled: {why}")
            self.leave(left)
        self.watching.hasten()

    def _where(self, handle: ClusterHandle) -> str:
        place = handle.place
        assert place is not None
        title = self.watching.scheduler(place).title
        if task := self.watching.task_of(place):
            return f"{title} has it as job {task}"
        batch = read_batch(self.store, place.batch)
        if batch.record.get("generated"):
            return f"written for Slurm: sbatch {batch.folder / SCRIPT}"
        return f"{title} has it, or is about to get it"


def _count(handles: Sequence[ClusterHandle]) -> str:
    return "1 trial" if len(handles) == 1 else f"{len(handles)} trials"


def _why_not(title: str, error: BaseException | None) -> tuple[Status, Failure]:
    """What to record of trials that a scheduler has none of."""
    if error is None or isinstance(error, SchedulerError):
        words = f"{title} did not take it: {error or 'it gave no number'}"
        return Status.CRASHED, Failure("NotSubmitted", words)
    if isinstance(error, Exception):
        return Status.CRASHED, failure_of(error)
    words = "the session was interrupted before it was submitted"
    return Status.INTERRUPTED, Failure("NotSubmitted", words)


def refuse(handles: Sequence[ClusterHandle], status: Status, failure: Failure) -> None:
    """Record that trials were not handed over."""
    for one in handles:
        folder = one.order.folder
        try:
            record_end(folder, status, failure)
            let_go(folder)
            one.ended = recorded(folder)
        except StoreError as error:
            one.problem = error
        except OSError as error:
            one.problem = unwritable(one.order.store, error)
