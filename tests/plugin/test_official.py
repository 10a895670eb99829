"""Official trials through the front door: planned, vouched for, checked."""

from __future__ import annotations

import pytest

FIT = """
    import helper
    import numpy as np

    lookup_dict = {"noise": {"low": {"sigma": 0.1}, "high": {"sigma": 0.5}}}

    def exp_fit(noise, alpha=1.0, *, seed=0):
        x = noise["sigma"] * np.random.default_rng(seed).normal(size=500)
        return {
            "main": helper.power(x) * alpha,
            "count": x.size,
            "metrics": {"undefined": float("nan")},
            "data": {"x": x, "label": "a noisy line"},
        }
"""
HELPER = """
    def power(x):
        return float((x**2).mean())
"""
DECLARED = """
    [tool.mitosis.official.fig3]
    exp = "fit"
    title = "Power of the noise"
    variants = {noise = "*"}
    literals = {alpha = 0.5}
    seeds = "0-1"

    [tool.mitosis.official.fig4]
    exp = "fit"
    variants = {noise = "low"}
    literals = {alpha = [0.5, 2.0]}
"""
FILES = {
    "exps/exp_fit.py": FIT,
    "exps/helper.py": HELPER,
    "pyproject.toml": DECLARED,
    ".gitignore": "trials/\n",
}


def test_groups_are_planned_and_selected_in(project):
    project.commit(FILES)
    result = project.run("--exp-official", "--collect-only", "-q")
    assert result.ret == 0
    ids = [line.partition("[")[2][:-1] for line in result.outlines if "::" in line]
    assert ids == [
        "noise=low,alpha=0.5,seed=0",
        "noise=low,alpha=0.5,seed=1",
        "noise=high,alpha=0.5,seed=0",
        "noise=high,alpha=0.5,seed=1",
        "noise=low,alpha=2.0,seed=0",
    ]
    selected = project.run(
        "exps", "--exp-official", "fig3", "--collect-only", "-q", "-k", "noise=low and seed=1"
    )
    assert [line for line in selected.outlines if "::" in line] == [
        "exps/exp_fit.py::exp_fit[noise=low,alpha=0.5,seed=1]"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fig5",), "no official group named 'fig5' in pyproject.toml [tool.mitosis.official]"),
        (("--seeds", "3"), "a group says its --seeds itself; select in it with -k"),
        (("--exp", "fit"), "--exp-official runs official trials alone: leave fit out"),
        (("--exp-reuse", "same-code"), "are run again to be compared: leave --exp-reuse out"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(project, arguments, message):
    project.commit(FILES)
    result = project.run("--exp-official", *arguments)
    assert result.ret == 4
    assert message in str(result.stderr)


def test_group_that_names_what_is_not_there_is_a_usage_error(project):
    project.commit({**FILES, "pyproject.toml": DECLARED.replace('"*"', '"lwo"')})
    result = project.run("--exp-official")
    assert result.ret == 4
    assert "official group fig3: fit.noise has no variant 'lwo'; it has low, high" in str(
        result.stderr
    )
