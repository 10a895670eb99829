"""Pages of notebooks: what nbconvert makes, made quicker."""

from __future__ import annotations

import base64

import pytest
from bs4 import BeautifulSoup
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nbconvert.exporters import HTMLExporter
from nbconvert.filters import Highlight2HTML, clean_html
from nbformat import v4

from pytest_mitosis.run.exporter import WIDGET, PageExporter
from pytest_mitosis.run.html import PAGE, render_page

PAGES = PageExporter(template_name="lab")
PIXEL = base64.b64encode(b"\x89PNG, or what passes for it").decode()
EVIL = "<script>alert(1)</script><b onclick='x()'>bold</b>"


def notebook(*more):
    def data(**kinds):
        named = {name.replace("_", "/"): one for name, one in kinds.items()}
        return v4.new_output("display_data", data=named)

    outputs = [
        v4.new_output("stream", text=f"1 < 2 \x1b[31mred\x1b[0m {EVIL}\n"),
        data(text_plain="repr", text_html=f"<table><tr><td>1</td></tr></table><img src='x'>{EVIL}"),
        data(image_png=PIXEL, text_plain="<Figure>"),
        data(text_latex="$x^2$", text_plain="x"),
        data(text_markdown="*it* <img src='y'>", text_plain="it"),
        v4.new_output("error", ename="ValueError", evalue="no", traceback=["\x1b[0;31mno\x1b[0m"]),
        *more,
    ]
    source = "from a import b\nx = {'<': '>'}  # <img>\n%time b(x)"
    cells = [
        v4.new_markdown_cell("# Title\n\n| a | b |\n|---|---|\n| `1` | <img src='z'> |"),
        v4.new_code_cell(source, outputs=outputs, execution_count=1),
        v4.new_code_cell(source, outputs=[], execution_count=2),
        v4.new_raw_cell("raw"),
    ]
    found = v4.new_notebook(cells=cells)
    found.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    return found


def tree(page):
    """The page as elements with their attributes and texts, however it is written."""
    soup = BeautifulSoup(page, features="html.parser")
    found = [(e.name, dict(e.attrs), "".join(e.find_all(string=True, recursive=False)))
             for e in soup.find_all(True)]  # fmt: skip
    assert len(found) > 50
    return found


def both(found):
    settings = {"template_name": "lab", "embed_images": True}
    resources = {"metadata": {"name": "trial"}}
    ours, _ = PageExporter(**settings).from_notebook_node(found, resources=resources)
    theirs, _ = HTMLExporter(**settings).from_notebook_node(found, resources=resources)
    return tree(ours), tree(theirs)


def test_page_is_the_one_that_nbconvert_makes():
    ours, theirs = both(notebook())
    assert ours == theirs


def test_page_with_widgets_is_the_one_that_nbconvert_makes():
    widget = {WIDGET: {"model_id": "gone"}, "text/plain": "a slider"}
    ours, theirs = both(notebook(v4.new_output("display_data", data=widget)))
    assert ours == theirs
    assert any("a slider" in text for _, _, text in ours)


def bash_cell(found):
    found.cells.append(v4.new_code_cell("%%bash\nls $HOME"))


def own_title(found):
    found.metadata["title"] = "not that of the <trial>"


def widget(found):
    data = {WIDGET: {"model_id": "gone"}, "text/plain": "a slider"}
    found.cells[1].outputs.append(v4.new_output("display_data", data=data))


@pytest.mark.parametrize("change", [None, bash_cell, own_title, widget])
@pytest.mark.parametrize("title", ["trial", "fit <b>&amp; \"quoted\" 'ü'"])
def test_written_page_is_the_one_that_nbconvert_makes_but_fetches_nothing(change, title, tmp_path):
    found = notebook()
    if change is not None:
        change(found)
    render_page(notebook(), tmp_path, "another")
    render_page(found, tmp_path, title)
    exporter = HTMLExporter(template_name="lab", embed_images=True)
    theirs, _ = exporter.from_notebook_node(found, resources={"metadata": {"name": title}})
    ours = tree((tmp_path / PAGE).read_text("utf-8"))
    policy = [one for one in ours if one[1].get("http-equiv") == "Content-Security-Policy"]
    assert len(policy) == 1
    fetched = [one for one in tree(theirs) if one[0] == "script" and "src" in one[1] and not one[2]]
    assert fetched
    expected = [one for one in tree(theirs) if one not in fetched]
    assert [one for one in ours if one not in policy] == expected


@example('x = \'<b>&amp; &#39; "\' + """a\n</pre>b"""\n%time f()\n!ls $x\n?x\nu\'\u0000\ufdd0\'')
@given(st.text(st.one_of(st.characters(max_codepoint=127), st.characters()), max_size=40))
@settings(max_examples=200, deadline=None)
def test_source_is_shown_as_nbconvert_shows_it(source):
    filters = PAGES.environment.filters
    shown = filters["clean_html"](filters["highlight_code"](source, metadata={}))
    assert shown == clean_html(Highlight2HTML(pygments_lexer="ipython3")(source))


def test_second_page_shows_its_own_outputs(tmp_path):
    for number in (1, 2):
        result = v4.new_output("execute_result", data={"text/plain": f"number {number}"})
        render_page(notebook(result), tmp_path, f"trial {number}")
        page = (tmp_path / PAGE).read_text("utf-8")
        assert f"number {number}" in page
        assert f"<title>trial {number}</title>" in page
    assert "number 1" not in page
