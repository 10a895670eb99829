"""What a Python source says, apart from how it is written: its skeleton and its function bodies.

The skeleton is the syntax tree without comments, docstrings, layout and function bodies: what
runs at import and what a caller sees (constants, imports, classes, decorators, signatures with
defaults and annotations). Must not know files, processes or trials. Pure functions; the digests
are equal on every supported Python, so the tree is written out here and not by ``ast.dump``.
"""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

# `ctx` follows from the place; `kind` is the u of u""; type comments are comments.
SKIPPED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})

# Decorators known to leave a function to Python, to be seen when it runs. Under any other the
# body always counts: compilers (numba) run it unseen, caches on disk return what it once gave.
SEEN_THROUGH = re.compile(
    r"property|staticmethod|classmethod|[\w.]+\.(setter|getter|deleter)"
    r"|(functools\.)?(cached_property|lru_cache|wraps|singledispatch|total_ordering)"
    r"|functools\.cache|(abc\.)?abstractmethod|(contextlib\.)?(async)?contextmanager"
    r"|(typing\.)?(override|overload|final|runtime_checkable)|(enum\.)?unique"
    r"|(dataclasses\.)?dataclass|(attrs?\.)?(define|frozen|mutable)|attr\.s"
    r"|pytest\.(fixture|mark\.experiment)"
)
DIGITS = 20

# Where a statement stands decides what of it counts.
AT_IMPORT, IN_FUNCTION, IN_CLASS = "import", "function", "class"


@dataclass(frozen=True, eq=False)
class FunctionSyntax:
    """One function outside any other; functions within it are part of its body.

    ``key`` is the qualified name, with ``#2`` for the second of that name in the file.
    """

    key: str
    qualname: str
    node: Function
    is_opaque: bool

    @property
    def lines(self) -> range:
        """The lines it covers, decorators included as in ``co_firstlineno``."""
        first = min([self.node.lineno, *(d.lineno for d in self.node.decorator_list)])
        return range(first, (self.node.end_lineno or self.node.lineno) + 1)

    @cached_property
    def body_digest(self) -> str:
        """Digest of the statements in it, computed when asked: most bodies are not."""
        return _digest(_tokens(self.node.body, IN_FUNCTION))

    @cached_property
    def imports(self) -> frozenset[str]:
        """Top-level names of the absolute imports in it."""
        return _imports(self.node.body, inside=True)

    @cached_property
    def imports_siblings(self) -> bool:
        """Whether it imports from its own package by a relative import."""
        return any(isinstance(n, ast.ImportFrom) and n.level for n in ast.walk(self.node))


@dataclass(frozen=True, eq=False)
class ModuleSyntax:
    """A parsed module: digest of its skeleton, functions by key, names it imports itself."""

    skeleton: str
    functions: dict[str, FunctionSyntax]
    imports: frozenset[str]

    def covering(self, qualname: str, line: int) -> tuple[str, ...]:
        """Return the keys for a code object, from its ``co_qualname`` and ``co_firstlineno``.

        One key if name and line agree; all of that name if the source moved since it was
        compiled; none for class bodies and the module itself, which are skeleton.
        """
        outermost = qualname.partition(".<locals>")[0]
        named = [one for one in self.functions.values() if one.qualname == outermost]
        exact = [one for one in named if line in one.lines]
        return tuple(one.key for one in exact or named)


def parse(source: str | bytes) -> ModuleSyntax:
    """Parse a module; raises SyntaxError (ValueError for null bytes) like the compiler."""
    tree = ast.parse(source)
    functions: dict[str, FunctionSyntax] = {}
    for qualname, node, is_opaque in _functions(tree.body, "", is_opaque=False):
        key, ordinal = qualname, 1
        while key in functions:
            ordinal += 1
            key = f"{qualname}#{ordinal}"
        functions[key] = FunctionSyntax(key, qualname, node, is_opaque)
    return ModuleSyntax(
        _digest(_tokens(tree.body, AT_IMPORT)), functions, _imports(tree.body, inside=False)
    )


def skeleton(source: str | bytes) -> str:
    """Return the digest of a module's skeleton."""
    return parse(source).skeleton


def function_bodies(source: str | bytes) -> dict[str, str]:
    """Return the digest of every function body by key."""
    return {key: one.body_digest for key, one in parse(source).functions.items()}


def _imports(statements: Iterable[ast.AST], *, inside: bool) -> frozenset[str]:
    """Collect top-level names of absolute imports, with or without those in functions."""
    found: set[str] = set()
    stack = list(statements)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif inside or not isinstance(node, FUNCTIONS):
            stack += [c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.expr)]
    return frozenset(found)


