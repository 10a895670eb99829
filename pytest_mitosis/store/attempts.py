"""Attempts: a trial that was stopped is continued in its own folder, under its own id.

What an experiment left in its files and checkpoints stays where it is, for it to go on from; what
was recorded of the earlier attempt moves to ``attempts/1``. Must not know pytest, nor how a trial
is run.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Status, StoreError, Trial
from pytest_mitosis.store.folder import JOB, MANIFEST, Claim, read_trial, spec_folder
from pytest_mitosis.store.turns import is_held, take_turn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ATTEMPTS = "attempts"
CHECKPOINTS = "checkpoints"
RESUMABLE = frozenset({Status.INTERRUPTED, Status.TIMEOUT, Status.LOST})
RECORDED = ("notebook.ipynb", "notebook.html", "output.txt", "log.txt", "figures", "results")
SUMMARY = ("status", "started", "finished", "duration_s", "commit", "snapshot", "host", "pid")


def stopped_trial(
    store: Path,
    experiment: str,
    key: str,
    *,
    draft: bool,
    commit: str | None,
    digests: Mapping[tuple[str, str], str],
) -> Trial | None:
    """The newest trial of a spec, if it was stopped and can be continued.

    Its code has to be at the same commit (drafts go on with any), its arguments the same.
    ``digests`` are those known by now, by step and parameter.
    """
    folder = spec_folder(store, experiment, key, draft=draft)
    trials = [t for one in folder.glob("*-*") if (t := _read(one)) is not None]
    if not trials:
        return None
    newest = max(trials, key=lambda one: (one.manifest["iteration"], one.manifest["started"]))
    if newest.status not in RESUMABLE:
        return None
    if not draft and newest.manifest.get("commit") != commit:
        return None
    recorded = {(p["step"], p["name"]): p["digest"] for p in newest.manifest["parameters"]}
    changed = [known for known, digest in digests.items() if recorded.get(known) != digest]
    return None if changed else newest


def claim_attempt(trial: Trial) -> Claim | None:
    """The trial's folder for its next attempt; None if another process is at it."""
    number = int(trial.manifest.get("attempt", 1)) + 1
    while not take_turn(trial.folder, number, trial.id):
        if is_held(trial.folder, number):
            return None
        number += 1
    return Claim(trial.folder, trial.id, int(trial.manifest["iteration"]), number)


def put_by(claimed: Claim) -> dict[str, Any]:
    """Move what was recorded of the attempt before out of the way; what the manifest says of it."""
    before = read_trial(claimed.folder)
    number = int(before.manifest.get("attempt", 1))
    place = claimed.folder / ATTEMPTS / str(number)
    place.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, JOB):
        shutil.copy2(claimed.folder / name, place / name)
    for name in RECORDED:
        if (claimed.folder / name).exists() and not (place / name).exists():
            (claimed.folder / name).rename(place / name)
    told = {name: before.manifest[name] for name in SUMMARY if name in before.manifest}
    told["status"] = before.status.value
    earlier = before.manifest.get("attempts", [])
    return {"attempt": claimed.attempt, "attempts": [*earlier, {"attempt": number, **told}]}


def _read(folder: Path) -> Trial | None:
    try:
        return read_trial(folder)
    except StoreError:
        return None  # claimed, not begun
