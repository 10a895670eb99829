"""``file("data/oct.h5")``: a file locked by its content.

A bare path in a lookup dictionary is locked by its text only. Must not know how files are read.
"""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_mitosis.identity.walk import Walk, item
from pytest_mitosis.model import Undescribable

if TYPE_CHECKING:
    import os

    from pytest_mitosis.identity.walk import Reader

_RACY: Final = 2.0  # seconds: a file this young may change again within one clock tick


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A path whose content is the value; give it to anything that takes a path.

    Attributes
    ----------
    path : pathlib.Path
        Absolute, so that it works from every working directory.
    given : str
        What the user wrote, in posix form.
    """

    path: Path
    given: str

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


def file(path: str | os.PathLike[str]) -> LockedFile:
    """Lock a file, or a folder of files, by content instead of by name.

    A relative path is looked for beside the module that says it and in the folders above, up to
    the root of its project, so it means the same from every working directory.
    """
    given = Path(path)
    if given.is_absolute():
        return LockedFile(given, given.as_posix())
    caller = sys._getframe(1).f_globals.get("__file__")
    start = Path(caller).resolve().parent if isinstance(caller, str) else Path.cwd()
    for folder in (start, *start.parents):
        if (folder / given).exists():
            return LockedFile(folder / given, given.as_posix())
        if (folder / ".git").exists() or (folder / "pyproject.toml").exists():
            break
    return LockedFile(Path.cwd() / given, given.as_posix())


def read_file(walk: Walk, value: LockedFile, path: str) -> None:
    """Write size and digest of a file, or of every file in a folder; the path is a note."""
    if value.path.is_dir():
        walk.leaf(path, "folder")
        for inner in sorted(value.path.rglob("*")):
            if inner.is_file():
                name = inner.relative_to(value.path).as_posix()
                walk.leaf(item(path, ascii(name)), _content(inner, path))
    else:
        walk.leaf(path, f"file {_content(value.path, path)}")
    walk.note(path, f"path {value.given!a}")


def _content(path: Path, place: str) -> str:
    try:
        status = path.stat()
        young = time.time() - status.st_mtime < _RACY
        read = _digest.__wrapped__ if young else _digest
        digest = read(str(path), status.st_size, status.st_mtime_ns, status.st_ino)
    except OSError as error:
        raise Undescribable(
            place or ".",
            f"locks the file {str(path)!r}, which cannot be read: {error.strerror}",
            "Create it, or correct the path.",
        ) from None
    return f"{status.st_size} bytes sha256:{digest}"


@lru_cache(maxsize=10_000)
def _digest(path: str, size: int, mtime_ns: int, inode: int) -> str:
    """Return the digest of a file's content; size, time and inode are the key of the cache."""
    with open(path, "rb") as stream:  # noqa: PTH123
        return hashlib.file_digest(stream, "sha256").hexdigest()


FILES: Final[dict[str, Reader]] = {"pytest_mitosis:LockedFile": read_file}
