"""Copies of the code: the checked commit beside the store, for trials that run later or elsewhere.

The user goes on editing; the trials run what was checked. Runs in the process that starts trials.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.worktree import add_worktree, remove_worktree
from pytest_mitosis.run.jobs import editable_folders
from pytest_mitosis.store.batches import iterate_batches
from pytest_mitosis.store.folder import new_id

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


def remove_unused_copies(store: Path, root: Path | None = None) -> None:
    """Take away the copies that no batch needs any more; ``root`` is their repository.

    Called by those who took a batch away: one that another session is about to use is younger
    than its first batch, so only copies that some batch has named are looked at.
    """
    used = {str(batch.record.get("worktree", "")) for batch in iterate_batches(store)}
    for place in _copies(store):
        if str(place) not in used and (place / READY).exists():
            remove_worktree(root or place, place)


READY = ".mitosis-used"
"""There once a batch has named the copy."""


def mark_used(place: Path) -> None:
    """Note that a batch names the copy, so that it can go when the batch has gone."""
    (place / READY).touch()


def _copies(store: Path) -> list[Path]:
    folder = store / COPIES
    return [one for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []
