"""What of a store can go: old drafts, superseded trials, unused steps, and what crashes left.

Never a trial the project vouches for, a running one, a lock, or the last trial of a spec that is
done. A folder is taken out of sight in one step and then removed; its iteration is never used
again.
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pytest_mitosis.model import Status, StoreError, Trial
from pytest_mitosis.store.folder import DRAFTS, iterate_folders, read_trial
from pytest_mitosis.store.steps import RECORD, iterate_steps
from pytest_mitosis.store.turns import is_held

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

LEFTOVER_AFTER_SECONDS = 24 * 3600.0
_LEFT_FILE = re.compile(r"\..+\.[0-9a-f]{8}(\.part)?")
_LEFT_FOLDER = re.compile(r"\..+\.(merging(-\d+)?|importing|gone)")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that can go, why, and how many bytes that frees."""

    path: Path
    why: str
    bytes: int


def candidates(
    store: Path,
    *,
    drafts_after: float | None,
    superseded_after: float | None,
    steps_after: float | None = None,
    vouched: Collection[str] = (),
) -> list[Candidate]:
    """What can go.

    Parameters
    ----------
    drafts_after, superseded_after : float or None
        Seconds after which a draft, or a trial whose spec was done again later, can go; None keeps
        them.
    steps_after : float or None
        Seconds after its last use that a step shared by trials can go; the trials keep what they
        took from it.
    vouched : collection of str
        Ids of trials that stay because a reference names them, beside those marked official.
    """
    found = list(_leftovers(store))
    if steps_after is not None:
        found += _steps(store, steps_after)
    trials = []
    for folder in iterate_folders(store, drafts=True):
        try:
            trials.append(read_trial(folder))
        except StoreError:
            if _age(folder) > LEFTOVER_AFTER_SECONDS and not is_held(folder.parent, _turn(folder)):
                found.append(Candidate(folder, "half a trial", _size(folder)))
    free = [trial for trial in trials if not _stays(trial, vouched)]
    if drafts_after is not None:
        found += _drafts(store, free, drafts_after)
    if superseded_after is not None:
        found += _superseded(store, trials, free, superseded_after)
    return sorted(found, key=lambda one: one.path)


def remove(candidate: Candidate) -> None:
    """Let something go; what is half gone already goes the rest of the way."""
    path = candidate.path
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    hidden = path if path.name.startswith(".") else path.with_name(f".{path.name}.gone")
    if hidden != path:
        path.rename(hidden)
    shutil.rmtree(hidden)


def _stays(trial: Trial, vouched: Collection[str]) -> bool:
    is_official = trial.manifest.get("official") or trial.id in vouched
    return bool(is_official) or trial.status is Status.RUNNING


def _drafts(store: Path, trials: list[Trial], after: float) -> Iterator[Candidate]:
    for trial in trials:
        age = _trial_age(trial)
        if _is_draft(store, trial) and age > after:
            yield Candidate(trial.folder, f"draft, {_days(age)} old", _size(trial.folder))


def _superseded(
    store: Path, trials: list[Trial], free: list[Trial], after: float
) -> Iterator[Candidate]:
    last: dict[Path, Trial] = {}
    for trial in trials:
        before = last.get(trial.folder.parent)
        if trial.status is Status.DONE and (before is None or _started(before) < _started(trial)):
            last[trial.folder.parent] = trial
    for trial in free:
        newest = last.get(trial.folder.parent)
        if newest is None or newest.id == trial.id or _is_draft(store, trial):
            continue
        age = _trial_age(trial)
        if age > after and _started(trial) < _started(newest):
            why = f"{trial.status.value}, done again by {newest.id}, {_days(age)} old"
            yield Candidate(trial.folder, why, _size(trial.folder))


def _steps(store: Path, after: float) -> Iterator[Candidate]:
    for folder in iterate_steps(store):
        age = _age(folder / RECORD)
        if age > after:
            yield Candidate(folder, f"shared step, not used for {_days(age)}", _size(folder))


def _leftovers(store: Path) -> Iterator[Candidate]:
    """What was written beside its place and never moved there, in the folders of ours."""
    for path in store.rglob(".*"):
        inner = path.relative_to(store).parts
        if "files" in inner[:-1]:  # an experiment's own
            continue
        pattern = _LEFT_FOLDER if path.is_dir() else _LEFT_FILE
        if pattern.fullmatch(path.name) and _age(path) > LEFTOVER_AFTER_SECONDS:
            yield Candidate(path, "left by a crash", _size(path))


def _is_draft(store: Path, trial: Trial) -> bool:
    return trial.folder.is_relative_to(store / DRAFTS) or bool(trial.manifest.get("draft"))


def _turn(folder: Path) -> int:
    return int(folder.name.partition("-")[0])


def _started(trial: Trial) -> str:
    return str(trial.manifest.get("started") or "")


def _trial_age(trial: Trial) -> float:
    text = str(trial.manifest.get("finished") or trial.manifest.get("started") or "")
    try:
        return time.time() - datetime.fromisoformat(text).timestamp()
    except ValueError:
        return _age(trial.folder)


def _age(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


def _days(seconds: float) -> str:
    days = int(seconds // 86400)
    return f"{days} day{'s' * (days != 1)}" if days else f"{int(seconds // 3600)} h"


def _size(path: Path) -> int:
    """Bytes that go with it; what another trial or step has as well (a hard link) stays."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    stats = [file.lstat() for file in files if file.is_symlink() or file.is_file()]
    return sum(stat.st_size for stat in stats if stat.st_nlink == 1)
