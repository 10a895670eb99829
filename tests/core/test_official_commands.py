"""``pytest-mitosis summary`` and ``checklist``: what is recorded, as statistics and as answers."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from stores import STEP, add_trial, variant

from pytest_mitosis.plan.official import Group
from pytest_mitosis.read.ladder import Rung, compare_metrics, worst
from pytest_mitosis.read.statistics import pairs_of, sample_of, settings_of, shifts_of
from pytest_mitosis.read.verdict import Verdict, judge, packages_since
from pytest_mitosis.read.verdict_text import markdown
from pytest_mitosis.store.files import write_json
from pytest_mitosis.store.folder import read_trial
from pytest_mitosis.store.reference import (
    Reference,
    accepted_trial,
    make_reference,
    mark_official,
    read_group,
    read_reference,
    reference_file,
    write_reference,
)
from pytest_mitosis.store.results import save_result

ERRORS = {
    ("low", "tv"): [0.101, 0.094, 0.099, 0.104, 0.097, 0.1],
    ("high", "tv"): [0.121, 0.113, 0.117, 0.127, 0.118, 0.119],
    ("high", "stlsq"): [0.18, 0.21],
}


@pytest.fixture
def call(tmp_path, monkeypatch, tool):
    """Call the tool in a project with one group."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "official.toml").write_text('[fig3]\nexp = "fit_eval"\ntitle = "Errors"\n')
    return tool


def accept_all(folder):
    for (noise, solver), errors in ERRORS.items():
        for seed, error in enumerate(errors):
            parameters = [variant("noise", noise), variant("solver", solver)]
            path = add_trial(
                folder / "trials",
                f"{noise[0]}{solver[0]}{seed:06}",
                parameters,
                spec=f"noise={noise},solver={solver},seed={seed}",
                seed=seed,
                metrics={"main": error, "n_iter": 37, "label": "a"},
            )
            file = reference_file(folder / "official", "fig3", path.parent.name)
            write_reference(make_reference(read_trial(path), file, "fig3", "so", {}, {}))


def test_reference_is_written_once_and_reads_back(tmp_path):
    accept_all(tmp_path)
    found = read_group(tmp_path / "official", "fig3")
    assert len(found) == 14
    (one,) = [r for r in found if r.record["spec"] == "noise=low,solver=tv,seed=1"]
    assert one.metrics == {"main": 0.094, "n_iter": 37, "label": "a"}
    assert one.family == ("fit_eval.noise=low", "fit_eval.solver=tv")
    before = one.file.read_bytes()
    trial = read_trial(next((tmp_path / "trials").rglob("*lt000001")))
    again = make_reference(trial, one.file, "fig3", "another reason", {}, {})
    assert not write_reference(again)
    assert one.file.read_bytes() == before
    trial.manifest["metrics"]["main"] = float("nan")
    for new in (True, False):  # NaN is the same NaN
        assert write_reference(make_reference(trial, one.file, "fig3", "so", {}, {})) is new


def test_gc_keeps_what_references_name_and_not_what_was_only_compared(call, tmp_path):
    accept_all(tmp_path)
    low = [variant("noise", "low"), variant("solver", "tv")]
    for iteration, name in ((2, "compared"), (3, "latest00")):
        again = {"spec": "noise=low,solver=tv,seed=0", "seed": 0, "run_for": "fig3"}
        add_trial(tmp_path / "trials", name, low, minute=iteration, iteration=iteration, **again)
    code, out, _ = call("gc", "--superseded", "0h", "--json")
    assert code == 0
    assert [one["path"].rsplit("-", 1)[1] for one in json.loads(out)] == ["compared"]
    # Marked as accepted it stays where no reference is at hand as well.
    folder = next((tmp_path / "trials").rglob("*-lt000000"))
    marked = mark_official(mark_official(read_trial(folder), "fig4"), "fig3")
    assert mark_official(marked, "fig3") == read_trial(folder)
    assert read_trial(folder).manifest["official"] == "fig3, fig4"
    (tmp_path / "official.toml").unlink()
    _, out, _ = call("gc", "--superseded", "0h", "--json")
    assert [one["path"].rsplit("-", 1)[1] for one in json.loads(out)] == ["compared"]


