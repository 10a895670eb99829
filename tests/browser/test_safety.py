"""Names, values, logs, figures and notebooks may hold anything; nothing of it runs."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import demo_store
import pytest

from pytest_mitosis.model import Kind
from pytest_mitosis.read.site import build_site
from pytest_mitosis.read.site.page import write_page
from pytest_mitosis.read.site.script import statement
from pytest_mitosis.run.html import _POLICY
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.folder import artifacts, read_trial

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028'\"`${alert(3)}"
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" onload="alert(4)">
<script>alert(5)</script><rect width="20" height="20" fill="red"/></svg>"""
LOADED = """() => [...document.images].every((one) => {
  one.loading = "eager";
  return one.complete && one.naturalWidth > 0;
})"""
NAMES = (
    "__proto__",
    "constructor",
    "toString",
    EVIL,
    "javascript:alert(6)",
    "a b%2F?#&",
    "ß \U0001f600",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A store whose trials say whatever could run or break a page."""
    store = tmp_path_factory.mktemp("hostile") / "</title><script>alert(0)</script>"[:9] / "trials"
    store.mkdir(parents=True)
    rng = random.Random(2)
    version = demo_store.Version("--output=/tmp/x", (("<b>x</b>.py", "../../etc/passwd"),))
    plan = next(demo_store.plans(1, [version], rng))
    for name in NAMES:
        evil = replace(
            plan,
            experiment=name[:60].replace("/", ""),
            arguments=((name, Kind.VARIANT, name, name), *plan.arguments),
        )
        folder = demo_store.add_trial(store, evil, "../../../../etc", rng).folder
        _fill(folder, name)
    return build_site(store, title=EVIL).page


def _fill(folder: Path, name: str) -> None:
    (folder / "figures").mkdir()
    (folder / "figures" / "evil #1?.svg").write_text(SVG)
    (folder / "files").mkdir()
    (folder / "files" / "evil.html").write_text("<script>alert(7)</script>")
    (folder / "log.txt").write_text(f"<script>alert(8)</script>{EVIL}\n")
    script = "<script>parent.alert(10)</script>"
    page = f"<html><head>{_POLICY}</head><body onload='parent.alert(9)'>{script}</body></html>"
    (folder / "notebook.html").write_text(page)
    manifest = read_json(folder / "trial.json")
    manifest |= {
        "hypothesis": EVIL, "user": EVIL, "host": EVIL, "command": EVIL, "notes": [EVIL],
        "metrics": {name: 1.5, EVIL: EVIL, "main": float("nan"), "big": 2**70},
        "failure": {"type": EVIL, "message": EVIL, "traceback": EVIL},
        "official": EVIL, "artifacts": artifacts(folder),
    }  # fmt: skip
    write_json(folder / "trial.json", manifest)
    write_page(read_trial(folder))


def test_hostile_table_shows_texts_and_runs_nothing(look, hostile):
    page = look.open(hostile.as_uri())
    assert look.count() == len(NAMES)
    assert "onerror=alert(2)" in page.inner_text("#table")
    assert page.evaluate("document.querySelectorAll('main img, main script').length") == 0
    page.click("#columns")
    assert page.locator("dialog img").count() == 0
    page.keyboard.press("Escape")
    for value in page.eval_on_selector_all(
        "#group option:not(:checked)", "all => all.map(o => o.value)"
    ):
        look.settle(lambda value=value: page.select_option("#group", value))
    for kind in ("points", "commits", "parallel", "box"):
        look.settle(lambda kind=kind: page.select_option("#plot-plot", kind))


def test_hostile_pages_show_texts_and_run_nothing(look, hostile):
    data = [read_json(f) for f in hostile.parent.glob("*/*/*/trial.json")]
    ids = "&".join(f"sel={m['id']}" for m in data)
    page = look.open(f"{hostile.as_uri()}#compare?{ids}&all=1", "#compare-environment")
    assert page.locator("#compare-figures img").count() == len(NAMES)
    page.wait_for_function(LOADED)
    page.click("#compare-log summary")
    for view in ("experiments", "names", "official"):
        look.open(f"{hostile.as_uri()}#{view}", "h1")
    look.open(f"{hostile.as_uri()}#experiments", "h1")
    links = page.eval_on_selector_all("tbody a", "all => all.map(a => a.getAttribute('href'))")
    assert len(links) == len(NAMES)
    for link in links:
        look.open(f"{hostile.as_uri()}{link}", "h1")
    look.open(hostile.as_uri())
    for link in page.eval_on_selector_all(
        "#table a.name", "all => all.map(a => a.getAttribute('href'))"
    )[:8]:
        assert link.startswith("#variant?")
        look.open(f"{hostile.as_uri()}{link}", "h1")


def test_hostile_trial_page_shows_texts_and_runs_nothing(look, hostile):
    for file in hostile.parent.glob("*/*/*/trial.html"):
        page = look.page
        page.goto(file.as_uri())
        assert "onerror=alert(2)" in page.inner_text("main")
        page.wait_for_function(LOADED)
        assert page.locator("iframe").get_attribute("sandbox") == ""
        links = page.eval_on_selector_all("main a", "all => all.map(a => a.getAttribute('href'))")
        assert all(not link.endswith((".svg", "evil.html")) for link in links), "they would run"
    # A blocked script is told on the console; that it was blocked is what is wanted.
    assert all("Content Security Policy" in e or "sandboxed" in e for e in look.errors)
    look.errors.clear()


def test_policy_stops_scripts_even_if_one_got_in(look, site):
    page = look.open(site)
    page.evaluate((Path(__file__).parent / "intruder.js").read_text("utf-8"))
    page.wait_for_function("() => document.querySelector('#intruder img').complete")
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in error for error in look.errors)
    look.errors.clear()


@pytest.mark.parametrize("text", [EVIL, "\u2028\u2029", "\ud800", "<!--", "]]>"])
def test_data_is_ascii_without_angle_brackets_and_keeps_its_value(text):
    written = statement("chunk", [text])
    assert written.isascii()
    assert b"<" not in written
    argument = written.decode()[len("mitosis.chunk(") : -len(");\n")]
    assert json.loads(argument) == [text]


def test_nothing_outside_the_store_is_read(hostile):
    assert not (hostile.parent / "_site" / "environments").exists()
    assert not (hostile.parent / "_site" / "blobs").exists()
