"""Submodules of a commit: which there are, and how a checkout of their own gets them.

The clone at hand is asked before the network: it may have what is gone from there by now. Must not
know what the code is used for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mitosis.identity.gitcommand import GitError, run_git
from pytest_mitosis.identity.pins import has_commit
from pytest_mitosis.model import ReproduceError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Submodule:
    """A submodule: its folder in the tree, the commit it is at, and its name in ``.gitmodules``."""

    path: str
    commit: str
    name: str = ""
    url: str = ""

    def __str__(self) -> str:
        return f"{self.path} at {self.commit[:12]}"


def submodules_of(root: Path, commit: str) -> list[Submodule]:
    """The submodules of a commit, in the order of their folders."""
    listed = run_git(root, "ls-tree", "-r", "-z", commit).decode("utf-8", "replace").split("\0")
    entries = [one.partition("\t") for one in listed if one.startswith("160000 ")]
    known = _described(root, commit) if entries else {}
    return [
        Submodule(path, facts.split()[2], *known.get(path, ("", ""))) for facts, _, path in entries
    ]


def fill(checkout: Path, repository: Path, submodule: Submodule) -> None:
    """Check out a submodule in ``checkout``, a worktree of ``repository``.

    Raises
    ------
    ReproduceError
        If neither the clone at hand has it nor its address.
    """
    name, path = submodule.name, submodule.path
    common = run_git(repository, "rev-parse", "--git-common-dir").decode().strip()
    own = repository / common / "modules" / name
    is_here = bool(name) and own.is_dir() and has_commit(own, submodule.commit)
    source = own.as_posix() if is_here else submodule.url
    command = ["submodule", "update", "--quiet", "--recursive", "--", path]
    if name and source and not source.startswith("."):
        # Said here and not kept, so that the user's configuration stays as it is.
        said = {f"submodule.{name}.url": source, f"submodule.{name}.active": "true"}
        if is_here:
            said["protocol.file.allow"] = "always"
        command = [*(one for key, v in said.items() for one in ("-c", f"{key}={v}")), *command]
    else:  # an address relative to that of the project, which git resolves
        command.insert(2, "--init")
    try:
        run_git(checkout, *command)
    except GitError as error:
        fatal = [one for one in error.stderr.splitlines() if one.startswith(("fatal:", "error:"))]
        raise ReproduceError(
            f"submodule {submodule} cannot be had from {submodule.url or 'its address'}: "
            f"{fatal[0] if fatal else error}; get it into your own clone, which is asked first: "
            f"git submodule set-url {path} URL && git submodule update --init {path}"
        ) from None


def _described(root: Path, commit: str) -> dict[str, tuple[str, str]]:
    """Name and address of each submodule by its folder, as ``.gitmodules`` has them."""
    try:
        listed = run_git(root, "config", "-z", "--list", f"--blob={commit}:.gitmodules")
    except GitError:
        return {}
    found: dict[str, dict[str, str]] = {}
    for entry in listed.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        name, _, what = key.removeprefix("submodule.").rpartition(".")
        found.setdefault(name, {})[what] = value
    return {one["path"]: (name, one.get("url", "")) for name, one in found.items() if "path" in one}
