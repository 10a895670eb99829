"""What a trial's process prints: kept in a file at once, and sent to be shown.

Runs in the trial's own process. Python's streams write to the file themselves; what C libraries and
programs the experiment started write goes there past them, and is found in between.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from io import TextIOBase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SENT_CHARACTERS = 250_000
"""Printed text that is sent of one cell; more than the notebook keeps. All is in a file."""
BUFFERED_CHARACTERS = 8192


class PrintedFile:
    """The file of all that a trial prints, which others write to as well.

    What it cannot take (a full disk) is no error of the experiment's; ``problem`` then says why.
    """

    def __init__(self, file: Path) -> None:
        self._number = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        self._end = os.fstat(self._number).st_size
        self._lock = threading.RLock()
        self._has_lost_count = False
        self.problem = ""

    def append(self, text: str) -> int:
        """Append text, where nobody asks any more what others append; its bytes, -1 if lost."""
        self._has_lost_count = True
        try:
            return _write(self._number, text)
        except OSError as error:
            self.problem = error.strerror or str(error)
            return -1

    def write(self, text: str) -> str:
        """Append text; returns what others appended since the last time."""
        with self._lock:
            has_lost_count, size = self._has_lost_count, self.append(text)
            # Behind its own text, if there is any; nobody else moves this descriptor.
            end = os.lseek(self._number, 0, os.SEEK_CUR if size > 0 else os.SEEK_END)
            start, self._end = self._end, end
            self._has_lost_count = False
            if size < 0 or has_lost_count or end <= start + size:
                return ""
            count = min(end - size - start, SENT_CHARACTERS)
            return os.pread(self._number, count, start).decode("utf-8", "replace")


class Stream(TextIOBase):
    """Printed text: at once to a file, and sent as far as the notebook could keep it."""

    encoding = "utf-8"
    errors = "strict"
    file: PrintedFile | None = None

    def __init__(self, name: str, number: int, send: Callable[[str, str], None]) -> None:
        self.name = name
        self._number, self._send = number, send
        self.owner, self._lock = os.getpid(), threading.RLock()
        self._buffer: list[str] = []
        self._sent = self._held = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """Where programs that the experiment starts print."""
        return self._number

    def write(self, text: str) -> int:
        """Print."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if os.getpid() != self.owner:  # a fork: the trial's own process finds it in the file
            _write(self._number, text)
            return len(text)
        if self._sent >= SENT_CHARACTERS and self.file is not None:
            self.file.append(text)
            return len(text)
        self._find(text)
        with self._lock:
            self._hold(text)
        return len(text)

    def flush(self) -> None:
        """Send what is held back, and what others wrote."""
        if os.getpid() != self.owner:
            return
        self._find("")
        with self._lock:
            self._send_held()

    def begin_cell(self) -> None:
        """Text is bounded by cell."""
        self._sent = 0

    def _find(self, text: str) -> None:
        """Write to the file; what others wrote there is shown as output, by whichever stream."""
        if self.file is not None and (found := self.file.write(text)):
            output = STREAMS[0]
            with output._lock:
                output._hold(found)

    def _hold(self, text: str) -> None:
        if text and self._sent < SENT_CHARACTERS:
            self._buffer.append(text[:SENT_CHARACTERS])
            self._sent += len(text)
            self._held += len(text)
            if self._held > BUFFERED_CHARACTERS:
                self._send_held()

    def _send_held(self) -> None:
        if self._buffer:
            text, self._buffer, self._held = "".join(self._buffer), [], 0
            self._send(self.name, text)


STREAMS: list[Stream] = []
"""Those of this process, whatever an experiment puts in their place."""


def _write(number: int, text: str) -> int:
    data = text.encode("utf-8", "backslashreplace")
    size = len(data)
    while data:
        data = data[os.write(number, data) :]
    return size


def take_streams(send: Callable[[str, str], None]) -> None:
    """Have all that is printed handed to ``send``, with the name of its stream."""
    sys.stdout, sys.stderr = STREAMS[:] = Stream("stdout", 1, send), Stream("stderr", 2, send)


def own_streams() -> None:
    """Take the streams over into this process, which was forked since they were made."""
    for stream in STREAMS:
        stream.owner = os.getpid()


def begin_cell() -> None:
    """Let a cell print as much as the one before it could."""
    for stream in STREAMS:
        stream.begin_cell()


def flush_streams() -> None:
    """Send what was printed before what is shown, and before a cell ends."""
    for theirs in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # whatever they are
            theirs.flush()
    for stream in STREAMS:
        stream.flush()
