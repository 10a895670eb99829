"""A file read once: its hashes and its syntax, until it changes.

Must not know why it is read. Used in any process; checking a thousand recorded trials against
the working tree costs one ``stat`` per file and trial, and reads each file once.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from pytest_mitosis.identity.blobs import blob_id
from pytest_mitosis.identity.skeleton import ModuleSyntax, parse

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, eq=False)
class FileContent:
    """What a file held; hashes and syntax are computed when asked."""

    data: bytes
    mtime: float
    is_python: bool

    @cached_property
    def sha256(self) -> str:
        """Digest of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def blob(self) -> str:
        """Git's id of the bytes, clean filters aside."""
        return blob_id(self.data)

    @cached_property
    def syntax(self) -> ModuleSyntax | None:
        """The parsed module; None if it is no Python or does not parse."""
        try:
            return parse(self.data) if self.is_python else None
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def read_content(path: Path | str) -> FileContent | None:
    """Return the content of a file as it is now; None if it cannot be read."""
    name = str(path)
    try:
        stat = os.stat(name)  # noqa: PTH116  called for each file of each recorded trial
        return _read(name, stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev)
    except OSError:
        return None


@lru_cache(maxsize=4096)
def _read(name: str, mtime_ns: int, _size: int, _inode: int, _device: int) -> FileContent:
    with open(name, "rb") as stream:  # noqa: PTH123
        return FileContent(stream.read(), mtime_ns / 1e9, name.endswith((".py", ".pyw")))
