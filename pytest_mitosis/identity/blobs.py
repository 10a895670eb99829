"""Git's name for the content of a file, computed here where that is the same, by git where not.

Must not know what the files are for. `blob_id` runs in any process; the rest calls git and so
belongs to the pytest process.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mitosis.identity.gitcommand import GitError, run_git
from pytest_mitosis.identity.location import locate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Attributes under which git stores something else than the bytes of the file. Line ends are
# not among them: those only matter where a file has a CRLF.
ALTERING = re.compile(rb"(?m)^[^#\n]*\b(filter|ident|working-tree-encoding)\b")
# Longer lists go through the whole tree, argument lists have an end.
MANY_PATHS = 500
FULL_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def blob_id(content: bytes, algorithm: str = "sha1") -> str:
    """Return the id git gives to this content, filters aside."""
    header = b"blob %d\0" % len(content)
    return hashlib.new(algorithm, header + content, usedforsecurity=False).hexdigest()


def blob_ids(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Return the id git would store each file under, paths relative to `root`.

    Git itself is asked only about files that it would store changed (CRLF, clean filters);
    unreadable files are left out.
    """
    algorithm = _algorithm(root)
    filtered = _has_altering_attributes(root, paths)
    found: dict[str, str] = {}
    unsure: list[str] = []
    for path in paths:
        try:
            content = (root / path).read_bytes()
        except OSError:
            continue
        # `--stdin-paths` cannot say a name with a line break.
        if (filtered or b"\r\n" in content) and "\n" not in path:
            unsure.append(path)
        else:
            found[path] = blob_id(content, algorithm)
    if unsure:
        names = b"".join(os.fsencode(path) + b"\n" for path in unsure)
        output = run_git(root, "hash-object", "--stdin-paths", stdin=names)
        found.update(zip(unsure, output.decode("ascii").split(), strict=True))
    return found


def head_blobs(root: Path, paths: Sequence[str], commit: str = "HEAD") -> dict[str, str]:
    """Return the ids that a commit has for these paths; a path without entry is not in it.

    Remembered for a commit that is named in full, as that one never changes.
    """
    if not paths:
        return {}
    look = _remembered if FULL_NAME.fullmatch(commit) else _blobs_of
    return dict(look(root, tuple(paths), commit))


def _blobs_of(root: Path, paths: tuple[str, ...], commit: str) -> dict[str, str]:
    chosen = ("-r",) if len(paths) > MANY_PATHS else ("--", *paths)
    try:
        output = run_git(root, "ls-tree", "-z", "--full-tree", commit, *chosen)
    except GitError as error:
        if "Not a valid object name" in error.stderr:
            return {}  # no commits yet
        raise
    wanted = set(paths)
    found: dict[str, str] = {}
    for entry in os.fsdecode(output).split("\0"):
        fields, _, path = entry.partition("\t")
        if path in wanted:
            found[path] = fields.split(" ")[2]
    return found


_remembered = lru_cache(maxsize=64)(_blobs_of)


def _algorithm(root: Path) -> str:
    location = locate(root)
    try:
        config = (location.common / "config").read_text("utf-8", "replace") if location else ""
    except OSError:
        config = ""
    return "sha256" if re.search(r"(?i)objectformat\s*=\s*sha256", config) else "sha1"


def _has_altering_attributes(root: Path, paths: Iterable[str]) -> bool:
    folders = {root}
    for path in paths:
        folders.update((root / path).parents)
    files = [folder / ".gitattributes" for folder in folders if folder.is_relative_to(root)]
    if (location := locate(root)) is not None:
        files.append(location.common / "info" / "attributes")
    home = os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    files.append(Path(home, "git", "attributes"))
    return any(ALTERING.search(_content(file)) for file in files)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