def verdicts_of(new):
    """Verdicts on as many seeds as numbers, the reference being the errors of low, tv."""
    old = ERRORS["low", "tv"]
    seeds = {"main": old}
    found = []
    for before, after in zip(old, new, strict=True):
        steps = compare_metrics({"main": before}, {"main": after}, Group("fig3", "fit"), seeds)
        rung, family = worst(one.rung for one in steps), ("fit.noise=low", "fit.solver=tv")
        found.append(Verdict("fig3", "t", "r", "", rung, tuple(steps), family=family))
    return found


def test_shift_of_all_seeds_is_told_though_each_is_within_the_spread():
    old = ERRORS["low", "tv"]
    moved = verdicts_of([one + 0.004 + 0.0005 * (-1) ** n for n, one in enumerate(old)])
    assert {one.rung for one in moved} == {Rung.SPREAD}
    (told,) = shifts_of(moved)
    assert re.fullmatch(
        r"main of noise=low, solver=tv moved by \+0.004 ± 0.00057 over 6 seeds, each within their "
        r"spread; hardly by chance \(p = \de-\d\d\)",
        told,
    )
    assert f"**{told}**" in markdown("fig3", [("low tv", one) for one in moved])
    assert [Verdict.from_json(one.to_json()) for one in moved] == moved
    scattered = verdicts_of([one + 0.004 * (-1) ** n for n, one in enumerate(old)])
    assert {one.rung for one in scattered} == {Rung.SPREAD}
    assert shifts_of(scattered) == []
    assert shifts_of(moved[:4]) == []
    assert shifts_of(verdicts_of(old)) == []


def test_packages_that_are_others_now_are_told(tmp_path):
    used = {"numpy": "1.0.0", "pytest": pytest.__version__, "gone": "1.0", "mine": "2.0 at 3f2a91c"}
    reference = Reference({"code": {"packages": used}}, tmp_path)
    assert packages_since(reference) == f"numpy 1.0.0 -> {np.__version__}"


def with_field(store, name, field, iteration):
    folder = add_trial(store, name, iteration=iteration, metrics={"main": 0.5})
    (folder / "results").mkdir()
    save_result({"main": 0.5, "data": {"field": field}}, folder / "results", STEP)
    return read_trial(folder)


def test_large_arrays_are_compared_by_all_elements_where_the_accepted_trial_is(tmp_path):
    store = tmp_path / "trials"
    field = np.random.default_rng(1).normal(size=(100, 50))
    accepted = with_field(store, "accepted", field, 1)
    file = reference_file(tmp_path / "official", "fig3", "default")
    write_reference(make_reference(accepted, file, "fig3", "so", {}, {}))
    reference = read_reference(file)
    spec = accepted.folder.parent
    assert accepted_trial(reference, spec) == accepted
    field[31, 7] += 3e-8  # below what sums over five thousand elements tell
    moved = with_field(store, "moved000", field, 2)

    def remark(recorded):
        verdict = judge(moved, reference, Group("fig3", "fit"), (), {}, tmp_path, recorded)
        (step,) = [one for one in verdict.steps if one.name == "data.field"]
        return step.rung, step.remark

    changed = (Rung.CHANGED, "beyond rtol 1e-09 in 1 of 5000 elements")
    unseen = (Rung.TOLERANCE, "rtol 1e-09, by sums over it")
    assert remark(accepted) == changed
    assert remark(None) == unseen
    # What is not as it was accepted any more says nothing.
    save_result({"main": 0.5, "data": {"field": field}}, accepted.folder / "results", STEP)
    assert remark(accepted) == unseen
    shutil.rmtree(accepted.folder)
    assert accepted_trial(reference, spec) is None


