"""Official trials through the front door: planned, vouched for, checked."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import NamedTuple

import numpy as np
import pytest
from conftest import Project, manifest

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


GROUP3 = ("--exp-official", "fig3")
ACCEPT = (*GROUP3, "--exp-accept", "--why", "first results")
PAIR = {
    **FILES,
    "pyproject.toml": """
        [tool.mitosis.official.fig3]
        exp = "fit"
        title = "Power of the noise"
        variants = {noise = "*"}
        tolerances = {"time*" = "ignore"}
    """,
}


def reference(project, name="noise=low,seed=0", group="fig3"):
    return json.loads((project.path / f"official/{group}/{name}.json").read_text())


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A project whose two official trials were looked at, accepted and committed."""
    project = Project(tmp_path_factory.mktemp("paper"))
    project.commit(PAIR)
    looked = project.run_apart(*GROUP3, "--exp-jobs", "2")
    done = project.run_apart(*ACCEPT)
    return Accepted(project, project.commit(), looked, done)


class Accepted(NamedTuple):
    project: Project
    commit: str
    looked: subprocess.CompletedProcess[str]
    done: subprocess.CompletedProcess[str]


@pytest.fixture
def ci(accepted, pytester):
    """The project as CI has it: one commit, no branch, no trials."""
    source = accepted.project.path.as_uri()
    subprocess.run(["git", "clone", "-q", "--depth=1", source, str(pytester.path)], check=True)
    clone = Project(pytester.path, pytester)
    clone.git("checkout", "-q", "--detach")
    return clone


def test_trial_nobody_vouched_for_fails_and_says_what_to_run(accepted):
    looked = accepted.looked
    assert looked.returncode == 1
    assert "fit[noise=low,seed=0] of fig3 has no reference to compare trial " in looked.stdout
    assert 'if it is right: pytest -p mitosis --exp-official fig3 --exp-accept --why "…"' in (
        looked.stdout
    )
    assert "official fig3: 2 trials: 2 without reference" in looked.stdout
    assert "UNVOUCHED exps/exp_fit.py::exp_fit[noise=low,seed=0]" in looked.stdout


def test_accepting_takes_what_was_looked_at_and_says_what_to_commit(accepted):
    done = accepted.done
    assert done.returncode == 0, done.stdout
    assert "exps/exp_fit.py RR" in done.stdout
    assert "2 references written; review and commit: git add official/fig3" in done.stdout
    found = reference(accepted.project)
    assert (found["why"], found["group"], found["seed"]) == ("first results", "fig3", 0)
    trial = manifest(accepted.project.only("fit/noise=low*"))
    assert found["trial"] == trial["id"]
    assert (trial["run_for"], trial["official"]) == ("fig3", "fig3")
    page = accepted.project.only("fit/noise=low*") / "trial.html"
    assert 'class="badge official"' in page.read_text()
    assert found["metrics"]["main"] == trial["metrics"]["main"]
    assert found["metrics"]["undefined"] == {"$float": "nan"}
    assert found["code"]["commit"] == trial["commit"]
    assert set(found["code"]["files"]) == {"exps/exp_fit.py", "exps/helper.py"}
    assert found["code"]["packages"]["numpy"] == np.__version__
    assert found["results"]["data.label"]["value"] == "'a noisy line'"
    (noise,) = [one for one in found["parameters"] if one["name"] == "noise"]
    assert ["['sigma']", "value", "float 0.1"] in noise["leaves"]
    assert len(json.dumps(found)) < 6000


def test_fresh_clone_is_identical_and_markdown_and_junit_say_so(ci):
    done = ci.run(*GROUP3, "--exp-md", "out/job.md", "--junitxml=junit.xml")
    assert done.ret == 0
    done.stdout.fnmatch_lines(
        [
            "* official fig3: 2 trials: 2 identical",
            "   expected identical: same code, packages and machine; code commit *",
        ]
    )
    text = (ci.path / "out/job.md").read_text()
    assert "### fig3: Power of the noise" in text
    assert "| `fit[low s0]` | ✅ identical | identical: same code, packages and machine |" in text
    junit = (ci.path / "junit.xml").read_text()
    assert 'name="mitosis.official.fig3" value="identical"' in junit
    assert 'name="mitosis.main" value="0.0' in junit
    # Nothing changed, so accepting once more changes no file.
    ci.commit()
    again = ci.run(*GROUP3, "--exp-accept", "--why", "once more")
    again.stdout.fnmatch_lines(["* official fig3: no reference changed"])
    assert ci.git("status", "--porcelain", "official") == ""
    # What was run to be compared is not what is vouched for.
    trial = manifest(ci.only("fit/noise=low*"))
    assert (trial["run_for"], "official" in trial) == ("fig3", False)


