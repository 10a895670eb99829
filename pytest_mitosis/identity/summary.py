"""One short line for a described value, for tables and messages. Knows only leaves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_mitosis.identity.description import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mitosis.identity.description import Leaf

_CONTAINERS: Final = ("list", "tuple", "dict", "set", "frozenset")
_ARRAY: Final = re.compile(r"(ndarray|masked_array) dtype=(.*) (?:shape=)(\(.*\))$")
_CHILD: Final = re.compile(r"(\.\w+|\[(?:'[^']*'|[^\]]*)\]|\{[^}]*\})")


def summary_of(leaves: Sequence[Leaf]) -> str:
    """Return at most 60 characters: ``float 0.1``, ``list of 3``, ``ndarray f8 (20000,)``."""
    counted = [leaf for leaf in leaves if leaf.facet in ("value", "schema")]
    heads = [leaf.text for leaf in counted if leaf.path == "."]
    head = heads[0]
    if head.startswith(("subclass ", "described ")) and len(heads) > 1:
        head = f"{head.partition(' ')[2].rpartition(':')[2]} {heads[1]}"
    array = _ARRAY.match(head)
    if array:
        return shorten(" ".join(array.groups()))
    word = head.partition(" ")[0]
    if word in _CONTAINERS:
        return shorten(f"{word} of {len(_children(counted))}")
    if word in ("dataclass", "attrs", "pydantic", "namedtuple", "object"):
        return shorten(f"{head.rpartition(':')[2].rpartition('.')[2]}({_fields(counted)})")
    if word in ("lambda", "local"):
        return shorten(head[: head.find("sha256:") + 15] + "...")
    return shorten(head)


def _children(leaves: Sequence[Leaf]) -> set[str]:
    found = (_CHILD.match(leaf.path) for leaf in leaves)
    return {match.group(1) for match in found if match}


def _fields(leaves: Sequence[Leaf]) -> str:
    parts = []
    for leaf in leaves:
        if re.fullmatch(r"\.\w+", leaf.path):
            kind, _, text = leaf.text.partition(" ")
            parts.append(f"{leaf.path[1:]}={text or kind}")
    return ", ".join(parts)
