"""What a data frame has only on request, because it takes reading every manifest and lock.

Must not know pandas.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Kind, PlanError, StoreError, Trial
from pytest_mitosis.store.locks import Name, lock_file, read_lock, revisions
from pytest_mitosis.store.rows import label_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_mitosis.identity import Description

MOST_LEAVES = 100
"""A value of more parts is shown in one line."""
_PLAIN = ("int ", "float ", "bool ", "str ", "None", "complex ", "bytes ")


def artifact_columns(trials: Sequence[Trial]) -> dict[str, list[Any]]:
    """``artifact.<name>`` to the path of that file of each trial, or None."""
    names = dict.fromkeys(name for t in trials for name in t.manifest.get("artifacts", {}))
    return {
        f"artifact.{name}": [
            str(t.folder / name) if name in t.manifest.get("artifacts", {}) else None
            for t in trials
        ]
        for name in names
    }


def value_columns(trials: Sequence[Trial], locks: Path) -> dict[str, list[Any]]:
    """``value.<name>`` or ``value.<name>.<leaf>`` to what the names stood for in each trial.

    A variant's value is that of the revision of its lock the trial ran with. Where there is none
    any more, the summary in the trial's manifest stands for it.
    """
    known: dict[tuple[str, ...], dict[str, Any]] = {}
    found: list[dict[str, Any]] = []
    for trial in trials:
        row: dict[str, Any] = {}
        for one in trial.manifest.get("parameters", ()):
            if one["kind"] in {Kind.SEED, Kind.RNG}:
                continue
            label = f"value.{label_of(trial.manifest, one)}"
            key = (one["step"], one["name"], one["kind"], one["variant"], one["digest"])
            if key not in known:
                known[key] = _leaves(one, locks)
            row |= {f"{label}{path}": value for path, value in known[key].items()}
        found.append(row)
    names = dict.fromkeys(name for row in found for name in row)
    return {name: [row.get(name) for row in found] for name in names}


def _leaves(entry: dict[str, Any], locks: Path) -> dict[str, Any]:
    if entry["kind"] == Kind.VARIANT:
        name = Name(entry["step"], entry["name"], entry["variant"])
        for file in revisions(lock_file(locks, name)):
            try:
                description = read_lock(file).description
            except StoreError:
                continue
            if description.digest == entry["digest"]:
                return _scalars(description) or {"": entry["value"]}
        return {"": _literal(str(entry["value"]), entry["value"])}
    return {"": _literal(f" {entry['variant']}", entry["value"])}


def _scalars(description: Description) -> dict[str, Any]:
    """The numbers and texts in a value, by path; empty for a value that is neither."""
    found = {
        "" if leaf.path == "." else leaf.path: _literal(leaf.text, leaf.text)
        for leaf in description.leaves
        if leaf.facet in {"value", "schema"} and leaf.text.startswith(_PLAIN)
    }
    return found if len(found) <= MOST_LEAVES else {}


def _literal(text: str, otherwise: object) -> object:
    """``float 0.1`` as 0.1; ``otherwise`` for what is no literal."""
    kind, _, literal = text.partition(" ")
    try:
        if kind == "float":
            return float(literal)
        return ast.literal_eval(literal or kind)
    except (ValueError, SyntaxError):
        return otherwise


def require_one_code(trials: Iterable[Trial]) -> None:
    """Refuse trials of one experiment that ran different versions of a function or module.

    Trials that ran different functions of the same code are no such trials.

    Raises
    ------
    PlanError
        If there are some; says which parts differ, at which commits.
    """
    by_experiment: dict[str, list[Trial]] = {}
    for trial in trials:
        by_experiment.setdefault(str(trial.manifest["experiment"]), []).append(trial)
    for experiment, group in by_experiment.items():
        if mixed := _mixed_parts(group):
            commits = Counter(str(t.manifest.get("commit") or "no commit")[:7] for t in group)
            shown = ", ".join(f"{commit} ({count})" for commit, count in commits.most_common(5))
            more = f" and {len(mixed) - 3} more" if len(mixed) > 3 else ""
            raise PlanError(
                f"the {len(group)} trials of {experiment} ran different code: "
                f"{', '.join(mixed[:3])}{more} changed between commits {shown}; select trials of "
                "one version, rerun the others, or leave out strict"
            )


def _mixed_parts(trials: Sequence[Trial]) -> list[str]:
    """The functions and modules that are not the same in all trials."""
    seen: dict[str, set[str]] = {}
    for trial in trials:
        code = trial.manifest.get("code")
        if not code:
            commit = trial.manifest.get("commit") or trial.manifest.get("snapshot") or trial.id
            seen.setdefault("unrecorded code", set()).add(str(commit))
            continue
        for module in code.get("modules", ()):
            place = str(module.get("place") or module.get("module"))
            seen.setdefault(place, set()).add(json.dumps(module.get("skeleton")))
            for name, body in module.get("bodies", {}).items():
                seen.setdefault(f"{place}:{name}", set()).add(json.dumps(body))
    return [name for name, versions in seen.items() if len(versions) > 1]
