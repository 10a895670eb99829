"""Whether a trial is already done: what the store has of a spec, and why that does not do.

Reads only. Must not know pytest, nor how a trial is run.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.code import CodeIdentity, compare_code
from pytest_mitosis.model import Kind, Reuse, Status, StoreError, Trial
from pytest_mitosis.store.artifacts import damaged
from pytest_mitosis.store.folder import (
    QUEUED,
    folders_by_turn,
    read_manifest,
    read_trial,
    spec_folder,
)
from pytest_mitosis.store.turns import is_held

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Why(StrEnum):
    """Why a trial has to run."""

    NEW = "new"
    CODE = "code changed"
    PACKAGE = "package changed"
    VALUE = "value changed"
    FAILED = "failed before"
    LOST = "lost before"
    TAINTED = "tainted before"
    DAMAGED = "artifacts damaged"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a trial has to run, and what exactly."""

    why: Why
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.details:
            return self.why.value
        more = f" and {len(self.details) - 2} more" if len(self.details) > 2 else ""
        return f"{self.why.value} ({'; '.join(self.details[:2])}{more})"


@dataclass(frozen=True, slots=True)
class WantedArgument:
    """A tracked argument as it would be now; ``digest`` is empty for what has no identity."""

    step: str
    parameter: str
    kind: Kind
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A trial that is to be done: what it is of, and what of an earlier one has to be the same.

    Attributes
    ----------
    actions : tuple of str
        The references of the steps' callables.
    commit : str or None
        The commit the code is at.
    root : Path
        The project's repository.
    versions : mapping
        Installed distributions, see :func:`pytest_mitosis.identity.code.installed_versions`.
    """

    experiment: str
    key: str
    actions: tuple[str, ...]
    arguments: tuple[WantedArgument, ...]
    commit: str | None
    root: Path
    mode: Reuse
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a wanted trial: one to reuse, or one under way, or the reason to run it.

    ``last`` is the last turn looked at, ``busy`` says who is at work in another one.
    """

    last: int
    trial: Trial | None = None
    busy: str = ""
    reason: Reason = Reason(Why.NEW)
    seconds: float | None = None


def look(store: Path, wanted: Wanted, below: int | None = None) -> Found:
    """Look at all trials of a spec, the newest first; only at iterations before ``below`` if given.

    A trial that is under way counts only if it could do: same arguments, and the same commit.
    """
    folder = spec_folder(store, wanted.experiment, wanted.key, draft=False)
    taken = folders_by_turn(folder)
    last = next(iter(taken), 0)
    busy, reason, seconds = "", None, None
    for number, own in taken.items():
        if below is not None and number >= below:
            continue
        trial = _read(own)
        if trial is None:
            if is_held(folder, number):
                busy = busy or f"a process that has claimed iteration {number}"
            continue
        if trial.status is Status.RUNNING:
            if _could_do(trial.manifest, wanted):
                m = trial.manifest
                busy = busy or f"trial {trial.id} of {m.get('user')} on {m.get('host')}"
            continue
        if trial.status is Status.DONE and seconds is None:
            seconds = float(trial.manifest.get("duration_s") or 0.0)
        found = why_not(trial, wanted)
        if found is None:
            return Found(last, trial, seconds=seconds)
        reason = reason or found
    return Found(last, None, busy, reason or Reason(Why.NEW), seconds)


def held_trial(store: Path, wanted: Wanted) -> Path | None:
    """The folder of a trial that could do and that a scheduler holds, whatever it says of itself.

    What is recorded of one that was stopped is not final while a scheduler may run it again.
    """
    folder = spec_folder(store, wanted.experiment, wanted.key, draft=False)
    for own in folders_by_turn(folder).values():
        if own is None or not (own / QUEUED).exists():
            continue
        with contextlib.suppress(StoreError):
            if _could_do(read_manifest(own), wanted):
                return own
    return None


def why_not(trial: Trial, wanted: Wanted) -> Reason | None:
    """Why a recorded trial does not do for a wanted one; None if it does."""
    m = trial.manifest
    if trial.status is Status.LOST:
        return Reason(Why.LOST)
    if trial.status is not Status.DONE:
        return Reason(Why.FAILED, (f"{trial.status.value} {trial.id}",))
    if changed := _changed_arguments(m, wanted):
        return Reason(Why.VALUE, changed)
    if m.get("tainted"):
        return Reason(Why.TAINTED, tuple(map(str, m["tainted"])))
    if wanted.mode is Reuse.SAME_CODE and (reason := _changed_code(m, wanted)):
        return reason
    if lost := damaged(trial.folder, m.get("artifacts") or {}):
        return Reason(Why.DAMAGED, tuple(lost))
    return None


def _could_do(manifest: Mapping[str, Any], wanted: Wanted) -> bool:
    same_commit = manifest.get("commit") == wanted.commit
    return not _changed_arguments(manifest, wanted) and (
        same_commit or wanted.mode is Reuse.SAME_PARAMS
    )


def _changed_arguments(manifest: Mapping[str, Any], wanted: Wanted) -> tuple[str, ...]:
    actions = tuple(step["action"] for step in manifest.get("steps", ()))
    if actions != wanted.actions:
        return (f"the steps were {', '.join(actions)}",)
    known = {(p["step"], p["name"]): p for p in manifest.get("parameters", ()) if p["tracked"]}
    changed = []
    for one in wanted.arguments:
        recorded = known.pop((one.step, one.parameter), None)
        if reason := _difference(one, recorded):
            changed.append(f"{one.parameter} {reason}")
    changed += [
        f"{name} is no parameter any more"
        for (_, name), recorded in known.items()
        if recorded["kind"] != Kind.DEFAULT  # one that left at its default changes nothing
    ]
    return tuple(changed)


def _difference(now: WantedArgument, recorded: Mapping[str, Any] | None) -> str:
    if recorded is None:
        return "" if now.kind is Kind.DEFAULT else "was not given"
    if now.kind is Kind.RNG:
        return "" if recorded["variant"] == now.name else f"was of seed {recorded['variant']}"
    if now.digest == recorded["digest"]:
        anonymous = not now.digest and now.kind is not Kind.DEFAULT  # a default is code
        return "has no identity, so it cannot be compared" if anonymous else ""
    return f"was {recorded['value']}"


def _changed_code(manifest: Mapping[str, Any], wanted: Wanted) -> Reason | None:
    if "code" not in manifest:
        return Reason(Why.CODE, ("the code that ran was not recorded",))
    code = CodeIdentity.from_json(manifest["code"])
    changed = compare_code(code, wanted.root, wanted.versions)
    packages = [one for one in changed if one.partition(" ")[0] in code.distributions]
    files = [one for one in changed if one not in packages]
    if files:
        return Reason(Why.CODE, tuple(files))
    return Reason(Why.PACKAGE, tuple(packages)) if packages else None


def _read(folder: Path | None) -> Trial | None:
    try:
        return read_trial(folder) if folder is not None else None
    except StoreError:
        return None  # claimed, not begun
