"""Checks a store: are the files what was recorded, and does what belongs together still do so.

Reads everything and changes nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Kind, Status, StoreError, Trial
from pytest_mitosis.store.folder import RECORDS, iterate_folders, read_trial
from pytest_mitosis.store.locks import Name, iterate_locks, lock_file, read_lock, revisions
from pytest_mitosis.store.turns import is_held

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Problem(StrEnum):
    """What can be wrong; the first group is damage, the second only worth knowing."""

    CHANGED = "changed"
    MISSING = "missing"
    HALF = "half a trial"
    TWICE = "id twice"
    MISPLACED = "misplaced"
    LOCK = "lock damaged"
    UNLOCKED = "not locked"

    UNRECORDED = "unrecorded"
    LOST = "lost"
    ORPHAN = "orphan"
    UNPROVEN = "unproven lock"


NOTES = {Problem.UNRECORDED, Problem.LOST, Problem.ORPHAN, Problem.UNPROVEN}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where, and in words."""

    problem: Problem
    place: str
    text: str

    @property
    def is_damage(self) -> bool:
        """Whether something recorded is not there as it was."""
        return self.problem not in NOTES


def check_store(store: Path, locks: Path) -> Iterator[Finding]:
    """Everything that is wrong with a store; trials first, then what they share."""
    seen: dict[str, Path] = {}
    used: set[str] = set()
    proven: set[tuple[Name, str]] = set()
    for folder in sorted(iterate_folders(store, drafts=True)):
        place = folder.relative_to(store).as_posix()
        try:
            trial = read_trial(folder)
        except StoreError as error:
            if not is_held(folder.parent, _turn(folder)):
                yield Finding(Problem.HALF, place, str(error))
            continue
        if trial.id in seen:
            yield Finding(Problem.TWICE, place, f"has the id of {seen[trial.id]}")
        seen[trial.id] = folder
        used.add(str(trial.manifest.get("environment") or ""))
        yield from check_trial(trial, place)
        yield from _check_names(trial, place, locks, proven)
    yield from _check_environments(store, used)
    yield from _check_locks(locks, proven)


def _turn(folder: Path) -> int:
    return int(folder.name.partition("-")[0])


def check_trial(trial: Trial, place: str) -> Iterator[Finding]:
    """What of the files of a trial is not as it was recorded."""
    if trial.status is Status.LOST:
        yield Finding(Problem.LOST, place, "says running, but gives no sign of life")
    if trial.status in {Status.LOST, Status.RUNNING}:
        return
    if trial.folder.name.partition("-")[2] != trial.id:
        yield Finding(Problem.MISPLACED, place, f"is the folder of {trial.id}")
    recorded = trial.manifest.get("artifacts", {})
    for name, facts in recorded.items():
        yield from _check_file(trial.folder / name, f"{place}/{name}", facts)
    for file in sorted(trial.folder.rglob("*")):
        name = file.relative_to(trial.folder).as_posix()
        if name not in recorded and name not in RECORDS and file.is_file():
            yield Finding(Problem.UNRECORDED, f"{place}/{name}", "was not there when it ended")


def _check_file(file: Path, place: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        size = file.stat().st_size
        if size != facts["bytes"]:
            text = f"has {size} bytes, was recorded with {facts['bytes']}"
            yield Finding(Problem.CHANGED, place, text)
            return
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        yield Finding(Problem.MISSING, place, error.strerror or str(error))
        return
    except KeyError as error:
        yield Finding(Problem.CHANGED, place, f"was recorded without {error}")
        return
    if digest != facts.get("sha256"):
        yield Finding(Problem.CHANGED, place, "its sha256 is not the recorded one")


def _check_names(
    trial: Trial, place: str, locks: Path, proven: set[tuple[Name, str]]
) -> Iterator[Finding]:
    """Whether the names a trial ran with are locked to the values it had."""
    m = trial.manifest
    if trial.status is not Status.DONE or m.get("draft") or m.get("imported"):
        return
    for entry in m.get("parameters", ()):
        if entry["kind"] != Kind.VARIANT or not entry["tracked"]:
            continue
        name = Name(entry["step"], entry["name"], entry["variant"])
        if (name, entry["digest"]) in proven:
            continue
        digests = []
        for file in revisions(lock_file(locks, name)):
            try:
                digests.append(read_lock(file).description.digest)
            except StoreError:
                continue  # told with the locks
        if entry["digest"] in digests:
            proven.add((name, entry["digest"]))
        else:
            known = "to another value" if digests else "to nothing"
            yield Finding(Problem.UNLOCKED, place, f"ran with {name}, which is locked {known}")


def _check_environments(store: Path, used: set[str]) -> Iterator[Finding]:
    for folder in sorted((store / "environments").glob("[!.]*")):
        if folder.name not in used:
            place = folder.relative_to(store).as_posix()
            yield Finding(Problem.ORPHAN, place, "no trial had this environment")
    for digest in sorted(used - {""}):
        if not (store / "environments" / digest / "environment.json").is_file():
            yield Finding(Problem.MISSING, f"environments/{digest}", "trials had it")


def _check_locks(locks: Path, proven: set[tuple[Name, str]]) -> Iterator[Finding]:
    for first in sorted(iterate_locks(locks)):
        for file in revisions(first):
            place = file.relative_to(locks.parent).as_posix()
            try:
                lock = read_lock(file)
            except StoreError as error:
                yield Finding(Problem.LOCK, place, str(error))
                continue
            if (lock.name, lock.description.digest) not in proven:
                text = f"no trial that is done had {lock.label} with this value"
                yield Finding(Problem.UNPROVEN, place, text)
