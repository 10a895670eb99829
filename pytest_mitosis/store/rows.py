"""Trials as flat rows: the one form that tables, files and data frames are made of."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Status, StoreError, Trial
from pytest_mitosis.store.catalogue import Catalogue
from pytest_mitosis.store.files import write_bytes
from pytest_mitosis.store.folder import read_trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SUMMARY = "summary.csv"
MAIN = "main"
FIXED_COLUMNS = (
    "id",
    "experiment",
    "seed",
    "iteration",
    "status",
    "official",
    "draft",
    "started",
    "duration_s",
    "commit",
    "user",
    "host",
    "folder",
)


def flat_row(trial: Trial) -> dict[str, Any]:
    """One trial with dotted columns: ``param.noise``, ``metric.main``, ``artifact.log.txt``."""
    m = trial.manifest
    row: dict[str, Any] = {
        "id": trial.id,
        "experiment": m["experiment"],
        "seed": m.get("seed"),
        "iteration": m.get("iteration"),
        "status": m["status"],
        "official": bool(m.get("official")),
        "draft": bool(m.get("draft")),
        "started": m.get("started"),
        "duration_s": m.get("duration_s"),
        "commit": m.get("commit"),
        "user": m.get("user"),
        "host": m.get("host"),
        "folder": str(trial.folder),
    }
    row |= {f"param.{name}": value for name, value in parameters(m).items()}
    row |= {f"metric.{name}": value for name, value in m.get("metrics", {}).items()}
    return row


def parameters(manifest: dict[str, Any]) -> dict[str, str]:
    """Parameter to the variant's name or the literal's text; with its step if steps share it."""
    listed = _listed(manifest)
    return {label_of(manifest, p, listed): p["variant"] or p["value"] for p in listed}


def label_of(
    manifest: dict[str, Any], entry: dict[str, Any], listed: Sequence[dict[str, Any]] = ()
) -> str:
    """What a parameter is called in tables: its name, with its step if steps share it."""
    same = sum(one["name"] == entry["name"] for one in listed or _listed(manifest))
    return str(entry["name"]) if same <= 1 else f"{entry['step']}.{entry['name']}"


def _listed(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for p in manifest.get("parameters", []) if p["kind"] not in {"rng", "seed"}]


def write_summary(store: Path) -> Path:
    """Write ``summary.csv`` of all trials but drafts, oldest first, in one step."""
    catalogue = Catalogue(store)
    top = len(str(catalogue.store)) + 1
    rows = [{**row, "folder": row["folder"][top:]} for row in catalogue.each(flat_row)]
    rows.sort(key=lambda row: (str(row["started"]), row["id"]))
    columns = column_order(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(store / SUMMARY, text.getvalue().encode("utf-8", "backslashreplace"))
    return store / SUMMARY


def column_order(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Fixed columns first, then parameters, metrics with ``main`` first, each as first seen."""
    seen = dict.fromkeys(name for row in rows for name in row)

    def rank(name: str) -> int:
        if name == f"metric.{MAIN}":
            return 2
        return {"param": 1, "metric": 3, "artifact": 4}.get(name.partition(".")[0], 0)

    return sorted(seen, key=rank) or ["id"]


def against_last(trial: Trial) -> str:
    """``-0.1 %``: main against the last earlier iteration that is done; ``new`` without one."""
    value = trial.manifest.get("metrics", {}).get(MAIN)
    if trial.status is not Status.DONE or trial.manifest.get("draft"):
        return ""
    last = _last_done(trial)
    if last is None:
        return "new"
    before = last.manifest.get("metrics", {}).get(MAIN)
    if type(before) is type(value) and (before == value or (before != before and value != value)):
        return "same"
    if _is_number(before) and _is_number(value) and before:
        return f"{100 * (value - before) / abs(before):+.2g} %"
    return "changed"


def _last_done(trial: Trial) -> Trial | None:
    earlier = []
    for folder in trial.folder.parent.iterdir():
        number, _, name = folder.name.partition("-")
        if number.isdecimal() and name and int(number) < trial.manifest["iteration"]:
            earlier.append((int(number), folder))
    for _, folder in sorted(earlier, reverse=True):
        try:
            found = read_trial(folder)
        except StoreError:
            continue
        if found.status is Status.DONE:
            return found
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