def test_summary_has_statistics_over_seeds_and_pairs(tmp_path):
    accept_all(tmp_path)
    settings = settings_of(read_group(tmp_path / "official", "fig3"), "main")
    by_name = {tuple(v for _, v in one.parameters): one for one in settings}
    sample = by_name["low", "tv"].sample
    values = np.array(ERRORS["low", "tv"])
    assert (sample.n, sample.mean) == (6, pytest.approx(values.mean()))
    assert sample.sd == pytest.approx(values.std(ddof=1))
    assert sample.half == pytest.approx(2.5705818 * values.std(ddof=1) / np.sqrt(6), rel=1e-7)
    pairs = {(one.parameter, one.one, one.other): one for one in pairs_of(settings)}
    assert set(pairs) == {("noise", "high", "low"), ("solver", "stlsq", "tv")}
    pair = pairs["noise", "high", "low"]
    difference = np.array(ERRORS["high", "tv"]) - values
    assert pair.rest == (("solver", "tv"),)
    assert pair.difference.mean == pytest.approx(difference.mean())
    stats = pytest.importorskip("scipy.stats")
    expected = stats.ttest_rel(ERRORS["high", "tv"], ERRORS["low", "tv"]).pvalue
    assert pair.p == pytest.approx(expected, rel=1e-6)
    assert pair.wilcoxon == stats.wilcoxon(difference).pvalue
    assert pairs["solver", "stlsq", "tv"].difference.n == 2


def test_one_seed_has_no_spread_and_nan_no_interval():
    assert sample_of([0.25]).sd is None
    assert sample_of([0.25, float("nan")]).half is None


def test_summary_as_it_is_printed(call, tmp_path):
    code, _, told = call("summary", "fig3")
    assert code == 4
    assert "nothing of fig3 is accepted yet: pytest -p mitosis --exp-official fig3" in told
    accept_all(tmp_path)
    code, out, _ = call("summary", "fig3")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "fig3: Errors · main of 14 trials"
    assert lines[1] == "noise solver n mean sd 95% interval of the mean"
    assert "low tv 6 0.0991667 0.00343 0.0955668 … 0.102767" in lines
    assert any(line.startswith("noise=high - low solver=tv 6 +0.02 ±") for line in lines)
    code, out, _ = call("summary", "fig3", "-m", "n_iter", "--json")
    assert {one["mean"] for one in json.loads(out)["settings"]} == {37.0}
    code, _, told = call("summary", "fig3", "-m", "label")
    assert code == 4
    assert "no trial has a number 'label'; there are main, n_iter" in told


def test_checklist_counts_failed_trials_and_drafts(call, tmp_path):
    store = tmp_path / "trials"
    low = variant("noise", "low", 0.1)
    used = {"code": {"distributions": {"numpy": "2.4.0"}}, "environment": "e1"}
    machine = {"cpu": "EPYC 9654", "cpus": "96", "system": "Linux"}
    (store / "environments/e1").mkdir(parents=True)
    write_json(store / "environments/e1/environment.json", {"machine": machine})
    add_trial(store, "aaaaaaaa", [low], seed=0, duration_s=3600.0, cpu_s=7200.0, **used)
    add_trial(store, "bbbbbbbb", [low], seed=3, iteration=2, duration_s=1800.0)
    crashed = {"status": "crashed", "metrics": {}, "duration_s": 32400.0}
    add_trial(store, "cccccccc", [variant("noise", "high", 0.5)], iteration=1, **crashed)
    add_trial(store / "drafts", "dddddddd", [low], iteration=0, draft=True, duration_s=360.0)
    code, out, _ = call("checklist")
    assert code == 0
    for line in (
        "- fig3 (Errors): nothing accepted yet",
        "- fit_eval: 2 done, 1 crashed, 1 as draft",
        "- fit_eval: 2 (0, 3)",
        "- fit_eval: fit_eval.noise: 2 tried: low (float 0.1), high (float 0.5)",
        "- EPYC 9654, 96 processors, Linux (node-17)",
        "- numpy 2.4.0",
        "- 10.6 h on the clock in all, 2 h of processor time",
        "- 9 h by 1 that failed or were stopped",
        "- 0.1 h by 1 run as draft",
    ):
        assert line in out.splitlines(), line
    accept_all(tmp_path)
    _, out, _ = call("checklist", "--json")
    told = json.loads(out)["Official results"]
    assert told == [
        "fig3 (Errors): 14 trials, 3 settings, 2 or more seeds each: error bars can be given"
    ]
