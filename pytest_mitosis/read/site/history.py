"""What git knows of the trials' code: subjects of commits, and the sources they imported.

Only the project's own repository is asked, and only for names that are hashes: where a trial says
its code is, is nobody's order to run git there. Without a repository there is nothing to tell.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_mitosis.identity.gitcommand import run_git
from pytest_mitosis.model import TreeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LARGEST_SOURCE = 400_000
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def is_hash(text: str) -> bool:
    """Whether ``text`` can name an object of git and nothing else."""
    return _HASH.fullmatch(text) is not None


def commits(repository: Path, wanted: Iterable[str]) -> list[list[str]]:
    """Hash, author, time and subject of those commits the repository has, newest first."""
    known = [text for text in wanted if is_hash(text)]
    if not known:
        return []
    try:
        found = run_git(
            repository,
            "log", "-z", "--no-walk", "--ignore-missing", "--format=%H%n%an%n%aI%n%s", "--stdin",
            stdin="".join(f"{one}\n" for one in known).encode(),
        )  # fmt: skip
    except TreeError:
        return []
    entries = found.decode("utf-8", "replace").split("\0")
    return [(entry.split("\n", 3) + [""] * 4)[:4] for entry in entries if entry]


def sources(repository: Path, blobs: Iterable[str]) -> dict[str, str]:
    """The texts of those blobs the repository has and that are texts of a sane size."""
    wanted = sorted({text for text in blobs if is_hash(text)})
    if not wanted:
        return {}
    try:
        stream = run_git(
            repository, "cat-file", "--batch", stdin="".join(f"{b}\n" for b in wanted).encode()
        )
    except TreeError:
        return {}
    found, position = {}, 0
    while (end := stream.find(b"\n", position)) >= 0:
        header = stream[position:end].split()
        position = end + 1
        if len(header) != 3:  # "<hash> missing"
            continue
        size = int(header[2])
        content = stream[position : position + size]
        position += size + 1
        if header[1] == b"blob" and size <= LARGEST_SOURCE and b"\0" not in content:
            found[header[0].decode()] = content.decode("utf-8", "replace")
    return found
