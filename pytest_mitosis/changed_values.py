"""Variants that are another value now than when an official trial was accepted.

Runs in the pytest process an item belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mitosis.identity import Description, compare, render_changes
from pytest_mitosis.model import Binding, LockError
from pytest_mitosis.read.verdict import packages_since
from pytest_mitosis.read.verdict_text import accept_command
from pytest_mitosis.store.locks import counting

if TYPE_CHECKING:
    from pytest_mitosis.store.reference import Reference


def changed_value(
    found: Reference, binding: Binding, now: Description, *, strict_code: bool
) -> LockError | None:
    """How a variant is another value than that a reference was recorded with."""
    recorded = found.description(binding.step, binding.parameter)
    if recorded is None:
        return None
    digest, description = recorded
    if description is None:
        detail = "" if digest == now.digest else f"  it was {found.value(binding)}"
    else:
        changes = counting(compare(description, _without_notes(now)), strict_code=strict_code)
        detail = render_changes(changes) if changes else ""
    if not detail:
        return None
    group = found.record["group"]
    packages = packages_since(found)
    told = f"\n  packages since then: {packages}" if packages else ""
    return LockError(
        f"{binding.parameter}={binding.name} changed since {group} was accepted ({found.origin})\n"
        f"{detail}{told}\nrestore the value, use a new name, or: {accept_command(group)}"
    )


def _without_notes(description: Description) -> Description:
    kept = tuple(leaf for leaf in description.leaves if leaf.facet != "note")
    return Description(kept, description.summary)
