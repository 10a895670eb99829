"""Takes back the lock of a value that no process but the one that locked it has found.

A lock is not taken back under another trial: what ran with a name has to find it locked for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mitosis.model import Kind, Status, StoreError
from pytest_mitosis.plan.ids import format_part
from pytest_mitosis.store.files import exists
from pytest_mitosis.store.folder import MANIFEST, iterate_folders, read_trial
from pytest_mitosis.store.locks import current_lock_file

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.model import Trial
    from pytest_mitosis.store.locks import Held, Name


def withdraw(held: Held, since: str, store: Path, own: Path | None) -> bool:
    """Remove a lock that is new and that no other trial relies on; say whether it was removed.

    Parameters
    ----------
    held : Held
        The lock of a trial that ended, or was refused, before it found the value.
    since : str
        The time after which a lock that others made is new.
    store : Path
        The trials folder.
    own : Path or None
        The folder of that trial, if it has one.
    """
    lock = held.lock
    is_new = held.is_new or lock.record.get("locked", "") >= since
    if not is_new or not exists(lock.file) or current_lock_file(lock.file) != lock.file:
        return False
    for folder in iterate_folders(store, part=format_part("", lock.name.variant)):
        if folder == own:
            continue
        try:
            trial = read_trial(folder)
        except StoreError:
            if exists(folder / MANIFEST):
                return False  # nobody can tell
            continue  # claimed this moment: it locks the name again if it is proven
        if _relies_on(trial, lock.name):
            return False
    lock.file.unlink(missing_ok=True)
    return True


def _relies_on(trial: Trial, name: Name) -> bool:
    """Whether a trial proved what the name means, or may yet."""
    m = trial.manifest
    if trial.status is not Status.RUNNING and not m.get("proven"):
        return False
    return any(
        (one["step"], one["name"], one["variant"]) == (name.step, name.parameter, name.variant)
        for one in m.get("parameters", ())
        if one["kind"] == Kind.VARIANT and one["tracked"]
    )
