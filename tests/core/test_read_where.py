"""Conditions of ``ls --where``: what they select, and what is said of those that are none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mitosis.model import PlanError
from pytest_mitosis.read.where import parse_condition

ROWS = [
    {"id": "k2m9xwq1", "status": "done", "param.noise": "low", "metric.main": 0.05, "seed": 0},
    {"id": "7f3k2qaa", "status": "crashed", "param.noise": "high", "metric.main": None, "seed": 1},
    {"id": "9aa1cd07", "status": "done", "param.noise": "high", "metric.main": 0.25, "seed": 0},
    {"id": "zz000000", "status": "done", "param.noise": "0.5", "metric.main": -1e-3, "seed": 10},
]
for n, row in enumerate(ROWS):
    row["started"] = f"2026-0{n + 4}-01T08:00:00.000+00:00"
    row["draft"] = n == 2
    row["param.both"], row["metric.both"] = "x", 1.0
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


def chosen(text: str) -> list[int]:
    condition = parse_condition(text, COLUMNS)
    return [n for n, row in enumerate(ROWS) if condition(row)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("noise=low", [0]),
        ("noise == low", [0]),
        ("noise=low,high", [0, 1, 2]),
        ("noise!=low,high", [3]),
        ("noise=low and main<0.1", [0]),
        ("main < 0.1", [0, 3]),
        ("main<=0.05", [0, 3]),
        ("main>-1e-3", [0, 2]),
        ("main>=-0.001 and seed=10", [3]),
        ("noise=0.50", [3]),
        ("seed=0", [0, 2]),
        ("not main>0", [1, 3]),
        ("main=none", [1]),
        ("status=crashed or status=done and seed>5", [1, 3]),
        ("(status=crashed or status=done) and seed>5", [3]),
        ("not (noise=low or noise=high)", [3]),
        ("status~as", [1]),
        ("id=k2", [0]),
        ("draft=true", [2]),
        ("started>=2026-05 and started<2026-07", [1, 2]),
        ("started=2026-05", [1]),
        ("param.noise='low'", [0]),
        ('noise="low"', [0]),
        ("metric.both=1", [0, 1, 2, 3]),
    ],
)
def test_condition_selects(text, expected):
    assert chosen(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a name such as noise, main or status at character 1, it ends there"),
        ("noise", "expected = != ~ < <= > >= after noise at character 6, it ends there"),
        ("noise=", "expected a value after noise= at character 7, it ends there"),
        ("noise=low and", "expected a name such as noise, main or status at character 14"),
        ("noise=low high", "expected and, or, or the end at character 11, found 'high'"),
        ("(noise=low", "expected ) at character 11, it ends there"),
        ("noise=low)", "expected and, or, or the end at character 10, found ')'"),
        ("noise=and", "expected a value after noise= at character 7, found 'and'"),
        ("noise='low", 'expected a value after noise= at character 7, found "\'"'),
        ("main<low", "metric.main < low: 'low' is no number"),
        ("status<3", "status is no number (done, crashed); compare it with = or !="),
        ("both=1", "both is a parameter and a metric; write param.both or metric.both"),
        ("noize=low", "no trial has 'noize'; there are"),
        ("main<1,2", "metric.main < takes one value, not 1,2"),
    ],
)
def test_what_is_no_condition_is_told_where(text, message):
    with pytest.raises(PlanError) as caught:
        chosen(text)
    assert message in str(caught.value)


@given(st.text(alphabet="noise=lowmain<0.1()and or'\",~!>é\n", max_size=30))
def test_any_text_is_a_condition_or_told(text):
    with contextlib.suppress(PlanError):  # anything else fails
        assert set(chosen(text)) <= set(range(4))
