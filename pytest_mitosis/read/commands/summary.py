"""``pytest-mitosis summary``: the numbers of an official group, over its seeds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.official import read_declaration
from pytest_mitosis.read.commands.output import JSON, print_json, print_table
from pytest_mitosis.read.statistics import CONFIDENCE, pairs_of, settings_of
from pytest_mitosis.read.verdict_text import accept_command
from pytest_mitosis.store.reference import read_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mitosis.plan.official import Group
    from pytest_mitosis.read.statistics import Pair, Setting
    from pytest_mitosis.store.reference import Reference


@click.command(short_help="Mean, spread and intervals of an official group.")
@click.argument("group")
@click.option("--metric", "-m", default="main", show_default=True, help="Which metric.")
@JSON
def summary(group: str, *, metric: str, as_json: bool) -> None:
    """Show one metric of the official GROUP: per setting over its seeds, and between settings.

    Reads what is accepted, the files in official/GROUP. Settings that differ in one parameter are
    compared seed by seed.
    """
    declared, references = recorded(group)
    settings = settings_of(references, metric)
    pairs = pairs_of(settings)
    if as_json:
        print_json(
            {
                "group": group,
                "metric": metric,
                "settings": [
                    {"parameters": dict(one.parameters), **asdict(one.sample), "values": one.values}
                    for one in settings
                ],
                "pairs": [{**asdict(one), "rest": dict(one.rest)} for one in pairs],
            }
        )
        return
    title = f": {declared.title}" if declared.title else ""
    click.echo(f"{group}{title} · {metric} of {len(references)} trials")
    _print_settings(settings)
    _print_pairs(pairs)


def recorded(name: str) -> tuple[Group, list[Reference]]:
    """A group with its references.

    Raises
    ------
    PlanError
        If there is no such group, or nothing was accepted of it.
    """
    declaration = read_declaration(read_project(Path.cwd()))
    (group,) = declaration.choose([name])
    references = read_group(declaration.folder, name)
    if not references:
        raise PlanError(f"nothing of {name} is accepted yet: {accept_command(name)}")
    return group, references


def _print_settings(settings: Sequence[Setting]) -> None:
    names = [name for name, _ in settings[0].parameters]
    rows = []
    for one in settings:
        known, sample = dict(one.parameters), one.sample
        rows.append(
            [
                *(known.get(name, "") for name in names),
                str(sample.n),
                f"{sample.mean:.6g}",
                _number(sample.sd),
                "–"
                if sample.half is None
                else f"{sample.mean - sample.half:.6g} … {sample.mean + sample.half:.6g}",
            ]
        )
    header = [*names, "n", "mean", "sd", f"{CONFIDENCE:.0%} interval of the mean"]
    print_table(header, rows, left=len(names))


def _print_pairs(pairs: Sequence[Pair]) -> None:
    if not pairs:
        click.echo("no two settings have two seeds in common, so none are compared by seed")
        return
    click.echo("\nby seed:")
    has_scipy = any(one.wilcoxon is not None for one in pairs)
    rows = []
    for one in pairs:
        sample = one.difference
        row = [
            f"{one.parameter}={one.one} - {one.other}",
            " ".join(f"{name}={value}" for name, value in one.rest),
            str(sample.n),
            f"{sample.mean:+.6g} ± {_number(sample.half)}",
            _number(one.p),
        ]
        rows.append([*row, _number(one.wilcoxon)] if has_scipy else row)
    header = ["difference", "at", "n", f"mean ± {CONFIDENCE:.0%}", "p (t test)"]
    print_table([*header, *(["p (signed rank)"] if has_scipy else [])], rows, left=2)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
