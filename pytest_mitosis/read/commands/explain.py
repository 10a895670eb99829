"""``pytest-mitosis explain``: which trials a figure was made of."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_mitosis.model import MitosisError
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json, print_table
from pytest_mitosis.read.figures import explain as explain_figure
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.store.catalogue import Catalogue


@click.command(short_help="Tell which trials a figure was made of.")
@click.argument("figure", type=click.Path(path_type=Path))
@JSON
@FOLDER
def explain(figure: Path, *, as_json: bool, trials_folder: Path | None) -> None:
    """List the trials behind a FIGURE that pytest_mitosis.figure() stamped, and where they are.

    The store is not needed; without it the command tells what the figure itself says.
    """
    found = explain_figure(figure)
    places = _places(trials_folder)
    if as_json:
        shown = [{**one, "folder": places.get(one["id"])} for one in found.record["trials"]]
        print_json({**found.record, "trials": shown, "source": found.source, "same": found.is_same})
        return
    rows = [
        [
            str(one["id"]),
            str(one.get("experiment") or ""),
            str(one.get("spec") or ""),
            str(one.get("commit") or "")[:7],
            places.get(one["id"], "not in this store"),
        ]
        for one in found.record["trials"]
    ]
    print_table(["trial", "experiment", "parameters", "commit", "folder"], rows, left=5)
    if found.source == "sidecar":
        click.echo(f"note: said by {figure.name}.trials.json; the figure itself does not say")
    if found.is_same is False:
        click.echo(f"note: {figure} was changed since {found.record.get('stamped')}")


def _places(trials_folder: Path | None) -> dict[str, str]:
    try:
        folders = Catalogue(find_store(trials_folder), drafts=True).folders()
    except MitosisError:
        return {}
    return {folder.name.partition("-")[2]: str(folder) for folder in folders}
