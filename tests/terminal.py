"""A terminal to run commands on: what is to be seen on it, line by line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte


class Terminal:
    """A command on a pseudo-terminal of some size, and its screen."""

    def __init__(self, *command: str, cwd: Path, rows: int = 40, columns: int = 120) -> None:
        names = {"LINES", "COLUMNS"}  # else they are believed instead of the terminal
        environment = {name: text for name, text in os.environ.items() if name not in names}
        self.process = pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(cwd),
            env={**environment, "TERM": "xterm"},
            dimensions=(rows, columns),
            timeout=60,
        )
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self.stream = pyte.ByteStream(self.screen)

    def resize(self, rows: int, columns: int) -> None:
        """What happens when a person draws the window smaller."""
        self.screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def read(self, seconds: float = 0.2) -> str:
        """Take in what is printed meanwhile; the screen as text."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                piece = self.process.read_nonblocking(65536, timeout=left)
            except (pexpect.TIMEOUT, pexpect.EOF):
                break
            self.stream.feed(piece)
        return self.text

    @property
    def text(self) -> str:
        """What a person sees, with what scrolled away above."""
        gone = ["".join(row[n].data for n in sorted(row)) for row in self.screen.history.top]
        return "\n".join(line.rstrip() for line in (*gone, *self.screen.display)).rstrip()

    def until(self, holds: Callable[[str], bool], seconds: float = 60) -> str:
        """The screen as soon as it is as wanted."""
        deadline = time.monotonic() + seconds
        while not holds(self.read(0.05)):
            assert self.process.isalive(), self.text
            assert time.monotonic() < deadline, self.text
        return self.text

    def end(self, seconds: float = 60) -> int:
        """Wait for the command's end; its exit code."""
        deadline = time.monotonic() + seconds
        while self.process.isalive():
            self.read(0.05)
            assert time.monotonic() < deadline, self.text
        self.read(0.2)
        self.process.close()
        return self.process.exitstatus if self.process.exitstatus is not None else -1
