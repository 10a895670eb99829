"""Tables for papers: numbers, escapes, and the trials they come from."""

from __future__ import annotations

import pytest
from stores import add_trial, variant

from pytest_mitosis import load_trials, paper_table
from pytest_mitosis.model import PlanError


@pytest.fixture
def df(tmp_path):
    numbers = {("low", "tv"): [0.10, 0.20], ("low", "stlsq"): [0.30], ("high", "tv"): [1.5, 2.5]}
    minute = 0
    for (noise, solver), mains in numbers.items():
        for seed, main in enumerate(mains):
            add_trial(
                tmp_path / "trials",
                f"{noise[0]}{solver[0]}{seed}".ljust(8, "0"),
                [variant("noise", noise), variant("solver", solver)],
                minute=minute,
                iteration=seed + 1,
                metrics={"main": main, "f_1": main * 2},
            )
            minute += 1
    return load_trials(trials_folder=tmp_path / "trials")


def test_table_has_a_cell_for_each_pair_in_the_order_of_the_dictionaries(df):
    assert paper_table(df, "noise", "solver", best="min").splitlines() == [
        "% metric.main of 5 trials, made by pytest_mitosis.paper_table",
        "% low, tv: n=2: lt000000 lt100000",
        "% low, stlsq: n=1: ls000000",
        "% high, tv: n=2: ht000000 ht100000",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & tv & stlsq \\",
        r"\midrule",
        r"low & \textbf{0.150 $\pm$ 0.050} & 0.300 $\pm$ -- \\",
        r"high & 2.000 $\pm$ 0.500 & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_cell_and_metric_can_be_chosen(df):
    text = paper_table(df, "noise", metric="f_1", cell="{median:.1f} ({n}) {max}%", best="max")
    assert r"noise & f\_1 \\" in text
    assert r"low & 0.4 (3) 0.6\% \\" in text


def test_names_are_escaped_and_cannot_leave_the_comment(tmp_path):
    name = "50%_$x^2&~{\\input{a}}\n\\evil"
    add_trial(tmp_path / "t", "k2m9xwq1", [variant("noise", name)], spec="odd")
    text = paper_table(load_trials(trials_folder=tmp_path / "t"), "noise")
    row = next(line for line in text.splitlines() if line.startswith("50"))
    escaped = r"50\%\_\$x\textasciicircum{}2\&\textasciitilde{}\{\textbackslash{}input\{a\}\} "
    assert row.startswith(escaped + r"\textbackslash{}evil & ")
    assert [line for line in text.splitlines() if line.startswith("\\evil")] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": "noize"}, "the data frame has no 'noize'; there are"),
        ({"rows": "noise", "metric": "mian"}, "the data frame has no 'mian'"),
        ({"rows": "noise", "cell": "{average}"}, "cell has {average}; there are mean, std, sem"),
        ({"rows": "noise", "cell": "{mean:.3q}"}, "cell '{mean:.3q}' is no format"),
        ({"rows": "noise", "best": "low"}, "best is 'low'; it can be 'min', 'max' or None"),
    ],
)
def test_mistakes_are_said(df, options, message):
    with pytest.raises(PlanError) as caught:
        paper_table(df, **options)
    assert message in str(caught.value)
