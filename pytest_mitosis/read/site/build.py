"""Builds and refreshes the browser of a store.

Every file is named by what is in it and written before ``index.html`` names it, so a reader sees
either the site before or the one after. Of two that refresh at once the last one to write looks at
the folders again afterwards: what was recorded meanwhile is never missing for good.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.read.site.assets import SCRIPTS, STYLES, install_assets, render
from pytest_mitosis.read.site.chunk import write_chunks
from pytest_mitosis.read.site.history import commits
from pytest_mitosis.read.site.lazy import Lazy
from pytest_mitosis.read.site.names import write_names
from pytest_mitosis.read.site.page import write_missing_pages
from pytest_mitosis.read.site.row import row_of
from pytest_mitosis.read.site.script import digest_of, write_once
from pytest_mitosis.store.catalogue import Catalogue
from pytest_mitosis.store.files import write_bytes
from pytest_mitosis.store.folder import now

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

INDEX = "index.html"
SITE = "_site"
GRACE_SECONDS = 3600.0
"""How long a reader may still load what the site does not name any more."""
_MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Site:
    """The page a site begins with, and a sentence on trials that it leaves out; mostly empty."""

    page: Path
    left_out: str


def build_site(
    store: Path, *, locks: Path | None = None, repository: Path | None = None, title: str = ""
) -> Site:
    """Write ``index.html`` and ``_site`` in the trials folder.

    Parameters
    ----------
    locks : Path, optional
        Where the project keeps its locks, ``store/locks`` if not given.
    repository : Path, optional
        The project's git repository, for the subjects of commits and the sources behind patches.
    title : str, optional
        What the pages are headed with, else the name of the folder the store is in.

    Raises
    ------
    OSError
        If the trials folder cannot be written.
    """
    store = store.absolute()
    for _ in range(_MOST_ROUNDS):
        seen = Catalogue(store, drafts=True)
        _build(seen, locks or store / "locks", repository, title or store.parent.name)
        if Catalogue(store, drafts=True).signatures() == seen.signatures():
            break
    return Site(store / INDEX, seen.left_out())


def _build(seen: Catalogue, locks: Path, repository: Path | None, title: str) -> None:
    store = seen.store
    site, data = store / SITE, store / SITE / "data"
    data.mkdir(parents=True, exist_ok=True)
    app = install_assets(site)
    rows = _rows(seen)
    Lazy(store, site, repository).write(rows)
    pages = write_missing_pages(store, site, rows)
    named = [
        _write_commits(data, repository, rows),
        write_names(data, locks),
        *write_chunks(data, rows),
    ]
    content = render(
        "index.html",
        title=title,
        built=now(),
        left_out=seen.left_out(),
        scripts=[f"{SITE}/{app}/{name}" for name in SCRIPTS[:-1]]
        + [f"{SITE}/data/{name}" for name in named]
        + [f"{SITE}/{app}/{SCRIPTS[-1]}"],
        styles=[f"{SITE}/{app}/{name}" for name in STYLES],
        theme=f"{SITE}/{app}/theme.js",
    )
    write_bytes(store / INDEX, content)
    _sweep(data, set(named))
    _sweep(site / "trials", pages)
    _sweep(site, {app, "data", "trials", "environments", "code", "blobs"})


def _rows(seen: Catalogue) -> list[dict[str, Any]]:
    """All trials, oldest first, drafts too."""
    rows = seen.each(row_of)
    rows.sort(key=lambda row: (str(row.get("started")), row["id"]))
    return rows


def _write_commits(data: Path, repository: Path | None, rows: list[dict[str, Any]]) -> str:
    wanted = sorted({str(row["commit"]) for row in rows if "commit" in row})
    name = f"commits-{digest_of([wanted, str(repository or '')])}.js"
    if not (data / name).exists():
        write_once(data / name, "commits", commits(repository, wanted) if repository else [])
    return name


def _sweep(folder: Path, kept: Collection[str]) -> None:
    """Remove what no page has named for a while, also what a killed refresh left."""
    if not folder.is_dir():
        return
    limit = time.time() - GRACE_SECONDS
    for path in folder.iterdir():
        try:
            if path.name in kept:
                os.utime(path)  # the last time it was named
            elif path.stat().st_mtime < limit:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            continue  # another one sweeps as well
