"""A commit of the working tree as it is, for drafts: head, index and files stay untouched.

Must not know what the code is used for. Runs in the pytest process.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mitosis.identity.changes import Relevance, printable
from pytest_mitosis.identity.gitcommand import GitError, run_git
from pytest_mitosis.identity.location import locate
from pytest_mitosis.model import TreeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Who made the commit is told by the trial; a machine without user.name must do.
SIGNATURE = {
    f"GIT_{role}_{field}": text
    for role in ("AUTHOR", "COMMITTER")
    for field, text in (("NAME", "pytest-mitosis"), ("EMAIL", "pytest-mitosis@localhost"))
}
# Untracked files above this are data; hashing and keeping them would cost more than the trial.
LARGEST = 20_000_000


def snapshot(
    root: Path,
    trial_id: str,
    message: str,
    *,
    exclude: Sequence[Path] = (),
    largest: int = LARGEST,
) -> str:
    """Keep the tree as a commit under ``refs/trials/<id>`` and return its id.

    In it are the tracked files as they are and the untracked ones that are neither git-ignored,
    nor by-products, nor below `exclude` (the trials), nor larger than `largest` bytes (the commit
    message names those). A submodule is kept by its commit only. A clean tree adds no commit:
    the ref then points to HEAD. In a repository without commits the new one has no parent.
    """
    location = locate(root)
    if location is None:
        raise TreeError(f"{root} is not a git repository, so the draft's code cannot be kept")
    with tempfile.TemporaryDirectory(prefix="mitosis-index-") as folder:
        index = Path(folder, "index")
        if (location.git / "index").is_file():
            shutil.copyfile(location.git / "index", index)
        env = {"GIT_INDEX_FILE": str(index), **SIGNATURE}
        _reveal(root, env)
        run_git(root, "add", "--update", "--", ".", env=env)
        left_out = _add_untracked(root, Relevance.of(root, (), exclude), largest, env)
        tree = run_git(root, "write-tree", env=env).decode("ascii").strip()
    commit = _commit(root, tree, "\n".join([message, *left_out]))
    run_git(root, "update-ref", f"refs/trials/{trial_id}", commit)
    return commit


def _reveal(root: Path, env: Mapping[str, str]) -> None:
    """Clear the flags under which git would not look at an edited file, in our index only."""
    hidden: dict[str, list[bytes]] = {"--no-assume-unchanged": [], "--no-skip-worktree": []}
    for entry in run_git(root, "ls-files", "-v", "-z", env=env).split(b"\0"):
        tag, name = entry[:1], entry[2:]
        if tag.islower():
            hidden["--no-assume-unchanged"].append(name)
        # A sparse checkout marks files that are not there: those keep their mark.
        if tag in b"Ss" and name and (root / os.fsdecode(name)).exists():
            hidden["--no-skip-worktree"].append(name)
    for option, names in hidden.items():
        if names:
            run_git(
                root,
                "update-index",
                option,
                "-z",
                "--stdin",
                stdin=b"\0".join([*names, b""]),
                env=env,
            )


def _add_untracked(
    root: Path, relevance: Relevance, largest: int, env: Mapping[str, str]
) -> list[str]:
    listed = run_git(root, "ls-files", "--others", "--exclude-standard", "-z", env=env)
    chosen, left_out = [], []
    for raw in filter(None, listed.split(b"\0")):
        name = os.fsdecode(raw)
        # A repository inside the tree is listed as a folder: it has its own commit.
        if name.endswith("/") or not relevance.covers(name):
            continue
        path = root / name
        size = path.lstat().st_size if os.access(path, os.R_OK) or path.is_symlink() else None
        if size is None or size > largest:
            left_out.append(f"left out: {printable(name)}")
        else:
            chosen.append(raw)
    if chosen:
        names = b"\0".join(chosen) + b"\0"
        options = ("--add", "--remove", "--replace", "-z", "--stdin")
        run_git(root, "update-index", *options, stdin=names, env=env)
    return left_out


def _commit(root: Path, tree: str, message: str) -> str:
    try:
        head, head_tree = run_git(root, "rev-parse", "HEAD", "HEAD^{tree}").decode("ascii").split()
    except GitError:
        parents: tuple[str, ...] = ()  # no commits yet
    else:
        if tree == head_tree:
            return head
        parents = ("-p", head)
    content = message.encode("utf-8", "backslashreplace")
    made = run_git(root, "commit-tree", tree, *parents, stdin=content, env=SIGNATURE)
    return made.decode("ascii").strip()
