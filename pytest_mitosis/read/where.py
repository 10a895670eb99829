"""Conditions on trials: ``noise=low and (main<0.1 or not status=done)``.

::

    condition  = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation   = "not" negation | "(" condition ")" | comparison
    comparison = NAME ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") VALUE {"," VALUE}

``~`` is "contains". Names are columns of trials, parameters and metrics. Must not know how trials
are stored.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.names import say_what_exists

Row = Mapping[str, Any]
Condition = Callable[[Row], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<sign><=|>=|!=|==|[=<>~(),])"""
    r"""|(?P<word>[^\s=<>!~(),"']+)|(?P<bad>\S))"""
)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SIGNS = ("=", "==", "!=", "~", *_ORDERS)
_SHORT = {"duration": "duration_s", "time": "duration_s", "trial": "id", "main": "metric.main"}
_BEGINNINGS = ("id", "commit", "started")
"""Columns of which people write the beginning."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, sign or quoted text, and where it begins."""

    text: str
    place: int
    kind: str


def parse_condition(text: str, columns: Mapping[str, Sequence[Any]]) -> Condition:
    """The condition that ``text`` says, for rows of a table with these columns.

    Raises
    ------
    PlanError
        If it is no condition, or names what is no column.
    """
    return _Parser(text, columns).parse()


def column_named(name: str, columns: Iterable[str]) -> str:
    """The column that is meant by ``name``: ``main`` for ``metric.main``.

    Raises
    ------
    PlanError
        If there is none, or more than one.
    """
    existing = list(columns)
    if name in existing:
        return name
    known = [f"{kind}.{name}" for kind in ("param", "metric") if f"{kind}.{name}" in existing]
    if len(known) > 1:
        raise PlanError(f"{name} is a parameter and a metric; write {' or '.join(known)}")
    if known:
        return known[0]
    if _SHORT.get(name) in existing:
        return _SHORT[name]
    short = [one.partition(".")[2] or one for one in existing]
    raise PlanError(f"no trial has {name!r}; {say_what_exists(name, short, limit=20)}")


class _Parser:
    def __init__(self, text: str, columns: Mapping[str, Sequence[Any]]) -> None:
        self._text, self._columns = text, columns
        self._tokens = [
            Token(match[match.lastgroup].strip(), match.start(match.lastgroup), match.lastgroup)
            for match in _TOKEN.finditer(text)
            if match.lastgroup
        ]
        self._next = 0

    def parse(self) -> Condition:
        condition = self._any()
        if self._peek() is not None:
            self._refuse("expected and, or, or the end")
        return condition

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._takes("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _all(self) -> Condition:
        parts = [self._negation()]
        while self._takes("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _negation(self) -> Condition:
        if self._takes("not"):
            inner = self._negation()
            return lambda row: not inner(row)
        if self._takes("("):
            inner = self._any()
            if not self._takes(")"):
                self._refuse("expected )")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        name = self._word("a name such as noise, main or status")
        sign = self._peek()
        if sign is None or sign.text not in _SIGNS:
            self._refuse(f"expected {' '.join(s for s in _SIGNS if s != '==')} after {name.text}")
        self._next += 1
        values = [self._word(f"a value after {name.text}{sign.text}").text]
        while self._takes(","):
            values.append(self._word("a value after the comma").text)
        column = column_named(name.text, self._columns)
        return self._compared(column, sign.text, values)

    def _compared(self, column: str, sign: str, values: list[str]) -> Condition:
        if sign in _ORDERS:
            if len(values) > 1:
                raise PlanError(f"{column} {sign} takes one value, not {','.join(values)}")
            return self._ordered(column, sign, values[0])
        if sign == "~":
            return lambda row: any(one in str(row.get(column) or "") for one in values)
        if sign == "!=":
            return lambda row: not any(_is_equal(row.get(column), one, column) for one in values)
        return lambda row: any(_is_equal(row.get(column), one, column) for one in values)

    def _ordered(self, column: str, sign: str, value: str) -> Condition:
        compare = _ORDERS[sign]
        if column == "started":
            return lambda row: compare(str(row.get(column) or "")[: len(value)], value)
        limit = _number(value)
        if limit is None:
            raise PlanError(f"{column} {sign} {value}: {value!r} is no number")
        existing = [one for one in self._columns[column] if one is not None]
        if existing and all(_number(one) is None for one in existing):
            shown = ", ".join(dict.fromkeys(str(one) for one in existing[:50]))[:60]
            raise PlanError(f"{column} is no number ({shown}); compare it with = or !=")

        def is_met(row: Row) -> bool:
            number = _number(row.get(column))
            return number is not None and compare(number, limit)

        return is_met

    def _peek(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _takes(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind == "quoted" or token.text != text:
            return False
        self._next += 1
        return True

    def _word(self, what: str) -> Token:
        token = self._peek()
        if (
            token is None
            or token.kind not in {"word", "quoted"}
            or (token.kind == "word" and token.text in {"and", "or", "not"})
        ):
            self._refuse(f"expected {what}")
        self._next += 1
        text = token.text[1:-1] if token.kind == "quoted" else token.text
        return Token(text, token.place, token.kind)

    def _refuse(self, expected: str) -> NoReturn:
        token = self._peek()
        found = f"found {token.text!r}" if token else "it ends there"
        place = token.place if token else len(self._text)
        raise PlanError(f"--where {self._text!r}: {expected} at character {place + 1}, {found}")


def _is_equal(value: object, text: str, column: str) -> bool:
    if value is None:
        return text in {"", "none", "None"}
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if column in _BEGINNINGS:
        return str(value).startswith(text)
    if str(value) == text:
        return True
    one, other = _number(value), _number(text)
    return one is not None and one == other


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
