"""Whether a result supports the experiment's hypothesis, as the experiment itself checks it.

Runs in the trial's own process, once the last step has returned.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

from pytest_mitosis.plan.references import mark_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def supports(actions: Sequence[Callable[..., Any]], result: object) -> dict[str, Any]:
    """What ``@pytest.mark.experiment(check=…)`` says of the result of the last of ``actions``.

    ``supported`` is None if nothing was checked: there is no check, and no ``assert`` in the last
    step that could have failed. ``problem`` is why the check itself failed.
    """
    facts: dict[str, Any] = {}
    for action in actions:
        facts |= mark_facts(action)
    check = facts.get("check")
    if check is None:
        return {"supported": True if _asserts(actions[-1]) else None, "problem": ""}
    try:
        return {"supported": bool(check(result)), "problem": ""}
    except AssertionError:
        return {"supported": False, "problem": ""}
    except Exception as error:
        words = f"the check of the hypothesis raised {type(error).__name__}: {error}"
        return {"supported": None, "problem": words}


def _asserts(action: Callable[..., Any]) -> bool:
    """Whether a function has an ``assert`` of its own, which has held if it returned."""
    if not __debug__:
        return False
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(action)))
        return any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))
    except (OSError, TypeError, SyntaxError):
        return False
