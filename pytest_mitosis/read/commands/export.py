"""``pytest-mitosis export``: trials as a table for other programs, or as an archive."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_mitosis.plan.config import read_project
from pytest_mitosis.read.archive import format_of, write_archive, write_table
from pytest_mitosis.read.commands.ls import select
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.read.search import find_trial
from pytest_mitosis.store.catalogue import Catalogue
from pytest_mitosis.store.files import store_errors


@click.command(short_help="Write trials to a file for others.")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("experiment", required=False)
@click.option("--where", "-w", help="A condition, as for ls.")
@click.option("--trial", "-t", "names", multiple=True, help="Only this trial; repeatable.")
@click.option("--latest", is_flag=True, help="Only the newest trial of each spec.")
@click.option("--drafts", is_flag=True, help="Drafts as well.")
@JSON
@FOLDER
def export(
    path: Path,
    experiment: str | None,
    *,
    where: str | None,
    names: tuple[str, ...],
    latest: bool,
    drafts: bool,
    as_json: bool,
    trials_folder: Path | None,
) -> None:
    """Write trials to PATH: a table if it ends in .csv, .json or .parquet, an archive if in .zip.

    An archive holds the folders of the trials, their environments and the locks. Unpacked it is a
    trials folder, and an RO-Crate.
    """
    kind = format_of(path)
    store = find_store(trials_folder).absolute()
    catalogue = Catalogue(store, drafts=drafts or bool(names))
    table = select(catalogue, experiment, where, latest=latest)
    if names:
        wanted = {find_trial(store, name).id for name in names}
        ids = table.columns["id"]
        table = table.where(lambda n: ids[n] in wanted)
    with store_errors(path.parent):
        if kind == ".zip":
            chosen = set(table.columns["id"])
            trials = [trial for trial in catalogue.trials() if trial.id in chosen]
            locks = read_project(Path.cwd(), trials_folder).locks_folder
            write_archive(sorted(trials, key=lambda one: str(one.folder)), store, locks, path)
        else:
            write_table(table, path)
    if as_json:
        print_json({"path": str(path), "trials": table.columns["id"]})
    else:
        click.echo(f"{len(table)} trial{'s' * (len(table) != 1)} in {path}")
