"""``pytest-mitosis cancel``: end trials that a cluster has, waiting or running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_mitosis.model import PlanError, StoreError
from pytest_mitosis.read.commands.output import FOLDER
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.read.search import find_trial
from pytest_mitosis.store.batches import iterate_batches, place_of
from pytest_mitosis.store.files import store_errors

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="End trials that a cluster has.")
@click.argument("trials", nargs=-1, metavar="[TRIAL]...")
@click.option("--all", "everything", is_flag=True, help="All trials of the store it has.")
@FOLDER
def cancel(trials: tuple[str, ...], *, everything: bool, trials_folder: Path | None) -> None:
    """Cancel each TRIAL that a cluster has, waiting or running, and record it as interrupted.

    One that runs has the moment that its scheduler gives it to save what it has; with
    `--exp-resume` it is continued.
    """
    from pytest_mitosis.run.cluster.watching import Watching

    if bool(trials) == everything:
        raise PlanError("name the trials to cancel, or write --all; pytest-mitosis ls --running")
    store = find_store(trials_folder).absolute()
    folders = _all(store) if everything else [_held(store, one) for one in trials]
    watching = Watching(store)
    with store_errors(store):
        kept = watching.cancel(folders)
        if len(kept) < len(folders):
            watching.catch_up()
    if kept:
        done = len(folders) - len(kept)
        ended = f"only {done} of {len(folders)} trials were" if done else "nothing was"
        raise StoreError(f"{ended} cancelled: {'; '.join(dict.fromkeys(kept.values()))}")
    click.echo(f"cancelled {len(folders)} trial{'s' * (len(folders) != 1)}")


def _all(store: Path) -> list[Path]:
    return [folder for batch in iterate_batches(store) for folder in batch.held()]


def _held(store: Path, text: str) -> Path:
    folder = find_trial(store, text).folder
    if place_of(folder) is None:
        raise PlanError(f"no cluster has {text}; a trial that runs on a machine ends with Ctrl-C")
    return folder
