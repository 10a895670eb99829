"""``pytest-mitosis site`` builds the browser of the trials folder anew."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_mitosis.model import StoreError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.read.commands.output import FOLDER
from pytest_mitosis.store.files import store_errors


@click.command()
@FOLDER
def site(trials_folder: Path | None) -> None:
    """Build the pages of all trials, and print where they begin.

    A session that recorded trials does so by itself; after copying or merging folders, or to see
    how running trials are doing, this does.
    """
    from pytest_mitosis.read.site import build_site

    project = read_project(Path.cwd(), trials_folder)
    store = project.trials_folder
    if not store.is_dir():
        raise StoreError(f"there is no trials folder {store}; give one with --trials-folder")
    with store_errors(store):
        built = build_site(
            store,
            locks=project.locks_folder,
            repository=project.root if project.is_repository else None,
            title=project.root.name,
        )
    if built.left_out:
        click.echo(built.left_out, err=True)
    click.echo(built.page)
