"""Locks: one file for each variant name, saying which value it has for good.

``locks/<step>/<parameter>/<variant>.json``, created exclusively: of two writers one wins, and the
other one compares its value with what the winner wrote.

Locking a name anew adds ``<variant>@2.json``, ``@3`` … beside it. The highest revision is in force.
No file is ever replaced, so one exclusive creation is all it takes: a process killed at any moment
leaves the old or the new meaning, of two that relock at once one gets the number, also on shared
folders, and no old meaning is lost. With locks in the repository, two branches that relock one name
conflict on exactly that file, and reverting the commit brings the meaning before back. A single
file with its history inside would have to be replaced, and the later of two would win unseen.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from glob import escape
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity import Change, Description, compare, render_changes
from pytest_mitosis.model import SCHEMA, LockError, StoreError
from pytest_mitosis.store.files import create_json, exists, read_json
from pytest_mitosis.store.folder import folder_name, now, user_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Name:
    """What a lock is for: a variant of a parameter of a step."""

    step: str
    parameter: str
    variant: str

    def __str__(self) -> str:
        return f"{self.parameter}={self.variant}"


@dataclass(frozen=True, slots=True)
class Lock:
    """A name with the value it is locked to, and who locked it when."""

    name: Name
    file: Path
    description: Description
    record: dict[str, Any]

    @property
    def revision(self) -> int:
        """1 as first locked, one more each time the name was locked anew."""
        return int(self.record.get("revision", 1))

    @property
    def label(self) -> str:
        """``noise=low``, from revision 2 on ``noise=low@2``."""
        return f"{self.name}@{self.revision}" if self.revision > 1 else str(self.name)

    @property
    def origin(self) -> str:
        """When, at which commit and by whom: ``2026-05-01, commit 3f2a91c, jess``."""
        commit = self.record.get("commit")
        known = [
            str(self.record.get("locked", ""))[:10],
            f"commit {commit[:7]}" if commit else "",
            str(self.record.get("user", "")),
        ]
        return ", ".join(part for part in known if part)


@dataclass(frozen=True, slots=True)
class Held:
    """The result of taking a lock: whether this call created it, and what is only worth a note."""

    lock: Lock
    is_new: bool
    notes: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def lock_file(locks: Path, name: Name, revision: int = 1) -> Path:
    """Where a revision of the lock of ``name`` is."""
    folder = locks / folder_name(name.step) / folder_name(name.parameter)
    # No variant name holds an @, so a revision is never the lock of another name.
    later = f"@{revision}" if revision > 1 else ""
    return folder / f"{folder_name(name.variant)}{later}.json"


def take_lock(
    locks: Path,
    name: Name,
    description: Description,
    commit: str,
    *,
    strict_code: bool = False,
    trials: int | None = None,
) -> Held:
    """Lock ``name`` to the described value, or check that it is locked to this very value.

    ``trials`` is how many there are under the name, for the message.

    Raises
    ------
    LockError
        If the name is locked to another value; the message shows what changed.
    StoreError
        If the lock file cannot be read.
    """
    held = check_lock(locks, name, description, strict_code=strict_code, trials=trials)
    if held is not None:
        return held
    new = _create(locks, name, 1, description, commit)
    if new is not None and current_lock_file(new.file) == new.file:
        return Held(new, is_new=True)
    held = check_lock(locks, name, description, strict_code=strict_code, trials=trials)
    if held is None:
        raise LockError(f"{name} was locked and given back by another session; run again")
    return held


def check_lock(
    locks: Path,
    name: Name,
    description: Description,
    *,
    strict_code: bool = False,
    trials: int | None = None,
) -> Held | None:
    """Check that ``name`` is locked to this very value; ``None`` if it was never locked.

    Raises
    ------
    LockError
        If the name is locked to another value; the message shows what changed.
    StoreError
        If the lock file cannot be read.
    """
    lock = current_lock(locks, name)
    if lock is None:
        return None
    if lock.description == description:  # compare() decides; leaf by leaf the same is the same
        return Held(lock, is_new=False)
    changes = compare(lock.description, description)
    errors = counting(changes, strict_code=strict_code)
    if errors:
        raise LockError(_changed(lock, errors, trials))
    shown = _flat(render_changes(changes, sources=False))
    return Held(lock, is_new=False, notes=(f"{lock.label}: {shown}",) if changes else ())


def relock(
    locks: Path,
    name: Name,
    description: Description,
    commit: str,
    why: str,
    *,
    strict_code: bool = False,
    seen: Lock | None = None,
) -> Lock:
    """Give ``name`` another value from now on, as its next revision; the old ones are kept.

    ``seen`` is the revision the user decided upon: no other one is followed unseen.

    Raises
    ------
    LockError
        If the name was never locked, is locked to this very value, or was relocked meanwhile.
    StoreError
        If the lock file cannot be read.
    """
    lock = current_lock(locks, name)
    if lock is None:
        raise LockError(
            f"{name} of {name.step} was never locked, so there is nothing to relock; "
            "it is locked at its first trial"
        )
    if seen is not None and seen.revision != lock.revision:
        raise LockError(_overtaken(lock))
    if not counting(compare(lock.description, description), strict_code=strict_code):
        raise LockError(f"{lock.label} is already locked to this value ({lock.origin})")
    missing = lock_file(locks, name, lock.revision + 1)
    # In this order: a revision that is there when a later one is seen was not made just now.
    if revisions(lock.file)[-1] != lock.file and not missing.exists():
        raise StoreError(f"{missing} is missing, later revisions exist; restore it from a copy")
    new = _create(locks, name, lock.revision + 1, description, commit, why)
    if new is None:
        raise LockError(_overtaken(current_lock(locks, name) or lock))
    return new


def counting(changes: Sequence[Change], *, strict_code: bool) -> list[Change]:
    """Those of ``changes`` that make it another value; with strict code the source does too."""
    found = [c for c in changes if c.severity == "error" or (strict_code and c.facet == "code")]
    return [replace(change, severity="error") for change in found]


def copy_locks(locks: Path, renamed: Callable[[Name], Name | None]) -> list[Lock]:
    """Lock new names to the values the old ones have now; ``renamed`` gives the new name or None.

    Raises
    ------
    LockError
        If a new name is locked to another value; nothing is locked then.
    """
    found: list[tuple[Lock, Name]] = []
    for first in sorted(iterate_locks(locks)):
        lock = read_lock(current_lock_file(first))
        new = renamed(lock.name)
        if new is None:
            continue
        there = current_lock(locks, new)
        if there is not None and there.description.digest != lock.description.digest:
            raise LockError(
                f"{new} of {new.step} is locked to another value ({there.origin}: "
                f"{there.record.get('value')}); take another name"
            )
        found.append((lock, new))
    for lock, new in found:
        file = lock_file(locks, new)
        file.parent.mkdir(parents=True, exist_ok=True)
        names = {"step": new.step, "parameter": new.parameter, "variant": new.variant}
        origin = {"renamed_from": f"{lock.name.step}.{lock.label}"}
        create_json(file, {**lock.record, **names, "revision": 1, **origin})
    return [replace(lock, name=new) for lock, new in found]


def current_lock(locks: Path, name: Name) -> Lock | None:
    """The revision of the lock of ``name`` that is in force; ``None`` if it was never locked.

    Raises
    ------
    LockError
        If the file system takes another name for this one.
    StoreError
        If the lock file cannot be read.
    """
    file = current_lock_file(lock_file(locks, name))
    try:
        stat = os.stat(str(file))  # noqa: PTH116  asked at each item
    except FileNotFoundError:
        return None
    lock = _read_lock_as_of(file, (stat.st_ino, stat.st_size, stat.st_mtime_ns))
    if lock.name != name:
        raise LockError(
            f"{name} cannot be told from {lock.name} on this file system, which ignores case; "
            "rename one of them"
        )
    return lock


def current_lock_file(file: Path) -> Path:
    """The last revision of the lock whose first is ``file``; one question where there is one."""
    revision = 1
    while exists(_revision_file(file, revision + 1)):
        revision += 1
    return _revision_file(file, revision)


def revisions(file: Path) -> list[Path]:
    """The files of all revisions of a lock, the first one first; ``file`` is any of them."""
    first = file.with_name(f"{file.stem.partition('@')[0]}.json")
    later = first.parent.glob(f"{escape(first.stem)}@*.json")
    numbers = sorted(int(n) for one in later if (n := one.stem.rpartition("@")[2]).isdecimal())
    return [one for one in (first, *(_revision_file(first, n) for n in numbers)) if one.exists()]


@lru_cache(maxsize=4096)
def _revision_file(first: Path, revision: int) -> Path:
    return first.with_name(f"{first.stem}@{revision}.json") if revision > 1 else first


def _create(
    locks: Path, name: Name, revision: int, description: Description, commit: str, why: str = ""
) -> Lock | None:
    """Create a revision; ``None`` if it is there already."""
    file = lock_file(locks, name, revision)
    file.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "schema": SCHEMA,
        "step": name.step,
        "parameter": name.parameter,
        "variant": name.variant,
        "revision": revision,
        **({"why": why} if why else {}),
        "value": description.summary,
        "digest": description.digest,
        "locked": now(),
        "user": user_name(),
        "commit": commit,
        "description": description.to_json(),
    }
    return Lock(name, file, description, record) if create_json(file, record) else None


@lru_cache(maxsize=4096)
def _read_lock_as_of(file: Path, _: tuple[int, int, int]) -> Lock:
    """Read each lock once in a session: no lock file is ever replaced, and ``_`` would tell."""
    return read_lock(file)


def read_lock(file: Path) -> Lock:
    """The lock in ``file``, one revision of it.

    Raises
    ------
    StoreError
        If it is no lock; nothing is guessed from a damaged one.
    """
    record = read_json(file)
    try:
        name = Name(record["step"], record["parameter"], record["variant"])
        description = Description.from_json(record["description"])
        if not all(isinstance(text, str) for text in _texts(name, description)):
            raise TypeError
        lock = Lock(name, file, description, record)
        if lock.revision < 1:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StoreError(f"{file} is no lock; restore it from a copy") from None
    return lock


def _texts(name: Name, description: Description) -> Iterator[object]:
    yield from (name.step, name.parameter, name.variant)
    for leaf in description.leaves:
        yield from (leaf.path, leaf.facet, leaf.text)


def iterate_locks(locks: Path) -> Iterator[Path]:
    """The files of all locks, of each its first revision."""
    return (file for file in locks.glob("*/*/[!.]*.json") if "@" not in file.name)


def _overtaken(other: Lock) -> str:
    why = other.record.get("why", "")
    return (
        f"{other.name} was relocked at the same time: it is {other.label} now ({other.origin}: "
        f"{why}); look at that value, then relock again if need be"
    )


def _changed(lock: Lock, changes: Sequence[Change], trials: int | None) -> str:
    count = "" if trials is None else f", {trials} trial{'' if trials == 1 else 's'}"
    name = lock.name
    return (
        f"{lock.label} changed since it was locked ({lock.origin}{count})\n"
        f"{render_changes(changes)}\n"
        f"use a new name, restore the value, or: "
        f'pytest-mitosis relock {name.step} {name} --why "..."'
    )


def _flat(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines())
