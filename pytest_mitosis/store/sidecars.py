"""Files of a result: safe names, hashed while written, verified before read.

Every file is written beside its place and moved there in one step. Reading opens a file once,
hashes what it opened and hands out that same open file. Knows nothing about values.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from pytest_mitosis.model import ResultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_LONGEST_NAME, _LONGEST_STEM = 120, 60
_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class SavedFile(NamedTuple):
    """One file in the folder of a result."""

    name: str
    size: int
    sha256: str


class HashingFile:
    """A file open for writing that hashes and counts what passes through."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file, self._digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        """Write, hash and count; any object with the buffer protocol will do."""
        length = memoryview(data).nbytes
        if self._file is not None:
            self._file.write(data)
        self._digest.update(data)
        self.size += length
        return length

    def flush(self) -> None:
        """Nothing is held back here."""

    @property
    def sha256(self) -> str:
        """Digest of what was written so far."""
        return self._digest.hexdigest()


class Sink(Protocol):
    """Where the walk puts large data."""

    def write(
        self, labels: Sequence[str], suffix: str, produce: Callable[[HashingFile], object]
    ) -> SavedFile:
        """Store what ``produce`` writes, under a name made from ``labels``."""

    def count(self) -> int:
        """Return how many files there are."""

    def drop(self, count: int) -> None:
        """Remove all files but the first ``count``."""


class DigestSink:
    """Keeps nothing but digests: two values with equal JSON and digests are the same value."""

    def write(
        self, labels: Sequence[str], suffix: str, produce: Callable[[HashingFile], object]
    ) -> SavedFile:
        """Hash what ``produce`` writes; the name tells only where it would belong."""
        file = HashingFile(None)
        produce(file)
        return SavedFile(".".join(labels) + suffix, file.size, file.sha256)

    def count(self) -> int:
        """Nothing is kept."""
        return 0

    def drop(self, count: int) -> None:
        """Nothing is kept."""


class FolderSink:
    """Sidecar files ``<stem>.<labels>.<suffix>`` in one folder."""

    def __init__(self, folder: Path, stem: str) -> None:
        # A dot would make "fit.data" + "x" and "fit" + "data.x" one file.
        self._folder, self._stem = folder, _safe_part(_safe_label(stem), [stem], _LONGEST_STEM)
        self._taken: set[str] = set()
        self.files: list[SavedFile] = []

    def write(
        self, labels: Sequence[str], suffix: str, produce: Callable[[HashingFile], object]
    ) -> SavedFile:
        """Write a new sidecar file; ``OSError`` means the folder cannot take it."""
        name = self._name(labels, suffix)
        saved = write_file(self._folder, name, produce)
        self._taken.add(name.casefold())
        self.files.append(saved)
        return saved

    def count(self) -> int:
        """Return how many files were written."""
        return len(self.files)

    def drop(self, count: int) -> None:
        """Remove all files but the first ``count``."""
        for file in self.files[count:]:
            (self._folder / file.name).unlink(missing_ok=True)
            self._taken.discard(file.name.casefold())
        del self.files[count:]

    def _name(self, labels: Sequence[str], suffix: str) -> str:
        # Compared without case: the folder may be copied to a disk that ignores it.
        full = ".".join([self._stem, *map(_safe_label, labels)])
        base = _safe_part(full, [self._stem, *labels], _LONGEST_NAME)
        name, number = base + suffix, 1
        while name.casefold() in self._taken:
            extra = "" if number == 1 else f"-{number}"
            name, number = f"{base}-{_short_digest(labels)}{extra}{suffix}", number + 1
        return name


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _safe_label(label: str) -> str:
    return _UNSAFE.sub("-", label) or "-"


def _short_digest(labels: Sequence[str]) -> str:
    text = "\0".join(labels).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:8]


def _safe_part(base: str, labels: Sequence[str], longest: int) -> str:
    """Return ``base`` if it spells ``labels`` in full, else cut and told apart by a digest."""
    if len(base) <= longest and all(_safe_label(label) == label for label in labels):
        return base
    return f"{base[: longest - 9]}-{_short_digest(labels)}"


def write_file(
    folder: Path, name: str, produce: Callable[[HashingFile], object], *, sync: bool = False
) -> SavedFile:
    """Write ``folder/name`` beside its place and move it there, whole or not at all."""
    beside = folder / f".{name[:80]}.{secrets.token_hex(4)}.part"
    try:
        with beside.open("xb") as file:
            hashing = HashingFile(file)
            produce(hashing)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        beside.replace(folder / name)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    if sync:
        _sync_folder(folder)
    return SavedFile(name, hashing.size, hashing.sha256)


def _sync_folder(folder: Path) -> None:
    # The rename itself lives in the folder; some network file systems refuse to sync one.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def open_inside(folder: Path, name: object) -> Iterator[IO[bytes]]:
    """Open a regular file of the folder itself: no path, no link, no device."""
    if not isinstance(name, str) or not _SAFE.fullmatch(name):
        raise ResultError(
            f"{folder}: the result names a file outside its folder, {name!r}; not read"
        )
    path = folder / name
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise ResultError(f"{path} is missing; copy it from where the trial was run") from None
    except OSError as error:
        raise ResultError(f"{path} cannot be read as a file of the result: {error}") from error
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ResultError(f"{path} is not a regular file; not read")
        yield file


@contextmanager
def open_verified(folder: Path, name: object, sha256: object) -> Iterator[IO[bytes]]:
    """Open a sidecar and hand it out only if its content is what was recorded."""
    with open_inside(folder, name) as file:
        found = _digest(file)
        if found != sha256:
            raise ResultError(
                f"{folder / str(name)} is not the file that was saved (its sha256 differs); "
                "copy it again from where the trial was run, or re-run the trial"
            )
        file.seek(0)
        yield file
