"""``pytest-mitosis diff``: what two trials do not have in common."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_mitosis.plan.config import read_project
from pytest_mitosis.read.commands.output import (
    FOLDER,
    JSON,
    print_json,
    print_patch,
    print_table,
)
from pytest_mitosis.read.difference import Change, Difference, differ
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.read.search import find_trial
from pytest_mitosis.table import format_metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mitosis.model import Trial


@click.command(short_help="Compare two trials.")
@click.argument("old")
@click.argument("new")
@click.option("--stat", is_flag=True, help="Leave out the patch between the commits.")
@JSON
@FOLDER
def diff(old: str, new: str, *, stat: bool, as_json: bool, trials_folder: Path | None) -> None:
    """Show what differs between two trials: parameters, metrics, code, environment."""
    store = find_store(trials_folder)
    one, other = find_trial(store, old), find_trial(store, new)
    project = read_project(Path.cwd(), trials_folder)
    found = differ(one, other, store, project.locks_folder, project.root)
    if as_json:
        print_json({"old": one.id, "new": other.id, **asdict(found)})
        return
    _print(one, other, found, stat=stat)


def _print(one: Trial, other: Trial, found: Difference, *, stat: bool) -> None:
    _print_part("parameters", one, other, found.parameters)
    _print_metrics(one, other, found.metrics)
    _print_part("code", one, other, found.code)
    if found.patch and not stat:
        print_patch(found.patch)
        click.echo()
    _print_part("environment", one, other, found.environment)
    parts = (found.parameters, found.metrics, found.code, found.environment)
    if not any(parts):
        click.echo("nothing differs in parameters, metrics, code and environment")
    for note in found.notes:
        click.echo(f"note: {note}")


def _print_part(title: str, one: Trial, other: Trial, changes: Sequence[Change]) -> None:
    if not changes:
        return
    rows = [[change.name, _text(change.old), _text(change.new)] for change in changes]
    print_table([title, one.id, other.id], rows, left=3)
    for change in changes:
        if change.details:
            click.echo(f" {change.name}:\n{change.details}")
    click.echo()


def _print_metrics(one: Trial, other: Trial, changes: Sequence[Change]) -> None:
    if not changes:
        return
    rows = [
        [change.name, format_metric(change.old), format_metric(change.new), _delta(change)]
        for change in changes
    ]
    print_table(["metrics", one.id, other.id, "change"], rows, left=1)
    click.echo()


def _delta(change: Change) -> str:
    old, new = change.old, change.new
    if any(isinstance(x, bool) or not isinstance(x, int | float) for x in (old, new)):
        return ""
    relative = f" ({100 * (new - old) / abs(old):+.2g} %)" if old else ""
    return f"{new - old:+.4g}{relative}"


def _text(value: object) -> str:
    return "–" if value is None else str(value)
