"""Pages as nbconvert makes them, in a fraction of its time.

nbconvert parses each page again for two attributes, and cleans each cell of code as if it came from
elsewhere. Here the attributes are put in as text, and a source that was shown before is not
highlighted again: the notebooks of a grid are alike. What comes before the cells, nine tenths of a
page, is the same in all but for the title and is made once. Imports nbconvert, so it is imported
late.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import pygments
from IPython.lib.lexers import IPython3Lexer
from nbconvert.exporters import HTMLExporter
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters import Highlight2HTML, clean_html
from nbformat import v4
from pygments.formatters import HtmlFormatter

if TYPE_CHECKING:
    from jinja2 import Template

WIDGET = "application/vnd.jupyter.widget-view+json"
LANGUAGE = "ipython3"
_SOURCES = 256
_FOCUSABLE = re.compile(
    r'<div(?= class="[^"]*\b(?:jp-Cell-inputWrapper|jp-OutputArea-output)(?![\w-]))'
)
_PICTURE = re.compile(r"<img\b(?![^>]*\balt=)")
_NO_TEXT = '<img alt="No description has been provided for this image"'
_END_OF_HEAD = "</head>"
_CELLS = '{% extends "index.html.j2" %}{% block header %}' + _END_OF_HEAD + "{% endblock header %}"
"""A page without what comes before its body."""
_ORDINARY = frozenset({"kernelspec", "language_info"})


class _Clean(str):
    """Markup that highlighting made of printable source: cleaning it would change nothing."""

    __slots__ = ()


class PageExporter(HTMLExporter):  # type: ignore[misc]  # nbconvert has no types
    """Makes pages of trials' notebooks."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        highlight = Highlight2HTML(pygments_lexer=LANGUAGE, parent=self)
        clean = functools.lru_cache(_SOURCES)(clean_html)
        lexer, formatter = IPython3Lexer(), HtmlFormatter(cssclass=f" highlight hl-{LANGUAGE}")

        @functools.lru_cache(_SOURCES)
        def shown(source: str) -> str:
            markup = pygments.highlight(source or " ", lexer, formatter)
            is_printable = all(line.isprintable() for line in source.split("\n"))
            return _Clean(markup) if is_printable else markup

        def highlight_code(source: str, metadata: dict[str, Any] | None = None) -> str:
            is_other = "magics_language" in (metadata or {})
            return str(highlight(source, metadata=metadata)) if is_other else shown(source)

        self.register_filter("highlight_code", highlight_code)
        self.register_filter("clean_html", lambda one: one if type(one) is _Clean else clean(one))

    @functools.cached_property
    def _empty(self) -> tuple[str, dict[str, Any]]:
        """The page of no cells, and what nbconvert's templates are given beside a notebook."""
        page, resources = TemplateExporter.from_notebook_node(self, v4.new_notebook())
        return page, resources

    @functools.cached_property
    def _cells(self) -> Template:
        template: Template = self.environment.from_string(_CELLS)
        return template

    def head(self) -> tuple[str, str]:
        """What ordinary pages begin with, before and after the text of their title."""
        head = self._empty[0].partition(_END_OF_HEAD)[0]
        before, start, rest = head.partition("<title>")
        _, end, after = rest.partition("</title>")
        return before + start, end + after

    def body(self, notebook: Any) -> str:
        """The rest of the page of an ordinary notebook, with its cells."""
        return _amended(self._cells.render(nb=notebook, resources=self._empty[1]))

    def from_notebook_node(
        self, nb: Any, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page of any notebook."""
        if _has_widgets(nb):  # what they look like depends on their state; nbconvert knows how
            found: tuple[str, dict[str, Any]] = super().from_notebook_node(nb, resources, **options)
            return found
        page, resources = TemplateExporter.from_notebook_node(self, nb, resources, **options)
        return _amended(page), resources


def is_ordinary(notebook: Any) -> bool:
    """Whether the page of a notebook has nothing but cells of its own, in no other language."""
    sources = (cell.source for cell in notebook.cells if cell.cell_type == "code")
    return (
        notebook.metadata.keys() <= _ORDINARY
        and not _has_widgets(notebook)
        and not any(source.lstrip().startswith("%%") for source in sources)
    )


def _amended(page: str) -> str:
    page = _FOCUSABLE.sub('<div tabindex="0"', page)
    return _PICTURE.sub(_NO_TEXT, page)


def _has_widgets(notebook: Any) -> bool:
    outputs = (one for cell in notebook.cells for one in cell.get("outputs", ()))
    return any(WIDGET in one.get("data", {}) for one in outputs)
