"""The walk over one value: where it stands, what it has written, and whom it asks for a type.

Knows leaves, paths, cycles and the limit; must not know any particular type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pytest_mitosis.identity.description import Facet, Leaf, digest_of
from pytest_mitosis.model import Undescribable

if TYPE_CHECKING:
    import ast

LEAF_LIMIT: Final = 200_000
DEPTH_LIMIT: Final = 1_000

# Any: a table keyed by type hands each reader exactly the type it was registered for.
Reader = Callable[["Walk", Any, str], None]
Text = Callable[[Any], str]
Hook = Callable[[object], object]


class Walk:
    """One reading of one value: ``scalars`` has the plain texts, ``route`` finds the readers."""

    def __init__(
        self, scalars: dict[type, Text], route: Callable[[type], Reader], hooks: tuple[Hook, ...]
    ) -> None:
        self.scalars, self.route, self.hooks = scalars, route, hooks
        self.leaves: list[Leaf] = []
        self.open: dict[int, str] = {}
        self.codes: dict[tuple[str, str], str] = {}
        self.nodes: dict[tuple[str, str], ast.AST] = {}
        self.versions: dict[str, str] = {}

    def visit(self, value: object, path: str) -> None:
        """Write the leaves of a value that stands at a path; the empty path is the value itself."""
        kind = type(value)
        # Hardly a plain type has a metaclass, whose hash may be the user's code.
        text = self.scalars.get(kind) if type(kind) is type else None
        if text is not None:
            self.leaf(path, text(value))
            return
        if id(value) in self.open:
            self.leaf(path, f"back reference to {self.open[id(value)] or '.'}")
            return
        if len(self.open) >= DEPTH_LIMIT:
            self.refuse(
                "",
                f"is nested more than {DEPTH_LIMIT:,} levels deep",
                "Flatten it, or lock the file it comes from with file(...).",
            )
        self.open[id(value)] = path
        try:
            self.route(kind)(self, value, path)
        finally:
            del self.open[id(value)]

    def leaf(self, path: str, text: str, facet: Facet = "value") -> None:
        """Write one leaf."""
        if len(self.leaves) >= LEAF_LIMIT:
            self.refuse(
                "",
                f"has more than {LEAF_LIMIT:,} leaves",
                "Put the numbers into an array, or lock the file they come from with file(...).",
            )
        self.leaves.append(Leaf(path or ".", facet, text))

    def note(self, path: str, text: str) -> None:
        """Write what helps people and is never compared."""
        self.leaf(path, text, "note")

    def code(self, path: str, name: str, text: str, node: ast.AST) -> None:
        """Remember the source of a named function or class, once, at the first of its paths.

        The order of sets is not ours to rely on, so the least path wins, not the first met.
        """
        self.nodes[name, text] = node
        known = self.codes.get((name, text))
        if known is None or (len(path), path) < (len(known), known):
            self.codes[name, text] = path

    def version(self, path: str, text: str) -> None:
        """Remember that private state of an installed package was read, once per package."""
        known = self.versions.get(text)
        if known is None or (len(path), path) < (len(known), known):
            self.versions[text] = path

    def fork(self) -> Walk:
        """Return a walk for a part that has no place of its own yet, such as a set's element."""
        side = Walk(self.scalars, self.route, self.hooks)
        side.open = self.open
        return side

    def aside(self, value: object, path: str) -> Walk:
        """Describe a part on its own; a refusal names the path it was met at."""
        side = self.fork()
        try:
            side.visit(value, "")
        except Undescribable as error:
            inner = "" if error.path == "." else error.path
            raise Undescribable(path + inner or ".", error.reason, error.remedy) from None
        return side

    def graft(self, side: Walk, path: str) -> None:
        """Take over what a side walk wrote, below a path."""
        for leaf in side.leaves:
            self.leaf(path + ("" if leaf.path == "." else leaf.path), leaf.text, leaf.facet)
        for (name, text), inner in side.codes.items():
            self.code(path + inner, name, text, side.nodes[name, text])
        for text, inner in side.versions.items():
            self.version(path + inner, text)

    def refuse(self, path: str, reason: str, remedy: str) -> NoReturn:
        """Raise :class:`Undescribable` for what stands at a path."""
        raise Undescribable(path or ".", reason, remedy)


def attribute(path: str, name: object) -> str:
    """Return the path of an attribute; odd names are quoted so that no two paths collide."""
    if type(name) is str and name.isidentifier() and name.isascii():
        return f"{path}.{name}"
    return f"{path}.{str(name)!a}"


def item(path: str, key: str) -> str:
    """Return the path of an item whose key is already text."""
    return f"{path}[{key}]"


def label(side: Walk) -> str:
    """Return one line that stands for a described part: its text, or its head with a digest."""
    first = side.leaves[0]
    counted = [leaf for leaf in side.leaves if leaf.facet in ("value", "schema")]
    if len(counted) == 1 and len(first.text) <= 200:
        return first.text
    # Schema leaves are part of a key: a key has no diff of its own in which a note could stand.
    whole = digest_of(Leaf(leaf.path, "value", leaf.text) for leaf in counted)
    return f"{first.text[:80]} sha256:{whole[:16]}"
