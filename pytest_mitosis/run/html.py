"""The page of a trial's notebook, safe to open: nothing in it can run.

Runs in the process that started the trial.
"""

from __future__ import annotations

import functools
import re
import threading
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
    resources = {"metadata": {"name": title}}
    with _RENDERING:  # one exporter, and trials may end at the same time
        page, _ = _exporter().from_notebook_node(notebook, resources=resources)
    page = re.sub(r"<head>", lambda found: found[0] + _POLICY, page, count=1)
    page = re.sub(r"<script[^>]*src=[^>]*></script>", "", page)  # would be fetched from elsewhere
    write_bytes(folder / PAGE, page.encode("utf-8", "backslashreplace"))


def prepare_pages() -> None:
    """Import and compile what pages need, so that the first one does not wait for it."""
    from nbformat import v4

    shown = v4.new_output("stream", text="1")
    cells = [v4.new_markdown_cell("# 1"), v4.new_code_cell("1", outputs=[shown])]
    with _RENDERING:
        _exporter().from_notebook_node(v4.new_notebook(cells=cells))


@functools.cache
def _exporter() -> Any:  # nbconvert has no types
    """One exporter for all trials of a process: making one costs more than using it."""
    from pytest_mitosis.run.exporter import PageExporter

    exporter = PageExporter(template_name="lab", embed_images=True, log=SILENT)
    if exporter.has_trait("optimistic_validation"):
        exporter.optimistic_validation = True  # once a page, not after each of twelve steps
    return exporter
