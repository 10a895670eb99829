"""What differs between two trials: parameters, metrics, code, environment.

Reads the store and, for the patch between two commits, the project's repository; imports nothing of
the user's.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity import Description, compare, render_changes
from pytest_mitosis.identity.gitcommand import run_git
from pytest_mitosis.model import Kind, StoreError, TreeError
from pytest_mitosis.store.files import read_json
from pytest_mitosis.store.locks import Name, lock_file, read_lock, revisions
from pytest_mitosis.store.rows import label_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_mitosis.model import Trial

MOST_PATCH_LETTERS = 200_000
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not the same; None is "not there". ``details`` are lines that explain."""

    name: str
    old: Any
    new: Any
    details: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """All that is not the same in two trials, and what could not be compared."""

    parameters: tuple[Change, ...]
    metrics: tuple[Change, ...]
    code: tuple[Change, ...]
    patch: str
    environment: tuple[Change, ...]
    notes: tuple[str, ...]


def differ(old: Trial, new: Trial, store: Path, locks: Path, repository: Path) -> Difference:
    """Compare two trials of a store."""
    notes: list[str] = []
    patch = _patch(old, new, repository, notes)
    return Difference(
        tuple(_parameters(old, new, locks)),
        tuple(_changes(old.manifest.get("metrics", {}), new.manifest.get("metrics", {}))),
        tuple(_code(old, new)),
        patch,
        tuple(_changes(_environment(old, store, notes), _environment(new, store, notes))),
        tuple(notes),
    )


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    names = dict.fromkeys([*old, *new])
    pairs = [(name, old.get(name), new.get(name)) for name in names]
    return [
        Change(n, a, b)
        for n, a, b in pairs
        if (type(a), a) != (type(b), b) and not (a != a and b != b)  # NaN and NaN
    ]


def _parameters(old: Trial, new: Trial, locks: Path) -> list[Change]:
    before, after = _entries(old), _entries(new)
    found = _changes(
        {"experiment": old.manifest["experiment"], "seed": old.manifest.get("seed")},
        {"experiment": new.manifest["experiment"], "seed": new.manifest.get("seed")},
    )
    for name in dict.fromkeys([*before, *after]):
        one, other = before.get(name), after.get(name)
        same = one and other and one["digest"] == other["digest"]
        if same and one and other and _said(one) == _said(other):
            continue
        details = "" if same or not (one and other) else _value_changes(one, other, locks)
        found.append(Change(name, _said(one), _said(other), details))
    return found


def _entries(trial: Trial) -> dict[str, dict[str, Any]]:
    m = trial.manifest
    listed = [p for p in m.get("parameters", ()) if p["kind"] not in {Kind.SEED, Kind.RNG}]
    return {label_of(m, entry, listed): entry for entry in listed}


def _said(entry: dict[str, Any] | None) -> str | None:
    if entry is None:
        return None
    return " ".join(filter(None, [entry["variant"], f"({entry['value']})"]))


def _value_changes(old: dict[str, Any], new: dict[str, Any], locks: Path) -> str:
    descriptions = [_description(entry, locks) for entry in (old, new)]
    if descriptions[0] is None or descriptions[1] is None:
        return ""
    return render_changes(compare(descriptions[0], descriptions[1]))


def _description(entry: dict[str, Any], locks: Path) -> Description | None:
    if entry["kind"] != Kind.VARIANT:
        return None
    for file in revisions(lock_file(locks, Name(entry["step"], entry["name"], entry["variant"]))):
        with contextlib.suppress(StoreError):
            lock = read_lock(file)
            if lock.description.digest == entry["digest"]:
                return lock.description
    return None


def _code(old: Trial, new: Trial) -> list[Change]:
    """Commits, and the modules and functions that ran in both and are not the same."""
    found = _changes({"commit": _commit(old)}, {"commit": _commit(new)})
    before, after = _parts(old), _parts(new)
    both = [name for name in before if name in after]
    found += [
        Change(name, before[name][:12], after[name][:12])
        for name in both
        if before[name] != after[name]
    ]
    only: list[tuple[str, str | None, str | None]] = []
    only += [(name, "ran", None) for name in before if name not in after]
    only += [(name, None, "ran") for name in after if name not in before]
    return found + [Change(*one) for one in only]


def _parts(trial: Trial) -> dict[str, str]:
    parts = {}
    for module in (trial.manifest.get("code") or {}).get("modules", ()):
        place = str(module.get("place") or module.get("module"))
        parts[place] = str(module.get("skeleton"))
        parts |= {f"{place}:{name}": str(b) for name, b in module.get("bodies", {}).items()}
    return parts


def _commit(trial: Trial) -> str | None:
    """The commit that has the code that ran; a draft's own."""
    found = trial.manifest.get("snapshot") or trial.manifest.get("commit")
    return str(found) if found else None


def _patch(old: Trial, new: Trial, repository: Path, notes: list[str]) -> str:
    before, after = _commit(old), _commit(new)
    if before is None or after is None:
        notes.append("no patch: a trial has no commit")
        return ""
    if before == after:
        return ""
    if not (_COMMIT.fullmatch(before) and _COMMIT.fullmatch(after)):  # an option for git, say
        notes.append("no patch: a recorded commit is no commit id")
        return ""
    try:
        text = run_git(
            repository, "diff", "--no-color", "--no-ext-diff", "--no-textconv", before, after, "--"
        ).decode("utf-8", "replace")
    except TreeError:
        notes.append(
            f"no patch: {before[:7]} or {after[:7]} is not in the repository {repository}; "
            "fetch it there first"
        )
        return ""
    if len(text) > MOST_PATCH_LETTERS:
        notes.append(f"the patch is cut; all of it: git diff {before[:12]} {after[:12]}")
    return text[:MOST_PATCH_LETTERS]


def _environment(trial: Trial, store: Path, notes: list[str]) -> dict[str, Any]:
    """Facts of a trial's environment, flat; packages by name."""
    digest = trial.manifest.get("environment")
    facts = {"host": trial.manifest.get("host"), "user": trial.manifest.get("user")}
    if not digest:
        notes.append(f"the environment of {trial.id} was not recorded")
        return facts
    try:
        record = read_json(store / "environments" / str(digest) / "environment.json")
    except StoreError:
        notes.append(f"the environment {digest} of {trial.id} is not in the store")
        return {**facts, "environment": digest}
    return facts | _flat(record)


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in value.items():
        label = f"{prefix}{name}"
        if isinstance(one, dict):
            found |= _flat(one, f"{label}.")
        elif label not in {"schema", "digest"}:
            found[label] = one
    return found
