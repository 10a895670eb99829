"""What runs now, this machine's and other people's trials: read from manifests and heartbeats."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import click

from pytest_mitosis.model import Status, StoreError
from pytest_mitosis.read.commands.output import FOLDER, print_json
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.run.progress import read_progress
from pytest_mitosis.store.batches import place_of
from pytest_mitosis.store.folder import HEARTBEAT, iterate_trials, read_trial
from pytest_mitosis.table import align, format_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_mitosis.model import Trial

MOST_ENDED = 10
ENDED = ("trial", "experiment", "parameters", "ended as", "after")
HEADER = ("trial", "experiment", "parameters", "who", "pid", "since", "progress", "left", "beat")


def running_trials(store: Path) -> list[Trial]:
    """All trials under way, drafts too, the longest first; those without a heartbeat are not.

    One that was stopped is, as long as a cluster has it: it runs again.
    """
    found = [
        trial
        for trial in iterate_trials(store, drafts=True)
        if trial.status is Status.RUNNING
        or (trial.status is not Status.DONE and place_of(trial.folder) is not None)
    ]
    return sorted(found, key=lambda trial: str(trial.manifest.get("started")))


def running_lines(store: Path, trials: Sequence[Trial]) -> list[str]:
    """A table of the trials under way."""
    queue = Queue.of(store, trials)
    return (
        align([HEADER, *(_cells(one, queue) for one in trials)], left=5)
        if trials
        else ["nothing is running"]
    )


def print_running(store: Path, *, as_json: bool) -> None:
    """Print the trials under way, as a table or as their manifests."""
    trials = running_trials(store)
    if as_json:
        print_json([trial.manifest for trial in trials])
        return
    for line in running_lines(store, trials):
        click.echo(line)


def watch_store(
    store: Path, seconds: float, rounds: int | None, rest: Callable[[float], object] = time.sleep
) -> None:
    """Print the table again and again, and what became of those seen in it; in place if it can."""
    is_terminal = sys.stdout.isatty()
    number, seen = 0, Seen()
    while True:
        trials = running_trials(store)
        lines = [f"{datetime.now().astimezone():%H:%M:%S}  {store}"]
        lines += [*running_lines(store, trials), *seen.ended(trials)]
        if is_terminal:
            lines = _fitting(lines)
            click.echo("\x1b[2J\x1b[H", nl=False)
        click.echo("\n".join(lines))
        number += 1
        if number == rounds:
            return
        rest(seconds)


def _fitting(lines: list[str]) -> list[str]:
    """As much of ``lines`` as the terminal has room for, none of them wrapped."""
    from rich.cells import cell_len, set_cell_size

    size = shutil.get_terminal_size()
    if len(lines) >= size.lines:
        kept = lines[: max(1, size.lines - 2)]
        lines = [*kept, f"and {len(lines) - len(kept)} more lines"]
    widest = size.columns - 1
    return [one if cell_len(one) <= widest else set_cell_size(one, widest) for one in lines]


@dataclass
class Seen:
    """The trials that were seen running, and what became of those that run no more."""

    running: dict[Path, Trial] = field(default_factory=dict)
    gone: list[Path] = field(default_factory=list)

    def ended(self, trials: Sequence[Trial]) -> list[str]:
        """A line for each that ended meanwhile, the last ones; ``trials`` are those that run."""
        now_running = {one.folder: one for one in trials}
        self.gone = [one for one in self.gone if one not in now_running]
        self.gone += [one for one in self.running if one not in now_running]
        self.gone = self.gone[-MOST_ENDED:]
        self.running = now_running
        shown = [row for one in self.gone if (row := _end_of(one)) is not None]
        return ["", *align([ENDED, *shown], left=len(ENDED))] if shown else []


def _end_of(folder: Path) -> tuple[str, ...] | None:
    try:
        trial = read_trial(folder)
    except StoreError:
        return None  # it was removed
    m = trial.manifest
    seconds = m.get("duration_s")
    return (
        trial.id,
        str(m["experiment"]) + (" (draft)" if m.get("draft") else ""),
        str(m.get("spec", "")),
        trial.status.value,
        format_seconds(seconds) if seconds is not None else "",
    )


@dataclass(frozen=True, slots=True)
class Queue:
    """What a cluster says of the trials it has, by folder."""

    states: dict[Path, str]

    @classmethod
    def of(cls, store: Path, trials: Sequence[Trial]) -> Self:
        """Ask the cluster once, if any of ``trials`` is there."""
        held = {one.folder: place for one in trials if (place := place_of(one.folder))}
        if not held:
            return cls({})
        from pytest_mitosis.run.cluster.watching import Watching

        watching = Watching(store)
        watching.ask(held.values())
        states = {folder: watching.says(place) for folder, place in held.items()}
        return cls({folder: state for folder, state in states.items() if state})


def _cells(trial: Trial, queue: Queue) -> tuple[str, ...]:
    m = trial.manifest
    elapsed = _seconds_since(str(m.get("started")))
    progress = read_progress(trial.folder)
    state = queue.states.get(trial.folder, "")
    share = progress.share if progress else None
    try:
        beat = f"{max(0.0, time.time() - (trial.folder / HEARTBEAT).stat().st_mtime):.0f} s ago"
    except OSError:
        beat = ""
    return (
        trial.id,
        str(m["experiment"]) + (" (draft)" if m.get("draft") else ""),
        str(m.get("spec", "")),
        f"{m.get('user')}@{m.get('host')}",
        str(m.get("pid", "")) if beat or not state else "",
        format_seconds(elapsed),
        str(progress) if progress else state,
        format_seconds(elapsed * (1 - share) / share) if share else "",
        beat,
    )


def _seconds_since(started: str) -> float:
    try:
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    help="Time between two looks.",
)
@click.option("--rounds", type=click.IntRange(1), help="End after so many looks.")
@FOLDER
def watch(*, seconds: float, rounds: int | None, trials_folder: Path | None) -> None:
    """Watch what runs now, anyone's, and what became of it meanwhile; Ctrl-C ends it."""
    with contextlib.suppress(KeyboardInterrupt):
        watch_store(find_store(trials_folder), seconds, rounds)
