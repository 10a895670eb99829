"""``pytest-mitosis import-mitosis``: trials of the existing tool mitosis."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_mitosis.model import StoreError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.read.adoption import adopt
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json
from pytest_mitosis.read.legacy import read_old_store
from pytest_mitosis.store.files import store_errors
from pytest_mitosis.store.rows import write_summary


@click.command(short_help="Import trials of the tool mitosis.")
@click.argument("folder", type=click.Path(path_type=Path))
@JSON
@FOLDER
def import_mitosis(folder: Path, *, as_json: bool, trials_folder: Path | None) -> None:
    """Copy the trials in FOLDER, a trials folder of the tool mitosis, into this store.

    FOLDER is only read; it may be the trials folder of this project. What mitosis did not record is
    marked unknown. Its names are not locked here, as it kept no values that can be compared.
    Pickled results are kept as files, and not opened.
    """
    if not folder.is_dir():
        raise StoreError(f"there is no folder {folder}")
    store = (trials_folder or read_project(Path.cwd()).trials_folder).absolute()
    found = read_old_store(folder)
    with store_errors(store):
        store.mkdir(parents=True, exist_ok=True)
        added, known = adopt(store, found.trials, folder.absolute())
        write_summary(store)
    if as_json:
        print_json({"imported": [str(one) for one in added], "known": known, "left": found.left})
        return
    count = len(added)
    click.echo(f"imported {count} trial{'s' * (count != 1)}; {known} were here already")
    for reason in found.left:
        click.echo(f"left: {reason}")
