"""Names people type: which are allowed, and which one was probably meant."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from pytest_mitosis.model import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable

SAFE_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,127}")


def require_safe(name: str, what: str) -> None:
    """Refuse a name that cannot stand in a node id and a file name.

    Raises
    ------
    PlanError
        If ``name`` has other characters than letters, digits and ``_ . + -``, or is too long.
    """
    if not SAFE_NAME.fullmatch(name):
        raise PlanError(
            f"{what} is called {name!r}, which is no safe file name; "
            "use up to 128 letters, digits and _ . + -"
        )


def say_what_exists(wanted: str, existing: Iterable[str], *, limit: int = 12) -> str:
    """``it has low, high`` with the nearest names first when there are too many to list."""
    names = list(dict.fromkeys(existing))
    if not names:
        return "there are none"
    near = difflib.get_close_matches(wanted, names, n=2, cutoff=0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    shown = ", ".join(names[:limit])
    if len(names) > limit:
        shown += f" and {len(names) - limit} more"
    return f"there are {shown}{hint}" if len(names) > 1 else f"there is {shown}{hint}"
