"""Experiments are ordinary pytest items, collected only when they are asked for."""

from __future__ import annotations

import pytest
from conftest import manifest

EXPERIMENTS = """
    import pytest

    lookup_dict = {
        "noise": {"low": 0.1, "lower": 0.01, "high": 0.5},
        "solver": {"tv": "total variation", "stlsq": "thresholded least squares"},
    }

    def exp_fit(noise, solver, *, seed=0):
        return {"main": noise * (1 + seed)}

    def exp_plain():
        return {"main": 1.5}

    @pytest.mark.experiment(lookup={"alpha": {"half": 0.5}}, hypothesis="Half is enough.")
    def exp_marked(alpha):
        return {"main": alpha}

    @pytest.mark.skip(reason="needs the big machine")
    def exp_skipped():
        return {"main": 0}

    @pytest.mark.xfail(reason="diverges", strict=True)
    def exp_diverges():
        raise ArithmeticError("diverged")

    @pytest.mark.parametrize("size", [3, 4])
    def exp_sized(size, noise):
        return {"main": size * noise}
"""


@pytest.fixture
def collected(project):
    """Node ids that a command line selects, without running anything."""
    project.commit({"exps/exp_all.py": EXPERIMENTS})

    def collect(*arguments):
        result = project.run(*arguments, "--collect-only", "-q")
        assert not project.store.exists()
        return [line for line in result.outlines if "::" in line]

    return collect


def test_ids_are_in_signature_order_whatever_the_command_line(collected):
    wanted = [
        "exps/exp_all.py::exp_fit[noise=low,solver=tv,seed=0]",
        "exps/exp_all.py::exp_fit[noise=low,solver=tv,seed=1]",
        "exps/exp_all.py::exp_fit[noise=high,solver=tv,seed=0]",
        "exps/exp_all.py::exp_fit[noise=high,solver=tv,seed=1]",
    ]
    noise, solver, seeds = (
        ("--variant", "noise=low,high"),
        ("--variant", "solver=tv"),
        ("--seeds", "0-1"),
    )
    assert collected("--exp", "fit", *noise, *solver, *seeds) == wanted
    assert collected(*seeds, *solver, "--exp", "exp_fit", *noise) == wanted


def test_star_takes_all_variants_in_dictionary_order(collected):
    ids = collected("--exp", "fit", "--variant", "noise=*", "--variant", "solver=stlsq")
    assert [one.partition("[")[2] for one in ids] == [
        "noise=low,solver=stlsq,seed=0]",
        "noise=lower,solver=stlsq,seed=0]",
        "noise=high,solver=stlsq,seed=0]",
    ]


@pytest.mark.parametrize(
    ("literal", "part"),
    [
        (".5", "0.5"),
        ("[1, 2]", "[1%2C 2]"),
        ("'a/b'", "'a/b'"),
        ("None", "None"),
        ("-1e-3", "-0.001"),
        ("'naïve'", "'na%5Cxefve'"),
    ],
)
def test_literals_have_one_spelling_and_paste_back(collected, literal, part):
    (one,) = collected("--exp", "fit", "--eval-param", f"noise={literal}", "--variant", "solver=tv")
    assert one == f"exps/exp_all.py::exp_fit[noise={part},solver=tv,seed=0]"
    assert collected(one) == [one]


def test_pasted_ids_select_exactly_those_trials(collected):
    ids = [
        "exps/exp_all.py::exp_fit[noise=low,solver=tv,seed=3]",
        "exps/exp_all.py::exp_fit[noise=0.25,solver=stlsq,seed=0]",
        "exps/exp_all.py::exp_plain[default]",
    ]
    assert collected(*ids) == ids
    assert collected("exps/exp_all.py::exp_fit[seed=3,solver=tv,noise=low]") == ids[:1]


def test_pasted_id_of_a_parametrized_experiment_selects_one(collected):
    both = ["exps/exp_all.py::exp_sized[noise=low-3]", "exps/exp_all.py::exp_sized[noise=low-4]"]
    assert collected("--exp", "sized", "--variant", "noise=low") == both
    assert collected(both[1]) == [both[1]]


