"""Live lines: one for each running trial, below what pytest prints; in a log, now and then.

Runs in the pytest process that has the terminal. On a terminal the lines are drawn while pytest
waits for a trial, and gone, the cursor where it was, before pytest prints again.
"""

from __future__ import annotations

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
    drawn: int = 0

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
            shown = [one.line(moment) for one in ordered[:MOST_LINES]]
            self._draw(terminal._tw, shown, len(ordered) - len(shown))
            return
        began = min(one.started for one in running)
        if moment - (self.told if self.told is not None else began) >= LOG_SECONDS:
            self.told = moment
            for one in running[:MOST_LINES]:
                self.session.say(one.line(moment))
            if len(running) > MOST_LINES:
                self.session.say(f"and {len(running) - MOST_LINES} more")

    def hide(self) -> None:
        """Take the lines away; the cursor is where pytest left it."""
        if not self.drawn:
            return
        terminal = self.terminal
        with uncaptured(self.session.config):
            terminal._tw.flush()
            stream = terminal._tw._file
            column = terminal._tw.width_of_current_line % terminal._tw.fullwidth
            stream.write(f"\x1b[{self.drawn}A\x1b[{column + 1}G\x1b[J")
            stream.flush()
        self.drawn = 0

    def _draw(self, writer: Any, lines: list[str], more: int) -> None:
        """Write below the line pytest is at, straight to its file, so that it need not know."""
        shown = [f" {line}"[: writer.fullwidth - 1] for line in lines]
        if more:
            shown.append(f" and {more} more")
        with uncaptured(self.session.config):
            writer.flush()
            writer._file.write("".join(f"\n\r{line}" for line in shown))
            writer._file.flush()
        self.drawn = len(shown)


def _clock(seconds: float) -> str:
    return format_seconds(seconds) if seconds >= 60 else f"{seconds:.0f} s"
