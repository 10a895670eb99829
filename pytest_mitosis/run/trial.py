"""Runs a job in its folder from start to finish: notebook, process, page.

Runs in the process that started the trial.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_mitosis.model import Failure, Outcome, Status
from pytest_mitosis.run.environment import Environment, requirements_text
from pytest_mitosis.run.html import render_page
from pytest_mitosis.run.kernel import run_in_kernel
from pytest_mitosis.run.launcher import taints_nothing
from pytest_mitosis.run.notebook import build_notebook
from pytest_mitosis.run.sharing import Sharing
from pytest_mitosis.store.files import write_json
from pytest_mitosis.store.folder import (
    JOB,
    MANIFEST,
    finish,
    manifest_of,
    now,
    save_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_mitosis.model import Job, Trial
    from pytest_mitosis.run.launcher import Judge


def begin_trial(job: Job, folder: Path, provenance: dict[str, object]) -> None:
    """Write the job and the manifest, so that the trial exists before anything starts."""
    write_json(folder / JOB, job.to_json())
    write_json(folder / MANIFEST, manifest_of(job, provenance))


def run_trial(
    job: Job,
    folder: Path,
    store: Path,
    facts: Iterable[tuple[str, str]] = (),
    notes: Iterable[str] = (),
    judge: Judge = taints_nothing,
) -> tuple[Trial, Outcome]:
    """Run ``job``, render its page and write the final manifest with ``notes`` and its own.

    ``facts`` are shown at the top of the notebook; ``judge`` says which of the imported files
    taint the trial.

    Raises
    ------
    OSError
        If the store cannot be written.
    """
    started = now()
    try:
        sharing = Sharing.of(job, folder, store, judge)
        outcome = run_in_kernel(job, folder, build_notebook(job, facts), sharing)
    except Exception as error:
        failure = Failure(type(error).__name__, f"the trial could not be recorded: {error}")
        with contextlib.suppress(OSError):  # the disk may be too full even for that
            finish(folder, Outcome(Status.CRASHED, started, now(), 0.0, failure=failure), "")
        raise
    tainted = judge(outcome.files)
    told = [f"tainted: {one}" for one in tainted]
    outcome = replace(outcome, notes=(*notes, *told, *outcome.notes), tainted=tainted)
    try:
        render_page(folder, f"{job.experiment} {job.trial}")
    except OSError:
        raise
    except Exception as error:
        note = f"notebook.html could not be made: {type(error).__name__}: {error}"
        outcome = replace(outcome, notes=(*outcome.notes, note))
    digest = ""
    if outcome.environment:
        digest = str(outcome.environment["digest"])
        requirements = requirements_text(Environment.from_json(outcome.environment))
        save_environment(store, outcome.environment, digest, requirements)
    return finish(folder, outcome, digest), outcome
