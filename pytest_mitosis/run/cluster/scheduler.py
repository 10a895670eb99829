"""Schedulers: what takes a batch's tasks to nodes, as those see it who wait for trials.

The protocol, what it speaks of, and which one a batch or a site has. Each is imported when it is
needed. Runs in the process that submits trials, on a node, and in the command line tool.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pytest_mitosis.plan.sites import PSIJ

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_mitosis.plan.resources import Request
    from pytest_mitosis.plan.sites import Site
    from pytest_mitosis.store.batches import Batch, Place

SECONDS = 60.0
"""How long a scheduler may take to answer; a busy one answers late."""


class SchedulerError(Exception):
    """A scheduler refused, or did not answer; in its words.

    Attributes
    ----------
    tasks : tuple of str
        What it refused for; empty if for all it was asked for.
    """

    def __init__(self, words: str, tasks: Iterable[str] = ()) -> None:
        super().__init__(words)
        self.tasks = tuple(tasks)


@dataclass(frozen=True, slots=True)
class Queued:
    """A task that waits or runs: ``state`` such as ``PENDING``, why, where.

    ``job`` and ``name`` are those of the job it is part of, where its tasks are parts of one.
    """

    id: str
    state: str
    reason: str = ""
    node: str = ""
    job: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a scheduler knows of a task that ended; all empty if it knows nothing any more."""

    state: str = ""
    reason: str = ""
    code: str = ""
    node: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """Trials of equal needs that go out together, ``at_once`` of a task's at the same time."""

    trials: int
    request: Request
    python: str
    throttle: int | None = None
    at_once: int = 1


class Scheduler(Protocol):
    """Speaks to one scheduler."""

    @property
    def title(self) -> str:
        """Its name for people."""

    def require_cluster(self, launcher: str) -> None:
        """Make sure that trials can be handed over from here.

        Raises
        ------
        PlanError
            If they cannot; says what is missing.
        """

    def record(self, site: Site, load: Load) -> dict[str, Any]:
        """What a batch has to hold for `scheduler_of`, and for its tasks on the nodes."""

    def prepare(self, folder: Path, site: Site, load: Load) -> None:
        """Write into a batch's folder what is handed over."""

    def submit(self, batch: Batch) -> str:
        """Hand a batch over; the name of its job, or of its jobs.

        Raises
        ------
        SchedulerError
            If not all of it is taken.
        """

    def find(self, batch: Batch) -> str:
        """The same of a batch of which it is not known whether any of it was taken."""

    def task_of(self, folder: Path, job: str, task: int) -> str:
        """The scheduler's id of a task of the batch in ``folder``; empty if it has none."""

    def queue(self, places: Mapping[str, Place]) -> dict[str, Queued]:
        """The tasks that wait or run, at least those of ``places``, by id.

        Raises
        ------
        SchedulerError
            If it does not answer.
        """

    def facts_of(self, task: str, folder: Path) -> Facts:
        """What is known of a task of the batch in ``folder``, after `queue` was asked."""

    def cancel(self, tasks: Iterable[str]) -> None:
        """End tasks, waiting or running; those that are not known any more have ended.

        Raises
        ------
        SchedulerError
            If it does not answer, or refuses some of them.
        """

    def requeue(self, task: str) -> None:
        """Put a running task back into the queue.

        Raises
        ------
        SchedulerError
            If that is not possible.
        """

    def this_task(self) -> str:
        """The id of the task this process is."""

    def is_requeued(self) -> bool:
        """Whether this task was put back into the queue while it still runs."""


def scheduler_of(record: Mapping[str, Any]) -> Scheduler:
    """The scheduler that has a batch."""
    return _made(str(record.get("executor", "")))


def scheduler_at(site: Site) -> Scheduler:
    """The scheduler of a site."""
    return _made(site.executor if site.kind == PSIJ else "")


@functools.cache
def _made(executor: str) -> Scheduler:
    if executor:
        from pytest_mitosis.run.hpc.scheduler import PsijScheduler

        return PsijScheduler(executor)
    from pytest_mitosis.run.slurm.scheduler import Slurm

    return Slurm()
