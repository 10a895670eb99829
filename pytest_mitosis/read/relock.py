"""``pytest-mitosis relock`` gives a name another value on purpose, ``locks`` lists the names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_mitosis.identity import compare, render_changes
from pytest_mitosis.identity.description import shorten
from pytest_mitosis.identity.repository import editable_repositories, read_state
from pytest_mitosis.model import PlanError, TreeError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.read.proof import Address, find_experiment, look_up, prove
from pytest_mitosis.store import locks as store
from pytest_mitosis.store.files import store_errors
from pytest_mitosis.table import align

if TYPE_CHECKING:
    from pytest_mitosis.plan.config import Project
    from pytest_mitosis.store.locks import Lock

FOLDER = click.option(
    "--trials-folder", type=click.Path(path_type=Path), help="The store, if not the project's."
)


@click.command()
@click.argument("experiment")
@click.argument("name", metavar="[STEP.]P=NAME")
@click.option("--why", required=True, help="The reason; kept with the lock.")
@FOLDER
def relock(experiment: str, name: str, why: str, trials_folder: Path | None) -> None:
    """Lock a name to the value it has in the code now, and keep what it meant before.

    EXPERIMENT is an experiment or a step. The trials there are stay as they are.
    """
    if not why.strip():
        raise PlanError(
            '--why is empty; say why the value changed, --why "the sensor was replaced"'
        )
    folder = str(trials_folder.resolve()) if trials_folder else None
    address = Address(str(Path.cwd()), experiment, name, folder)
    project = address.project
    commit = _require_commit(project)
    found = look_up(address)
    key = store.Name(found.step, found.parameter, found.variant)
    before = store.current_lock(project.locks_folder, key)
    if before is not None and store.counting(
        compare(before.description, found.description), strict_code=project.strict_code
    ):
        prove(address, found)
    with store_errors(project.locks_folder):
        after = store.relock(
            project.locks_folder,
            key,
            found.description,
            commit,
            why.strip(),
            strict_code=project.strict_code,
            seen=before,
        )
    if before is not None:
        click.echo(f"{key.step}: {key}")
        click.echo(render_changes(compare(before.description, after.description)))
        click.echo(f"{key} is now revision {after.revision} (was locked {before.origin})")


@click.command()
@click.argument("experiment", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@FOLDER
def locks(experiment: str | None, *, as_json: bool, trials_folder: Path | None) -> None:
    """List the locked names of EXPERIMENT or of all, each with the revision in force."""
    project = read_project(Path.cwd(), trials_folder)
    firsts = sorted(store.iterate_locks(project.locks_folder))
    found = [store.read_lock(store.current_lock_file(file)) for file in firsts]
    if experiment is not None:
        steps = _steps(project, experiment, found)
        found = [lock for lock in found if lock.name.step in steps]
    if as_json:
        click.echo(json.dumps([_facts(lock) for lock in found], indent=1))
        return
    if not found:
        click.echo("no locked names")
        return
    header = ["step", "name", "value", "locked", "by", "why"]
    for line in align([header, *map(_cells, found)], left=6):
        click.echo(line)


def _require_commit(project: Project) -> str:
    """The commit of the project, if everything that counts is in it, as for a trial."""
    exclude = project.own_folders
    try:
        own = read_state(project.root, ignore=project.clean_ignore, exclude=exclude)
        others = [read_state(root, exclude=exclude) for root in editable_repositories([own.root])]
    except TreeError as error:
        raise TreeError(str(error).replace(", or run with --exp-draft", "")) from None
    if own.commit is None:
        raise TreeError(f"{own.root} has no commits yet; commit the new value, then relock")
    for state in (own, *others):
        if state.changes:
            paths = ", ".join(change.path for change in state.changes[:3])
            more = len(state.changes) - 3
            raise TreeError(
                f"not committed in {state.root}: {paths}{f' and {more} more' if more > 0 else ''}; "
                "commit first, so that the lock can name the commit that has the new value"
            )
    return own.commit


def _steps(project: Project, experiment: str, found: list[Lock]) -> set[str]:
    """The steps of an experiment; a step may have locks after it left the code."""
    recorded = {lock.name.step for lock in found} & {experiment}
    try:
        return recorded | {step.name for step in find_experiment(project, experiment).steps}
    except PlanError:
        if recorded:
            return recorded
        raise


def _cells(lock: Lock) -> list[str]:
    facts = _facts(lock)
    locked = facts["locked"][:16].replace("T", " ")
    why = shorten(" ".join(facts["why"].split()))
    return [lock.name.step, lock.label, facts["value"], locked, facts["user"], why]


def _facts(lock: Lock) -> dict[str, Any]:
    record = lock.record
    return {
        "step": lock.name.step,
        "parameter": lock.name.parameter,
        "variant": lock.name.variant,
        "revision": lock.revision,
        **{
            key: str(record.get(key) or "")
            for key in ("value", "digest", "locked", "user", "commit", "why")
        },
    }
