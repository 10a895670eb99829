"""The verdict on an official trial: each value beside its reference, and what differs around it.

Reads the trial, the reference and the history of the repository; imports nothing of the user's.
"""

from __future__ import annotations

import contextlib
import platform
import re
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Self

from pytest_mitosis.identity.gitcommand import run_git
from pytest_mitosis.model import TreeError
from pytest_mitosis.read.ladder import Rung, Step, compare_metrics, compare_parts, worst
from pytest_mitosis.store.evidence import elements_of, parts_of_trial, values_of_trial
from pytest_mitosis.store.reference import code_of, environment_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_mitosis.model import Trial
    from pytest_mitosis.plan.official import Group
    from pytest_mitosis.store.reference import Reference

MOST_NAMED = 6
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_POOL = re.compile(r"architecture=(\S+)(?:.*num_threads=(\d+))?")
_PATTERN = re.compile(r"[*?\[]")
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one official trial.

    Attributes
    ----------
    rung : Rung
        The worst of all steps; ``new`` if there is no reference.
    expected : str
        Which rung to expect, and why.
    code, packages, machine : str
        What differs from the reference; empty if nothing does.
    family : tuple of str
        What the trial has in common with those that differ in their seed only.
    """

    group: str
    trial: str
    reference: str
    origin: str
    rung: Rung
    steps: tuple[Step, ...] = ()
    expected: str = ""
    code: str = ""
    packages: str = ""
    machine: str = ""
    notes: tuple[str, ...] = ()
    family: tuple[str, ...] = ()

    @property
    def has_reference(self) -> bool:
        """Whether there was anything to compare with."""
        return bool(self.reference)

    @property
    def holds(self) -> bool:
        """Whether what was vouched for still holds."""
        return self.has_reference and self.rung.holds

    def to_json(self) -> dict[str, Any]:
        """Plain builtins, as they travel on reports."""
        data = asdict(self)
        steps = [{**one, "rung": str(one["rung"])} for one in data["steps"]]
        lists = {"notes": list(self.notes), "family": list(self.family)}
        return {**data, "rung": str(self.rung), "steps": steps, **lists}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The verdict a dictionary from :meth:`to_json` stands for."""
        steps = tuple(Step(**{**one, "rung": Rung(one["rung"])}) for one in data["steps"])
        lists = {"notes": tuple(data["notes"]), "family": tuple(data["family"])}
        return cls(**{**data, "rung": Rung(data["rung"]), "steps": steps, **lists})


def without_reference(trial: Trial, group: Group) -> Verdict:
    """The verdict on a trial nobody vouched for yet."""
    return Verdict(group.name, trial.id, "", "", Rung.NEW)


def judge(
    trial: Trial,
    reference: Reference,
    group: Group,
    siblings: Sequence[Reference],
    environment: Mapping[str, Any],
    repository: Path,
    recorded: Trial | None = None,
) -> Verdict:
    """Compare a trial that is done with its reference.

    ``siblings`` are the references of the group, ``environment`` is the trial's, ``recorded`` is
    the trial that was accepted, if it is at hand: large arrays are compared by all their elements
    then.
    """
    seeds = _seeds(reference, siblings)
    metrics = trial.manifest.get("metrics", {})
    steps = compare_metrics(reference.metrics, metrics, group, seeds)
    old, new = reference.parts, parts_of_trial(trial)

    values = [cache(partial(values_of_trial, one)) for one in (recorded, trial) if one is not None]

    def elements(name: str) -> tuple[Any, Any] | None:
        if recorded is None:
            return None
        then, now = (
            elements_of(read().get(name), parts[name].digest)
            for read, parts in zip(values, (old, new), strict=True)
        )
        return (then, now) if then is not None and now is not None else None

    steps += compare_parts(old, new, group, elements)
    then, now = reference.record["environment"], environment_of(environment)
    code = _code(reference, trial, repository)
    packages = changed_packages(reference.record["code"]["packages"], code_of(trial)["packages"])
    machine = _machine(then, now)
    parameters = _parameters(reference, trial)
    return Verdict(
        group=group.name,
        trial=trial.id,
        reference=str(reference.record["trial"]),
        origin=reference.origin,
        rung=worst(step.rung for step in steps),
        steps=tuple(steps),
        expected=_expected(bool(_files(reference, trial) or parameters), packages, machine),
        code="; ".join(filter(None, [code, *parameters])),
        packages=packages,
        machine=machine,
        notes=tuple(_notes(group, trial, [step.name for step in steps])),
        family=reference.family,
    )


def _seeds(reference: Reference, siblings: Sequence[Reference]) -> dict[str, list[float]]:
    """What was recorded of each number for all seeds of the trial's parameters."""
    family = [one for one in siblings if one.family == reference.family]
    found: dict[str, list[float]] = {}
    for one in family:
        for name, value in one.metrics.items():
            if type(value) in {int, float}:
                found.setdefault(name, []).append(float(value))
    return found


