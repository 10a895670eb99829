"""``pytest-mitosis rename``: what an experiment, a parameter or a variant is called from now on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click

from pytest_mitosis.model import PlanError, Trial
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.names import require_safe, say_what_exists
from pytest_mitosis.read.commands.output import FOLDER, JSON, print_json
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.store.aliases import add_alias
from pytest_mitosis.store.catalogue import read_manifests
from pytest_mitosis.store.files import store_errors
from pytest_mitosis.store.locks import Name, copy_locks
from pytest_mitosis.store.rows import write_summary

_OLD = re.compile(r"(?P<scope>[^=]+?)(\.(?P<parameter>[^.=]+)(=(?P<variant>[^=]+))?)?")


@click.command(short_help="Rename an experiment, a parameter or a variant.")
@click.argument("old", metavar="OLD")
@click.argument("new")
@click.option("--why", default="", help="The reason; kept with the renaming.")
@JSON
@FOLDER
def rename(old: str, new: str, *, why: str, as_json: bool, trials_folder: Path | None) -> None:
    """Call OLD by a NEW name: EXPERIMENT, EXPERIMENT.PARAMETER or EXPERIMENT.PARAMETER=VARIANT.

    NEW is the last part alone: pytest-mitosis rename fit.noise=high heavy

    Recorded trials stay as they are; a record beside them tells readers the new name. Locks of the
    old name hold for the new one as well. Rename it in the code, too.
    """
    store = find_store(trials_folder)
    require_safe(new, "the new name")
    trials = read_manifests(store, drafts=True)
    scope, parameter, variant = _meant(old, trials)
    meant = [t for t in trials if _has(t, scope, parameter, variant)]
    _require_free(trials, scope, parameter, variant, new)
    locks = read_project(Path.cwd(), trials_folder).locks_folder
    with store_errors(store):
        steps = _steps(meant, scope, parameter)
        copied = copy_locks(locks, lambda name: _new_name(name, steps, parameter, variant, new))
        add_alias(store, scope, parameter, variant, new, why)
        write_summary(store)
    names = [lock.label for lock in copied]
    if as_json:
        print_json({"old": old, "new": new, "trials": [t.id for t in meant], "locks": names})
        return
    count = len(meant)
    click.echo(
        f"{old} is {new} now in {count} trial{'s' * (count != 1)}; their files stay as they are"
    )
    if names:
        click.echo(f"locked with their values: {', '.join(names[:6])}{' …' * (len(names) > 6)}")


def _meant(old: str, trials: list[Trial]) -> tuple[str, str, str]:
    """Scope, parameter and variant; names of steps may have dots."""
    match = _OLD.fullmatch(old)
    experiments = {str(trial.manifest["experiment"]) for trial in trials}
    if old in experiments or match is None:
        parts = (old, "", "")
    else:
        parts = (match["scope"], match["parameter"] or "", match["variant"] or "")
    scope, parameter, variant = parts
    steps = {str(s["name"]) for t in trials for s in t.manifest.get("steps", ())}
    known = experiments | steps if parameter else experiments
    if scope not in known:
        raise PlanError(f"no trials of {scope!r}; {say_what_exists(scope, sorted(known))}")
    entries = [p for t in trials for p in _entries(t, scope)]
    names = sorted({str(p["name"]) for p in entries})
    if parameter and parameter not in names:
        exists = say_what_exists(parameter, names)
        raise PlanError(f"no trial of {scope} has a parameter {parameter!r}; {exists}")
    variants = sorted({str(p["variant"]) for p in entries if _is_variant(p, parameter)})
    if variant and variant not in variants:
        exists = say_what_exists(variant, variants)
        raise PlanError(f"no trial of {scope} has {parameter}={variant}; {exists}")
    return parts


def _entries(trial: Trial, scope: str) -> list[dict[str, str]]:
    m = trial.manifest
    return [p for p in m.get("parameters", ()) if scope in (p["step"], m["experiment"])]


def _is_variant(entry: dict[str, str], parameter: str) -> bool:
    return entry["name"] == parameter and entry["kind"] == "variant"


def _has(trial: Trial, scope: str, parameter: str, variant: str) -> bool:
    if not parameter:
        return bool(trial.manifest["experiment"] == scope)
    return any(
        p["name"] == parameter
        and (not variant or (p["kind"], p["variant"]) == ("variant", variant))
        for p in _entries(trial, scope)
    )


def _require_free(trials: list[Trial], scope: str, parameter: str, variant: str, new: str) -> None:
    """Two things under one name could not be told apart any more."""
    if not parameter:
        taken = any(trial.manifest["experiment"] == new for trial in trials)
    elif not variant:
        taken = any(_has(trial, scope, new, "") for trial in trials)
    else:
        taken = any(_has(trial, scope, parameter, new) for trial in trials)
    if taken:
        what = f"{scope}.{parameter}={new}" if variant else f"{scope}.{new}" if parameter else new
        raise PlanError(f"there are trials of {what} already; take another name")


def _steps(trials: list[Trial], scope: str, parameter: str) -> set[str]:
    """The steps whose locks are meant."""
    if not parameter:
        return {scope}
    return {p["step"] for t in trials for p in _entries(t, scope) if p["name"] == parameter}


def _new_name(name: Name, steps: set[str], parameter: str, variant: str, new: str) -> Name | None:
    if name.step not in steps or parameter not in ("", name.parameter):
        return None
    if not parameter:
        return replace(name, step=new)
    if not variant:
        return replace(name, parameter=new)
    return replace(name, variant=new) if variant == name.variant else None
