"""``pytest-mitosis reproduce``: run a recorded trial again, where it was recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_mitosis.model import PlanError, ReproduceError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json
from pytest_mitosis.read.reproduction import find_recorded
from pytest_mitosis.read.reproduction import reproduce as run_again
from pytest_mitosis.read.verdict_text import count_rungs, steps_table

if TYPE_CHECKING:
    from pytest_mitosis.read.reproduction import Recorded
    from pytest_mitosis.read.verdict import Verdict

DRIFTED = 12


@click.command(short_help="Run a recorded trial again in its commit and environment.")
@click.argument("name", metavar="TRIAL|GROUP")
@click.option("--at", metavar="COMMIT", help="Another commit than the recorded one.")
@click.option("--here", is_flag=True, help="In this environment instead of one built anew.")
@click.option("--python", metavar="PATH", default="", help="The interpreter to build it with.")
@click.option(
    "--with",
    "instead",
    multiple=True,
    metavar="PACKAGE==VERSION",
    help="A package in another version than the recorded one; repeatable.",
)
@click.option(
    "--keep", type=click.Path(path_type=Path), metavar="DIR", help="Work in DIR and keep it."
)
@JSON
@FOLDER
def reproduce(
    name: str,
    *,
    at: str | None,
    here: bool,
    python: str,
    instead: tuple[str, ...],
    keep: Path | None,
    as_json: bool,
    trials_folder: Path | None,
) -> None:
    """Run TRIAL, or all official trials of GROUP, again as recorded, and compare what they give.

    Checks out the commit as a git worktree, builds the environment anew (with uv where it is
    installed), and runs the trials there. Ends with 12 if a result changed.
    """
    folder = trials_folder.absolute() if trials_folder else None
    project = read_project(Path.cwd(), folder)
    if keep is not None and keep.exists():
        raise ReproduceError(f"{keep} is there already: name a new folder for --keep")
    if here and instead:
        raise PlanError("--with is for an environment that is built anew: leave --here out")
    recorded = find_recorded(project, name)
    found = run_again(
        project, recorded, _tell, at=at, here=here, keep=keep, python=python, instead=instead
    )
    if as_json:
        print_json([{"trial": one.label, **verdict.to_json()} for one, verdict in found])
    else:
        for one, verdict in found:
            _print(one, verdict, at)
        click.echo(count_rungs(verdict for _, verdict in found))
    if not all(verdict.holds for _, verdict in found):
        sys.exit(DRIFTED)


def _tell(step: str) -> None:
    click.echo(f"· {step}", err=True)


def _print(one: Recorded, verdict: Verdict, at: str | None) -> None:
    click.echo(f"{one.label}, recorded as {verdict.reference} ({verdict.origin})")
    commit = verdict.code if at else verdict.code or f"{one.commit[:7]}, as recorded"
    for name, text in (
        ("commit", commit or "as recorded"),
        ("packages", verdict.packages or "as recorded, as far as the trial used them"),
        ("machine", verdict.machine or "as recorded"),
        ("metrics", f"{verdict.rung}; expected {verdict.expected}"),
        *(("note", note) for note in verdict.notes),
    ):
        click.echo(f"  {name:<9} {text}")
    for line in steps_table(verdict.steps):
        click.echo(f"  {line}")
