"""Source of functions and classes as a digest that only meaning changes.

Comments, docstrings and layout do not count, nor do the differences between the syntax trees of
Python 3.11 to 3.14. Must not know how values are described.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import linecache
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_mitosis.identity.state import own

if TYPE_CHECKING:
    from types import FunctionType

# Fields that say how a thing was written or that newer Pythons added empty.
_SILENT: Final = frozenset({"ctx", "kind", "type_comment", "type_ignores", "lineno", "col_offset"})
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
MOST_TEXT: Final = 4000


class _Index(NamedTuple):
    defs: dict[tuple[int, str], ast.AST]
    classes: dict[str, ast.ClassDef]
    lambdas: list[ast.Lambda]


def normal(node: object) -> str:
    """Return a syntax tree as text: fields in a fixed order, empty ones left out."""
    if isinstance(node, ast.AST):
        return _normal_node(node)
    if isinstance(node, list):
        return f"[{','.join(normal(part) for part in node)}]"
    if isinstance(node, str):
        return ascii(node)
    return f"{type(node).__name__}:{node!r}"


def _normal_node(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return f"Constant({type(node.value).__name__}:{node.value!a})"
    parts = []
    for name in sorted(node._fields):
        part = getattr(node, name, None)
        if name == "body" and isinstance(node, (*_SCOPES, ast.Module)):
            part = _without_docstring(node.body)
        elif name == "values" and isinstance(node, ast.JoinedStr):
            part = _joined(node.values)
        if name in _SILENT or part is None or part == []:
            continue
        parts.append(f"{name}={normal(part)}")
    return f"{type(node).__name__}({','.join(parts)})"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    if body and isinstance(body[0], ast.Expr):
        first = body[0].value
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return body[1:] or [ast.Pass()]
    return body


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Merge neighbouring literal parts of an f-string, which Pythons cut differently."""
    merged: list[ast.expr] = []
    for part in values:
        last = merged[-1] if merged else None
        if (
            isinstance(part, ast.Constant)
            and isinstance(last, ast.Constant)
            and isinstance(part.value, str)
            and isinstance(last.value, str)
        ):
            merged[-1] = ast.Constant(last.value + part.value)
        else:
            merged.append(part)
    # Python 3.12.1 ends a nested format with an empty part.
    return [part for part in merged if not (isinstance(part, ast.Constant) and part.value == "")]


def digest(node: ast.AST) -> str:
    """Return the text that stands for a piece of source."""
    return f"source sha256:{hashlib.sha256(normal(node).encode()).hexdigest()}"


@lru_cache(maxsize=256)
def text_of(node: ast.AST) -> str:
    """Return a piece of source without comments, docstrings and layout, for people to read.

    Cut after 4000 characters; empty for what cannot be written. Pythons may write it differently.
    """
    try:
        written = ast.unparse(_Bare().visit(copy.deepcopy(node)))
    except (RecursionError, ValueError):
        return ""
    return written if len(written) <= MOST_TEXT else f"{written[:MOST_TEXT]}\n..."


class _Bare(ast.NodeTransformer):
    """Takes docstrings out."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit what is inside first."""
        super().generic_visit(node)
        if isinstance(node, _SCOPES):
            node.body = _without_docstring(node.body)
        return node


@lru_cache(maxsize=64)
def _index(text: str) -> _Index | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    index = _Index({}, {}, [])
    _collect(tree, "", index)
    return index


def _collect(node: ast.AST, prefix: str, index: _Index) -> None:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, _SCOPES):
            inner = f"{prefix}{child.name}."
            line = min([child.lineno, *(part.lineno for part in child.decorator_list)])
            index.defs[line, child.name] = child
            if isinstance(child, ast.ClassDef):
                index.classes[f"{prefix}{child.name}"] = child
            else:
                inner += "<locals>."
        elif isinstance(child, ast.Lambda):
            index.lambdas.append(child)
        _collect(child, inner, index)


def _index_of(filename: str, space: dict[str, object] | None) -> _Index | None:
    lines = linecache.getlines(filename, space)
    return _index("".join(lines)) if lines else None


def function_node(function: FunctionType) -> ast.AST | None:
    """Return the syntax tree of a function or lambda, or None without source."""
    code = function.__code__
    index = _index_of(code.co_filename, function.__globals__)
    if index is None:
        return None
    if code.co_name != "<lambda>":
        return index.defs.get((code.co_firstlineno, code.co_name))
    return _lambda_node(code, index.lambdas)


def _lambda_node(code: CodeType, lambdas: list[ast.Lambda]) -> ast.AST | None:
    """Find a lambda by the columns its bytecode came from: a line may hold several."""
    start, end = _span(code)
    found = [node for node in lambdas if _names(node) == _parameters(code)]
    # Later ones are nested deeper or stand further on, and still hold the span.
    around = [node for node in found if _holds(node.body, start, end)]
    if around:
        return around[-1]
    here = [node for node in found if node.lineno == code.co_firstlineno]
    if len(here) > 1:
        # Python 3.12 gives a lambda that returns a constant no columns: compare what it returns.
        here = [node for node in here if _compiles_to(node, code)]
    return here[0] if len({normal(node) for node in here}) == 1 else None


def _holds(body: ast.expr, start: tuple[int, int], end: tuple[int, int]) -> bool:
    last = body.end_lineno or 0, body.end_col_offset or 0
    return (body.lineno, body.col_offset) <= start and end <= last


def _compiles_to(node: ast.Lambda, code: CodeType) -> bool:
    made = compile(ast.Expression(node), code.co_filename, "eval")
    inner = next(part for part in made.co_consts if isinstance(part, CodeType))
    return inner.co_code == code.co_code and ascii(inner.co_consts) == ascii(code.co_consts)


def _span(code: CodeType) -> tuple[tuple[int, int], tuple[int, int]]:
    spots = [
        ((line, column), (end_line, end_column))
        for line, end_line, column, end_column in code.co_positions()
        # RESUME and some returns are given the whole line with no column.
        if line and end_line and column is not None and end_column
    ]
    if not spots:
        return (0, 0), (1 << 30, 0)
    return min(first for first, _ in spots), max(last for _, last in spots)


def _names(node: ast.Lambda) -> list[str]:
    spec = node.args
    names = [part.arg for part in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    return names + [part.arg for part in (spec.vararg, spec.kwarg) if part is not None]


def _parameters(code: CodeType) -> list[str]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 4) + bool(code.co_flags & 8)
    return list(code.co_varnames[:count])


def class_node(kind: type, filename: str, space: dict[str, object] | None) -> ast.AST | None:
    """Return the syntax tree of a class by its qualified name, or None without source."""
    index = _index_of(filename, space)
    if index is None:
        return None
    name, qualname = (type.__getattribute__(kind, n) for n in ("__name__", "__qualname__"))
    line = own(kind).get("__firstlineno__")  # Python 3.13 on
    found = index.defs.get((line, name)) if isinstance(line, int) else None
    return found or index.classes.get(qualname)
