"""The page of a trial's notebook, safe to open: nothing in it can run.

Runs in the process that started the trial.
"""

from __future__ import annotations

import functools
import re
import threading
from html import escape
from typing import TYPE_CHECKING, Any

from pytest_mitosis.run.outputs import SILENT
from pytest_mitosis.store.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "notebook.html"
_RENDERING = threading.Lock()
# Outputs may hold any HTML: the page shows it, but loads nothing and runs nothing.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "img-src data:; style-src 'unsafe-inline'; font-src data:\">"
)


def render_page(notebook: Any, folder: Path, title: str) -> None:
    """Write ``notebook.html``, the page of an executed notebook."""
    with _RENDERING:  # one exporter, and trials may end at the same time
        content = _page(notebook, title)
    write_bytes(folder / PAGE, content)


def prepare_pages() -> None:
    """Import and compile what pages need, so that the first one does not wait for it."""
    from nbformat import v4

    shown = v4.new_output("stream", text="1")
    cells = [v4.new_markdown_cell("# 1"), v4.new_code_cell("1", outputs=[shown])]
    with _RENDERING:
        _page(v4.new_notebook(cells=cells), "")


def _page(notebook: Any, title: str) -> bytes:
    from pytest_mitosis.run.exporter import is_ordinary

    if is_ordinary(notebook):
        before, after = _head()
        body = _without_fetches(_exporter().body(notebook))
        return b"".join((before, _encoded(escape(title, quote=False)), after, _encoded(body)))
    page, _ = _exporter().from_notebook_node(notebook, resources={"metadata": {"name": title}})
    return _encoded(_without_fetches(_with_policy(page)))


@functools.cache
def _head() -> tuple[bytes, bytes]:
    """What ordinary pages begin with, before and after their title; most of each page."""
    before, after = _exporter().head()
    return _encoded(_with_policy(before)), _encoded(_without_fetches(after))


def _with_policy(page: str) -> str:
    return page.replace("<head>", f"<head>{_POLICY}", 1)


def _without_fetches(page: str) -> str:
    """``page`` without what would be fetched from elsewhere."""
    return re.sub(r"<script[^>]*src=[^>]*></script>", "", page)


def _encoded(page: str) -> bytes:
    return page.encode("utf-8", "backslashreplace")


@functools.cache
def _exporter() -> Any:  # nbconvert has no types
    """One exporter for all trials of a process: making one costs more than using it."""
    from pytest_mitosis.run.exporter import PageExporter

    exporter = PageExporter(template_name="lab", embed_images=True, log=SILENT)
    if exporter.has_trait("optimistic_validation"):
        exporter.optimistic_validation = True  # once a page, not after each of twelve steps
    return exporter
