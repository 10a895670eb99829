"""Aliases: what an experiment, a parameter or a variant is called now, beside files as they were.

``aliases/<time>-<id>.json``, one file a renaming, never replaced. Readers translate manifests of
trials that began before the renaming; the files of those trials stay as they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import SCHEMA, StoreError
from pytest_mitosis.plan.names import require_safe
from pytest_mitosis.store.files import create_json, read_json
from pytest_mitosis.store.folder import ALIASES, new_id, now, user_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Alias:
    """One renaming. ``parameter`` and ``variant`` are empty where they are not what is renamed.

    Attributes
    ----------
    scope : str
        The experiment; of a parameter or variant the experiment or the step.
    new : str
        What is said in place of the last of the three that is not empty.
    renamed : str
        When; trials that began later are not meant.
    """

    scope: str
    parameter: str
    variant: str
    new: str
    renamed: str
    user: str = ""
    why: str = ""

    def __str__(self) -> str:
        names = f"{self.scope}.{self.parameter}" if self.parameter else self.scope
        return f"{names}={self.variant}" if self.variant else names


@dataclass(frozen=True, slots=True)
class Aliases:
    """All renamings of a store, the first one first."""

    entries: tuple[Alias, ...] = ()

    @property
    def digest(self) -> str:
        """Another one with every renaming; empty without any."""
        if not self.entries:
            return ""
        return hashlib.sha256(repr(self.entries).encode()).hexdigest()[:16]

    def translate(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """``manifest`` with the names of today; the same object if none of them changed."""
        started = str(manifest.get("started", ""))
        for alias in self.entries:
            if started < alias.renamed and _is_meant(alias, manifest):
                manifest = _renamed(alias, manifest)
        return manifest


def read_aliases(store: Path) -> Aliases:
    """The renamings in ``store``.

    Raises
    ------
    StoreError
        If one cannot be read; trials under a wrong name would be worse than none.
    """
    files = sorted((store / ALIASES).glob("[!.]*.json"))
    found = []
    for file in files:
        record = read_json(file)
        try:
            found.append(Alias(**{name: str(record[name]) for name in Alias.__slots__}))
        except KeyError as error:
            raise StoreError(f"{file} is no alias: it has no {error}") from None
    return Aliases(tuple(sorted(found, key=lambda one: one.renamed)))


def add_alias(
    store: Path, scope: str, parameter: str, variant: str, new: str, why: str = ""
) -> Alias:
    """Record that something is called ``new`` from now on."""
    require_safe(new, "the new name")
    alias = Alias(scope, parameter, variant, new, now(), user_name(), why)
    (store / ALIASES).mkdir(parents=True, exist_ok=True)
    name = f"{alias.renamed[:23].replace(':', '')}-{new_id()}.json"
    create_json(store / ALIASES / name, {"schema": SCHEMA, **asdict(alias)})
    return alias


def _is_meant(alias: Alias, manifest: dict[str, Any]) -> bool:
    if not alias.parameter:
        return bool(manifest["experiment"] == alias.scope)
    return any(_is_parameter(alias, manifest, p) for p in manifest.get("parameters", ()))


def _is_parameter(alias: Alias, manifest: dict[str, Any], entry: dict[str, Any]) -> bool:
    return (
        entry["name"] == alias.parameter
        and alias.scope in (entry["step"], manifest["experiment"])
        and (not alias.variant or (entry["kind"], entry["variant"]) == ("variant", alias.variant))
    )


def _renamed(alias: Alias, manifest: dict[str, Any]) -> dict[str, Any]:
    known = manifest.get("recorded_as") or {
        "experiment": manifest["experiment"],
        "spec": manifest.get("spec", ""),
    }
    changed = {**manifest, "recorded_as": known}
    if not alias.parameter:
        return {**changed, "experiment": alias.new}
    old = manifest.get("parameters", ())
    parameters = [
        _renamed_entry(alias, one) if _is_parameter(alias, manifest, one) else one for one in old
    ]
    steps = {one["step"] for one in old if _is_parameter(alias, manifest, one)}
    spec = _renamed_spec(alias, str(manifest.get("spec", "")), steps)
    return {**changed, "parameters": parameters, "spec": spec}


def _renamed_entry(alias: Alias, entry: dict[str, Any]) -> dict[str, Any]:
    if not alias.variant:
        return {**entry, "name": alias.new}
    names = [alias.new if one == alias.variant else one for one in entry.get("variants", ())]
    return {**entry, "variant": alias.new, **({"variants": names} if names else {})}


def _renamed_spec(alias: Alias, spec: str, steps: Sequence[str] | set[str]) -> str:
    labels = {alias.parameter, *(f"{step}.{alias.parameter}" for step in steps)}
    parts = []
    for part in spec.split(","):
        label, equals, name = part.partition("=")
        if equals and label in labels:
            if alias.variant:
                name = alias.new if name == alias.variant else name
            else:
                label = f"{label[: -len(alias.parameter)]}{alias.new}"
        parts.append(f"{label}{equals}{name}")
    return ",".join(parts)
