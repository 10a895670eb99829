"""Artifacts: the files of a folder as they were recorded, and whether they still are so.

Must not know what the files are.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path


def artifacts(folder: Path, records: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Size, sha256 and time of every file in ``folder`` but ``records``, by path in the folder."""
    names = sorted(_files_in(str(folder)), key=lambda name: name.split("/"))
    return {name: facts_of(f"{folder}/{name}") for name in names if name not in records}


def _files_in(folder: str, inside: str = "") -> Iterator[str]:
    """The paths in ``folder`` of all files below it; links lead elsewhere and are no files."""
    try:
        entries = list(os.scandir(f"{folder}/{inside}"))
    except OSError:
        return  # an experiment may take all permissions from a folder
    for entry in entries:
        name = f"{inside}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _files_in(folder, f"{name}/")
        elif entry.is_file(follow_symlinks=False):
            yield name


def facts_of(path: Path | str) -> dict[str, Any]:
    """Size, sha256 and time of a file."""
    with open(path, "rb") as file:  # noqa: PTH123
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        stat = os.fstat(file.fileno())
    return {"bytes": stat.st_size, "sha256": digest, "mtime_ns": stat.st_mtime_ns}


def damaged(folder: Path, recorded: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What of a trial's recorded files is gone or other than recorded.

    A file of the same size and time is taken as it was; where the time differs (a copy of the
    folder, say) its checksum decides.
    """
    top = str(folder)
    return [name for name, one in recorded.items() if not _is_intact(f"{top}/{name}", one)]


def _is_intact(file: str, recorded: Mapping[str, Any]) -> bool:
    try:
        stat = os.stat(file)  # noqa: PTH116  asked for each file of each recorded trial
        if stat.st_size != recorded["bytes"]:
            return False
        if stat.st_mtime_ns == recorded.get("mtime_ns"):
            return True
        with open(file, "rb") as stream:  # noqa: PTH123
            return bool(hashlib.file_digest(stream, "sha256").hexdigest() == recorded["sha256"])
    except (OSError, KeyError):
        return False
