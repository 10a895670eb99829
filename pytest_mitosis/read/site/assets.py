"""What runs in the browser: our scripts and styles and the libraries, once in every site.

The folder is named by its content, so two versions of this package that refresh one store do not
disturb each other, nor readers.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, Template

HERE = Path(__file__).parent
SCRIPTS = (
    "d3.min.js", "plot.umd.min.js", "tabulator.min.js", "diff.min.js",
    "core.js", "data.js", "state.js", "facets.js", "table.js", "plots.js", "compare.js",
    "pages.js", "export.js", "app.js",
)  # fmt: skip
STYLES = ("tabulator_simple.min.css", "site.css")


def install_assets(site: Path) -> str:
    """Copy the assets into ``site`` unless they are there; returns the folder's name."""
    files = _files()
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    name = f"app-{digest.hexdigest()[:12]}"
    if not (site / name).exists():
        beside = site / f".{name}.{secrets.token_hex(4)}"
        beside.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, beside / file.name)
        try:
            os.rename(beside, site / name)  # noqa: PTH104  fails if another one was faster
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            if not (site / name).exists():
                raise
    return name


def _files() -> list[Path]:
    kept = {".js", ".css", ".txt"}
    return [
        file
        for folder in ("vendor", "static")
        for file in sorted((HERE / folder).iterdir())
        if file.suffix in kept
    ]


def template(name: str) -> Template:
    """One of our templates, compiled once a process."""
    return _templates().get_template(name)


def render(name: str, **values: Any) -> bytes:
    """A page from a template; every value in it is escaped."""
    text = template(name).render(**values)
    return text.encode("utf-8", "backslashreplace")


@functools.cache
def asset(name: str) -> str:
    """The text of one of our own files."""
    return (HERE / "static" / name).read_text("utf-8")


@functools.cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader

    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
