"""Merges another store into this one: trials, locks, environments, aliases. The other is only read.

First everything is compared; if a name is locked to two values, nothing changes. Then each trial is
copied beside its place, its checksums verified, and moved there in one step. So a merge that was
killed can be repeated, and one that was done does nothing when repeated.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Status, StoreError, Trial
from pytest_mitosis.store.aliases import Alias, Aliases
from pytest_mitosis.store.files import create_json, read_json, write_json
from pytest_mitosis.store.folder import (
    ALIASES,
    DRAFTS,
    HEARTBEAT,
    MANIFEST,
    QUEUED,
    iterate_folders,
    now,
    read_trial,
    spec_folder,
)
from pytest_mitosis.store.locks import Lock, Name, iterate_locks, lock_file, read_lock, revisions
from pytest_mitosis.store.turns import take_next_turn, take_turn, turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_ALWAYS = "9999"
"""Of a renaming within a merge: every trial that comes in is meant."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A name that means two values, and who locked each."""

    name: Name
    ours: Lock
    theirs: Lock


@dataclass(frozen=True, slots=True)
class Plan:
    """What a merge would do.

    Attributes
    ----------
    trials : tuple of Trial
        The trials that are not here yet, as they are called in the other store.
    locks : tuple of Lock
        The locks that are not here yet, by the names they get here.
    conflicts : tuple of Conflict
        The names that have to be renamed first.
    known : int
        How many trials are here already.
    left : tuple of str
        Trials that cannot be merged now, and why.
    renamings : Aliases
        What the incoming names are called here.
    """

    trials: tuple[Trial, ...]
    locks: tuple[Lock, ...]
    conflicts: tuple[Conflict, ...]
    known: int
    left: tuple[str, ...]
    renamings: Aliases


def plan_merge(
    ours: Path, our_locks: Path, theirs: Path, their_locks: Path, renamed: Mapping[Name, str]
) -> Plan:
    """Compare two stores.

    Parameters
    ----------
    renamed : mapping
        Names of the other store, and what they are to be called here.

    Raises
    ------
    StoreError
        If one store is in the other, or a file of one cannot be read.
    """
    if ours.resolve() == theirs.resolve():
        raise StoreError(f"{theirs} is this store; name another one")
    here = {_id(folder): folder for folder in iterate_folders(ours, drafts=True)}
    new, left, known = [], [], 0
    for folder in iterate_folders(theirs, drafts=True):
        try:
            trial = read_trial(folder)
        except StoreError as error:
            left.append(f"{folder}: {error}")
            continue
        if trial.status is Status.RUNNING:
            left.append(f"{trial.id} is running; merge again when it has ended")
        elif trial.id not in here:
            new.append(trial)
        elif reason := _other(trial, here[trial.id]):
            left.append(reason)
        else:
            known += 1
    renamings = Aliases(
        tuple(Alias(n.step, n.parameter, n.variant, to, _ALWAYS) for n, to in renamed.items())
    )
    locks, conflicts = _compare_locks(our_locks, their_locks, renamed)
    return Plan(tuple(new), locks, conflicts, known, tuple(left), renamings)


def _id(folder: Path) -> str:
    return folder.name.partition("-")[2]


def _other(theirs: Trial, folder: Path) -> str:
    """Why a trial of the same id is not the same trial; empty if it is."""
    try:
        ours = read_trial(folder).manifest
    except StoreError as error:
        return f"{theirs.id} is here already, but damaged: {error}"
    for name in ("started", "artifacts", "metrics", "host", "pid"):
        if ours.get(name) != theirs.manifest.get(name):
            return f"{theirs.id} is here already with another {name}; see {folder}"
    return ""


def _compare_locks(
    ours: Path, theirs: Path, renamed: Mapping[Name, str]
) -> tuple[tuple[Lock, ...], tuple[Conflict, ...]]:
    new: list[Lock] = []
    conflicts = []
    for first in sorted(iterate_locks(theirs)):
        for file in revisions(first):
            lock = read_lock(file)
            name = lock.name
            if name in renamed:
                name = replace(name, variant=renamed[name])
            place = lock_file(ours, name, lock.revision)
            here = read_lock(place) if place.exists() else None
            if here is None:
                new.append(replace(lock, name=name, file=place))
            elif here.description.digest != lock.description.digest:
                conflicts.append(Conflict(lock.name, here, lock))
                break
    return tuple(new), tuple(conflicts)


