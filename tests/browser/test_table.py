"""The table of trials in a real browser: filters, search, order, groups, columns, files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from demo_store import NOISE


def trials(store: Path, **wanted: object) -> list[dict]:
    """Manifests of all trials but drafts that have these entries, newest first."""
    found = [json.loads(f.read_text("utf-8")) for f in store.glob("[!_d]*/*/*/trial.json")]
    chosen = [m for m in found if all(m.get(k) == v for k, v in wanted.items())]
    return sorted(chosen, key=lambda m: m["started"], reverse=True)


def facet(name: str, value: str) -> str:
    return f'input[data-facet="{name}"][data-value="{value}"]'


def shown_count(look, name: str, value: str) -> int:
    label = look.page.locator(facet(name, value)).locator("xpath=..").locator(".n")
    return int(label.inner_text().replace(",", ""))


@pytest.mark.parametrize("way", ["file", "http"])
def test_site_opens_from_disk_and_from_a_plain_server(look, store, request, way):
    address = request.getfixturevalue("site" if way == "file" else "served")
    page = look.open(address)
    assert look.count() == len(trials(store))
    assert look.ids()[0] == trials(store)[0]["id"]
    assert page.locator("#plot svg").count() >= 1
    look.settle(lambda: page.check(facet("experiment", "gridsearch")))
    assert look.count() == len(trials(store, experiment="gridsearch"))


def test_variants_of_a_facet_come_in_the_order_of_the_lookup_dictionary(look, site):
    page = look.open(site)
    boxes = page.locator('input[data-facet="param.noise"]')
    shown = [boxes.nth(number).get_attribute("data-value") for number in range(boxes.count())]
    assert [one for one in shown if one in NOISE] == list(NOISE) != sorted(NOISE)


def test_facets_count_what_choosing_would_give(look, store, site):
    page = look.open(site)
    look.settle(lambda: page.check(facet("experiment", "fit_eval")))
    crashed = len(trials(store, experiment="fit_eval", status="crashed"))
    assert shown_count(look, "status", "crashed") == crashed
    assert shown_count(look, "experiment", "gridsearch") == len(
        trials(store, experiment="gridsearch")
    )
    look.settle(lambda: page.check(facet("status", "crashed")))
    assert look.count() == crashed
    assert shown_count(look, "status", "done") == len(
        trials(store, experiment="fit_eval", status="done")
    )
    look.settle(lambda: page.click("#clear"))
    assert look.count() == len(trials(store))


def test_drafts_are_hidden_until_asked_for(look, store, site):
    page = look.open(site)
    drafts = len(list(store.glob("drafts/*/*/*/trial.json")))
    assert f"{drafts} drafts hidden" in page.inner_text("#count")
    look.settle(lambda: page.check("#drafts"))
    assert look.count() == len(trials(store)) + drafts
    assert "drafts=1" in page.url


def test_search_finds_in_names_values_people_and_failures(look, store, site):
    page = look.open(site)
    look.settle(lambda: page.fill("#search", "svd did not converge"))
    assert look.count() == len(trials(store, status="crashed"))
    one = trials(store)[40]
    look.settle(lambda: page.fill("#search", one["id"]))
    assert look.ids() == [one["id"]]
    look.settle(lambda: page.fill("#search", "no such thing"))
    assert "No trial matches" in page.inner_text("#table")


def test_range_of_a_metric_filters(look, store, site):
    page = look.open(site)
    box = page.locator('[data-range="metric.main at most"]')
    look.settle(lambda: (box.fill("0.1"), box.press("Enter")))
    small = [m for m in trials(store) if m.get("metrics") and m["metrics"]["main"] <= 0.1]
    assert look.count() == len(small) > 0


def test_order_by_a_metric_puts_nothing_last(look, store, site):
    page = look.open(site)
    values = sorted(m["metrics"]["main"] for m in trials(store) if m.get("metrics"))
    by_id = {m["id"]: m for m in trials(store)}
    header = page.locator('.tabulator-col-title:has-text("main")').first
    for wanted in (values, values[::-1]):
        look.settle(header.click)
        shown = [by_id[one]["metrics"]["main"] for one in look.ids()[:5]]
        assert shown == wanted[: len(shown)]


def test_groups_tell_their_count_and_mean(look, store, site):
    page = look.open(site)
    look.settle(lambda: page.select_option("#group", "experiment"))
    heads = page.locator(".tabulator-group").all_inner_texts()
    assert any("experiment = gridsearch" in h and "main" in h for h in heads)
    assert "group=experiment" in page.url


def test_columns_can_be_chosen(look, site):
    page = look.open(site)
    assert "user" not in page.inner_text(".tabulator-header")
    page.click("#columns")
    look.settle(lambda: page.check('[data-column="user"]'))
    look.settle(lambda: page.uncheck('[data-column="metric.coeff_f1"]'))
    page.keyboard.press("Escape")
    head = page.inner_text(".tabulator-header")
    assert "user" in head
    assert "coeff_f1" not in head


def test_address_holds_the_whole_view(look, store, site):
    picked = [m["id"] for m in trials(store, experiment="gridsearch", status="done")[:2]]
    view = (
        f"#trials?f.experiment=gridsearch&f.status=done&q=stlsq&sort={quote('metric.main:desc')}"
        f"&group=param.alpha&col=id&col=metric.main&plot=points&y=metric.mse_test&logy=1"
        f"&sel={picked[0]}&sel={picked[1]}"
    )
    page = look.open(site + view)
    assert page.is_checked(facet("experiment", "gridsearch"))
    assert page.input_value("#search") == "stlsq"
    assert page.input_value("#plot-y") == "metric.mse_test"
    assert page.is_checked("#plot-logy")
    assert page.locator(".tabulator-col[role=columnheader]").count() == 3
    assert page.inner_text("#compare") == "Compare 2"
    assert page.locator(".tabulator-group").count() > 1
    look.settle(lambda: page.uncheck(facet("status", "done")))
    changed = page.url
    before = look.count()
    look.open(changed)
    assert look.count() == before


def test_hostile_address_is_only_a_text(look, site):
    page = look.open(
        f"{site}#trials?q=<img src=x onerror=alert(1)>&f.experiment=nope&sel=__proto__"
    )
    assert look.count() == 0
    assert page.locator("img").count() == 0


def test_csv_has_the_rows_and_columns_shown(look, store, site):
    page = look.open(f"{site}#trials?f.experiment=gridsearch&sort=metric.main:asc&f.status=done")
    with page.expect_download() as download:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
    values = sorted(
        m["metrics"]["main"] for m in trials(store, experiment="gridsearch", status="done")
    )
    assert [float(row["metric.main"]) for row in rows] == values
    assert {"id", "status", "param.alpha", "param.solver"} <= set(rows[0])


def test_latex_is_a_table_with_the_trials_in_a_comment(look, store, site):
    page = look.open(
        f"{site}#trials?f.experiment=fit_eval&f.param.noise=heavy-tail&col=id&col=param.noise&col=metric.mse_test"
    )
    with page.expect_download() as download:
        page.click("#latex")
    text = Path(download.value.path()).read_text("utf-8")
    assert f"% {look.count()} trials" in text
    assert look.ids()[0] in text
    assert "\\begin{tabular}{lr}" in text
    assert "noise & mse\\_test \\\\" in text
    assert text.count("heavy-tail & ") == look.count()


def test_running_and_lost_trials_say_so(look, store, site):
    page = look.open(site)
    assert page.locator("#table .badge.running").count() == 1
    assert page.locator("#table .badge.lost").count() == 2
    page.locator("#table .tabulator-row", has=page.locator(".badge.running")).locator(
        "a.id"
    ).click()
    page.wait_for_selector("h1 .badge.running")
    assert "before the trial ended" in page.inner_text("main")
    assert "residual" in page.inner_text("pre.log")


def test_keys_move_select_compare_and_help(look, store, site):
    page = look.open(site)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    look.settle(lambda: page.keyboard.press("x"))
    page.keyboard.press("ArrowDown")
    look.settle(lambda: page.keyboard.press("Space"))
    assert page.inner_text("#compare") == "Compare 2"
    picked = look.ids()[:2]
    page.keyboard.press("c")
    page.wait_for_selector("#compare-parameters")
    assert all(one in page.inner_text("#compare-parameters") for one in picked)
    page.keyboard.press("Escape")
    page.wait_for_selector("#table[data-ready]")
    assert page.inner_text("#compare") == "Compare 2"
    page.keyboard.press("?")
    assert "compare the selected" in page.inner_text("dialog")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")  # until then keys are the dialog's
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Run it again")


def test_dark_and_light_follow_the_system_and_a_button(look, site):
    page = look.open(site)
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(paper)
    assert dark != "rgb(255, 255, 255)"
    page.click("#theme")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    look.open(site)
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.keyboard.press("t")
    assert page.evaluate(paper) == dark


def test_phone_shows_table_and_filters_without_sideways_scrolling(look, site):
    page = look.page
    page.set_viewport_size({"width": 390, "height": 844})
    look.open(site)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.is_visible("#facets")
    page.click("#filters")
    look.settle(lambda: page.check(facet("experiment", "gridsearch")))
    page.click("#filters")
    assert not page.is_visible("#facets")
    assert page.locator("#table a.id").first.is_visible()


SCRIPTS = Path(__file__).parent


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_and_controls_have_names(look, store, site, scheme):
    look.page.emulate_media(color_scheme=scheme)
    page = look.open(site)
    assert page.evaluate((SCRIPTS / "contrast.js").read_text("utf-8")) == []
    assert page.evaluate((SCRIPTS / "nameless.js").read_text("utf-8")) == []
    picked = [m["id"] for m in trials(store, status="done")[::40][:2]]
    look.open(f"{site}#compare?sel={picked[0]}&sel={picked[1]}", "#compare-environment")
    assert page.evaluate((SCRIPTS / "contrast.js").read_text("utf-8")) == []
