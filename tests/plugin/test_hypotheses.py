"""A hypothesis is supported or refuted, by a check or an assert; a metric alone decides nothing."""

from __future__ import annotations

import pytest
from conftest import manifest

CHECKED = """
    import numpy as np
    import pytest

    lookup_dict = {"noise": {"low": 0.1, "high": 0.5}}

    @pytest.mark.experiment(
        hypothesis="the error stays below 0.3",
        check=lambda result: np.float64(result["main"]) < 0.3,
    )
    def exp_checked(noise):
        return {"main": noise}

    @pytest.mark.experiment(hypothesis="the error stays below 0.4")
    def exp_asserted(noise):
        assert noise < 0.4
        return {"main": noise}

    @pytest.mark.experiment(hypothesis="the error is small")
    def exp_unchecked(noise):
        return {"main": noise}

    @pytest.mark.experiment(hypothesis="the error is small", check=lambda result: result["mian"])
    def exp_broken(noise):
        return {"main": noise}
"""


def test_check_and_assert_decide_and_are_recorded(project):
    project.commit({"exps/exp_a.py": CHECKED, ".gitignore": "trials/\n"})
    names = [one for name in ("checked", "asserted", "unchecked") for one in ("--exp", name)]
    result = project.run(*names, "--variant", "noise=*", "--exp-jobs", "2")
    assert result.ret == 1
    result.assert_outcomes(passed=4, failed=2)
    found = {
        f"{m['experiment']} {m['spec']}": (m["status"], m["supported"])
        for m in map(manifest, project.folders())
    }
    assert found == {
        "checked noise=low": ("done", True),
        "checked noise=high": ("done", False),
        "asserted noise=low": ("done", True),
        "asserted noise=high": ("crashed", False),
        "unchecked noise=low": ("done", None),
        "unchecked noise=high": ("done", None),
    }
    result.stdout.fnmatch_lines(
        [
            "the result does not support the hypothesis: the error stays below 0.3",
            " hypothesis of checked supported by 1, refuted by 1 trials: the error stays below 0.3",
            " hypothesis of asserted supported by 1, refuted by 1 trials: the error stays *",
            " hypothesis of unchecked not checked by 2 trials: the error is small",
            "REFUTED exps/exp_a.py::exp_checked[[]noise=high[]]*",
        ]
    )
    assert "Refuted." in (project.only("checked/noise=high") / "trial.html").read_text()
    again = project.run("--exp", "checked", "--variant", "noise=high")
    assert again.ret == 1  # a trial that is reused is no better than it was
    again.stdout.fnmatch_lines(["*does not support the hypothesis*"])


def test_check_that_fails_itself_is_told_and_the_result_is_kept(project):
    project.commit({"exps/exp_a.py": CHECKED, ".gitignore": "trials/\n"})
    result = project.run("--exp", "broken", "--variant", "noise=low")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the check of the hypothesis raised KeyError: 'mian'*"])
    assert manifest(project.only())["metrics"] == {"main": 0.1}
    assert manifest(project.only())["supported"] is None


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("check=3", "check has to be a function of the result, not 3"),
        ("check=bool", 'check has no hypothesis to support; give hypothesis="…" too'),
    ],
)
def test_check_that_cannot_be_asked_is_a_usage_error(project, mark, message):
    text = f"""
        import pytest

        @pytest.mark.experiment({mark})
        def exp_a():
            return {{"main": 1.5}}
    """
    project.commit({"exps/exp_a.py": text})
    result = project.run("--exp", "a")
    assert result.ret == 4
    assert message in str(result.stderr)


def test_official_group_can_require_a_hypothesis(project):
    declared = """
        [tool.mitosis.official]
        require-hypothesis = true

        [tool.mitosis.official.fig1]
        exp = "bare"
    """
    project.commit({"exps/exp_a.py": 'def exp_bare():\n        return {"main": 1.5}\n'})
    project.commit({"pyproject.toml": declared})
    result = project.run("--exp-official")
    assert result.ret == 4
    assert "official group fig1: bare has no hypothesis, which require-hypothesis asks for" in str(
        result.stderr
    )
