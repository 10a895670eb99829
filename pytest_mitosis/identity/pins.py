"""Pins: commits that official trials ran, kept by refs of their own beside the branches.

Like drafts (:mod:`pytest_mitosis.identity.snapshot`) they are under ``refs/trials``; a rebase or a
deleted branch does not take them away, and they are pushed without what drafts ran. Must not know
what the commits are used for.
"""

from __future__ import annotations

import tarfile
from io import BytesIO
from typing import TYPE_CHECKING

from pytest_mitosis.identity.gitcommand import GitError, run_git

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PINNED = "refs/trials/official"
_SHORT = 12


def pin_name(commit: str) -> str:
    """The ref that keeps a commit."""
    return f"{PINNED}/{commit[:_SHORT]}"


def pin(root: Path, commits: Iterable[str]) -> list[str]:
    """Keep commits; the names of their refs. A commit that is kept already stays so."""
    names = []
    for commit in commits:
        names.append(pin_name(commit))
        run_git(root, "update-ref", names[-1], commit)
    return names


def push_command(root: Path) -> str:
    """What sends all pins, and no drafts, to where the repository was cloned from."""
    remotes = run_git(root, "remote").decode("utf-8", "replace").split()
    remote = "origin" if "origin" in remotes or not remotes else remotes[0]
    return f"git push {remote} '{PINNED}/*'"


def how_to_fetch(commit: str) -> str:
    """What brings a commit that is not there: by its name, with the pins, or with the rest."""
    return (
        f"git fetch origin {commit}, or the pinned ones: git fetch origin "
        "'refs/trials/*:refs/trials/*', in a shallow clone: git fetch --unshallow"
    )


def has_commit(root: Path, commit: str) -> bool:
    """Whether the repository has a commit."""
    try:
        run_git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except GitError:
        return False
    return True


def is_shallow(root: Path) -> bool:
    """Whether the repository has a part of the history only."""
    return run_git(root, "rev-parse", "--is-shallow-repository").strip() == b"true"


def tree_of(root: Path, commit: str) -> tarfile.TarFile:
    """All files of a commit, in git's order."""
    return tarfile.open(fileobj=BytesIO(run_git(root, "archive", "--format=tar", commit)))


def bundle(root: Path, file: Path, refs: Sequence[str]) -> None:
    """Write the history of HEAD and of ``refs`` to a file that git can clone."""
    branch = run_git(root, "rev-parse", "--symbolic-full-name", "HEAD").decode().strip()
    heads = [branch] if branch.startswith("refs/heads/") else []
    run_git(root, "bundle", "create", "--quiet", str(file), "HEAD", *heads, *refs)
