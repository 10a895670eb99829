"""Locks: one file for each variant name, saying which value it has for good.

``locks/<step>/<parameter>/<variant>.json``, created exclusively: of two writers one wins, and the
other one compares its value with what the winner wrote.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity import Description, compare, render_changes
from pytest_mitosis.model import SCHEMA, LockError, StoreError
from pytest_mitosis.store.files import create_json, read_json
from pytest_mitosis.store.folder import folder_name, now, user_name

if TYPE_CHECKING:
    from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True)
class Held:
    """The result of taking a lock: whether this call created it, and what is only worth a note."""

    lock: Lock
    is_new: bool
    notes: tuple[str, ...] = ()


def lock_file(locks: Path, name: Name) -> Path:
    """Where the lock of ``name`` is."""
    return (
        locks
        / folder_name(name.step)
        / folder_name(name.parameter)
        / f"{folder_name(name.variant)}.json"
    )


def take_lock(
    locks: Path, name: Name, description: Description, commit: str, *, strict_code: bool = False
) -> Held:
    """Lock ``name`` to the described value, or check that it is locked to this very value.

    Raises
    ------
    LockError
        If the name is locked to another value; the message shows what changed.
    StoreError
        If the lock file cannot be read.
    """
    file = lock_file(locks, name)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "schema": SCHEMA,
            "step": name.step,
            "parameter": name.parameter,
            "variant": name.variant,
            "revision": 1,
            "value": description.summary,
            "digest": description.digest,
            "locked": now(),
            "user": user_name(),
            "commit": commit,
            "description": description.to_json(),
        }
        if create_json(file, record):
            return Held(Lock(name, file, description, record), is_new=True)
    lock = read_lock(file)
    if lock.name != name:
        raise LockError(
            f"{name} cannot be told from {lock.name} on this file system, which ignores case; "
            "rename one of them"
        )
    changes = compare(lock.description, description)
    errors = [c for c in changes if c.severity == "error" or (strict_code and c.facet == "code")]
    if errors:
        told = [replace(change, severity="error") for change in errors]
        raise LockError(_changed(lock, render_changes(told)))
    notes = (f"{name}: {_flat(render_changes(changes))}",) if changes else ()
    return Held(lock, is_new=False, notes=notes)


def withdraw(held: Held) -> None:
    """Remove a lock this session created, because its value proved not to be reproducible."""
    if held.is_new:
        held.lock.file.unlink(missing_ok=True)


def read_lock(file: Path) -> Lock:
    """The lock in ``file``.

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
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StoreError(f"{file} is no lock; restore it from a copy") from None
    return Lock(name, file, description, record)


def _texts(name: Name, description: Description) -> Iterator[object]:
    yield from (name.step, name.parameter, name.variant)
    for leaf in description.leaves:
        yield from (leaf.path, leaf.facet, leaf.text)


def iterate_locks(locks: Path) -> Iterator[Path]:
    """The files of all locks."""
    return locks.glob("*/*/[!.]*.json")


def _changed(lock: Lock, changes: str) -> str:
    record, name = lock.record, lock.name
    commit = f", commit {record['commit'][:7]}" if record.get("commit") else ""
    head = (
        f"{name} changed since it was locked "
        f"({record.get('locked', '')[:10]}{commit}, {record.get('user', '')})"
    )
    remedy = f"use a new name, or restore the value; the lock is {lock.file}"
    return f"{head}\n{changes}\n{remedy}"


def _flat(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines())
