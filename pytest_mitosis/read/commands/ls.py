"""``pytest-mitosis ls``: list trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pytest_mitosis.model import PlanError
from pytest_mitosis.read.columns import Table, table_of
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json, print_table
from pytest_mitosis.read.frame import find_store, of_experiment, only_latest
from pytest_mitosis.read.running import print_running
from pytest_mitosis.read.where import column_named, parse_condition
from pytest_mitosis.store.catalogue import Catalogue
from pytest_mitosis.table import format_metric, format_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LOUD = ("crashed", "timeout")
_USUAL = ("trial", "experiment", "parameters", "status", "main", "started", "time")


@click.command(short_help="List trials.")
@click.argument("experiment", required=False)
@click.option("--where", "-w", help='A condition, such as "noise=low and main<0.1".')
@click.option("--columns", "-c", help="What to show, such as noise,seed,main,commit.")
@click.option("--sort", "-s", help="A column to sort by; -COLUMN for the largest first.")
@click.option("--limit", "-n", type=click.IntRange(1), help="Only the last N.")
@click.option("--latest", is_flag=True, help="Only the newest trial of each spec.")
@click.option("--drafts", is_flag=True, help="Drafts as well.")
@click.option("--running", is_flag=True, help="What runs now, anyone's, with its progress.")
@JSON
@FOLDER
def ls(
    experiment: str | None,
    *,
    where: str | None,
    columns: str | None,
    sort: str | None,
    limit: int | None,
    latest: bool,
    drafts: bool,
    running: bool,
    as_json: bool,
    trials_folder: Path | None,
) -> None:
    """List trials, oldest first, of one EXPERIMENT or of all.

    Conditions compare columns with = != < <= > >= and ~ (contains), and are joined by and, or, not
    and parentheses. Several values are separated by commas: noise=low,high. Columns are parameters,
    metrics, and id, experiment, seed, iteration, status, official, draft, started, duration,
    commit, user, host.
    """
    store = find_store(trials_folder)
    if running:
        print_running(store, as_json=as_json)
        return
    catalogue = Catalogue(store, drafts=drafts)
    if left_out := catalogue.left_out():
        click.echo(left_out, err=True)
    table = select(catalogue, experiment, where, latest=latest)
    rows = [table.row(n) for n in _order(table, sort)][-(limit or 0) :]
    names = [one.strip() for one in columns.split(",")] if columns else None
    shown = {name: _column(name, table) for name in names or ()}
    if as_json:
        print_json([_selected(row, shown) for row in rows])
    elif not rows:
        click.echo("no trials")
    elif names:
        print_table(names, [[_cell(row, shown[name]) for name in names] for row in rows], left=1)
    else:
        print_table(_USUAL, [_usual(row) for row in rows], left=6)


def select(
    catalogue: Catalogue, experiment: str | None, where: str | None, *, latest: bool
) -> Table:
    """The trials that are meant by options of this and other commands."""
    table = of_experiment(table_of(catalogue), experiment)
    if where is not None:
        condition = parse_condition(where, table.columns)
        table = table.where(lambda n: condition(table.row(n)))
    return only_latest(table) if latest else table


def _order(table: Table, sort: str | None) -> list[int]:
    if not sort or not len(table):
        return list(range(len(table)))
    values = table.columns[column_named(sort.removeprefix("-"), table.columns)]
    order = table.orders.get(column_named(sort.removeprefix("-"), table.columns), [])

    def rank(n: int) -> tuple[float, str]:
        value = values[n]
        if isinstance(value, int | float):
            return float(value), ""
        return (float(order.index(value)) if value in order else 0.0), str(value)

    there = sorted((n for n in range(len(table)) if values[n] is not None), key=rank)
    absent = [n for n in range(len(table)) if values[n] is None]
    return [*(reversed(there) if sort.startswith("-") else there), *absent]


def _column(name: str, table: Table) -> str:
    if not name:
        raise PlanError("--columns has an empty name; separate names by one comma")
    return "" if name == "parameters" or not len(table) else column_named(name, table.columns)


def _selected(row: Mapping[str, Any], shown: Mapping[str, str]) -> dict[str, Any]:
    if not shown:
        return {name: value for name, value in row.items() if value is not None or "." not in name}
    return {name: row.get(column) if column else _parameters(row) for name, column in shown.items()}


def _usual(row: Mapping[str, Any]) -> list[str]:
    columns = ["id", "experiment", "", "status", "metric.main", "started", "duration_s"]
    return [_cell(row, column) for column in columns]


def _cell(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if not column:
        return _parameters(row)
    if column == "status":
        word = str(value).upper() if value in _LOUD else str(value)
        return "draft" if row.get("draft") and value == "done" else word
    if column == "started":
        return str(value or "")[:16].replace("T", " ")
    if column == "duration_s":
        return format_seconds(value) if value is not None else ""
    if column == "commit":
        return str(value or "")[:7]
    return format_metric(value) if column.startswith("metric.") or value is None else str(value)


def _parameters(row: Mapping[str, Any]) -> str:
    found = {k.removeprefix("param."): v for k, v in row.items() if k.startswith("param.")}
    parts = [f"{name}={value}" for name, value in found.items() if value is not None]
    if row.get("seed") is not None:
        parts.append(f"seed={row['seed']}")
    return ",".join(parts)
