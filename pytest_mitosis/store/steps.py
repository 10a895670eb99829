"""Steps that were run once, for all trials that have the same beginning.

``steps/<step>/<digest>/<turn>-<trial>/`` holds what a step returned and left in the working
directory; ``step.json`` says by which code. The digest is of all that the trial was given up to
that step, see :class:`Beginning`. Written and read by the process that drives a trial. Must not
know how a step is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.code import CodeIdentity, compare_code
from pytest_mitosis.model import SCHEMA, Kind, StoreError
from pytest_mitosis.store.artifacts import artifacts, damaged
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.folder import (
    STEPS,
    folder_name,
    folders_by_turn,
    is_trial_name,
    now,
    user_name,
)
from pytest_mitosis.store.turns import holder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_mitosis.model import Job

RECORD = "step.json"
RESULTS = "results"
FILES = "files"
GENERATORS = "generators"
HANDOVER = ".handover"
"""In a trial's folder: what its process leaves for the record of a step."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a trial was given up to one of its steps.

    Attributes
    ----------
    steps : tuple of str
        Names of the steps so far; the last one is the one whose data is shared.
    digest : str
        Of the steps' callables and arguments. Defaults are code, and the seed of the global
        generators counts only for a step that used one.
    defaults : tuple of (str, str, str)
        Step, parameter and digest of arguments left at their defaults.
    """

    steps: tuple[str, ...]
    digest: str
    defaults: tuple[tuple[str, str, str], ...]

    def folder(self, store: Path) -> Path:
        """Where what was done with this beginning is kept."""
        return store / STEPS / folder_name(self.steps[-1]) / self.digest[:16]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A beginning, and what else must be as it was."""

    beginning: Beginning
    seed: int
    root: Path
    commit: str | None


