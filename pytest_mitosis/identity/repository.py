"""Git repositories: at which commit they are, what differs from it, what it takes to be clean.

Must not know trials, specs or pytest. Runs in the pytest process and in the command line tool.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.blobs import blob_id, blob_ids, head_blobs
from pytest_mitosis.identity.changes import (
    SUBMODULE_DIRTY,
    SUBMODULE_FLAGS,
    Change,
    Relevance,
    Status,
    encodable,
    parse_status,
)
from pytest_mitosis.identity.editable import editable_repositories, strip_credentials
from pytest_mitosis.identity.gitcommand import GitError, run_git
from pytest_mitosis.identity.location import Location, find_root, locate
from pytest_mitosis.identity.snapshot import snapshot
from pytest_mitosis.model import TreeError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Change",
    "RepositoryState",
    "blob_id",
    "blob_ids",
    "describe_code",
    "editable_repositories",
    "find_root",
    "head_blobs",
    "read_state",
    "require_clean",
    "snapshot",
    "strip_credentials",
]

STATUS = (
    "-c",
    "status.relativePaths=false",
    "status",
    "--porcelain=v2",
    "--branch",
    "-z",
    "--untracked-files=all",
    "--ignore-submodules=none",
    "--find-renames",
)
LISTED = 20
REMEDY = (
    "Commit or stash them, list them under clean-ignore in [tool.mitosis], or run with --exp-draft"
)


@dataclass(frozen=True)
class RepositoryState:
    """One repository at one moment; ``changes`` holds only what counts.

    ``commit`` is None before the first commit, ``branch`` is None on a detached head, ``remote``
    is the address of the upstream (else of origin) without credentials.
    """

    root: Path
    commit: str | None
    branch: str | None = None
    remote: str | None = None
    detached: bool = False
    shallow: bool = False
    worktree: bool = False
    changes: tuple[Change, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether everything that counts is in a commit."""
        return self.commit is not None and not self.changes

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what is unusual but no error."""
        commit = (self.commit or "")[:10]
        told = {
            f"{self.root} is on a detached head ({commit}), on no branch": self.detached,
            f"{self.root} is a shallow clone: its history is cut off": self.shallow,
            f"{self.root} is a linked worktree": self.worktree,
        }
        return tuple(sentence for sentence, holds in told.items() if holds)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; `from_json` reads it back."""
        return {
            "root": encodable(str(self.root)),
            "commit": self.commit,
            "branch": self.branch,
            "remote": self.remote,
            "detached": self.detached,
            "shallow": self.shallow,
            "worktree": self.worktree,
            "changes": [change.to_json() for change in self.changes],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RepositoryState:
        """Read back what `to_json` wrote; unknown keys of newer versions are passed over."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        known["root"] = Path(data["root"])
        known["changes"] = tuple(Change.from_json(change) for change in data.get("changes", ()))
        return cls(**known)


def describe_code(states: Sequence[RepositoryState], problem: str = "") -> str:
    """``commit 7ab1f20 main, clean``, or why that cannot be said.

    The first state is that of the project's own repository.
    """
    if problem or not states:
        return problem.splitlines()[0] if problem else "not in a git repository"
    own, dirty = states[0], sum(len(state.changes) for state in states)
    where = own.branch or "detached head"
    commit = f"commit {own.commit[:7]}" if own.commit else "no commit yet"
    return f"{commit} {where}, {f'{dirty} uncommitted' if dirty else 'clean'}"


def read_state(
    root: Path, *, ignore: Sequence[str] = (), exclude: Sequence[Path] = ()
) -> RepositoryState:
    """Ask git once where a repository stands and what in it differs from its commit.

    `ignore` are globs relative to the root (``clean-ignore``); `exclude` are folders whose content
    never counts (the trials, the locks), absolute or relative to the root.

    Raises
    ------
    TreeError
        No git, no repository, a bare one, one of another owner. No commits yet is no error here
        (drafts may run), `require_clean` refuses it.
    """
    location = _require_location(root)
    status = parse_status(run_git(location.root, *STATUS))
    relevance = Relevance.of(location.root, ignore, exclude)
    head = status.headers.get("branch.head")
    commit = status.headers.get("branch.oid")
    return RepositoryState(
        root=location.root,
        commit=None if commit == "(initial)" else commit,
        branch=None if head == "(detached)" else head,
        remote=_remote(location.root, status),
        detached=head == "(detached)",
        shallow=location.is_shallow,
        worktree=location.is_worktree,
        changes=_relevant(location.root, status, relevance),
    )


def require_clean(states: Sequence[RepositoryState]) -> None:
    """Raise `TreeError` with the files that matter, unless every repository is at a commit.

    Files are grouped by repository, twenty in all, so that the remedy stays on the screen.
    """
    for state in states:
        if state.commit is None:
            raise TreeError(
                f"{state.root} has no commits yet, so there is no code to vouch for. "
                "Commit first, or run with --exp-draft"
            )
    dirty = [state for state in states if state.changes]
    if not dirty:
        return
    lines, room = [], LISTED
    for state in dirty:
        lines.append(f"{_count(state.changes)} not committed in {state.root}")
        lines += [f"  {change}" for change in state.changes[:room]]
        if len(state.changes) > room:
            lines.append(f"  and {len(state.changes) - room} more")
        room = max(0, room - len(state.changes))
    raise TreeError("\n".join([*lines, REMEDY]))


def _count(changes: Sequence[Change]) -> str:
    return "1 file is" if len(changes) == 1 else f"{len(changes)} files are"


def _require_location(path: Path) -> Location:
    root = find_root(path)
    location = locate(root) if root is not None else None
    if location is not None:
        return location
    if root is not None:
        raise TreeError(f"{root / '.git'} points to a folder that is gone: not a git repository")
    if (path / "HEAD").is_file() and (path / "objects").is_dir():
        raise TreeError(
            f"{path} is a bare repository: it has no working files to run. Use a clone of it"
        )
    raise TreeError(
        f"{path} is not in a git repository, so the code of a trial cannot be recorded. "
        "Run git init and commit, or run with --exp-draft"
    )


def _relevant(
    root: Path, status: Status, relevance: Relevance, within: str = ""
) -> tuple[Change, ...]:
    """Return the changes that count; `within` is the path of a submodule, with its slash."""
    found = []
    for change in status.changes:
        former = within + change.detail if change.word == "renamed" else change.detail
        outer = Change(within + change.path, change.word, former)
        if not relevance.matters(outer):
            continue
        if outer.word == SUBMODULE_DIRTY and not _has_submodule_dirt(root, outer, relevance):
            continue
        found.append(outer)
    return tuple(sorted(found, key=lambda change: (change.word, change.path)))


def _has_submodule_dirt(root: Path, change: Change, relevance: Relevance) -> bool:
    """Look into a dirty submodule: git counts the caches there that we do not count."""
    if SUBMODULE_FLAGS["C"] in change.detail:
        return True
    try:
        status = parse_status(run_git(root / change.path, *STATUS))
    except GitError:
        return True
    return bool(_relevant(root, status, relevance, within=f"{change.path}/"))


def _remote(root: Path, status: Status) -> str | None:
    """Return the address behind the upstream branch, else origin's, else that of the only one."""
    if not _mentions_remote(root):
        return None
    try:
        output = run_git(root, "config", "-z", "--get-regexp", r"^remote\..*\.url$")
    except GitError:
        return None
    urls: dict[str, str] = {}
    for entry in os.fsdecode(output).split("\0"):
        key, _, url = entry.partition("\n")
        if match := re.fullmatch(r"remote\.(.*)\.url", key):
            urls.setdefault(match[1], url)
    upstream = status.headers.get("branch.upstream", "")
    tracked = [name for name in urls if upstream.startswith(name + "/")]
    chosen = max(tracked, key=len, default="origin" if "origin" in urls else None)
    if chosen is None and len(urls) == 1:
        chosen = next(iter(urls))
    return strip_credentials(urls[chosen]) if chosen is not None else None


def _mentions_remote(root: Path) -> bool:
    """Save the second call for a repository without remotes, the case of every test."""
    location = locate(root)
    if location is None:
        return False
    try:
        text = (location.common / "config").read_bytes()
    except OSError:
        return False
    return b"[remote" in text or b"[include" in text
