"""Trials as columns: what data frames are made of, in builtins so that a reader can keep it.

Must not know pandas.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_mitosis.store.rows import FIXED_COLUMNS, column_order, flat_row, label_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_mitosis.model import Trial
    from pytest_mitosis.store.catalogue import Catalogue

SPEC = "spec"


@dataclass(frozen=True, slots=True)
class Table:
    """Trials by column, oldest first.

    Attributes
    ----------
    columns : dict
        Column to one value a trial.
    specs : list of str
        The spec of each trial.
    orders : dict
        Column of a parameter to its names, in the order of the lookup dictionary.
    backfilled : dict
        Column of a parameter to the ids of trials that are older than the parameter.
    """

    columns: dict[str, list[Any]]
    specs: list[str]
    orders: dict[str, list[str]] = field(default_factory=dict)
    backfilled: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.specs)

    def row(self, n: int) -> dict[str, Any]:
        """One trial by column."""
        return {name: values[n] for name, values in self.columns.items()}

    def where(self, is_wanted: Callable[[int], bool]) -> Table:
        """The trials at the positions that are wanted; columns that are empty then are left out."""
        chosen = [n for n in range(len(self)) if is_wanted(n)]
        if len(chosen) == len(self):
            return self
        columns = {name: [values[n] for n in chosen] for name, values in self.columns.items()}
        kept = {
            name: values
            for name, values in columns.items()
            if "." not in name or any(value is not None for value in values)
        }
        ids = set(kept["id"])
        filled = {
            name: [one for one in trials if one in ids] for name, trials in self.backfilled.items()
        }
        return Table(
            kept,
            [self.specs[n] for n in chosen],
            {name: names for name, names in self.orders.items() if name in kept},
            {name: trials for name, trials in filled.items() if trials and name in kept},
        )

    def with_columns(self, more: dict[str, list[Any]]) -> Table:
        """The same trials with more columns."""
        return Table({**self.columns, **more}, self.specs, self.orders, self.backfilled)


def table_of(catalogue: Catalogue) -> Table:
    """All trials of a catalogue; quick if nothing changed since it was asked for last."""
    columns, specs, orders, backfilled = catalogue.whole(_build)
    return Table(columns, specs, orders, backfilled)


def _build(catalogue: Catalogue) -> tuple[Any, ...]:
    found = catalogue.each(_piece)
    found.sort(key=lambda one: (str(one[0]["started"]), one[0]["id"]))
    backfilled = _backfill(found)
    rows = [row for row, _, _, _ in found]
    names = column_order(rows) if rows else FIXED_COLUMNS
    columns = {name: [row.get(name) for row in rows] for name in names}
    orders = {
        name: _order(values, [choices.get(name, ()) for _, _, choices, _ in found])
        for name, values in columns.items()
        if name.startswith("param.")
    }
    return columns, [spec for _, spec, _, _ in found], orders, backfilled


def _piece(trial: Trial) -> tuple[Any, ...]:
    """A row, the spec, the names each parameter could have, and what it is if it is not given."""
    m = trial.manifest
    choices, defaults = {}, {}
    for one in m.get("parameters", ()):
        column = f"param.{label_of(m, one)}"
        if one.get("variants"):
            choices[column] = one["variants"]
        if one["kind"] == "default":
            defaults[column] = one["variant"] or one["value"]
        elif one.get("default"):
            defaults[column] = one["default"]
    return flat_row(trial), str(m.get("spec", "")), choices, defaults


def _backfill(found: Sequence[tuple[Any, ...]]) -> dict[str, list[str]]:
    """Give trials that are older than a parameter its first default; whose, by column."""
    filled: dict[str, list[str]] = {}
    by_experiment: dict[str, list[tuple[Any, ...]]] = {}
    for one in found:
        by_experiment.setdefault(one[0]["experiment"], []).append(one)
    for pieces in by_experiment.values():
        names = dict.fromkeys(c for row, _, _, _ in pieces for c in row if c.startswith("param."))
        for name in names:
            first = next(n for n, piece in enumerate(pieces) if name in piece[0])
            default = pieces[first][3].get(name)
            for row, _, _, _ in pieces[:first] if default is not None else ():
                row[name] = default
                filled.setdefault(name, []).append(row["id"])
    return filled


def _order(values: Iterable[str | None], choices: Sequence[Sequence[str]]) -> list[str]:
    """Names in the order of the newest dictionary, then literals by size."""
    order: list[str] = []
    # The same list is said by trial after trial.
    for names, _ in itertools.groupby(reversed(choices)):
        place = min((order.index(name) for name in names if name in order), default=len(order))
        for name in names:
            if name in order:
                place = order.index(name)
            else:
                order.insert(place, name)
            place += 1
    used = {value for value in values if value is not None}
    rest = [value for value in used if value not in order]
    return [name for name in order if name in used] + sorted(rest, key=_size)


def _size(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