@dataclass(frozen=True, slots=True)
class SharedStep:
    """A step that another trial ran: its folder and its record."""

    folder: Path
    record: dict[str, Any]

    @property
    def trial(self) -> str:
        """The id of the trial that ran it."""
        return str(self.record["trial"])

    @property
    def seconds(self) -> float:
        """How long it took there."""
        return float(self.record["duration_s"])


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a beginning: a step to share, or who is at it, and the last turn taken.

    ``unshared`` says why what the step leaves cannot be shared, as a trial with the same code saw.
    """

    last: int
    step: SharedStep | None = None
    busy: str = ""
    unshared: str = ""


def beginnings(job: Job) -> list[Beginning]:
    """The beginnings of a job that can be shared, the shortest first; never all of its steps.

    They end before the first step that says ``reuse = false``, or has an argument without identity.
    """
    found: list[Beginning] = []
    chain: list[Any] = []
    defaults: list[tuple[str, str, str]] = []
    for step in job.steps[:-1]:
        given = [a for a in step.arguments if a.tracked and a.kind is not Kind.DEFAULT]
        if not step.reuse or not all(a.digest or a.kind is Kind.RNG for a in given):
            break
        arguments = [(a.parameter, a.digest or a.source) for a in given]
        chain.append([step.name, step.action, sorted(arguments)])
        left = [a for a in step.arguments if a.kind is Kind.DEFAULT]
        defaults += [(step.name, a.parameter, a.digest) for a in left]
        text = json.dumps(chain, ensure_ascii=True)
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()
        names = tuple(one[0] for one in chain)
        found.append(Beginning(names, digest, tuple(defaults)))
    return found


def look(store: Path, wanted: Wanted) -> Found:
    """Look at all that was done with a beginning, the newest first."""
    folder = wanted.beginning.folder(store)
    taken = folders_by_turn(folder)
    last = next(iter(taken), 0)
    busy = ""
    for number, done in taken.items():
        if done is not None:
            step = _read(done)
            if step is None or not _does(step, wanted):
                continue
            problem = str(step.record.get("unshared", ""))
            return Found(last, None if problem else step, unshared=problem)
        owner = holder(folder, number)
        if owner is not None and owner.get("commit") == wanted.commit:
            busy = busy or f"trial {owner.get('id')} on {owner.get('host')}"
    return Found(last, None, busy)


def publish(
    wanted: Wanted, store: Path, number: int, source: Path, about: dict[str, Any]
) -> SharedStep:
    """Keep what the step of turn ``number`` left in the trial's folder ``source``, in one step.

    ``about`` is JSON for the record: the trial, its code, how long it took; with ``unshared``
    nothing but the record is kept, for others to see why.
    """
    folder = wanted.beginning.folder(store)
    beside = folder / f".{number}-{about['trial']}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    if not about.get("unshared"):
        _gather(source, beside)
    record = {
        "schema": SCHEMA,
        "steps": list(wanted.beginning.steps),
        "digest": wanted.beginning.digest,
        "defaults": [list(one) for one in wanted.beginning.defaults],
        "commit": wanted.commit,
        **about,
        "host": socket.gethostname(),
        "user": user_name(),
        "finished": now(),
        "artifacts": artifacts(beside),
    }
    write_json(beside / RECORD, record)
    whole = folder / f"{number}-{about['trial']}"
    os.rename(beside, whole)  # noqa: PTH104  the atomic one, by its name
    return SharedStep(whole, record)


def _gather(source: Path, target: Path) -> None:
    """Results of all steps so far are linked, as nobody changes them; files are copied."""
    (target / RESULTS).mkdir()
    for file in sorted((source / RESULTS).iterdir()):
        if not file.name.startswith("."):
            _link(file, target / RESULTS / file.name)
    _copy_files(source / FILES, target / FILES)
    if (source / HANDOVER).is_dir():
        shutil.move(source / HANDOVER, target / GENERATORS)


def take_over(step: SharedStep, target: Path) -> None:
    """Put what a shared step left into the folder of the trial that goes on from there."""
    with contextlib.suppress(OSError):
        os.utime(step.folder / RECORD)  # when it was last of use
    (target / RESULTS).mkdir(exist_ok=True)
    for file in sorted((step.folder / RESULTS).iterdir()):
        _link(file, target / RESULTS / file.name)
    _copy_files(step.folder / FILES, target / FILES)


def iterate_steps(store: Path) -> Iterator[Path]:
    """The folders of all shared steps; the time of their record is that of their last use."""
    for record in store.glob(f"{STEPS}/*/*/*/{RECORD}"):
        if is_trial_name(record.parent.name):
            yield record.parent


def _read(folder: Path) -> SharedStep | None:
    try:
        step = SharedStep(folder, read_json(folder / RECORD))
        is_whole = bool(step.trial) and step.seconds >= 0.0
    except (StoreError, KeyError, TypeError, ValueError):
        return None  # damaged: it is run again
    return step if is_whole else None


def _does(step: SharedStep, wanted: Wanted) -> bool:
    m = step.record
    try:
        if m["digest"] != wanted.beginning.digest or m["seed"] not in (None, wanted.seed):
            return False
        if not _same_defaults(m["defaults"], wanted.beginning):
            return False
        if m["pickled"] and (m["host"], m["user"]) != (socket.gethostname(), user_name()):
            return False  # opening a pickle runs code, so only one's own are opened
        if compare_code(CodeIdentity.from_json(m["code"]), wanted.root):
            return False
        return not damaged(step.folder, m["artifacts"])
    except (KeyError, TypeError, ValueError):
        return False


def _same_defaults(recorded: Sequence[Sequence[str]], beginning: Beginning) -> bool:
    """Whether defaults both knew are the same; one that came or went is for the code to tell."""
    known: Mapping[tuple[str, str], str] = {(s, p): digest for s, p, digest in recorded}
    return all(known.get((s, p), digest) == digest for s, p, digest in beginning.defaults)


def _link(source: Path, target: Path) -> None:
    """Have the same file in two places; where links are not to be had, a copy of it."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _copy_files(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