def test_changed_helper_has_drifted_and_the_table_names_it(accepted, ci):
    ci.commit({"exps/helper.py": HELPER.replace("mean()", "mean() * 1.01")})
    done = ci.run(*GROUP3, "-k", "noise=low", "--exp-md", "job.md")
    assert done.ret == 12
    text = str(done.stdout)
    assert "fit[noise=low,seed=0] of fig3 is CHANGED: main 0.0102" in text
    assert re.search(
        r"code +commit .* \(the first is not in this clone\), exps/helper.py changed", text
    )
    assert re.search(r"main  0\.\d+  0\.\d+ +0\.01  CHANGED  beyond rtol 1e-09", text)
    assert "DRIFTED exps/exp_fit.py::exp_fit[noise=low,seed=0]" in text
    assert done.outlines[-1].startswith("exit 12: fit[noise=low,seed=0] of fig3 is CHANGED")
    assert "❌ CHANGED" in (ci.path / "job.md").read_text()
    (ci.path / "job.md").unlink()
    new = ci.run(*GROUP3, "-k", "noise=low", "--exp-accept", "--why", "units")
    new.stdout.fnmatch_lines(["* note: accepted: fit[[]low s0[]] of fig3 is CHANGED: main *"])
    before, after = reference(accepted.project), reference(ci)
    assert after["metrics"]["main"] == pytest.approx(1.01 * before["metrics"]["main"])
    assert after["parameters"] == before["parameters"]


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["plain", "xdist"])
def test_changed_variant_is_locked_before_anything_runs(ci, workers):
    ci.commit({"exps/exp_fit.py": FIT.replace('"sigma": 0.1', '"sigma": 0.2')})
    done = ci.run_apart(*GROUP3, *workers) if workers else ci.run(*GROUP3)
    text = done.stdout if workers else str(done.stdout)
    assert (done.returncode if workers else done.ret) == 11, text
    assert "noise=low changed since fig3 was accepted (20" in text
    assert "['sigma']  float 0.1 -> float 0.2" in text
    assert "packages since then" not in text
    assert "nothing ran, since a name has changed" in text
    assert not ci.folders()
    if not workers:
        planned = ci.run(*GROUP3, "--collect-only")
        assert planned.ret == 11
        assert re.search(r"low +LOCKED, noise=low changed since fig3", str(planned.stdout))
        assert re.search(r"high +to run, to compare with fig3 \w{8} ", str(planned.stdout))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--exp-accept",), 4, '--exp-accept needs a reason for the record: --why "…"'),
        (("--why", "so"), 4, "--why is the reason for --exp-accept, which is not given"),
        (
            ("--exp-accept", "--why", "so", "--exp-draft"),
            4,
            "a draft cannot be accepted: leave --exp-draft or --exp-accept out",
        ),
        (("--exp-accept", "--why", "so", "--exp-reuse", "same-params"), 4, "cannot be accepted"),
    ],
)
def test_accepting_asks_for_a_reason_and_no_draft(project, arguments, code, message):
    project.commit(FILES)
    result = project.run("--exp-official", *arguments)
    assert result.ret == code
    assert message in str(result.stderr)