def _expected(is_other_code: bool, packages: str, machine: str) -> str:
    if is_other_code:
        return "no rung: the code or a value is another one"
    if packages or machine:
        what = [*(["packages"] if packages else []), *(["machine"] if machine else [])]
        return f"{Rung.TOLERANCE}: other {' and '.join(what)}"
    return f"{Rung.IDENTICAL}: same code, packages and machine"


def _code(reference: Reference, trial: Trial, repository: Path) -> str:
    old, new = reference.record["code"].get("commit"), trial.manifest.get("commit")
    told = [] if old == new else [_distance(str(old), str(new), repository)]
    files = _files(reference, trial)
    if files:
        more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
        told.append(", ".join(files[:MOST_NAMED]) + more)
    elif told:
        told.append("nothing that ran changed")
    return ", ".join(told)


def _distance(old: str, new: str, repository: Path) -> str:
    """``2 commits``, as far as the clone has the history."""
    between = f"{old[:7]} -> {new[:7]}"
    if not (_COMMIT.fullmatch(old) and _COMMIT.fullmatch(new)):
        return f"commit {between}"
    try:
        count = int(run_git(repository, "rev-list", "--count", f"{old}..{new}", "--"))
    except (TreeError, ValueError):
        return f"commit {between} (the first is not in this clone)"
    return f"{count} commit{'s' * (count != 1)} {between}" if count else f"commit {between}"


def _files(reference: Reference, trial: Trial) -> list[str]:
    """What the trial ran that is not what the reference's trial ran."""
    before: dict[str, Any] = reference.record["code"]["files"]
    after: dict[str, Any] = code_of(trial)["files"]
    if not before or not after:
        return ["the code was not recorded"]
    found = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            found.append(f"{name} {'is new' if old is None else 'is not used any more'}")
        elif old["ran"] != new["ran"] and old["blob"] != new["blob"]:
            found.append(f"{name} changed")
    return found


def _parameters(reference: Reference, trial: Trial) -> list[str]:
    """Values other than variants that are not the same: defaults, fixtures."""
    then = {(p["step"], p["name"]): p for p in reference.record["parameters"]}
    now = {(p["step"], p["name"]): p for p in trial.manifest["parameters"] if p["tracked"]}
    found = []
    for key in dict.fromkeys([*then, *now]):
        old, new = then.get(key), now.get(key)
        if old is None or new is None:
            found.append(f"{key[1]} {'is new' if old is None else 'is gone'}")
        elif (old["digest"], old["variant"]) != (new["digest"], new["variant"]):
            found.append(f"{key[1]} {old['value']} -> {new['value']}")
    return found


def packages_since(reference: Reference) -> str:
    """What of the packages a reference's trial used is another version here; empty if nothing."""
    old: dict[str, str] = reference.record["code"]["packages"]
    new = {"python": platform.python_version()} if "python" in old else {}
    for name in old:
        with contextlib.suppress(PackageNotFoundError):
            new[name] = version(name)
    # One that is not here does not make a value; local ones are told with more than their version.
    kept = {name: text for name, text in old.items() if name in new and " " not in text}
    return changed_packages(kept, {name: new[name] for name in kept})


def changed_packages(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """``numpy 2.3.5 -> 2.4.0``, for each that differs."""
    changed = [
        f"{name} {old.get(name, 'not used')} -> {new.get(name, 'not used')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    more = f" and {len(changed) - MOST_NAMED} more" if len(changed) > MOST_NAMED else ""
    return ", ".join(changed[:MOST_NAMED]) + more


def _machine(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Kernels of the linear algebra, or the processor where those are not known."""
    before, after = kernels_of(old.get("blas", {})), kernels_of(new.get("blas", {}))
    changed = []
    if UNKNOWN not in (before, after):
        if before != after:
            changed.append(f"linear algebra {before or 'none'} -> {after or 'none'}")
        names: tuple[str, ...] = ("system", "machine")
    else:
        names = ("system", "machine", "cpu")
    then, now = old.get("machine", {}), new.get("machine", {})
    changed += [f"{then.get(n)} -> {now.get(n)}" for n in names if then.get(n) != now.get(n)]
    return ", ".join(changed)


def kernels_of(blas: Mapping[str, str]) -> str:
    """``Haswell x2``: kernels and threads as they were recorded; empty where none was loaded."""
    pools = [text for name, text in blas.items() if name.startswith("pool")]
    matches = [match for text in pools if (match := _POOL.search(text))]
    found = sorted({f"{match[1]} x{match[2] or '?'}" for match in matches})
    return " ".join(found) or (UNKNOWN if blas else "")


def _notes(group: Group, trial: Trial, names: Sequence[str]) -> list[str]:
    notes = [
        f"the tolerance for {key!r} of {group.name} fits nothing in the result"
        for key in group.tolerances
        if key not in names and not _PATTERN.search(key)
    ]
    notes += [
        str(found["text"])
        for found in trial.manifest.get("randomness", ())
        if found["kind"] == "unseeded"
    ]
    return notes
