"""A commit of a repository checked out apart, so that its working tree may be edited meanwhile.

Must not know what the copy is used for. Runs in the pytest process and in the command line tool.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pytest_mitosis.identity.gitcommand import run_git
from pytest_mitosis.model import TreeError

if TYPE_CHECKING:
    from pathlib import Path


def add_worktree(root: Path, place: Path, commit: str) -> None:
    """Check ``commit`` out to ``place``, on no branch; git keeps the commit as long as it is there.

    Raises
    ------
    TreeError
        If git cannot.
    """
    run_git(root, "worktree", "prune")
    place.parent.mkdir(parents=True, exist_ok=True)
    run_git(root, "worktree", "add", "--quiet", "--detach", str(place), commit)
    if (place / ".gitmodules").exists():
        run_git(place, "submodule", "--quiet", "update", "--init", "--recursive")


def remove_worktree(root: Path, place: Path) -> None:
    """Take a copy away, whatever a run left in it; nothing happens if it is gone."""
    try:
        if place.exists():
            run_git(root, "worktree", "remove", "--force", "--force", str(place))
    except TreeError:  # also while another session takes it away
        shutil.rmtree(place, ignore_errors=True)
