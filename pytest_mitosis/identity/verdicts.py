"""Imported files a commit does not vouch for, found after a trial.

The clean tree is checked before anything runs; this looks at what was really imported. Must not
know trials or what follows from a verdict. Runs in the pytest process, on what the trial's
process reported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mitosis.identity.blobs import blob_ids, head_blobs
from pytest_mitosis.identity.changes import printable
from pytest_mitosis.identity.gitcommand import run_git

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_mitosis.identity.imported import ImportedFile
    from pytest_mitosis.identity.repository import RepositoryState

SENTENCES = {
    "outside": "is in no repository",
    "untracked": "is not in the commit",
    "ignored": "is git-ignored, so no commit has it",
    "modified": "differs from the commit",
    "hidden": "differs from the commit, unseen by git: it is marked assume-unchanged or "
    "skip-worktree",
    "edited": "was edited after the run began",
}


@dataclass(frozen=True)
class Verdict:
    """Why one imported file is not what the commit says; ``word`` is a key of `SENTENCES`."""

    path: Path
    word: str

    def __str__(self) -> str:
        return f"{printable(str(self.path))} {SENTENCES[self.word]}"


def verdicts(
    files: Sequence[ImportedFile],
    states: Sequence[RepositoryState] = (),
    *,
    since: float | None = None,
) -> list[Verdict]:
    """Judge imported files; `since` is the time (epoch seconds) at which the run began.

    Files are compared with the commit of their repository's state, read before the trial, so
    that a commit made meanwhile excuses nothing; a repository without a state is compared with
    its head.
    """
    commits = {os.path.realpath(state.root): state.commit or "HEAD" for state in states}
    found: dict[Path, str] = {}
    by_root: dict[Path, list[ImportedFile]] = {}
    for file in files:
        if file.root is None:
            found[file.path] = "outside"
        else:
            by_root.setdefault(file.root, []).append(file)
    for root, members in by_root.items():
        commit = commits.get(os.path.realpath(root), "HEAD")
        found.update(_against_commit(root, commit, members))
    for file in files:
        # The loaded code may be older than the file, even if both file and commit agree now.
        if since is not None and file.mtime > since and found.get(file.path) != "outside":
            found[file.path] = "edited"
    return [Verdict(file.path, found[file.path]) for file in files if file.path in found]


def _against_commit(root: Path, commit: str, members: Sequence[ImportedFile]) -> dict[Path, str]:
    committed = head_blobs(root, [file.place for file in members], commit)
    paths = {file.place: file.path for file in members}
    missing = [file.place for file in members if file.place not in committed]
    differing = [f.place for f in members if committed.get(f.place, f.blob) != f.blob]
    if differing:
        # What git would store may differ from the bytes: line ends, clean filters.
        stored = blob_ids(root, differing)
        differing = [place for place in differing if stored.get(place) != committed[place]]
    ignored, hidden = _ignored(root, missing), _hidden(root, differing)
    words = {place: "ignored" if place in ignored else "untracked" for place in missing}
    words |= {place: "hidden" if place in hidden else "modified" for place in differing}
    return {paths[place]: word for place, word in words.items()}


def _ignored(root: Path, places: Sequence[str]) -> set[str]:
    if not places:
        return set()
    options = ("--others", "--ignored", "--exclude-standard", "-z")
    return set(os.fsdecode(run_git(root, "ls-files", *options, "--", *places)).split("\0"))


def _hidden(root: Path, places: Sequence[str]) -> set[str]:
    if not places:
        return set()
    output = os.fsdecode(run_git(root, "ls-files", "-v", "-z", "--", *places))
    entries = (entry.partition(" ") for entry in output.split("\0"))
    # Lower case is assume-unchanged, S is skip-worktree.
    return {place for tag, _, place in entries if tag.islower() or tag == "S"}
