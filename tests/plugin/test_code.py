"""The record of a trial says which code ran, and whether the commit holds it."""

from __future__ import annotations

import sys

import pytest
from conftest import manifest

HELPED = """
    from helper import double, never

    def exp_fit(noise=0.5):
        return {"main": double(noise)}
"""
HELPER = "def double(x): return 2 * x\ndef never(x): return 3 * x\n"


def test_record_has_the_files_and_functions_that_ran(project):
    project.commit({"exp_fit.py": HELPED, "helper.py": HELPER, "other.py": "x = 1\n"})
    assert project.run("--exp", "fit").ret == 0
    code = manifest(project.only())["code"]
    modules = {module["place"]: module for module in code["modules"]}
    assert modules.keys() == {"exp_fit.py", "helper.py"}
    blob = project.git("rev-parse", "HEAD:helper.py")
    assert modules["helper.py"]["blob"] == blob
    if sys.version_info >= (3, 12):
        assert code["whole"] == ""
        assert modules["helper.py"]["bodies"].keys() == {"double"}
    else:
        assert modules["helper.py"]["bodies"].keys() == {"double", "never"}
    assert manifest(project.only())["tainted"] == []


@pytest.mark.parametrize(
    ("ignore", "word"),
    [("helper.py\n", "ignored"), ("", "unseen by git")],
    ids=["ignored", "hidden"],
)
def test_imported_file_the_commit_does_not_hold_taints_the_trial(project, ignore, word):
    if ignore:
        project.write("helper.py", HELPER)
        project.commit({"exp_fit.py": HELPED, ".gitignore": ignore})
    else:
        project.commit({"exp_fit.py": HELPED, "helper.py": HELPER})
        project.git("update-index", "--assume-unchanged", "helper.py")
        project.write("helper.py", HELPER.replace("2", "666"))
    result = project.run("--exp", "fit")
    assert result.ret == 0
    (taint,) = manifest(project.only())["tainted"]
    assert "helper.py" in taint
    assert word in taint
    result.stdout.fnmatch_lines([" note: tainted: *helper.py*"])


def test_file_edited_while_the_trial_runs_taints_it(project):
    project.commit(
        {
            "exp_fit.py": """
            from pathlib import Path
            import helper

            def exp_fit():
                Path(helper.__file__).write_text("def double(x): return 0\\n")
                return {"main": helper.double(1)}
            """,
            "helper.py": HELPER,
        }
    )
    assert project.run("--exp", "fit").ret == 0
    (taint,) = manifest(project.only())["tainted"]
    assert "helper.py" in taint


def test_draft_keeps_its_code_as_a_commit_and_touches_nothing(project):
    head = project.commit({"exp_fit.py": HELPED, "helper.py": HELPER})
    project.write("helper.py", HELPER.replace("2", "5"))
    project.write("fresh.py", "new = 1\n")
    before = project.git("status", "--porcelain")
    assert project.run("--exp", "fit", "--exp-draft").ret == 0
    record = manifest(project.only("drafts/*/*"))
    kept = record["snapshot"]
    assert project.git("rev-parse", f"refs/trials/{record['id']}") == kept
    assert "5 * x" in project.git("show", f"{kept}:helper.py")
    assert project.git("show", f"{kept}:fresh.py") == "new = 1"
    assert project.git("rev-parse", f"{kept}^") == head == project.git("rev-parse", "HEAD")
    assert project.git("status", "--porcelain", "--", ".", ":!trials") == before
