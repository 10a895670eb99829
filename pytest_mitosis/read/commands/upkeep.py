"""``pytest-mitosis verify`` and ``gc``: is everything there as recorded, and what can go."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.official import is_declared, read_declaration
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json, print_table
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.store.check import check_store
from pytest_mitosis.store.cleanup import candidates, remove
from pytest_mitosis.store.files import store_errors
from pytest_mitosis.store.folder import iterate_folders
from pytest_mitosis.store.reference import vouched_trials
from pytest_mitosis.store.rows import write_summary
from pytest_mitosis.table import format_bytes

_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


@click.command(short_help="Check that everything is as it was recorded.")
@JSON
@FOLDER
def verify(*, as_json: bool, trials_folder: Path | None) -> None:
    """Check every file of every trial against its checksum, and what belongs together.

    Exits with 1 if anything is damaged: a file changed or missing, half a trial, an id twice, a
    lock that cannot be read, a trial whose name is locked to another value. What is only worth
    knowing is listed as note: files that were added, lost trials, environments without a trial,
    locks that no trial proved.
    """
    store = find_store(trials_folder)
    locks = read_project(Path.cwd(), trials_folder).locks_folder
    found = list(check_store(store, locks))
    damage = [one for one in found if one.is_damage]
    if as_json:
        print_json(
            [
                {"problem": f.problem, "damage": f.is_damage, "place": f.place, "text": f.text}
                for f in found
            ]
        )
    else:
        if found:
            rows = [
                ["" if f.is_damage else "note", f.problem.value, f.place, f.text]
                for f in (*damage, *(one for one in found if not one.is_damage))
            ]
            print_table(["", "problem", "where", "what"], rows, left=4)
        count = sum(1 for _ in iterate_folders(store, drafts=True))
        verdict = f"{len(damage)} damaged" if damage else "all as recorded"
        click.echo(f"{count} trials, {verdict}")
    if damage:
        sys.exit(1)


@click.command(short_help="Remove old drafts and what crashes left.")
@click.option("--drafts", default="30d", metavar="AGE", help="Drafts older than this; 'never'.")
@click.option(
    "--superseded",
    metavar="AGE",
    help="Also trials older than this whose spec was done again since.",
)
@click.option(
    "--steps", default="30d", metavar="AGE", help="Shared steps not used for so long; 'never'."
)
@click.option("--yes", is_flag=True, help="Remove them; without it they are only listed.")
@JSON
@FOLDER
def gc(
    *,
    drafts: str,
    superseded: str | None,
    steps: str,
    yes: bool,
    as_json: bool,
    trials_folder: Path | None,
) -> None:
    """List what can go, and with --yes remove it.

    Drafts older than 30 days, results of shared steps that no trial took for 30 days (trials keep
    what they took), and what crashes left. AGE is a number with h, d or w. Accepted official and
    running trials, locks, and the last trial of each spec that is done always stay.
    """
    store = find_store(trials_folder).absolute()
    found = candidates(
        store,
        drafts_after=_seconds("--drafts", drafts),
        superseded_after=_seconds("--superseded", superseded or "never"),
        steps_after=_seconds("--steps", steps),
        vouched=_vouched(trials_folder),
    )
    if yes and found:
        with store_errors(store):
            for one in found:
                remove(one)
            write_summary(store)
    if as_json:
        print_json(
            [{"path": str(c.path), "why": c.why, "bytes": c.bytes, "removed": yes} for c in found]
        )
        return
    if found:
        rows = [[str(c.path.relative_to(store)), c.why, format_bytes(c.bytes)] for c in found]
        print_table(["what", "why", "size"], rows, left=2)
    total = format_bytes(sum(one.bytes for one in found))
    if not found:
        click.echo("nothing to remove")
    elif yes:
        click.echo(f"removed {len(found)}, {total}")
    else:
        click.echo(f"{len(found)} can go, {total}; nothing was removed, --yes removes them")


def _vouched(trials_folder: Path | None) -> set[str]:
    """The trials that the references of the project here name."""
    project = read_project(Path.cwd(), trials_folder)
    return vouched_trials(read_declaration(project).folder) if is_declared(project) else set()


def _seconds(option: str, text: str) -> float | None:
    if text == "never":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text)
    if match is None:
        raise PlanError(
            f"{option} {text}: an age is a number with h, d or w, such as 30d, or never"
        )
    return float(match[1]) * _UNITS[match[2]]
