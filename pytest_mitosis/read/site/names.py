"""The locked names of a project as the browser's variant pages show them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import StoreError
from pytest_mitosis.read.site.script import digest_of, write_once
from pytest_mitosis.store.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

MOST_LEAVES = 400
_TEXTS = ("step", "parameter", "variant", "value", "digest", "locked", "user", "commit", "why")


def write_names(folder: Path, locks: Path) -> str:
    """Write the data file of all revisions of all locks, unless it is there; returns its name."""
    files = sorted(locks.glob("*/*/[!.]*.json"))
    name = f"names-{digest_of([_sign(file) for file in files])}.js"
    if not (folder / name).exists():
        write_once(folder / name, "names", [one for file in files if (one := _record(file))])
    return name


def _sign(file: Path) -> list[Any]:
    try:
        stat = os.stat(file)  # noqa: PTH116  asked of every lock
    except OSError:
        return [str(file)]
    return [str(file), stat.st_mtime_ns, stat.st_size]


def _record(file: Path) -> list[Any] | None:
    """The texts in order, then the revision and the leaves; None for what is no lock."""
    try:
        record = read_json(file)
        leaves = [[str(part) for part in leaf] for leaf in record["description"]["leaves"]]
        revision = int(record.get("revision", 1))
    except (StoreError, KeyError, TypeError, ValueError):
        return None
    shown = [[path, facet, text[:2000]] for path, facet, text in leaves[:MOST_LEAVES]]
    texts = [str(record.get(name) or "") for name in _TEXTS]
    return [*texts, revision, shown, len(leaves)]
