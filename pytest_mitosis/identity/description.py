"""What a value is: an ordered list of leaves, with its digest and its JSON form.

Must not know how values are read; that is the business of :mod:`.canonical` and its tables.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Facet = Literal["value", "code", "schema", "note"]
FACETS: Final[tuple[Facet, ...]] = ("value", "code", "schema", "note")
SCHEMA: Final = 1
SUMMARY_WIDTH: Final = 60


@dataclass(frozen=True, slots=True)
class Leaf:
    """One fact about a value: where it stands, whether it counts, and the fact as ASCII text."""

    path: str
    facet: Facet
    text: str


def digest_of(leaves: Iterable[Leaf]) -> str:
    """Return the sha256 over the leaves that count, whatever their order.

    Paths and texts are printable ASCII, so a tab and a newline separate them without ambiguity;
    a position in an ordered container is part of the path, so the order of leaves adds nothing.
    """
    lines = sorted(f"{leaf.path}\t{leaf.text}\n" for leaf in leaves if leaf.facet == "value")
    return hashlib.sha256("".join(lines).encode("ascii", "backslashreplace")).hexdigest()


@dataclass(frozen=True)
class Description:
    """The identity of one value.

    Two values are the same when :func:`~pytest_mitosis.identity.compare` finds no error between
    their descriptions. The digest alone cannot tell that a *default* moved: a field that stands
    at its default is a ``schema`` leaf and left out of the digest, so that a new field with a
    default keeps the digest of a value recorded before the field existed.

    Attributes
    ----------
    leaves : tuple of Leaf
        In reading order; the first one is the value itself, with path ``.``.
    summary : str
        One short line for tables, such as ``float 0.1`` or ``ndarray f8 (20000,)``.
    """

    leaves: tuple[Leaf, ...]
    summary: str = field(default="", compare=False)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal sha256 over the ``value`` leaves."""
        return digest_of(self.leaves)

    def to_json(self) -> dict[str, object]:
        """Return plain builtins that :meth:`from_json` reads back."""
        return {
            "schema": SCHEMA,
            "digest": self.digest,
            "summary": self.summary,
            "leaves": [[leaf.path, leaf.facet, leaf.text] for leaf in self.leaves],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Description:
        """Read what :meth:`to_json` wrote; raise ValueError if digest and leaves disagree."""
        rows = cast("list[list[str]]", data["leaves"])
        leaves = tuple(Leaf(path, _facet(facet), text) for path, facet, text in rows)
        description = cls(leaves, str(data.get("summary", "")))
        if data.get("digest", description.digest) != description.digest:
            raise ValueError("the recorded digest does not belong to the recorded leaves")
        return description


def _facet(text: str) -> Facet:
    for facet in FACETS:
        if facet == text:
            return facet
    raise ValueError(f"unknown facet {text!r}, known are {', '.join(FACETS)}")


def shorten(text: str, width: int = SUMMARY_WIDTH) -> str:
    """Cut a line for a table, marking the cut."""
    return text if len(text) <= width else text[: width - 3] + "..."
