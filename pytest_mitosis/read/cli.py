"""The command line tool ``pytest-mitosis``: reading and upkeep that is not running."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from pytest_mitosis.model import LockError, MitosisError, StoreError, TreeError, Trial
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.read.relock import locks, relock
from pytest_mitosis.read.running import RUNNING, watch
from pytest_mitosis.store.folder import find_trial, iterate_trials
from pytest_mitosis.store.rows import flat_row, parameters
from pytest_mitosis.table import align, format_metric, format_seconds

EXIT_CODES = {TreeError: 10, LockError: 11, StoreError: 13}
_FOLDER = click.option(
    "--trials-folder",
    type=click.Path(path_type=Path),
    is_eager=True,  # read before --running asks for it
    help="The store, if not the project's.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-mitosis")
def commands() -> None:
    """Read recorded trials. Running them is pytest's part: pytest -p mitosis --exp NAME."""


@commands.command()
@click.argument("experiment", required=False)
@click.option("--drafts", is_flag=True, help="Drafts as well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@RUNNING
@_FOLDER
def ls(experiment: str | None, *, drafts: bool, as_json: bool, trials_folder: Path | None) -> None:
    """List trials, oldest first, of one EXPERIMENT or of all."""
    found = iterate_trials(_store(trials_folder), drafts=drafts)
    trials = [t for t in found if experiment in (None, t.manifest["experiment"])]
    trials.sort(key=lambda trial: str(trial.manifest.get("started")))
    if as_json:
        click.echo(json.dumps([flat_row(trial) for trial in trials], indent=1))
        return
    if not trials:
        click.echo("no trials")
        return
    header = ["trial", "experiment", "parameters", "status", "main", "started", "time"]
    for line in align([header, *map(_cells, trials)], left=6):
        click.echo(line)


@commands.command()
@click.argument("trial")
@click.option("--json", "as_json", is_flag=True, help="The manifest as JSON.")
@_FOLDER
def show(trial: str, *, as_json: bool, trials_folder: Path | None) -> None:
    """Show one trial; TRIAL is its id or the beginning of it."""
    found = find_trial(_store(trials_folder), trial)
    if as_json:
        click.echo(json.dumps(found.manifest, indent=1))
        return
    for name, value in _facts(found):
        click.echo(f"{name:<12} {value}")


commands.add_command(locks)
commands.add_command(relock)
commands.add_command(watch)


def main() -> None:
    """Run the tool; a mistake is said on standard error, its exit code is that of ``pytest``."""
    try:
        commands()
    except MitosisError as error:
        click.echo(f"ERROR: {error}", err=True)
        sys.exit(next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 4))


def _store(trials_folder: Path | None) -> Path:
    store = trials_folder or read_project(Path.cwd()).trials_folder
    if not store.is_dir():
        raise StoreError(f"there is no trials folder {store}; give one with --trials-folder")
    return store


def _cells(trial: Trial) -> list[str]:
    m = trial.manifest
    values = [f"{name}={value}" for name, value in parameters(m).items()]
    if m.get("seed") is not None:
        values.append(f"seed={m['seed']}")
    return [
        trial.id,
        str(m["experiment"]),
        ",".join(values),
        "draft" if m.get("draft") and m["status"] == "done" else str(m["status"]),
        format_metric(m.get("metrics", {}).get("main")),
        str(m.get("started", ""))[:16].replace("T", " "),
        format_seconds(m["duration_s"]) if m.get("duration_s") is not None else "",
    ]


def _facts(trial: Trial) -> list[tuple[str, Any]]:
    m = trial.manifest
    facts = [("trial", f"{m['experiment']} {trial.id}"), ("status", m["status"])]
    if m.get("failure"):
        facts.append(("failure", f"{m['failure']['type']}: {m['failure']['message']}"))
    if m.get("hypothesis"):
        facts.append(("hypothesis", m["hypothesis"]))
    facts += [
        (f"{p['name']}", " ".join(filter(None, [p["variant"], f"({p['value']})"])))
        for p in m["parameters"]
    ]
    facts += [(name, repr(value)) for name, value in m.get("metrics", {}).items()]
    facts += [
        ("commit", m.get("commit") or "none"),
        ("started", f"{m.get('started')} by {m.get('user')} on {m.get('host')}"),
        ("rerun", m.get("command")),
        ("folder", trial.folder),
    ]
    facts += [("randomness", found["text"]) for found in m.get("randomness", ())]
    facts += [("", name) for name in m.get("artifacts", {})]
    return facts


if __name__ == "__main__":
    main()
