"""Live lines: one for each running trial, below what pytest prints; in a log, now and then.

Runs in the pytest process that has the terminal. On a terminal the lines are drawn while pytest
waits for a trial, and gone before pytest prints again.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_mitosis.run.progress import read_progress
from pytest_mitosis.session import uncaptured
from pytest_mitosis.table import format_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_mitosis.model import Job
    from pytest_mitosis.session import ExperimentSession

LOG_SECONDS = 180.0
MOST_LINES = 8


@dataclass(frozen=True, slots=True)
class Running:
    """A trial under way."""

    job: Job
    folder: Path
    started: float
    usual: float | None = None
    waits: Callable[[], str] | None = None
    """Says what the trial waits for in the queue of a cluster; empty once it runs."""

    def line(self, moment: float) -> str:
        """``fit_eval[noise=low,seed=0]  4:12 · 37/100 loss=0.1 · about 7:10 left``."""
        elapsed = moment - self.started
        if self.waits is not None and (why := self.waits()):
            return f"{self.job.experiment}[{self.job.key}]  {_clock(elapsed)} · {why}"
        progress = read_progress(self.folder)
        share = progress.share if progress else None
        left = None
        if share:
            left = elapsed * (1 - share) / share
        elif self.usual is not None and self.usual > elapsed:
            left = self.usual - elapsed
        parts = [
            _clock(elapsed),
            str(progress) if progress else "",
            f"about {_clock(left)} left" if left is not None else "",
        ]
        return f"{self.job.experiment}[{self.job.key}]  {' · '.join(filter(None, parts))}"


@dataclass
class Live:
    """Shows the trials that run; nothing with ``-qq``, without a terminal, or under xdist."""

    session: ExperimentSession
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, list[float]] = field(default_factory=dict)
    told: float | None = None
    drawn: bool = False

    @property
    def terminal(self) -> Any:  # Any: a private class of pytest's
        """Where to write, if anywhere."""
        terminal = self.session.config.pluginmanager.get_plugin("terminalreporter")
        return terminal if terminal is not None and terminal.verbosity > -2 else None

    def usual(self, experiment: str) -> float | None:
        """How long the trials of an experiment took in this session."""
        known = self.seconds.get(experiment)
        return sum(known) / len(known) if known else None

    def learn(self, experiment: str, seconds: float) -> None:
        """Note how long one took."""
        self.seconds.setdefault(experiment, []).append(seconds)

    def show(self, running: Sequence[Running]) -> None:
        """Draw the lines, or in a log tell them if it is time."""
        terminal, moment = self.terminal, self.clock()
        if terminal is None or not running:
            return
        if terminal.isatty:
            self.hide()
            # Those that run before those that wait in a queue.
            ordered = sorted(running, key=lambda one: bool(one.waits is not None and one.waits()))
            self._draw(terminal._tw, [one.line(moment) for one in ordered])
            return
        began = min(one.started for one in running)
        if moment - (self.told if self.told is not None else began) >= LOG_SECONDS:
            self.told = moment
            for one in running[:MOST_LINES]:
                self.session.say(one.line(moment))
            if len(running) > MOST_LINES:
                self.session.say(f"and {len(running) - MOST_LINES} more")

    def hide(self) -> None:
        """Take the lines away; the cursor stays where pytest left it."""
        if not self.drawn:
            return
        with uncaptured(self.session.config):
            stream = self.terminal._tw._file
            stream.write("\x1b[J")
            stream.flush()
        self.drawn = False

    def _draw(self, writer: Any, lines: list[str]) -> None:
        """Write below the line pytest is at, straight to its file, so that it need not know.

        No line may wrap and none may scroll away, or the cursor would not find back. It does so
        in the same write: Ctrl-C may come between any two steps here, and `hide` is right after
        each of them.
        """
        from rich.cells import cell_len, set_cell_size

        size = size_of(writer._file)
        room = max(0, min(MOST_LINES + 1, size.lines - 2))
        if len(lines) > room:
            kept = lines[: max(0, room - 1)]
            lines = [*kept, f"and {len(lines) - len(kept)} more"][:room]
        if not lines:
            return
        widest = size.columns - 1
        shown = [f" {line}" for line in lines]
        shown = [one if cell_len(one) <= widest else set_cell_size(one, widest) for one in shown]
        column = writer.width_of_current_line % size.columns
        back = f"\x1b[{len(shown)}A\x1b[{column + 1}G"
        with uncaptured(self.session.config):
            writer.flush()
            self.drawn = True
            writer._file.write("".join(f"\n\r{line}" for line in shown) + back)
            writer._file.flush()


def size_of(stream: Any) -> os.terminal_size:  # Any: a text stream
    """How large the terminal is; pytest takes narrow ones for wider than they are."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        size = shutil.get_terminal_size()
    return size if size.columns and size.lines else shutil.get_terminal_size()


def _clock(seconds: float) -> str:
    return format_seconds(seconds) if seconds >= 60 else f"{seconds:.0f} s"
