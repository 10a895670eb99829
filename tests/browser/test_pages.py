"""Plots, comparison, and the pages of trials, variants, experiments and official trials."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import demo_store
import pytest

from browser.test_table import facet, trials
from pytest_mitosis.read.site import build_site
from pytest_mitosis.store.artifacts import damaged


def first(store: Path, **wanted: object) -> dict:
    return trials(store, status="done", **wanted)[0]


# plots


@pytest.mark.parametrize(
    ("view", "kind", "marks"),
    [
        ("plot=points&x=param.noise&f.experiment=fit_eval", "points", "circle"),
        ("plot=box&x=param.noise&f.experiment=fit_eval", "box", "rect, path"),
        ("x=param.alpha&f.experiment=gridsearch", "line", "path"),
        ("plot=points&x=metric.coeff_f1", "points", "circle"),
        ("plot=commits&color=param.solver", "commits", "path"),
        ("plot=parallel&f.experiment=gridsearch", "parallel", "path"),
    ],
)
def test_plot_of_each_kind_is_drawn(look, site, view, kind, marks):
    page = look.open(f"{site}#trials?{view}")
    assert page.get_attribute("#plot .plot", "data-kind") == kind
    assert page.locator("#plot svg[aria-label], #plot [role=img]").count() == 1
    assert page.locator(f"#plot :is({marks})").count() > 0


def test_line_has_one_series_for_each_colour_and_a_band_for_the_seeds(look, site):
    page = look.open(f"{site}#trials?x=param.alpha&color=param.solver&f.experiment=gridsearch")
    assert page.locator('#plot g[aria-label="line"] path').count() == 2
    assert page.locator('#plot g[aria-label="area"] path').count() == 2
    assert page.is_checked("#plot-logx"), "a grid over decades"
    look.settle(lambda: page.uncheck("#plot-logx"))
    assert "logx=0" in page.url
    look.settle(lambda: page.select_option("#plot-color", "-"))
    assert page.locator('#plot g[aria-label="line"] path').count() == 1


def test_plot_controls_write_the_address(look, site):
    page = look.open(site)
    look.settle(lambda: page.select_option("#plot-y", "metric.mse_test"))
    look.settle(lambda: page.check("#plot-logy"))
    look.settle(lambda: page.select_option("#plot-x", "param.solver"))
    assert "mse_test" in page.inner_text("#plot .plot")
    for part in ("y=metric.mse_test", "logy=1", "x=param.solver"):
        assert part in page.url


# comparison


def compare(look, site, *trials_, more=""):
    chosen = "&".join(f"sel={one['id']}" for one in trials_)
    return look.open(f"{site}#compare?{chosen}{more}", "#compare-environment")


def test_comparison_shows_only_what_differs_unless_asked(look, store, site):
    a = first(store, experiment="fit_eval")
    b = next(
        m for m in trials(store, experiment="fit_eval", status="done")
        if m["parameters"][0]["variant"] != a["parameters"][0]["variant"]
        and m["parameters"][1]["variant"] == a["parameters"][1]["variant"]
    )  # fmt: skip
    page = compare(look, site, a, b)
    text = page.inner_text("#compare-parameters")
    assert "noise" in text
    assert "solver" not in text
    assert "['sigma'] = float" in text, "the value a name stands for"
    page.uncheck("#differences")
    page.wait_for_selector("#compare-environment")
    assert "solver" in page.inner_text("#compare-parameters")
    assert "all=1" in page.url


def test_comparison_tells_deltas_against_the_first(look, store, site):
    a, b = first(store, experiment="gridsearch"), first(store, experiment="fit_eval")
    change = 100 * (b["metrics"]["main"] - a["metrics"]["main"]) / a["metrics"]["main"]
    page = compare(look, site, a, b)
    sign = "+" if change > 0 else "−"
    assert f"{sign}{float(f'{abs(change):.3g}'):g} %" in page.inner_text("#compare-metrics")
    page.locator("#compare-metrics button", has_text="compare with this").click()
    page.wait_for_selector("#compare-environment")
    assert page.url.index(b["id"]) < page.url.index(a["id"])


def test_comparison_shows_commits_and_the_patch_between_them(look, store, site):
    found = trials(store, experiment="fit_eval", status="done")
    page = compare(look, site, found[-1], found[0])
    assert demo_store.SUBJECTS[0] in page.inner_text("#compare-commits")
    page.wait_for_selector(".patch")
    patch = "\n".join(page.locator(".patch").all_inner_texts())
    assert "-    scale = 1.0" in patch
    assert "+    scale = np.linalg.norm(library, axis=0)" in patch
    assert page.inner_text("details summary code").startswith("exps/exp_fit_eval.py")


def test_comparison_shows_the_environments_packages(look, store, site):
    found = trials(store, status="done")
    old = next(m for m in found if m["environment"].startswith("a"))
    new = next(m for m in found if m["environment"].startswith("b"))
    text = compare(look, site, old, new).inner_text("#compare-environment")
    assert "numpy" in text
    assert "2.2.4" in text
    assert "2.3.1" in text
    assert "scipy" not in text


def test_comparison_shows_logs_in_frames_that_run_nothing(look, store, site):
    page = compare(look, site, *trials(store, status="done")[:2])
    page.click("#compare-log summary")
    frame = page.locator("#compare-log iframe").first
    assert frame.get_attribute("sandbox") == ""
    assert (
        "residual"
        in page.frame_locator("#compare-log iframe >> nth=0").locator("body").inner_text()
    )


def test_comparison_names_trials_that_are_not_there(look, store, site):
    a, b = trials(store)[:2]
    page = compare(look, site, a, b, more="&sel=00000000")
    assert "This store has no trial 00000000." in page.inner_text("main")


# pages


@pytest.fixture
def alone(store, tmp_path) -> Path:
    """The folder of one trial, copied away from its store."""
    one = first(store, experiment="fit_eval")
    folder = next(store.glob(f"*/*/*-{one['id']}"))
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_trial_page_stands_alone(look, alone):
    m = json.loads((alone / "trial.json").read_text("utf-8"))
    page = look.open((alone / "trial.html").as_uri(), "h1")
    text = page.inner_text("main")
    assert m["id"] in page.inner_text("h1")
    assert m["command"] in text
    assert f"{m['metrics']['main']:.4g}" in text
    assert m["commit"] in text
    assert "residual" in text
    for artifact in m["artifacts"].values():
        assert artifact["sha256"] in text
    assert {r for r in look.requests if not r.startswith("data:")} == {
        (alone / "trial.html").as_uri()
    }


def test_page_of_a_trial_is_no_artifact_so_that_it_can_be_made_anew(alone):
    m = json.loads((alone / "trial.json").read_text("utf-8"))
    assert "trial.html" not in m["artifacts"]
    (alone / "trial.html").write_text("another")
    assert damaged(alone, m["artifacts"]) == []


def test_trial_page_copies_its_command_and_turns_dark(look, alone):
    page = look.open((alone / "trial.html").as_uri(), "h1")
    page.click("text=Copy")
    assert page.inner_text("[data-copy]") == "Copied"
    page.click("[data-theme-toggle]")
    assert page.get_attribute("html", "data-theme") == "dark"


def test_table_leads_to_the_trial_and_back(look, store, site):
    page = look.open(site)
    top = trials(store, status="done")[0]
    page.click(f'#table a.id:has-text("{top["id"]}")')
    page.wait_for_selector("text=Run it again")
    page.click("text=All trials")
    page.wait_for_selector("#table[data-ready]")


def test_link_by_id_finds_the_trials_page(look, store, site):
    one = trials(store, status="done")[5]
    page = look.open(f"{site}#trial?id={one['id']}", "text=Run it again")
    assert one["id"] in page.inner_text("h1")


def test_variant_page_tells_value_lock_and_trials(look, store, site):
    page = look.open(f"{site}#variant?step=fit_eval&parameter=noise&variant=heavy-tail", "h1")
    lock = json.loads((store / "locks/fit_eval/noise/heavy-tail.json").read_text("utf-8"))
    text = page.inner_text("main")
    assert "float 0.8" in text
    assert lock["user"] in text
    assert lock["commit"][:10] in text
    used = [
        m for m in trials(store, experiment="fit_eval")
        if m["parameters"][0]["variant"] == "heavy-tail"
    ]  # fmt: skip
    assert f"{len(used)} trials" in text
    assert page.locator(".plot svg").count() >= 1
    page.click("text=in the table")
    page.wait_for_selector("#table[data-ready]")
    assert look.count() == len(used)


def test_names_page_lists_all_locks(look, store, site):
    page = look.open(f"{site}#names", "h1")
    assert page.locator("tbody tr").count() == len(list(store.glob("locks/*/*/*.json")))


def test_experiment_page_tells_counts_parameters_and_means(look, store, site):
    page = look.open(f"{site}#experiments", "h1")
    page.click("text=fit_eval")
    page.wait_for_selector("h1:has-text('fit_eval')")
    text = page.inner_text("main")
    assert "Filtering beats smoothing under noise" in text
    assert f"done {len(trials(store, experiment='fit_eval', status='done'))}" in text
    assert "n=" in text
    assert page.locator(".plot svg").count() >= 1


def test_official_page_appears_once_there_are_official_trials(look, site, tmp_path):
    page = look.open(site)
    assert page.locator("nav >> text=Official").count() == 0
    store = tmp_path / "paper" / "trials"
    rng = random.Random(5)
    with demo_store.without_sync():
        version = demo_store.Version("1" * 40, ())
        plan = next(demo_store.plans(1, [version], rng))
        demo_store.add_trial(store, plan, "", rng, official="figure 3")
        demo_store.add_trial(
            store, replace(plan, main=plan.main * 1.1, started=plan.started.replace(day=9)), "", rng
        )
        demo_store.add_trial(store, replace(plan, seed=2), "", rng, official="figure 3")
    page = look.open(build_site(store).page.as_uri())
    page.click("nav >> text=Official")
    page.wait_for_selector("h2:has-text('figure 3')")
    assert "+10 %" in page.inner_text("main")
    assert "identical" in page.inner_text("main")


def test_parameter_added_later_is_filled_in_and_hypotheses_have_a_verdict(look, tmp_path):
    store = tmp_path / "paper" / "trials"
    rng = random.Random(5)
    with demo_store.without_sync():
        plan = next(demo_store.plans(1, [demo_store.Version("1" * 40, ())], rng))
        for day in (3, 9):
            one = replace(plan, started=plan.started.replace(day=day))
            demo_store.add_trial(store, one, "", rng)
    for file in store.glob("*/*/*/trial.json"):
        manifest = json.loads(file.read_text("utf-8"))
        is_late = "-09T" in manifest["started"]
        manifest["supported"] = is_late
        if is_late:
            late = {"name": "scale", "kind": "default", "variant": "", "value": "1.0"}
            manifest["parameters"] += [{**manifest["parameters"][0], **late, "default": "1.0"}]
        file.write_text(json.dumps(manifest), "utf-8")
    page = look.open(
        f"{build_site(store).page.as_uri()}#trials?col=id&col=param.scale&col=supported"
    )
    assert look.count() == 2
    rows = page.locator(".tabulator-row").all_inner_texts()
    assert all("1.0" in row for row in rows)
    assert sorted(row.partition("1.0")[2] for row in rows) == ["refuted", "supported"]
    look.settle(lambda: page.click(facet("supported", "refuted")))
    assert look.count() == 1


@pytest.mark.parametrize("number", [0, 1])
def test_store_of_hardly_any_trials_has_a_site(look, tmp_path, number):
    store = tmp_path / "new" / "trials"
    store.mkdir(parents=True)
    rng = random.Random(1)
    for plan in demo_store.plans(number, [demo_store.Version("", ())], rng):
        demo_store.add_trial(store, plan, "", rng)
    page = look.open(build_site(store).page.as_uri())
    assert look.count() == number
    if number == 0:
        assert "No trials yet" in page.inner_text("#table")
    for view in ("experiments", "names", "compare", "experiment?name=x", "variant?variant=y"):
        look.open(f"{(store / 'index.html').as_uri()}#{view}", "h1, .empty")


def test_unknown_facet_and_view_fall_back_to_the_table(look, store, site):
    look.open(f"{site}#nonsense?f.nope=1")
    assert look.count() == len(trials(store))
    assert facet("experiment", "fit_eval")
