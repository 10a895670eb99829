"""A trial as the browser's table knows it: flat columns, small enough for ten thousand of them."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from pytest_mitosis.read.site.script import digest_of
from pytest_mitosis.store.folder import DRAFTS, PAGE
from pytest_mitosis.table import verdict_on

if TYPE_CHECKING:
    from pytest_mitosis.model import Trial

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
MOST_PICTURES = 24
LONGEST_TEXT = 2000
_LARGEST_NUMBER = 2**53  # JavaScript rounds larger ones
_COPIED = (
    "id", "experiment", "spec", "status", "iteration", "seed", "started", "duration_s", "cpu_s",
    "peak_memory_bytes", "commit", "user", "host", "environment", "command", "hypothesis",
    "snapshot",
)  # fmt: skip


def row_of(trial: Trial) -> dict[str, Any]:
    """One trial as flat columns of builtins; what is not known is left out."""
    m = trial.manifest
    files = files_of(m)
    recorded = m.get("artifacts") or {}
    row = {name: _plain(m.get(name)) for name in _COPIED}
    row |= {
        "draft": bool(m.get("draft")),
        "official": _plain(m.get("official")),
        "supported": verdict_on(said) if (said := m.get("supported")) is not None else None,
        "folder": place_of(trial),
        "page": os.path.exists(f"{trial.folder}/{PAGE}"),  # noqa: PTH110  of every trial
        "branch": _plain(next((r.get("branch") for r in m.get("repositories") or ()), None)),
        "failure": _failure(m),
        "notes": _lines(m.get("notes")),
        "tainted": _lines(m.get("tainted")),
        "figures": pictures_of(m) or None,
        "logs": [name for name in ("log.txt", "output.txt") if name in recorded],
        "notebook": "notebook.html" in recorded,
        "steps": [str(step.get("name")) for step in m.get("steps") or ()],
        "code": digest_of(files) if files else None,
    }
    row |= _parameters(m)
    row |= {f"metric.{name}": _plain(value) for name, value in (m.get("metrics") or {}).items()}
    return {name: value for name, value in row.items() if value not in (None, "", [])}


def place_of(trial: Trial) -> str:
    """The trial's folder as its store sees it."""
    parts = str(trial.folder).split("/")  # much faster than .parts, and asked of every trial
    is_draft = len(parts) > 3 and parts[-4] == DRAFTS and bool(trial.manifest.get("draft"))
    return "/".join(parts[-4 if is_draft else -3 :])


def files_of(manifest: dict[str, Any]) -> list[list[str]]:
    """The project files a trial imported: place, git blob and repository of each."""
    modules = (manifest.get("code") or {}).get("modules") or ()
    return sorted(
        [str(one.get("place")), str(one.get("blob") or ""), str(one.get("repository") or "")]
        for one in modules
    )


def pictures_of(manifest: dict[str, Any]) -> list[str]:
    """The files of a trial that are pictures, those in ``figures`` first."""
    found = [name for name in manifest.get("artifacts") or {} if name.lower().endswith(PICTURES)]
    found.sort(key=lambda name: (not name.startswith("figures/"), name))
    return found[:MOST_PICTURES]


def _parameters(manifest: dict[str, Any]) -> dict[str, Any]:
    listed = [p for p in manifest.get("parameters") or () if p.get("kind") not in {"rng", "seed"}]
    names = [p["name"] for p in listed]
    columns: dict[str, Any] = {}
    for p in listed:
        name = p["name"] if names.count(p["name"]) == 1 else f"{p['step']}.{p['name']}"
        columns[f"param.{name}"] = _plain(p.get("variant") or p.get("value"))
        columns[f"value.{name}"] = _plain(p.get("value"))
        columns[f"kind.{name}"] = p.get("kind") if p.get("tracked", True) else "untracked"
        columns[f"digest.{name}"] = str(p.get("digest") or "")[:16]
        columns[f"step.{name}"] = p.get("step")
        columns[f"order.{name}"] = [str(one) for one in p.get("variants") or ()]
        columns[f"default.{name}"] = _plain(p.get("default"))
    return columns


def _failure(manifest: dict[str, Any]) -> str | None:
    failure = manifest.get("failure")
    return _text(f"{failure.get('type')}: {failure.get('message')}") if failure else None


def _lines(value: object) -> list[str]:
    return [_text(str(one)) for one in value[:20]] if isinstance(value, list) else []


def _plain(value: object) -> object:
    """A number, a text or None as JavaScript keeps it."""
    kind = type(value)
    if kind is str:
        return _text(value)  # type: ignore[arg-type]
    if value is None or kind is bool:
        return value
    if isinstance(value, int):
        return value if abs(value) < _LARGEST_NUMBER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else float(repr(value))
    return _text(str(value))


def _text(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