def _functions(
    statements: Iterable[ast.AST], prefix: str, *, is_opaque: bool
) -> Iterator[tuple[str, Function, bool]]:
    for node in statements:
        if isinstance(node, FUNCTIONS):
            yield prefix + node.name, node, is_opaque or _has_unknown_decorator(node)
        elif isinstance(node, ast.ClassDef):
            opaque = is_opaque or _has_unknown_decorator(node)
            yield from _functions(node.body, f"{prefix}{node.name}.", is_opaque=opaque)
        elif not _is_main_guard(node):
            inner = (c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.expr))
            yield from _functions(inner, prefix, is_opaque=is_opaque)


def _has_unknown_decorator(node: Function | ast.ClassDef) -> bool:
    return any(not _is_seen_through(decorator) for decorator in node.decorator_list)


def _is_seen_through(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return SEEN_THROUGH.fullmatch(ast.unparse(target)) is not None


def _is_main_guard(node: ast.AST) -> bool:
    """Tell ``if __name__ == "__main__":``, which an imported module never enters."""
    return (
        isinstance(node, ast.If)
        and not node.orelse
        and ast.unparse(node.test) in ("__name__ == '__main__'", "'__main__' == __name__")
    )


def _digest(tokens: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(tokens).encode("ascii")).hexdigest()[:DIGITS]


def _tokens(statements: list[ast.stmt], place: str) -> Iterator[str]:
    """Write a tree out as words, without recursion: expressions nest deeper than the stack."""
    stack: list[tuple[object, str]] = [(statements, place)]
    while stack:
        item, where = stack.pop()
        if isinstance(item, ast.AnnAssign) and where == IN_FUNCTION and item.value is not None:
            # Annotations of local variables are never evaluated.
            item = ast.Assign([item.target], item.value)
        if isinstance(item, ast.AST):
            yield type(item).__name__
            parts = list(_parts(item, where))
            stack.append((_END, where))
            stack.extend(reversed(parts))
        elif isinstance(item, list):
            yield "["
            stack.append((_END, where))
            stack.extend((one, where) for one in reversed(item) if _has_effect(one, where))
        elif item is _END:
            yield "."
        elif isinstance(item, _Field):
            yield item.name
        else:
            yield _constant(item)


@dataclass(frozen=True)
class _Field:
    name: str


_END: Final = object()


def _parts(node: ast.AST, where: str) -> Iterator[tuple[object, str]]:
    """Yield name and value of the fields that count, each with the place it stands in."""
    for name in node._fields:
        value = getattr(node, name, None)
        # Empty ones are skipped: newer versions have more fields, and leave them empty.
        if name in SKIPPED_FIELDS or value is None or value == []:
            continue
        inside = where
        if isinstance(node, FUNCTIONS) and name == "body":
            if where == AT_IMPORT:
                continue
            inside = IN_FUNCTION
        elif isinstance(node, ast.ClassDef) and name == "body" and where != AT_IMPORT:
            inside = IN_CLASS
        elif isinstance(node, ast.AnnAssign) and name == "annotation" and where == IN_FUNCTION:
            continue
        elif isinstance(node, ast.JoinedStr) and name == "values":
            value = _joined(node.values)
        elif isinstance(node, ast.Delete):
            value = _flat(node.targets)
        yield _Field(name), inside
        yield value, inside


def _has_effect(node: object, where: str) -> bool:
    """Tell statements from docstrings, ``pass`` and, at import, the main guard."""
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Pass):
        return False
    return not (where == AT_IMPORT and isinstance(node, ast.AST) and _is_main_guard(node))


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Join the texts of an f-string: Python versions cut it at different places."""
    parts: list[ast.expr] = []
    for value in values:
        last = parts[-1] if parts else None
        if isinstance(value, ast.Constant) and value.value == "":
            continue
        if (
            isinstance(value, ast.Constant)
            and isinstance(last, ast.Constant)
            and isinstance(value.value, str)
            and isinstance(last.value, str)
        ):
            parts[-1] = ast.Constant(last.value + value.value)
        else:
            parts.append(value)
    return parts


def _flat(targets: list[ast.expr]) -> list[ast.expr]:
    """Read ``del (a, b)`` as ``del a, b``, which formatters make of it."""
    flat: list[ast.expr] = []
    for target in targets:
        flat.extend(_flat(target.elts) if isinstance(target, ast.Tuple) else [target])
    return flat


def _constant(value: object) -> str:
    # `hex` because writing long integers in decimal is limited; the type tells 1 from True.
    text = hex(value) if isinstance(value, int) else ascii(value)
    return f"{type(value).__name__} {text}"
