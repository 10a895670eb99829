"""``pytest-mitosis merge``: take over the trials of another store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_mitosis.identity import compare, render_changes
from pytest_mitosis.model import LockError, PlanError, StoreError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.names import require_safe
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.store.files import store_errors
from pytest_mitosis.store.locks import Name
from pytest_mitosis.store.merge import Conflict, Plan, plan_merge
from pytest_mitosis.store.merge import merge as merge_stores
from pytest_mitosis.store.rows import write_summary

if TYPE_CHECKING:
    from collections.abc import Iterable

_RENAME = re.compile(r"([^=:]+)\.([^.=:]+)=([^=:]+):([^=:]+)")


@click.command(short_help="Take over the trials of another store.")
@click.argument("other", type=click.Path(path_type=Path))
@click.option(
    "--rename",
    "-r",
    "renames",
    multiple=True,
    metavar="STEP.P=NAME:NEW",
    help="What a name of the other store is to be called here; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@JSON
@FOLDER
def merge(
    other: Path,
    *,
    renames: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    trials_folder: Path | None,
) -> None:
    """Copy the trials, locks and environments of the trials folder OTHER into this store.

    OTHER is only read. Trials that are here already are left as they are, so that a merge can be
    repeated. If a name is locked to another value there, nothing changes, until --rename says what
    it is to be called here.
    """
    store = find_store(trials_folder).absolute()
    if not other.is_dir():
        raise StoreError(f"there is no folder {other}")
    locks = read_project(Path.cwd(), trials_folder).locks_folder
    their_locks = read_project(other.resolve(), other).locks_folder
    plan = plan_merge(store, locks, other.absolute(), their_locks, _renames(renames))
    if plan.conflicts:
        raise LockError(_conflicts(plan.conflicts))
    if not dry_run:
        with store_errors(store):
            merge_stores(plan, store, other.absolute())
            write_summary(store)
    _tell(plan, dry_run=dry_run, as_json=as_json)


def _renames(texts: Iterable[str]) -> dict[Name, str]:
    found = {}
    for text in texts:
        match = _RENAME.fullmatch(text)
        if match is None:
            raise PlanError(f"--rename {text}: write STEP.PARAMETER=NAME:NEW")
        require_safe(match[4], "the new name")
        found[Name(match[1], match[2], match[3])] = match[4]
    return found


def _conflicts(conflicts: Iterable[Conflict]) -> str:
    lines = []
    for one in conflicts:
        changes = compare(one.ours.description, one.theirs.description)
        lines += [
            f"{one.name.step}: {one.ours.label} is {one.ours.record.get('value')} here "
            f"({one.ours.origin}) and {one.theirs.record.get('value')} there ({one.theirs.origin})",
            render_changes(changes),
        ]
    first = next(iter(conflicts)).name
    example = f"{first.step}.{first}:{first.variant}_2"
    lines.append(f"nothing was merged; say what each is to be called here, --rename {example}")
    return "\n".join(lines)


def _tell(plan: Plan, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "merged": [] if dry_run else [trial.id for trial in plan.trials],
                "new": [trial.id for trial in plan.trials],
                "known": plan.known,
                "locks": [f"{lock.name.step}.{lock.label}" for lock in plan.locks],
                "left": plan.left,
            }
        )
        return
    verb = "would merge" if dry_run else "merged"
    count = len(plan.trials)
    click.echo(
        f"{verb} {count} trial{'s' * (count != 1)} and {len(plan.locks)} locked "
        f"name{'s' * (len(plan.locks) != 1)}; {plan.known} trials were here already"
    )
    for reason in plan.left:
        click.echo(f"left: {reason}")
