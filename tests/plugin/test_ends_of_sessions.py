"""The first and the last moments of a session: what comes before trials, and after them."""

from __future__ import annotations

import gc
import json

import pytest

ONE = "def exp_one(n=1):\n    return {'main': n}\n"
LOOKS = """
    import gc
    import json
    import sys
    from pathlib import Path

    import pytest
    from pytest_mitosis.run import upcoming

    start = upcoming.start_server

    def start_server(*arguments):
        Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
        return start(*arguments)

    upcoming.start_server = start_server

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure():
        Path("frozen.json").write_text(json.dumps(gc.get_freeze_count() > 0))
"""
LATER = {
    "git",
    "nbformat",
    "pytest_mitosis.identity.code",
    "pytest_mitosis.run.process",
    "pytest_mitosis.runner",
    "pytest_mitosis.schedule",
}
"""What is imported while the fork server comes up."""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_server_starts_before_what_takes_time_to_import(project, jobs):
    project.commit({"exp_one.py": ONE, "conftest.py": LOOKS, ".gitignore": "modules.json\n"})
    done = project.run_apart("--exp", "one", "--exp-jobs", jobs)
    assert done.returncode == 0, done.stdout
    assert not LATER & set(json.loads((project.path / "modules.json").read_text()))


SETTLES = """
    from pathlib import Path

    from pytest_mitosis.run import loop, trial

    loop.SETTLE_SECONDS = 1000.0
    trial._prepare_pages_once = Path("prepared").touch
"""


@pytest.mark.parametrize(("jobs", "is_prepared"), [("1", True), ("2", False)])
def test_what_can_wait_is_not_done_while_trials_begin_together(project, jobs, is_prepared):
    project.commit({"exp_one.py": ONE, "conftest.py": SETTLES, ".gitignore": "prepared\n"})
    done = project.run_apart("--exp", "one", "--eval-param", "n=1", "--exp-jobs", jobs)
    assert done.returncode == 0, done.stdout
    assert (project.path / "prepared").exists() is is_prepared


@pytest.mark.parametrize(
    ("options", "is_spared"),
    [
        (("--exp", "one"), True),
        (("exp_one.py", "test_area.py"), False),
        (("--exp", "one", "--exp-launcher", "inline"), False),
    ],
)
def test_objects_are_searched_at_the_end_only_if_something_ran_here(project, options, is_spared):
    test = "def test_area():\n    assert 0.5 * 3 * 4 == 6.0\n"
    ignored = {".gitignore": "modules.json\n"}
    project.commit({"exp_one.py": ONE, "test_area.py": test, "conftest.py": LOOKS, **ignored})
    done = project.run_apart(*options)
    assert done.returncode == 0, done.stdout
    assert json.loads((project.path / "frozen.json").read_text()) is is_spared


def test_who_runs_pytest_in_its_own_process_finds_nothing_frozen(project):
    project.commit({"exp_one.py": ONE})
    project.run("--exp", "one").assert_outcomes(passed=1)
    assert gc.get_freeze_count() == 0
