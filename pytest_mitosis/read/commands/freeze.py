"""``pytest-mitosis freeze``: pin what official trials ran, and put all of it into an archive."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.read.claims import read_claims
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json
from pytest_mitosis.read.frozen import Frozen
from pytest_mitosis.table import format_bytes

ALL = "official"


@click.command(short_help="Pin official commits, and archive official trials for reviewers.")
@click.argument("groups", nargs=-1, metavar="[GROUP …]")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The archive; by default GROUP.zip in the trials folder.",
)
@click.option("--no-history", is_flag=True, help="The files of the commits, not the git history.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@JSON
@FOLDER
def freeze(
    groups: tuple[str, ...],
    *,
    output: Path | None,
    no_history: bool,
    dry_run: bool,
    as_json: bool,
    trials_folder: Path | None,
) -> None:
    """Freeze official groups, all without names: the trials that were accepted.

    Keeps their commits by refs that can be pushed, and writes an archive that is read from disk
    without installing anything: the claims with command, time, disk and numbers, the trials with
    their site, references, locks, environments, and the code.
    """
    folder = trials_folder.absolute() if trials_folder else None
    project = read_project(Path.cwd(), folder)
    claims = read_claims(project, groups)
    name = claims[0].group.name if len(claims) == 1 else ALL
    path = (output or project.trials_folder / f"{name}.zip").absolute()
    if path.suffix != ".zip":
        raise PlanError(f"--output {output}: the name has to end in .zip")
    if path.exists():
        raise PlanError(f"{path} is there already: name another with --output, or remove it")
    frozen = Frozen(project, claims, path, not no_history)
    frozen.require_history()
    if not dry_run:
        frozen.write()
    _tell(frozen, dry_run=dry_run, as_json=as_json)


def _tell(frozen: Frozen, *, dry_run: bool, as_json: bool) -> None:
    trials, commits = frozen.trials, frozen.commits
    if as_json:
        print_json(
            {
                "path": str(frozen.path),
                "bytes": None if dry_run else frozen.path.stat().st_size,
                "groups": [one.group.name for one in frozen.claims],
                "trials": [one.id for one in trials],
                "commits": commits,
                "refs": frozen.pins,
                "push": frozen.push,
            }
        )
        return
    for one in frozen.claims:
        click.echo(f"{one.title}: {_count(len(one.trials), 'trial')}, {format_bytes(one.size)}")
    verb = "would pin" if dry_run else "pinned"
    click.echo(f"{verb} {_count(len(commits), 'commit')}, to be sent by: {frozen.push}")
    if dry_run:
        click.echo(f"would write {frozen.path}")
    else:
        click.echo(f"{format_bytes(frozen.path.stat().st_size)} in {frozen.path}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
