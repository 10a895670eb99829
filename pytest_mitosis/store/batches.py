"""Batches: what was handed to a scheduler together, and which trial it holds.

``.batches/ID/`` has ``batch.json``, the script, ``trials.txt`` with the jobs' files in the order of
the tasks, ``ids.txt`` with the tasks' own ids where each is a job for itself, ``ended/`` with a
file for each trial that has, and ``cancelled/`` with one for each task that somebody cancels. A
trial's folder has ``.queued`` from before it is handed over until its end is recorded and the
scheduler holds it no more. Must not know pytest, nor any scheduler.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import SCHEMA, StoreError
from pytest_mitosis.store.files import read_json, write_bytes, write_json
from pytest_mitosis.store.folder import JOB, QUEUED, new_id, now, user_name
from pytest_mitosis.store.owners import lives, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BATCHES = ".batches"
BATCH = "batch.json"
SCRIPT = "job.sh"
TRIALS = "trials.txt"
ENDED = "ended"
CANCELLED = "cancelled"
IDS = "ids.txt"
WORK = "psij"
"""PSI/J's own files in a batch."""
TASK, BEGAN = "MITOSIS_TASK", "MITOSIS_BEGAN"
"""Variables of a task where its scheduler sets none of its own: its batch and number, its start."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scheduler holds a trial: a task of a batch."""

    batch: str
    task: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch on disk.

    Attributes
    ----------
    folder : Path
        Its folder; the name is its id.
    record : dict
        ``launcher``, ``executor`` (which of PSI/J's, if that is used), ``job`` (the scheduler's
        number, empty until it is known), ``generated`` (handed over by a person), ``versions``
        (what has to be installed on the nodes), ``worktree`` (the code), ``states`` and ``since``
        (what judges imported files), and who made it when.
    """

    folder: Path
    record: dict[str, Any]

    @property
    def id(self) -> str:
        """Its name, also the scheduler's for its jobs."""
        return self.folder.name

    @property
    def job(self) -> str:
        """The scheduler's number; empty if it is not known."""
        return str(self.record.get("job", ""))

    def trials(self) -> list[Path]:
        """The folders of its trials."""
        try:
            lines = (self.folder / TRIALS).read_text("utf-8").splitlines()
        except OSError:
            return []
        return [Path(line).parent for line in lines]

    def held(self) -> list[Path]:
        """The folders of those that the scheduler has, as far as is known here."""
        return [folder for folder in self.trials() if (folder / QUEUED).exists()]

    def is_done(self) -> bool:
        """Whether it is needed no more; one that is being written holds nothing yet."""
        return not self.held() and (bool(self.record.get("complete")) or self.is_forsaken())

    def is_forsaken(self) -> bool:
        """Whether it was never handed over, and never will be."""
        if self.job or (self.record.get("generated") and self.record.get("complete")):
            return False
        with contextlib.suppress(OSError):
            age = time.time() - (self.folder / BATCH).stat().st_mtime
            return not lives(self.record, age)
        return True

    def submitted(self, job: str) -> Batch:
        """The same with the scheduler's number, on disk too."""
        record = {**self.record, "job": job}
        write_json(self.folder / BATCH, record)
        return Batch(self.folder, record)


def make_batch(
    store: Path,
    trials: Mapping[Path, dict[str, Any]],
    facts: dict[str, Any],
    *,
    per_task: int = 1,
) -> Batch:
    """Write a batch of begun trials and mark each as held; the scheduler has yet to be told.

    ``trials`` are their folders, with what each is to know of itself; ``facts`` hold for all.
    """
    folder = store / BATCHES / f"mitosis-{new_id()}"
    (folder / ENDED).mkdir(parents=True)
    record = {
        "schema": SCHEMA,
        "made": now(),
        "user": user_name(),
        **this_process(),
        "trials": len(trials),
        "per_task": per_task,
        **facts,
    }
    lines = [f"{trial}/{JOB}\n" for trial in trials]
    write_bytes(folder / TRIALS, "".join(lines).encode("utf-8", "surrogateescape"))
    write_json(folder / BATCH, record)
    for number, trial in enumerate(trials):
        held = {"schema": SCHEMA, "batch": folder.name, "task": number // per_task, **trials[trial]}
        write_json(trial / QUEUED, held)
    whole = Batch(folder, {**record, "complete": True})
    write_json(folder / BATCH, whole.record)
    return whole


def read_batch(store: Path, name: str) -> Batch:
    """The batch called ``name``.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    folder = store / BATCHES / name
    return Batch(folder, read_json(folder / BATCH))


def iterate_batches(store: Path) -> Iterator[Batch]:
    """All batches that were not taken away yet, the oldest first."""
    found = []
    for file in (store / BATCHES).glob(f"*/{BATCH}"):
        with contextlib.suppress(StoreError):
            found.append(Batch(file.parent, read_json(file)))
    yield from sorted(found, key=lambda batch: str(batch.record.get("made")))


def ended_in(store: Path, name: str) -> set[str]:
    """The ids of the trials of a batch that said they ended."""
    try:
        return set(os.listdir(store / BATCHES / name / ENDED))
    except OSError:
        return set()


def say_ended(store: Path, name: str, trial: str) -> None:
    """Tell whoever waits that a trial's end is recorded."""
    with contextlib.suppress(OSError):
        (store / BATCHES / name / ENDED / trial).touch()


def say_cancelled(store: Path, place: Place, *, refused: bool = False) -> None:
    """Tell that a task is about to be cancelled, or that its scheduler refused."""
    note = store / BATCHES / place.batch / CANCELLED / str(place.task)
    with contextlib.suppress(OSError):
        if refused:
            note.unlink(missing_ok=True)
        else:
            note.parent.mkdir(exist_ok=True)
            note.touch()


def is_cancelled(store: Path, place: Place) -> bool:
    """Whether somebody cancels a task, or has."""
    return (store / BATCHES / place.batch / CANCELLED / str(place.task)).exists()


def place_of(folder: Path) -> Place | None:
    """Where a scheduler holds the trial in ``folder``; None if none does."""
    try:
        record = read_json(folder / QUEUED)
        return Place(str(record["batch"]), int(record["task"]))
    except (StoreError, KeyError, TypeError, ValueError):
        return None


def let_go(folder: Path) -> None:
    """Note that no scheduler holds a trial any more: what is recorded of it is final."""
    (folder / QUEUED).unlink(missing_ok=True)


def take_away(batch: Batch) -> None:
    """Remove a batch none of whose trials is held; their records have all that is to be kept."""
    shutil.rmtree(batch.folder, ignore_errors=True)
