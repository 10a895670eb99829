"""Copies of the code: the checked commit beside the store, for trials that run later or elsewhere.

The user goes on editing; the trials run what was checked. Runs in the process that starts trials.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.worktree import add_worktree, remove_worktree
from pytest_mitosis.model import StoreError
from pytest_mitosis.run.jobs import editable_folders
from pytest_mitosis.store.batches import iterate_batches
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.folder import new_id
from pytest_mitosis.store.owners import lives, this_process

if TYPE_CHECKING:
    from pytest_mitosis.identity.repository import RepositoryState
    from pytest_mitosis.model import Job

COPIES = ".code"


@dataclass
class CodeCopy:
    """One commit of a repository, checked out when the first job is placed in it."""

    root: Path
    store: Path
    commit: str

    @cached_property
    def place(self) -> Path:
        """The copy's folder.

        Raises
        ------
        TreeError
            If git cannot make it.
        """
        place = self.store / COPIES / f"{self.commit[:12]}-{new_id()}"
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place.with_name(f"{place.name}.json"), this_process())
        add_worktree(self.root, place, self.commit)
        return place

    def job(self, job: Job) -> Job:
        """``job`` with its code in the copy; its working directory stays where it was."""
        shares = job.share_steps and job.cwd != job.root
        entries = [*editable_folders(self.root), *job.sys_path]
        return replace(
            job,
            root=str(self.place),
            sys_path=tuple(dict.fromkeys(self._moved(one) for one in entries)),
            describe=tuple(self._moved(one) for one in job.describe),
            share_steps=shares,
        )

    def states(self, states: tuple[RepositoryState, ...]) -> list[dict[str, Any]]:
        """States of repositories as JSON, with that of the copy first."""
        own = [replace(one, root=self.place) for one in states if one.root == self.root]
        return [one.to_json() for one in (*own, *states)]

    def _moved(self, text: str) -> str:
        path = Path(text)
        if not path.is_absolute() or not path.is_relative_to(self.root):
            return text
        return str(self.place / path.relative_to(self.root))


def remove_unused_copies(store: Path, own: str = "") -> None:
    """Take away the copies that no batch needs and no living session may hand over more of.

    ``own`` is this session's, which it does not need any more.
    """
    owners = list((store / COPIES).glob("*.json"))
    # Asked after the owners: one that has handed something over has a batch by then.
    used = {str(batch.record.get("worktree", "")) for batch in iterate_batches(store)}
    for file in owners:
        place = file.with_suffix("")
        if str(place) not in used and (str(place) == own or not _is_owned(file)):
            remove_worktree(place, place)
            file.unlink(missing_ok=True)


def keep_alive(place: str) -> None:
    """A sign of life of the session whose copy this is, for those on other machines."""
    with contextlib.suppress(OSError):
        os.utime(f"{place}.json")


def _is_owned(file: Path) -> bool:
    try:
        return lives(read_json(file), time.time() - file.stat().st_mtime)
    except (OSError, StoreError):
        return False
