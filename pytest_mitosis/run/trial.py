"""A trial's record: begun before its process starts, finished after it ended.

Runs in the process that started the trial.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from pytest_mitosis.model import Failure, Outcome, Status, StoreError
from pytest_mitosis.run.environment import Environment, requirements_text
from pytest_mitosis.run.html import prepare_pages, render_page
from pytest_mitosis.run.outputs import save_notebook
from pytest_mitosis.store.files import unwritable, write_json
from pytest_mitosis.store.folder import (
    JOB,
    MANIFEST,
    finish,
    manifest_of,
    now,
    save_environment,
)
from pytest_mitosis.store.rescue import rescue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pytest_mitosis.model import Job, Trial
    from pytest_mitosis.run.launcher import Order
    from pytest_mitosis.run.notebook import TrialNotebook

_PREPARING = threading.Lock()


class Runs(Protocol):
    """What takes a job to its outcome.

    ``is_up`` is set once the job's process can run cells.
    """

    is_up: asyncio.Event

    async def outcome(self) -> tuple[Outcome, TrialNotebook]:
        """Run the job and say what became of it."""


def begin_trial(job: Job, folder: Path, provenance: dict[str, object]) -> None:
    """Write the job and the manifest, so that the trial exists before anything starts."""
    write_json(folder / JOB, job.to_json())
    write_json(folder / MANIFEST, manifest_of(job, provenance))


async def record(
    order: Order, attempt: Runs, turn: Callable[[], Awaitable[None]]
) -> tuple[Trial, Outcome]:
    """Run an order, render its page and write the final manifest.

    What takes time and no waiting is done in another thread, so that other trials go on; it begins
    after ``turn``, once the process is gone.

    Raises
    ------
    StoreError
        If the store cannot be written; what the trial left is then in a temporary folder.
    """
    started = now()
    preparing = asyncio.ensure_future(_prepare(attempt))
    # What goes wrong there is told when the page is made.
    preparing.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        outcome, built = await attempt.outcome()
    except Exception as error:
        record_fault(order, error, started)
        if isinstance(error, OSError):
            raise _told(order, error) from error
        raise
    finally:
        preparing.cancel()
    await turn()
    try:
        return await asyncio.to_thread(finish_trial, order, outcome, built)
    except OSError as error:
        record_fault(order, error, started)
        raise _told(order, error) from error


async def _prepare(attempt: Runs) -> None:
    """Have at hand what the end of a trial needs, while it runs and not while it starts."""
    await attempt.is_up.wait()
    if not _prepare_pages.cache_info().currsize:
        await asyncio.to_thread(_prepare_pages_once)


def _prepare_pages_once() -> None:
    with _PREPARING:
        _prepare_pages()


@functools.cache
def _prepare_pages() -> None:
    prepare_pages()
    from pytest_mitosis.read.site.page import prepare_page

    prepare_page()


def _told(order: Order, error: OSError) -> StoreError:
    """One sentence on a store that cannot be written, and where the results are now."""
    place = rescue(order.folder, getattr(error, "rescued", ""))
    return unwritable(order.store, error, f"; what the trial left is in {place}" if place else "")


def record_fault(order: Order, error: Exception, started: str = "") -> None:
    """Leave no trial that looks as if it ran still, after a fault while driving it."""
    failure = Failure(type(error).__name__, f"the trial could not be recorded: {error}")
    with contextlib.suppress(OSError):  # the disk may be too full even for that
        crashed = Outcome(Status.CRASHED, started or now(), now(), 0.0, failure=failure)
        finish(order.folder, crashed, "")


def finish_trial(order: Order, outcome: Outcome, built: TrialNotebook) -> tuple[Trial, Outcome]:
    """Write notebook, page, environment and, last, the final manifest."""
    job, folder = order.job, order.folder
    tainted = order.judge(outcome.files)
    told = [f"tainted: {one}" for one in tainted]
    outcome = replace(outcome, notes=(*order.notes, *told, *outcome.notes), tainted=tainted)
    save_notebook(built.notebook, folder, sync=True)
    try:
        render_page(built.notebook, folder, f"{job.experiment} {job.trial}")
    except OSError:
        raise
    except Exception as error:
        note = f"notebook.html could not be made: {type(error).__name__}: {error}"
        outcome = replace(outcome, notes=(*outcome.notes, note))
    digest = ""
    if outcome.environment:
        digest = str(outcome.environment["digest"])
        save_environment(order.store, outcome.environment, digest, _requirements)
    trial = finish(folder, outcome, digest)
    _write_page(trial)
    return trial, outcome


def _requirements(environment: dict[str, Any]) -> str:
    return requirements_text(Environment.from_json(environment))


def _write_page(trial: Trial) -> None:
    """The page is a view of what is recorded, so a trial is no worse without it."""
    from pytest_mitosis.read.site.page import write_page  # readers know how trials look to people

    with contextlib.suppress(Exception):
        write_page(trial)