def test_keyword_expression_matches_variants_exactly(collected):
    grid = ("--exp", "fit", "--variant", "noise=*", "--variant", "solver=*")
    assert len(collected(*grid)) == 6
    ids = collected(*grid, "-k", "noise=low and not solver=tv")
    assert ids == ["exps/exp_all.py::exp_fit[noise=low,solver=stlsq,seed=0]"]
    ids = collected(*grid, "-k", "fit.solver=tv and (noise=low or noise=high)")
    assert [one.partition("noise=")[2][:4] for one in ids] == ["low,", "high"]


def test_mark_expression_matches_variants_exactly(collected):
    grid = ("--exp", "fit", "--variant", "noise=*", "--variant", "solver=*")
    assert len(collected(*grid, "-m", "variant(noise='low')")) == 2
    assert len(collected(*grid, "-m", "variant(step='fit', noise='low', solver='tv')")) == 1
    assert collected(*grid, "-m", "variant(noise='lo')") == []


def test_untracked_parameters_are_in_the_id_but_not_in_the_folder(project):
    project.commit({"exps/exp_all.py": EXPERIMENTS})
    result = project.run("--exp", "fit", "--variant", "noise=low", "--variant", "+solver=tv", "-v")
    result.stdout.fnmatch_lines(["*::exp_fit?noise=low,+solver=tv,seed=0? DONE*"])
    assert project.only().parent.name == "noise=low,seed=0"
    assert not (project.store / "locks/fit/solver").exists()


def test_plain_pytest_never_collects_experiments(project):
    project.commit({"exps/exp_all.py": EXPERIMENTS, "test_unit.py": "def test_one(): pass\n"})
    result = project.run()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*mitosis: store*")
    assert not project.store.exists()


@pytest.mark.parametrize(
    ("options", "before"),
    [
        ((), "collected 1 item"),
        (("--collect-only",), "collected 1 item"),
        (("-n", "1"), "test session starts"),
        (("-q",), None),
        (("--no-header",), None),
    ],
    ids=str,
)
def test_store_and_commit_are_told_once_before_the_trials(project, options, before):
    project.commit({"exp_one.py": "def exp_one(): return {'main': 1}\n"})
    lines = project.run_apart("--exp", "one", *options).stdout.splitlines()
    told = [
        n for n, line in enumerate(lines) if line.startswith("mitosis: store trials · 0 trials")
    ]
    assert len(told) == (before is not None)
    if before is not None:
        assert before in "\n".join(lines[: told[0]])
        assert not any(line.startswith("exp_one.py") for line in lines[: told[0]])


def test_experiments_beside_tests_of_the_same_file_leave_tests_alone(project):
    project.commit({"exp_one.py": "def exp_one(): return {'main': 1}\ndef test_it(): assert 0\n"})
    result = project.run("exp_one.py")
    result.assert_outcomes(passed=1)


def test_skip_and_xfail_hold_as_in_any_test(project):
    project.commit({"exps/exp_all.py": EXPERIMENTS})
    result = project.run("--exp", "skipped", "--exp", "diverges", "-rsx", "-W", "ignore")
    result.assert_outcomes(skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["*needs the big machine*"])
    assert [folder.parent.parent.name for folder in project.folders()] == ["diverges"]


def test_last_failed_reruns_only_what_crashed(project):
    project.commit(
        {
            "exp_half.py": """
            lookup_dict = {"n": {"one": 1, "two": 2, "three": 3}}
            def exp_half(n):
                assert n != 2, "two is odd"
                return {"main": n}
            """
        }
    )
    grid = ("--exp", "half", "--variant", "n=*")
    result = project.run(*grid)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: two is odd*", "*rerun what failed: pytest*--lf"])
    result = project.run(*grid, "--lf")
    result.assert_outcomes(failed=1, deselected=2)
    assert len(project.folders("half/n=one")) == 1
    assert len(project.folders("half/n=two")) == 2


def test_exitfirst_stops_after_the_first_crash(project):
    project.commit({"exp_a.py": "def exp_a(): 1 / 0\n", "exp_b.py": "def exp_b(): 1 / 0\n"})
    result = project.run("--exp", "a", "--exp", "b", "-x")
    result.assert_outcomes(failed=1)
    assert len(project.folders()) == 1


