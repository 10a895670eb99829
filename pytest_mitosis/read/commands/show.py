"""``pytest-mitosis show``: one trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pytest_mitosis.read.commands.output import FOLDER, JSON, print_facts, print_json
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.read.search import find_trial
from pytest_mitosis.table import verdict_on

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.model import Trial


@click.command(short_help="Show one trial.")
@click.argument("trial")
@JSON
@FOLDER
def show(trial: str, *, as_json: bool, trials_folder: Path | None) -> None:
    """Show what TRIAL was, how it ended and what it left."""
    found = find_trial(find_store(trials_folder), trial)
    if as_json:
        print_json({**found.manifest, "folder": str(found.folder)})
    else:
        print_facts(_facts(found))


def _facts(trial: Trial) -> list[tuple[str, Any]]:
    m = trial.manifest
    facts = [("trial", f"{m['experiment']} {trial.id}"), ("status", m["status"])]
    if m.get("recorded_as"):
        old = m["recorded_as"]
        facts.append(("recorded as", f"{old['experiment']} {old['spec']}"))
    if m.get("imported"):
        facts.append(
            ("imported", f"from {m['imported'].get('from')}; what is not shown is unknown")
        )
    if m.get("failure"):
        facts.append(("failure", f"{m['failure']['type']}: {m['failure']['message']}"))
    if m.get("hypothesis"):
        facts.append(("hypothesis", f"{m['hypothesis']} ({verdict_on(m.get('supported'))})"))
    facts += [
        (str(p["name"]), " ".join(filter(None, [p["variant"], f"({p['value']})"])))
        for p in m.get("parameters", ())
    ]
    facts += [(name, repr(value)) for name, value in m.get("metrics", {}).items()]
    facts += [("note", note) for note in m.get("notes", ())]
    facts += [
        ("commit", m.get("commit") or "none"),
        ("started", " ".join(_known(m, started="", user="by ", host="on ")) or "unknown"),
        ("rerun", m.get("command")),
        ("folder", trial.folder),
    ]
    facts += [("randomness", found["text"]) for found in m.get("randomness", ())]
    return facts + [("", name) for name in m.get("artifacts", {})]


def _known(manifest: dict[str, Any], **words: str) -> list[str]:
    """What is known of some facts, each after its word."""
    return [f"{word}{manifest[name]}" for name, word in words.items() if manifest.get(name)]
