"""References: what an official trial gave, as small readable files that a pull request reviews.

``official/<group>/<parameters>.json`` in the repository. Written by ``--exp-accept`` only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity import Description
from pytest_mitosis.identity.code import CodeIdentity, ModuleCode
from pytest_mitosis.model import Kind, PlanError, StoreError, Trial
from pytest_mitosis.store.codec.layout import dump as lay_out
from pytest_mitosis.store.evidence import Part, parts_of_trial
from pytest_mitosis.store.files import dump, read_json, write_bytes, write_json
from pytest_mitosis.store.folder import (
    MANIFEST,
    folder_name,
    now,
    read_manifest,
    read_trial,
    user_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_mitosis.model import Binding

SCHEMA = 1
MOST_LEAVES = 60
"""Of larger values only digest and summary are kept, not what they are made of: then it is not told
what changed, nor seen that a default did. Estimators have about thirty."""
_SHORT = 16
PROVENANCE = ("why", "accepted", "by", "trial", "started", "duration_s")
"""Entries that say how a reference came about, not what it vouches for."""


@dataclass(frozen=True)
class Reference:
    """What one official trial gave, and what it ran."""

    record: dict[str, Any]
    file: Path

    @property
    def metrics(self) -> dict[str, float | int | bool | str]:
        """As in the trial, in full precision."""
        found: dict[str, float | int | bool | str] = self.record["metrics"]
        return found

    @cached_property
    def parts(self) -> dict[str, Part]:
        """Texts and arrays of the result."""
        return {name: Part.from_json(one) for name, one in self.record["results"].items()}

    @property
    def origin(self) -> str:
        """When, at which commit and by whom: ``2026-05-01, commit 3f2a91c, jess``."""
        commit = self.record["code"].get("commit")
        known = [
            str(self.record["accepted"])[:10],
            f"commit {commit[:7]}" if commit else "",
            str(self.record["by"]),
        ]
        return ", ".join(one for one in known if one)

    @property
    def family(self) -> tuple[str, ...]:
        """What trials have in common that differ in their seed only."""
        entries = [p for p in self.record["parameters"] if p["kind"] not in {Kind.SEED, Kind.RNG}]
        return tuple(f"{p['step']}.{p['name']}={p['variant']}" for p in entries)

    def variant(self, step: str, parameter: str) -> str:
        """The name of the variant a parameter had; empty if it had none."""
        entry = self._variants.get((step, parameter))
        return str(entry["variant"]) if entry else ""

    def value(self, binding: Binding) -> str:
        """The recorded value of a variant, in one line."""
        return str(self._variants[binding.step, binding.parameter]["value"])

    def description(self, step: str, parameter: str) -> tuple[str, Description | None] | None:
        """Digest of a recorded variant, and what it was made of if that was kept."""
        entry = self._variants.get((step, parameter))
        if entry is None:
            return None
        kept = {"leaves": entry.get("leaves"), "summary": entry["value"]}
        return entry["digest"], Description.from_json(kept) if kept["leaves"] else None

    @cached_property
    def _variants(self) -> dict[tuple[str, str], dict[str, Any]]:
        entries = [one for one in self.record["parameters"] if one["kind"] == Kind.VARIANT]
        return {(one["step"], one["name"]): one for one in entries}


def reference_file(folder: Path, group: str, key: str) -> Path:
    """Where the reference of a trial of a group is."""
    return folder / group / f"{folder_name(key)}.json"


def read_reference(file: Path) -> Reference | None:
    """The reference in ``file``; None if there is no such file.

    Raises
    ------
    PlanError
        If it is no reference, or of a newer version.
    """
    if not file.is_file():
        return None
    try:
        record = read_json(file)
        found = Reference(record, file)
        _ = (found.parts, found.origin, found.family, found.metrics.items(), record["environment"])
        _ = (record["trial"], record["code"]["files"].items(), record["code"]["packages"].items())
        _ = [record[name] for name in ("experiment", "spec", "group", "why")]
        _ = [record["environment"][name] for name in ("digest", "python", "machine", "blas")]
    except (StoreError, KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"{file} is no reference ({error}); restore it with git") from None
    if record.get("schema", 0) > SCHEMA:
        raise PlanError(f"{file} was written by a newer version; update pytest-mitosis")
    return found


def vouched_trials(folder: Path) -> set[str]:
    """The ids of all trials that references in ``folder`` name, of groups not declared too.

    Raises
    ------
    PlanError
        If one of the files is no reference.
    """
    groups = sorted(one.name for one in folder.glob("*/"))
    return {str(one.record["trial"]) for group in groups for one in read_group(folder, group)}


def accepted_trial(reference: Reference, spec_folder: Path) -> Trial | None:
    """The trial a reference names, if it is among those of its spec."""
    name = str(reference.record["trial"])
    found = [one for one in spec_folder.glob("*-*") if one.name.partition("-")[2] == name]
    try:
        return read_trial(found[0]) if found else None
    except StoreError:
        return None


def mark_official(trial: Trial, group: str) -> Trial:
    """Say in the trial's manifest that the project vouches for it, as part of ``group``.

    Only what was accepted is marked: a trial that was run to be compared is one as any other.
    """
    manifest = read_manifest(trial.folder)
    text = manifest.get("official")
    known = text.split(", ") if isinstance(text, str) and text else []
    if group in known:
        return trial
    manifest["official"] = ", ".join(sorted([*known, group]))
    write_json(trial.folder / MANIFEST, manifest)
    return Trial(trial.folder, manifest)


def read_group(folder: Path, group: str) -> list[Reference]:
    """All references of a group.

    Raises
    ------
    PlanError
        If one of the files is no reference.
    """
    found = (read_reference(file) for file in sorted((folder / group).glob("*.json")))
    return [one for one in found if one is not None]


def write_reference(reference: Reference) -> bool:
    """Write a reference; False if there is one already that vouches for the very same."""
    try:
        before = read_reference(reference.file)
    except PlanError:
        before = None
    if before is not None and _vouched(before.record) == _vouched(reference.record):
        return False
    reference.file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(reference.file, lay_out(json.loads(dump(reference.record))))
    return True


def make_reference(
    trial: Trial,
    file: Path,
    group: str,
    why: str,
    environment: Mapping[str, Any],
    descriptions: Mapping[tuple[str, str], Description],
    node: str = "",
) -> Reference:
    """The reference that vouches for ``trial``.

    ``environment`` is the recorded one; ``descriptions`` are those of the variants, by step and
    parameter; ``node`` is the trial's node id, from the root of the repository.
    """
    m = trial.manifest
    record = {
        "schema": SCHEMA,
        "why": why,
        "accepted": now(),
        "by": user_name(),
        "group": group,
        "experiment": m["experiment"],
        "spec": m["spec"],
        "seed": m.get("seed"),
        "node": node,
        **{name: m[name] for name in ("hypothesis", "supported") if m.get(name)},
        "metrics": m.get("metrics", {}),
        "results": {name: part.to_json() for name, part in parts_of_trial(trial).items()},
        "parameters": [_parameter(one, descriptions) for one in m["parameters"] if one["tracked"]],
        "code": {"commit": m.get("commit"), **code_of(trial)},
        "environment": environment_of(environment),
        "trial": trial.id,
        "started": m.get("started"),
        "duration_s": m.get("duration_s"),
    }
    return Reference(record, file)


def code_of(trial: Trial) -> dict[str, Any]:
    """What a trial ran: its files by two digests, and the packages it used."""
    recorded = trial.manifest.get("code")
    if not recorded:
        return {"digest": "", "files": {}, "packages": {}}
    code = CodeIdentity.from_json(recorded)
    return {
        "digest": recorded.get("digest") or code.digest,
        "files": {_place(one): _digests(one) for one in sorted(code.modules, key=_place)},
        "packages": code.distributions,
    }


def environment_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What of an environment decides on the last digits of a result."""
    machine, python = record.get("machine", {}), record.get("python", {})
    return {
        "digest": record.get("digest", ""),
        "python": python.get("version", ""),
        "machine": {
            name: machine[name] for name in ("system", "machine", "cpu") if name in machine
        },
        "blas": dict(record.get("blas", {})),
    }


