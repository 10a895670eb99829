"""What the command line asks for: ``--variant``, ``--eval-param`` and ``--seeds``, parsed.

Literals are read with :func:`ast.literal_eval`; nothing from the command line is ever evaluated.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Kind, PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL = "*"


@dataclass(frozen=True, slots=True)
class Selection:
    """Values asked for one parameter.

    ``names`` holds variant names (``*`` alone for all of them) or the texts of literals.
    """

    step: str
    parameter: str
    kind: Kind
    names: tuple[str, ...]
    tracked: bool = True

    @property
    def label(self) -> str:
        """The parameter as it was written, with its step if one was given."""
        return f"{self.step}.{self.parameter}" if self.step else self.parameter


@dataclass(frozen=True, slots=True)
class Request:
    """Everything the command line says about parameters; empty ``seeds`` means the default."""

    selections: tuple[Selection, ...] = ()
    seeds: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.selections or self.seeds)


def parse_request(
    variants: Sequence[str], literals: Sequence[str], seeds: str | None = None
) -> Request:
    """Parse the options' texts.

    Raises
    ------
    PlanError
        If a text is malformed, or one parameter is given in two ways.
    """
    merged: dict[tuple[str, str], Selection] = {}
    parsed = [_parse_variant(text) for text in variants] + [_parse_literal(t) for t in literals]
    for one in parsed:
        key = (one.step, one.parameter)
        before = merged.get(key)
        if before is None:
            merged[key] = one
            continue
        if before.kind != one.kind:
            raise PlanError(
                f"{one.label} is given twice, by --variant and by --eval-param; give one of them"
            )
        if before.tracked != one.tracked:
            raise PlanError(f"{one.label} is given both with and without '+'; give one of them")
        names = tuple(dict.fromkeys((*before.names, *one.names)))
        merged[key] = replace(
            one, names=(ALL,) if ALL in names and one.kind == Kind.VARIANT else names
        )
    return Request(tuple(merged.values()), parse_seeds(seeds) if seeds is not None else ())


def parse_seeds(text: str) -> tuple[int, ...]:
    """``0-4`` or ``0,7`` or both, as numbers without repeats.

    Raises
    ------
    PlanError
        If the text is anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        if match is None:
            raise PlanError(
                f"--seeds {text}: {part!r} is no seed; write --seeds 0-4 or --seeds 0,7"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise PlanError(f"--seeds {text}: {part} is empty; write the smaller number first")
        if last - first >= 1_000_000:
            raise PlanError(f"--seeds {text}: more than a million seeds")
        seeds.extend(range(first, last + 1))
    return tuple(dict.fromkeys(seeds))


def normal_literal(text: str, what: str) -> str:
    """The literal's text in one spelling: ``.5`` and ``0.50`` are both ``0.5``.

    Raises
    ------
    PlanError
        If the text is no Python literal.
    """
    literal_value(text, what)
    try:
        plain = ast.unparse(ast.parse(text.strip(), mode="eval"))
    except ValueError as error:  # a number with more digits than Python prints
        raise PlanError(f"{what}: {text[:40]}… is not a Python literal: {error}") from None
    return plain.encode("ascii", "backslashreplace").decode("ascii")


def literal_value(text: str, what: str) -> Any:
    """The value of one Python literal.

    Raises
    ------
    PlanError
        If the text is no Python literal; names the quoting a bare word lacks.
    """
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        hint = ""
        if re.fullmatch(r"[\w .+/-]+", text):
            hint = f"; for a text add quotes: --eval-param '{what}=\"{text}\"'"
        raise PlanError(f"{what}: {text!r} is not a Python literal{hint}") from None


def _parse_variant(text: str) -> Selection:
    step, parameter, value, tracked = _split(text, "--variant", "noise=low")
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    if "" in names:
        raise PlanError(f"--variant {text}: a variant name is missing; write --variant noise=low")
    if ALL in names:
        names = (ALL,)
    return Selection(step, parameter, Kind.VARIANT, names, tracked)


def _parse_literal(text: str) -> Selection:
    step, parameter, value, tracked = _split(text, "--eval-param", "alpha=0.5")
    label = f"{step}.{parameter}" if step else parameter
    return Selection(step, parameter, Kind.LITERAL, (normal_literal(value, label),), tracked)


def _split(text: str, option: str, example: str) -> tuple[str, str, str, bool]:
    label, equals, value = text.partition("=")
    tracked = not label.startswith("+")
    step, _, parameter = label.removeprefix("+").strip().rpartition(".")
    if not equals or not parameter.isidentifier() or not value.strip():
        raise PlanError(f"{option} {text}: write PARAMETER=VALUE, such as {option} {example}")
    return step, parameter, value, tracked