def test_junit_has_the_trial_and_its_metrics(project):
    project.commit({"exps/exp_all.py": EXPERIMENTS})
    project.run("--exp", "plain", "--junitxml", "trials/report.xml")
    report = (project.store / "report.xml").read_text()
    assert 'name="exp_plain[default]"' in report
    assert '<property name="mitosis.main" value="1.5"' in report


def test_user_fixtures_reach_the_trial(project):
    project.commit(
        {
            "conftest.py": """
            import pytest
            from pathlib import Path

            @pytest.fixture
            def sizes():
                return [10, 20.5, None]

            @pytest.fixture
            def table(tmp_path):
                import numpy as np
                return {"a": np.arange(3.0), "p": tmp_path}

            @pytest.fixture(autouse=True)
            def variable(monkeypatch):
                monkeypatch.setenv("PAPER_MODE", "fast")
            """,
            "exp_fixed.py": """
            import os
            import pytest

            @pytest.fixture
            def path(tmp_path):
                return tmp_path / "x"

            def exp_fixed(sizes, table, path):
                assert os.environ["PAPER_MODE"] == "fast"
                assert sizes == [10, 20.5, None]
                assert path.name == "x"
                assert table["p"].name == path.parent.name
                return {"main": table["a"].sum()}
            """,
        }
    )
    result = project.run("--exp", "fixed")
    result.assert_outcomes(passed=1)
    code = (project.only() / "notebook.ipynb").read_text()
    assert "[10, 20.5, None]" in code
    assert (project.only() / "inputs/table.pickle").exists()


def test_fixture_that_cannot_leave_the_process_is_refused_by_name(project):
    project.commit(
        {
            "exp_locked.py": """
            import pytest, threading

            @pytest.fixture
            def guard():
                return threading.Lock()

            def exp_locked(guard):
                return {"main": 1}
            """
        }
    )
    result = project.run("--exp", "locked")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["the fixture 'guard' gives a _thread.lock, which cannot leave this process*"]
    )
    assert project.folders() == []
    assert list(project.store.glob("locked/default/[!.]*")) == []


def test_any_callable_is_an_experiment(project):
    project.commit(
        {
            "exp_odd.py": """
            import functools
            def add(x, y=2): return {"main": x + y}
            exp_part = functools.partial(add, x=1)
            exp_short = lambda: {"main": 4}
            class Call:
                def __call__(self, z=5): return {"main": z}
            exp_call = Call()
            """
        }
    )
    result = project.run("--exp", "part", "--exp", "short", "--exp", "call", "-v")
    result.assert_outcomes(passed=3)
    mains = [manifest(folder)["metrics"]["main"] for folder in project.folders()]
    assert mains == [3, 4, 5]


def test_setup_show_and_durations_work(project):
    project.commit({"exps/exp_all.py": EXPERIMENTS})
    result = project.run("--exp", "plain", "--setup-show", "--durations=1")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*SETUP    S clean_tree*", "*SETUP    F variant_lock*", "*s call *"]
    )


def test_module_that_skips_itself_is_skipped(project):
    project.commit(
        {"exp_gpu.py": "import pytest\npytest.importorskip('no_such_gpu')\ndef exp_gpu(): pass\n"}
    )
    result = project.run("--exp", "gpu", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*could not import 'no_such_gpu'*"])


def test_help_explains_the_options(project):
    result = project.run("--help")
    result.stdout.fnmatch_lines(
        ["experiments as test items (pytest-mitosis):", "*--exp=NAME*run an experiment*"]
    )


def test_trials_run_under_xdist(project):
    project.commit({"exps/exp_all.py": EXPERIMENTS})
    grid = ("--exp", "fit", "--variant", "noise=low,high", "--variant", "solver=*", "-n", "2")
    done = project.run_apart(*grid)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
    assert done.stdout.count(" new ") == 4
    assert len(project.folders()) == 4
    one = "exps/exp_all.py::exp_fit[noise=low,solver=tv,seed=0]"
    done = project.run_apart(one, "-n", "2")
    assert "1 passed" in done.stdout
    assert len(project.folders()) == 4, "it is done already"
    project.run_apart(one, "-n", "2", "--exp-reuse", "never")
    assert len(project.folders()) == 5