def recorded_environment(store: Path, trial: Trial) -> dict[str, Any]:
    """The environment of a trial, empty if it is not in the store."""
    digest = str(trial.manifest.get("environment") or "")
    try:
        found = read_json(store / "environments" / digest / "environment.json") if digest else {}
    except StoreError:
        return {}
    return {**found, "digest": digest}


def _vouched(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: one for name, one in record.items() if name not in PROVENANCE}
    # Text, because NaN is not equal to itself; a commit that changed nothing is none.
    code = {name: one for name, one in record["code"].items() if name != "commit"}
    return {"text": dump({**kept, "code": code})}


def _parameter(
    entry: Mapping[str, Any], descriptions: Mapping[tuple[str, str], Description]
) -> dict[str, Any]:
    kept = {name: entry[name] for name in ("step", "name", "kind", "variant", "value", "digest")}
    found = descriptions.get((entry["step"], entry["name"]))
    if found is None or len(found.leaves) > MOST_LEAVES:
        return kept
    return {**kept, "leaves": [[leaf.path, leaf.facet, leaf.text] for leaf in _counting(found)]}


def _counting(description: Description) -> Iterator[Any]:
    return (leaf for leaf in description.leaves if leaf.facet != "note")


def _place(module: ModuleCode) -> str:
    return module.place if module.repository == "." else f"{module.module} ({module.place})"


def _digests(module: ModuleCode) -> dict[str, str]:
    """``ran`` is of what counts, so that a comment changes nothing; ``blob`` is git's."""
    return {"ran": _short(json.dumps(module.identity)), "blob": module.blob[:_SHORT]}


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_SHORT]
