"""What runs now, this machine's and other people's trials: read from manifests and heartbeats."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import click

from pytest_mitosis.model import Status
from pytest_mitosis.read.commands.output import FOLDER, print_json
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.run.progress import read_progress
from pytest_mitosis.store.batches import place_of
from pytest_mitosis.store.folder import HEARTBEAT, iterate_trials
from pytest_mitosis.table import align, format_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_mitosis.model import Trial

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


def running_lines(store: Path) -> list[str]:
    """A table of the trials under way."""
    trials = running_trials(store)
    queue = Queue.of(store, trials)
    return (
        align([HEADER, *(_cells(one, queue) for one in trials)], left=5)
        if trials
        else ["nothing is running"]
    )


def print_running(store: Path, *, as_json: bool) -> None:
    """Print the trials under way, as a table or as their manifests."""
    if as_json:
        print_json([trial.manifest for trial in running_trials(store)])
        return
    for line in running_lines(store):
        click.echo(line)


def watch_store(
    store: Path, seconds: float, rounds: int | None, rest: Callable[[float], object] = time.sleep
) -> None:
    """Print the table again and again; on a terminal in place."""
    is_terminal = sys.stdout.isatty()
    number = 0
    while True:
        if is_terminal:
            click.echo("\x1b[2J\x1b[H", nl=False)
        for line in (f"{datetime.now().astimezone():%H:%M:%S}  {store}", *running_lines(store)):
            click.echo(line)
        number += 1
        if number == rounds:
            return
        rest(seconds)


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
@click.option("--seconds", default=5.0, show_default=True, help="Time between two looks.")
@click.option("--rounds", type=int, help="End after so many looks.")
@FOLDER
def watch(*, seconds: float, rounds: int | None, trials_folder: Path | None) -> None:
    """Watch what runs now, anyone's; Ctrl-C ends it."""
    with contextlib.suppress(KeyboardInterrupt):
        watch_store(find_store(trials_folder), seconds, rounds)
