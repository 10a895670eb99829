"""Trials as files for others: a table, or an archive that is a store and an RO-Crate in one."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import secrets
import zipfile
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError
from pytest_mitosis.store.crate import (
    CONTEXT,
    CRATE,
    LICENCE,
    dataset,
    descriptor,
    fixed_entities,
    people,
)
from pytest_mitosis.store.files import write_bytes
from pytest_mitosis.store.folder import HEARTBEAT, QUEUED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_mitosis.model import Trial
    from pytest_mitosis.read.columns import Table

FORMATS = (".csv", ".json", ".parquet", ".zip")


def format_of(path: Path) -> str:
    """The format that the name of a file asks for.

    Raises
    ------
    PlanError
        If it is none of ours.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise PlanError(f"{path}: the name has to end in {', '.join(FORMATS)}")
    return suffix


def write_table(table: Table, path: Path) -> None:
    """Write trials as CSV, JSON or parquet.

    Raises
    ------
    PlanError
        If parquet is wanted and pyarrow is not there.
    """
    kind = format_of(path)
    if kind == ".parquet":
        _write_parquet(table, path)
        return
    rows = [table.row(n) for n in range(len(table))]
    if kind == ".json":
        text = json.dumps([_strict(row) for row in rows], indent=1, allow_nan=False) + "\n"
        write_bytes(path, text.encode("utf-8", "backslashreplace"))
        return
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(table.columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    write_bytes(path, stream.getvalue().encode("utf-8", "backslashreplace"))


def _strict(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has neither NaN nor infinity; they are texts."""
    return {name: str(v) if isinstance(v, float) and v - v != 0 else v for name, v in row.items()}


def _write_parquet(table: Table, path: Path) -> None:
    from pytest_mitosis.read.frame import frame_of

    frame = frame_of(table)
    mixed = [name for name in frame if frame[name].dtype == object]
    frame = frame.assign(**{n: frame[n].map(_text, na_action="ignore") for n in mixed})
    frame.attrs = {}
    content = io.BytesIO()
    try:
        frame.to_parquet(content)
    except ImportError:
        raise PlanError("parquet needs pyarrow: pip install pyarrow, or export to .csv") from None
    write_bytes(path, content.getvalue())


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def write_archive(trials: Sequence[Trial], store: Path, locks: Path, path: Path) -> None:
    """Write a zip of trials with their environments and all locks, as they are in the store.

    Unpacked it is a trials folder, and an RO-Crate with one data set a trial. Links are left out.
    """
    if not trials:
        raise PlanError("there are no such trials, so there is nothing to export")
    with new_archive(path) as archive:
        add_trials(archive, trials, store)
        add_folder(archive, locks, "locks")


@contextlib.contextmanager
def new_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip, which is at its place once it is complete."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with zipfile.ZipFile(beside, "x", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            yield archive
        os.replace(beside, path)  # noqa: PTH105
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def add_trials(
    archive: zipfile.ZipFile, trials: Sequence[Trial], store: Path, top: str = ""
) -> None:
    """Add trials with their crate, their environments and the aliases, below the folder ``top``."""
    places = {trial.id: _place(trial.folder, store) for trial in trials}
    crate = _crate([(trial, places[trial.id]) for trial in trials])
    archive.writestr(f"{top}{CRATE}", json.dumps(crate, indent=1))
    for trial in trials:
        add_folder(archive, trial.folder, f"{top}{places[trial.id]}")
    for digest in sorted({str(t.manifest.get("environment") or "") for t in trials} - {""}):
        add_folder(archive, store / "environments" / digest, f"{top}environments/{digest}")
    add_folder(archive, store / "aliases", f"{top}aliases")


def add_folder(archive: zipfile.ZipFile, folder: Path, place: str) -> None:
    """Add all files of a folder in the order of their names; links are left out."""
    for file in _files(folder):
        archive.write(file, f"{place}/{file.relative_to(folder).as_posix()}")


def _place(folder: Path, store: Path) -> str:
    return folder.absolute().relative_to(store.absolute()).as_posix()


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and file.name not in {HEARTBEAT, QUEUED}:
            yield file


def _crate(trials: Sequence[tuple[Trial, str]]) -> dict[str, Any]:
    """The crate of several trials: each a data set with a crate of its own in its folder."""
    from urllib.parse import quote

    manifests = [trial.manifest for trial, _ in trials]
    parts = [dataset(f"{quote(place)}/", trial.manifest) for trial, place in trials]
    experiments = sorted({str(m["experiment"]) for m in manifests})
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{len(trials)} trials of {', '.join(experiments)}",
        "description": "Trials of computational experiments, each with its record and files.",
        "datePublished": max(str(part["datePublished"]) for part in parts),
        "license": {"@id": LICENCE},
        "hasPart": [{"@id": part["@id"]} for part in parts],
    }
    entities = [descriptor(), root, *parts, *people(manifests), *fixed_entities()]
    return {"@context": CONTEXT, "@graph": entities}
