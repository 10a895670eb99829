"""Trials that their launcher failed to take to an end: recorded in place of a process.

Runs in the process that starts trials; must not know pytest.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mitosis.model import Failure, MitosisError, Outcome, Status
from pytest_mitosis.store.folder import finish, now, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.model import Trial
    from pytest_mitosis.run.launcher import Order


@dataclass(frozen=True, eq=False)
class NotTaken:
    """The handle of a trial that its launcher failed to take."""

    order: Order
    ended: tuple[Trial, Outcome]

    def is_done(self) -> bool:
        """Always: it was recorded at once."""
        return True

    def result(self) -> tuple[Trial, Outcome]:
        """The trial, crashed for what the launcher raised."""
        return self.ended


def failure_of(error: BaseException) -> Failure:
    """What a launcher raised, with the frames where; our own errors say enough by themselves."""
    told = "" if isinstance(error, MitosisError) else "".join(traceback.format_exception(error))
    return Failure(type(error).__name__, f"the launcher failed: {error}", told.rstrip())


def record_failed(folder: Path, error: BaseException) -> tuple[Trial, Outcome]:
    """Record a begun trial as crashed for what its launcher raised."""
    started = str(read_manifest(folder)["started"])
    outcome = Outcome(Status.CRASHED, started, now(), 0.0, failure=failure_of(error))
    return finish(folder, outcome, ""), outcome
