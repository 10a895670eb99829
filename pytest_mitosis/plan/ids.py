"""Names of trials: the text between the brackets of a node id, and back to what it stands for.

``noise=low,alpha=0.5,seed=0``: parts in step, then signature order, whatever order the command
line had; ``STEP.`` only where steps share the parameter's name; ``+`` before what is untracked.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from pytest_mitosis.model import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

EMPTY = "default"
# A comma separates parts; pytest itself escapes backslashes in ids, so none may reach it.
_PLAIN = "".join(c for c in string.printable if c.isprintable() and c not in ",%\\")


def format_part(label: str, name: str, *, tracked: bool = True) -> str:
    """``noise=low``, or ``+gpu=1`` for what is not part of the trial's identity."""
    return f"{'' if tracked else '+'}{quote(label, safe=_PLAIN)}={quote(name, safe=_PLAIN)}"


def join_parts(parts: Sequence[str]) -> str:
    """The id made of ``parts``; an experiment without any has the id ``default``."""
    return ",".join(parts) or EMPTY


def split_id(text: str) -> list[tuple[str, str, bool]]:
    """The ``(label, name, tracked)`` parts of an id.

    Raises
    ------
    PlanError
        If a part has no ``=``.
    """
    if text == EMPTY:
        return []
    parts = []
    for part in text.split(","):
        label, equals, name = part.partition("=")
        if not equals or not label:
            raise PlanError(f"[{text}] is no trial: {part!r} has to be PARAMETER=NAME")
        parts.append((unquote(label.removeprefix("+")), unquote(name), not label.startswith("+")))
    return parts
