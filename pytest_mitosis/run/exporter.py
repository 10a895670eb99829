"""Pages as nbconvert makes them, in a third of its time.

nbconvert parses each page again for two attributes, and cleans each cell of code as if it came from
elsewhere. Here the attributes are put in as text, and a source that was shown before is not
highlighted again: the notebooks of a grid are alike. Imports nbconvert, so it is imported late.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from nbconvert.exporters import HTMLExporter
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters import Highlight2HTML, clean_html

WIDGET = "application/vnd.jupyter.widget-view+json"
_SOURCES = 256
_FOCUSABLE = re.compile(
    r'<div(?= class="[^"]*\b(?:jp-Cell-inputWrapper|jp-OutputArea-output)(?![\w-]))'
)
_PICTURE = re.compile(r"<img\b(?![^>]*\balt=)")
_NO_TEXT = '<img alt="No description has been provided for this image"'


class PageExporter(HTMLExporter):  # type: ignore[misc]  # nbconvert has no types
    """Makes pages of trials' notebooks."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        highlight = Highlight2HTML(pygments_lexer="ipython3", parent=self)
        shown = functools.lru_cache(_SOURCES)(highlight)

        def highlight_code(source: str, metadata: dict[str, Any] | None = None) -> str:
            is_other = "magics_language" in (metadata or {})
            return str(highlight(source, metadata=metadata) if is_other else shown(source))

        self.register_filter("highlight_code", highlight_code)
        self.register_filter("clean_html", functools.lru_cache(_SOURCES)(clean_html))

    def from_notebook_node(
        self, nb: Any, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page of a notebook."""
        if _has_widgets(nb):  # what they look like depends on their state; nbconvert knows how
            found: tuple[str, dict[str, Any]] = super().from_notebook_node(nb, resources, **options)
            return found
        page, resources = TemplateExporter.from_notebook_node(self, nb, resources, **options)
        page = _FOCUSABLE.sub('<div tabindex="0"', page)
        return _PICTURE.sub(_NO_TEXT, page), resources


def _has_widgets(notebook: Any) -> bool:
    outputs = (one for cell in notebook.cells for one in cell.get("outputs", ()))
    return any(WIDGET in one.get("data", {}) for one in outputs)
