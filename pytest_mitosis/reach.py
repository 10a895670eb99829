"""Whether an item's trial can begin before pytest reaches the item, or why it has to wait.

A trial begins early only if nothing of the user's has a say in it that pytest would have asked by
then: its fixtures are our guards, or live for the whole session and are set up; no mark can skip
it; no conftest looks at every item. Whatever is not understood has to wait.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis import fixtures
from pytest_mitosis.model import Kind
from pytest_mitosis.run.jobs import OWN_FOLDERS

if TYPE_CHECKING:
    import pytest

    from pytest_mitosis.model import TrialSpec

MARKS = ("skip", "skipif", "dependency", "xfail")


class Reach(StrEnum):
    """When an item's trial may begin."""

    AT_ONCE = "at once"
    OPENED = "once an item like it has set up the session's fixtures"
    REACHED = "when pytest reaches it"


def reach_of(item: pytest.Function, spec: TrialSpec) -> tuple[Reach, str]:
    """When the item's trial may begin, and what it waits for."""
    for mark in item.iter_markers():
        if mark.name in MARKS and (mark.name != "xfail" or "run" in mark.kwargs):
            return Reach.REACHED, f"the mark {mark.name}"
    if file := _setup_hook(item):
        return Reach.REACHED, f"pytest_runtest_setup in {file}"
    # Private, but the only place where pytest says which fixtures an item found.
    found = item._fixtureinfo.name2fixturedefs
    direct = _direct_arguments(item)
    waits = (Reach.AT_ONCE, "")
    for name, definitions in found.items():
        if name in direct or _is_ours(definitions[-1]):
            continue
        if not _lives_for_the_session(definitions[-1]):
            return Reach.REACHED, f"the fixture {name}"
        result = definitions[-1].cached_result
        if result is None:
            waits = Reach.OPENED, f"the fixture {name}"
        elif result[2] is not None:
            return Reach.REACHED, f"the fixture {name}"
    asked = [b.parameter for b in spec.bindings if b.kind is Kind.FIXTURE]
    # Folders of the trial itself are known when it is claimed.
    foreign = [name for name in asked if name not in direct and name not in OWN_FOLDERS]
    if foreign:
        return Reach.REACHED, f"the fixture {foreign[0]}"
    return waits


def _is_ours(definition: Any) -> bool:  # Any: a private class of pytest's
    """Whether it is one of our guards, or what pytest has for all tests, such as pytestconfig."""
    home = str(getattr(definition.func, "__module__", ""))
    of_pytest = home.startswith("_pytest.") and _lives_for_the_session(definition)
    return home == fixtures.__name__ or of_pytest


def _lives_for_the_session(definition: Any) -> bool:
    return definition.scope == "session" and not definition.params


def _direct_arguments(item: pytest.Function) -> set[str]:
    """Arguments whose values ``pytest.mark.parametrize`` gives without a fixture."""
    found = item._fixtureinfo.name2fixturedefs
    return {
        name
        for name in item.callspec.params
        if name not in found
        or getattr(found[name][-1].func, "__name__", "") == "get_direct_param_fixture_func"
    }


def _setup_hook(item: pytest.Function) -> str:
    """A conftest, or a plugin of the project's own, that may have a word before each item."""
    root = Path(item.config.rootpath)
    for one in item.ihook.pytest_runtest_setup.get_hookimpls():
        file = getattr(one.function.__code__, "co_filename", "")
        path = Path(file)
        if path.name == "conftest.py":
            return path.name
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            return path.name
    return ""
