"""Declared groups of official trials, and what is refused with what exists."""

from __future__ import annotations

import pytest

from pytest_mitosis.model import Kind, PlanError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.official import Tolerance, read_declaration, reference_globs

FIG3 = """
require-hypothesis = true

[fig3]
exp = "sim_data+fit_eval"
title = "Figure 3"
variants = {noise = "*", solver = ["stlsq", "tv"]}
literals = {"fit_eval.alpha" = 0.5, label = ["a", "b"], weights = [[1, 2]]}
seeds = "0-4"
tolerances = {main = {rtol = 1e-6, atol = 1e-12}, n_iter = "exact", "time.*" = "ignore"}
"""


@pytest.fixture
def declare(tmp_path):
    (tmp_path / ".git").mkdir()

    def declare(official="", table=""):
        (tmp_path / "pyproject.toml").write_text(f"[tool.mitosis]\n{table}\n")
        (tmp_path / "official.toml").write_text(official)
        if not official:
            (tmp_path / "official.toml").unlink()
        return read_declaration(read_project(tmp_path))

    return declare


def test_group_says_what_the_command_line_would(declare, tmp_path):
    declaration = declare(FIG3)
    (group,) = declaration.choose([])
    assert (group.name, group.experiment, group.title) == (
        "fig3",
        "sim_data+fit_eval",
        "Figure 3",
    )
    assert group.require_hypothesis
    found = {one.label: (one.kind, one.names) for one in group.request.selections}
    assert found == {
        "noise": (Kind.VARIANT, ("*",)),
        "solver": (Kind.VARIANT, ("stlsq", "tv")),
        "fit_eval.alpha": (Kind.LITERAL, ("0.5",)),
        "label": (Kind.LITERAL, ("'a'", "'b'")),
        "weights": (Kind.LITERAL, ("[1, 2]",)),
    }
    assert group.request.seeds == (0, 1, 2, 3, 4)
    assert declaration.folder == tmp_path / "official"


def test_table_of_pyproject_says_the_same(declare):
    table = '[tool.mitosis.official.fig1]\nexp = "fit"\nseeds = [3, 7]\n'
    (group,) = declare(table=table).choose(["fig1"])
    assert group.request.seeds == (3, 7)
    assert not group.require_hypothesis


def test_tolerance_is_by_name_then_by_pattern_then_tight(declare):
    (group,) = declare(FIG3).choose([])
    assert group.tolerance("main") == Tolerance(1e-6, 1e-12, declared=True)
    assert group.tolerance("n_iter").exact
    assert group.tolerance("time.fit").ignore
    assert group.tolerance("f1") == Tolerance(rtol=1e-9)
    assert str(group.tolerance("main")) == "rtol 1e-06 atol 1e-12"


def test_references_are_no_change_of_the_code_where_groups_are_declared(declare, tmp_path):
    declare()
    assert reference_globs(read_project(tmp_path)) == ()
    declare('folder = "paper/official"\n[fig1]\nexp = "fit"\n')
    assert reference_globs(read_project(tmp_path)) == ("paper/official/**/*.json",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no official trials are declared; write [tool.mitosis.official] in pyproject.toml"),
        ("fig3 = 3", "official.toml fig3 has to be a table such as {exp = …}, not 3"),
        ("[fig3]\nexperiment = 'fit'", "has an unknown key 'experiment'; there are exp, variants"),
        ("[fig3]\ntitle = 'x'", 'official.toml fig3 needs exp = "…"'),
        ("[fig3]\nexp = 'fit'\nseeds = '4-1'", "official.toml fig3: --seeds 4-1: 4-1 is empty"),
        ("[fig3]\nexp = 'fit'\nseeds = -1", "fig3 seeds has to be"),
        ("[fig3]\nexp = 'fit'\nvariants = {noise = 1}", "fig3 variants noise has to be"),
        ("[fig3]\nexp = 'fit'\nliterals = {a = 1979-05-27}", "fig3 literals a has to be a number"),
        ("[fig3]\nexp = 'fit'\nliterals = {a = nan}", "fig3 literals a has to be a number"),
        (
            "[fig3]\nexp = 'fit'\ntolerances = {main = 'exactly'}",
            'fig3 tolerances main has to be "exact", "ignore" or {rtol = …, atol = …}, not \'exa',
        ),
        ("[fig3]\nexp = 'fit'\ntolerances = {main = {rtol = -1}}", "that is not negative, not -1"),
        ("['fig/3']\nexp = 'fit'", "is called 'fig/3', which is no safe file name"),
        ("require-hypothesis = 'yes'", "require-hypothesis has to be true or false, not 'yes'"),
    ],
)
def test_what_is_wrong_is_said_with_what_exists(declare, text, message):
    with pytest.raises(PlanError) as refused:
        declare(text).choose([])
    assert message in str(refused.value)


def test_unknown_group_names_the_near_ones_and_two_places_are_refused(declare):
    with pytest.raises(PlanError, match=r"no official group named 'fig' in .*; did you mean fig3"):
        declare(FIG3).choose(["fig"])
    with pytest.raises(PlanError, match="paths stand before --exp-official"):
        declare(FIG3).choose(["exps/"])
    with pytest.raises(PlanError, match="keep one"):
        declare(FIG3, '[tool.mitosis.official.fig1]\nexp = "fit"')