def merge(plan: Plan, ours: Path, theirs: Path) -> list[Path]:
    """Do what was planned; the folders of the trials that are here now.

    Raises
    ------
    StoreError
        If there are conflicts, or a copy is not what was recorded.
    OSError
        If the store cannot be written.
    """
    if plan.conflicts:
        raise StoreError(f"{len(plan.conflicts)} names are locked to two values; rename them first")
    for lock in plan.locks:
        _add_lock(lock)
    _copy_records(ours / ALIASES, theirs / ALIASES)
    folders = []
    for trial in plan.trials:
        digest = str(trial.manifest.get("environment") or "")
        if digest:
            _copy_environment(ours, theirs, digest)
        folders.append(_add_trial(trial, ours, theirs, plan.renamings))
    return folders


def _add_lock(lock: Lock) -> None:
    lock.file.parent.mkdir(parents=True, exist_ok=True)
    record = {**lock.record, "variant": lock.name.variant}
    if record["variant"] != lock.record["variant"]:
        record["renamed_from"] = lock.record["variant"]
    if not create_json(lock.file, record):
        here = read_lock(lock.file)
        if here.description.digest != lock.description.digest:
            raise StoreError(f"{lock.name} was locked to another value meanwhile; merge again")


def _copy_records(ours: Path, theirs: Path) -> None:
    for file in sorted(theirs.glob("[!.]*.json")):
        ours.mkdir(parents=True, exist_ok=True)
        create_json(ours / file.name, read_json(file))


def _copy_environment(ours: Path, theirs: Path, digest: str) -> None:
    source, target = theirs / "environments" / digest, ours / "environments" / digest
    if target.exists() or not source.is_dir() or "/" in digest:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{digest}.merging-{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(source, beside)
    try:
        beside.rename(target)
    except OSError:  # another merge was first
        shutil.rmtree(beside)
        if not target.is_dir():
            raise


def _add_trial(trial: Trial, ours: Path, theirs: Path, renamings: Aliases) -> Path:
    manifest = renamings.translate(trial.manifest)
    is_draft = trial.folder.parent.parent.parent.name == DRAFTS
    spec = str(manifest.get("spec") or trial.folder.parent.name)
    parent = spec_folder(ours, str(manifest["experiment"]), spec, draft=is_draft)
    if manifest is trial.manifest:  # where it was, however its folder came to be called
        parent = ours / trial.folder.parent.relative_to(theirs)
    parent.mkdir(parents=True, exist_ok=True)
    beside = parent / f".{trial.id}.merging"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    _copy_files(trial, beside)
    number = int(manifest.get("iteration") or 0)
    if number and (number in turns(parent) or not take_turn(parent, number, trial.id)):
        number = take_next_turn(parent, trial.id)
    merged = {"when": now(), "from": str(theirs), "iteration": manifest.get("iteration")}
    status = read_json(trial.folder / MANIFEST)["status"]  # lost is nothing that is written
    write_json(
        beside / MANIFEST, {**manifest, "status": status, "iteration": number, "merged": merged}
    )
    target = parent / f"{number}-{trial.id}"
    beside.rename(target)
    return target


def _copy_files(trial: Trial, target: Path) -> None:
    """Copy all but the manifest, and compare what arrived with what was recorded or read."""
    recorded = trial.manifest.get("artifacts", {})
    for source in sorted(_files(trial.folder)):
        name = source.relative_to(trial.folder).as_posix()
        if name in {MANIFEST, HEARTBEAT, QUEUED}:
            continue
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy, follow_symlinks=False)
        if copy.is_symlink():
            continue
        expected = recorded.get(name, {}).get("sha256") or _sha256(source)
        if _sha256(copy) != expected:
            raise StoreError(
                f"{source} is not what trial {trial.id} recorded (its sha256 differs); nothing of "
                "that trial was merged. See pytest-mitosis verify there"
            )
    missing = [name for name in recorded if not (target / name).exists()]
    if missing:
        raise StoreError(
            f"trial {trial.id} in {trial.folder} has lost {', '.join(missing[:3])}; nothing of it "
            "was merged. See pytest-mitosis verify there"
        )


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def _sha256(file: Path) -> Any:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
