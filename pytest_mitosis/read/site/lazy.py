"""Data files that pages load when they need them: environments, and the code of trials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import StoreError
from pytest_mitosis.read.site.history import sources
from pytest_mitosis.read.site.row import files_of
from pytest_mitosis.read.site.script import write_once
from pytest_mitosis.store.files import read_json
from pytest_mitosis.store.folder import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class Lazy:
    """Writes what is not there yet into ``site``, for the trials of ``store``."""

    store: Path
    site: Path
    repository: Path | None

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Everything the pages of these trials may ask for."""
        for digest in {str(row["environment"]) for row in rows if "environment" in row}:
            self._environment(digest)
        examples = {str(row["code"]): str(row["folder"]) for row in rows if "code" in row}
        wanted = [one for digest, folder in examples.items() for one in self._code(digest, folder)]
        if self.repository is not None and wanted:
            self._sources(self.repository, wanted)

    def _environment(self, digest: str) -> None:
        file = self.site / "environments" / f"{digest}.js"
        if not _DIGEST.fullmatch(digest) or file.exists():
            return
        try:
            record = read_json(self.store / "environments" / digest / "environment.json")
        except StoreError:
            return
        write_once(file, "environment", digest, list(_facts(record)))

    def _code(self, digest: str, folder: str) -> Iterator[tuple[str, list[list[str]]]]:
        """Write the list of a trial's files; gives it if its sources are not there yet."""
        file = self.site / "code" / f"{digest}.js"
        is_complete = self.repository is None or file.with_suffix(".sources").exists()
        if file.exists() and is_complete:
            return
        try:
            files = files_of(read_json(self.store / folder / MANIFEST))
        except StoreError:
            return
        write_once(file, "code", digest, files)
        yield digest, files

    def _sources(self, repository: Path, wanted: Iterable[tuple[str, list[list[str]]]]) -> None:
        folder = self.site / "blobs"
        files = list(wanted)
        blobs = {
            blob
            for _, listed in files
            for _, blob, _ in listed
            if not (folder / f"{blob}.js").exists()
        }
        for blob, text in sources(repository, blobs).items():
            write_once(folder / f"{blob}.js", "source", blob, text)
        for digest, _ in files:
            (self.site / "code" / f"{digest}.sources").touch()


def _facts(record: dict[str, Any], path: str = "") -> Iterator[list[str]]:
    """Dotted names and values, flat."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _facts(value, f"{path}{name}.")
        elif path or name not in {"schema", "digest"}:
            yield [f"{path}{name}", str(value)]
