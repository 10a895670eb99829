"""What differs from the commit, file by file, and which of it matters.

Reads the text git prints and compares names; must not know how git is started or what a trial
is. Pure functions, used in any process.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Written by running Python and its tools, never read as code.
BY_PRODUCTS = re.compile(
    r"(^|/)(__pycache__|\.ipynb_checkpoints|[^/]*\.egg-info|\.pytest_cache|\.mypy_cache"
    r"|\.ruff_cache|\.hypothesis)(/|$)|\.pyc$"
)
SUBMODULE_DIRTY = "submodule dirty"
SUBMODULE_FLAGS = {"C": "new commit", "M": "modified files", "U": "untracked files"}
# Fields before the path on each kind of line of `git status --porcelain=v2`.
FIELDS = {"1": 8, "2": 9, "u": 10}


@dataclass(frozen=True)
class Change:
    """One file that differs from the commit; ``path`` is posix text relative to the root.

    ``word`` is modified, added, deleted, renamed, untracked, submodule dirty or conflict;
    ``detail`` is the former path of a rename, or what is dirty in a submodule.
    """

    path: str
    word: str
    detail: str = ""

    def to_json(self) -> dict[str, str]:
        r"""Return a JSON object; bytes of a name that are not UTF-8 become ``\udcxx``."""
        parts = {"path": encodable(self.path), "word": self.word, "detail": encodable(self.detail)}
        return {key: text for key, text in parts.items() if text}

    @classmethod
    def from_json(cls, data: dict[str, str]) -> Change:
        """Read back what `to_json` wrote."""
        return cls(data["path"], data["word"], data.get("detail", ""))

    def __str__(self) -> str:
        origin = f" (was {printable(self.detail)})" if self.word == "renamed" else ""
        dirt = f" ({self.detail})" if self.word == SUBMODULE_DIRTY and self.detail else ""
        return f"{self.word:<9}  {printable(self.path)}{origin}{dirt}"


@dataclass(frozen=True)
class Status:
    """The head lines and the changes of one ``git status --porcelain=v2 --branch -z``."""

    headers: dict[str, str]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Relevance:
    """Which paths of one repository count: all but ``ignore`` globs, ``exclude`` and by-products.

    ``exclude`` holds folders as posix text relative to the root.
    """

    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, root: Path, ignore: Sequence[str], exclude: Sequence[Path]) -> Relevance:
        """Make folders, absolute or relative to `root`, relative to it; those outside drop out."""
        top = os.path.realpath(root)
        folders = []
        for folder in exclude:
            inside = os.path.relpath(os.path.realpath(root / folder), top).replace(os.sep, "/")
            # The root itself is never excluded: that would call any tree clean.
            if inside != "." and inside.split("/")[0] != "..":
                folders.append(inside)
        return cls(tuple(ignore), tuple(folders))

    def covers(self, path: str) -> bool:
        """Tell whether a path counts."""
        if BY_PRODUCTS.search(path):
            return False
        bare = path.rstrip("/")
        if any(bare == folder or bare.startswith(folder + "/") for folder in self.exclude):
            return False
        return not any(_glob(pattern).match(bare) for pattern in self.ignore)

    def matters(self, change: Change) -> bool:
        """Tell whether a change counts; a rename does if either of its names does."""
        former = change.word == "renamed" and self.covers(change.detail)
        return former or self.covers(change.path)


def parse_status(output: bytes) -> Status:
    """Read ``git status --porcelain=v2 --branch -z``; names keep foreign bytes as surrogates."""
    headers: dict[str, str] = {}
    changes = []
    records = iter(output.split(b"\0"))
    for raw in records:
        record = os.fsdecode(raw)
        kind = record[:1]
        if kind == "#":
            name, _, value = record[2:].partition(" ")
            headers[name] = value
        elif kind == "?":
            changes.append(Change(record[2:], "untracked"))
        elif kind in FIELDS and kind:
            changes.append(_tracked(record, kind, records))
    return Status(headers, tuple(changes))


def _tracked(record: str, kind: str, records: Iterator[bytes]) -> Change:
    *fields, path = record.split(" ", FIELDS[kind])
    letters, submodule = fields[1], fields[2]
    if kind == "u":
        return Change(path, "conflict")
    if kind == "2":
        # With -z the former name is a record of its own.
        former = os.fsdecode(next(records))
        return Change(path, "renamed" if "R" in letters else "added", former)
    dirt = [SUBMODULE_FLAGS[flag] for flag in submodule[1:] if flag in SUBMODULE_FLAGS]
    if submodule.startswith("S") and dirt:
        return Change(path, SUBMODULE_DIRTY, ", ".join(dirt))
    if "D" in letters:
        return Change(path, "deleted")
    return Change(path, "added" if "A" in letters else "modified")


@lru_cache(maxsize=256)
def _glob(pattern: str) -> re.Pattern[str]:
    """Translate a ``clean-ignore`` glob: ``*`` within a name, ``**`` across folders.

    As in ``.gitignore``: a pattern without a slash matches a name at any depth, and a match of
    a folder covers what is in it.
    """
    text = pattern.strip("/")
    anchored = "/" in pattern.rstrip("/")
    parts = []
    for piece in re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?|\[[^]]+\])", text):
        if piece.startswith("[") and piece.endswith("]"):
            parts.append(f"[{piece[1:-1].replace('!', '^', 1)}]")
        else:
            wild = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
            parts.append(wild.get(piece, re.escape(piece)))
    start = "" if anchored else "(?:.*/)?"
    return re.compile(f"{start}{''.join(parts)}(?:/.*)?\\Z", re.DOTALL)


def encodable(text: str) -> str:
    r"""Return text that any UTF-8 writer takes: lone surrogates become ``\udcxx``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(path: str) -> str:
    """Return a file name on one line: control characters and foreign bytes are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)