def test_dirty_tree_crash_and_tainted_trial_are_never_accepted(project):
    taints = FIT.replace("import helper", "import helper, scratch")
    crashes = {"exps/exp_fit.py": FIT.replace("x.size,", "1 // 0,")}
    project.commit({**PAIR, ".gitignore": "trials/\nscratch.py\n", "conftest.py": GUARD})
    project.write("notes.txt", "to do\n")
    dirty = project.run(*ACCEPT)
    assert dirty.ret == 1
    dirty.stdout.fnmatch_lines(["*only what a commit has can be accepted: 1 file is not*"])
    assert "UNVOUCHED exps/exp_fit.py::exp_fit[noise=low,seed=0]" in str(dirty.stdout)
    project.commit(crashes)
    assert project.run(*ACCEPT).ret == 1
    project.write("exps/scratch.py", "")
    project.commit({"exps/exp_fit.py": taints})
    tainted = project.run(*ACCEPT)
    assert tainted.ret == 1
    tainted.stdout.fnmatch_lines(["*fit[[]noise=low,seed=0[]] is tainted, so nobody can vouch*"])
    assert not (project.path / "official").exists()


GUARD = """
    import pytest

    @pytest.fixture(scope="session")
    def clean_tree():
        pass
"""


def test_ten_seeds_within_their_spread_pass_with_a_warning(project):
    files = {
        **FILES,
        "exps/exp_fit.py": FIT.replace("seed=0)", "seed=0, shift=0)").replace(
            "default_rng(seed)", "default_rng([seed, shift])"
        ),
        "pyproject.toml": """
            [tool.mitosis]
            launcher = "process"
            [tool.mitosis.official.fig3]
            exp = "fit"
            variants = {noise = "low"}
            seeds = "0-4"
            tolerances = {"data.*" = "ignore", mian = "exact"}
        """,
    }
    project.commit(files)
    assert project.run(*ACCEPT, "--exp-jobs", "2").ret == 0
    project.commit({"exps/exp_fit.py": files["exps/exp_fit.py"].replace("shift=0)", "shift=1)")})
    result = project.run(*GROUP3, "-k", "seed=3")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "* note: fit[[]noise=low,seed=3[]] of fig3 is within seed spread: main 0.*",
            "* note: the tolerance for 'mian' of fig3 fits nothing in the result",
            "* official fig3: 1 trial: 1 within seed spread",
        ]
    )


def test_file_that_is_no_reference_is_a_usage_error(project):
    for name in ("noise=low,seed=0", "noise=gone,seed=0"):
        project.commit({**PAIR, f"official/fig3/{name}.json": "{}\n"})
        result = project.run(*GROUP3)
        assert result.ret == 4
        assert "is no reference ('results'); restore it with git" in str(result.stderr)
    assert project.run(*ACCEPT, "-k", "noise=low").ret == 0
    assert reference(project)["group"] == "fig3"


def test_roll_call_checks_all_names_against_locks_and_references(accepted, ci):
    well = ci.run("--collect-only", "--exp-all")
    assert well.ret == 0
    well.stdout.fnmatch_lines(["names of variants: 2 unchanged, 0 new"])
    ci.commit({"exps/exp_fit.py": FIT.replace('"sigma": 0.5', '"sigma": 0.7')})
    ci.commit({"exps/exp_new.py": "lookup_dict = {'n': {'few': 3}}\ndef exp_new(n):\n    pass\n"})
    changed = ci.run("--collect-only", "--exp-all")
    assert changed.ret == 11
    changed.stdout.fnmatch_lines(
        [
            "noise=high changed since fig3 was accepted (20*",
            "*'sigma'*  float 0.5 -> float 0.7",
            "names of variants: 1 unchanged, 1 new, 1 LOCKED",
            "exit 11: noise=high changed since fig3 was accepted*",
        ]
    )
    refused = ci.run("--exp-all")
    assert refused.ret == 4
    assert "runs nothing: pytest --collect-only --exp-all" in str(refused.stderr)
    # A lock in the repository counts as well, here one that says what no dictionary says.
    (lock,) = (accepted.project.store / "locks/fit/noise").glob("high.json")
    (ci.path / "locks/fit/noise").mkdir(parents=True)
    shutil.copy(lock, ci.path / "locks/fit/noise")
    ci.git("rm", "-rq", "official")
    ci.commit({"pyproject.toml": '[tool.mitosis]\nlocks = "locks"\n'})
    locked = ci.run("--collect-only", "--exp-all")
    assert locked.ret == 11
    locked.stdout.fnmatch_lines(["names of variants: 0 unchanged, 2 new, 1 LOCKED"])
