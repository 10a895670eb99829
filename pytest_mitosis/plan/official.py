"""Official trials as a project declares them: groups of trial specs, and what counts as the same.

``[tool.mitosis.official]`` of ``pyproject.toml``, or ``official.toml`` beside it with the same
content. Imports nothing of the user's; whether variants exist is found when a group is expanded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.config import read_toml
from pytest_mitosis.plan.names import require_safe, say_what_exists
from pytest_mitosis.plan.selection import Request, parse_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_mitosis.plan.config import Project

FILE = "official.toml"
TABLE = "[tool.mitosis.official]"
FOLDER = "official"
RTOL = 1e-9
"""The relative tolerance of what none is declared for."""
SETTINGS = ("require-hypothesis", "folder")
KEYS = ("exp", "variants", "literals", "seeds", "title", "tolerances", "require-hypothesis")
WORDS = ("exact", "ignore")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a metric may be from its reference: ``|new - old| <= atol + rtol * |old|``."""

    rtol: float = RTOL
    atol: float = 0.0
    exact: bool = False
    ignore: bool = False
    declared: bool = False

    def __str__(self) -> str:
        if self.exact or self.ignore:
            return "exact" if self.exact else "ignore"
        parts = [f"rtol {self.rtol:g}"] if self.rtol or not self.atol else []
        return " ".join([*parts, *([f"atol {self.atol:g}"] if self.atol else [])])


@dataclass(frozen=True, slots=True)
class Group:
    """Trials a project vouches for together, those of a figure say.

    Attributes
    ----------
    experiment : str
        What ``--exp`` would be given.
    request : Request
        Variants, literals and seeds.
    tolerances : mapping
        Name of a metric or of a part of the result, or a pattern such as ``time.*``.
    """

    name: str
    experiment: str
    request: Request = field(default_factory=Request)
    title: str = ""
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    require_hypothesis: bool = False

    def tolerance(self, name: str) -> Tolerance:
        """What is declared for a metric: by its name, else by the first pattern that fits."""
        if name in self.tolerances:
            return self.tolerances[name]
        fitting = (one for key, one in self.tolerances.items() if fnmatchcase(name, key))
        return next(fitting, Tolerance())


@dataclass(frozen=True, slots=True)
class Declaration:
    """All groups of a project, and the folder their references are in."""

    groups: Mapping[str, Group]
    folder: Path
    where: str

    def choose(self, names: Sequence[str]) -> list[Group]:
        """The groups called so, all of them without names.

        Raises
        ------
        PlanError
            If there is none of that name.
        """
        if not self.groups:
            raise PlanError(
                f"no official trials are declared; write {TABLE} in pyproject.toml, or {FILE} "
                'beside it, with groups such as fig3 = {exp = "fit_eval", variants = {noise = "*"}}'
            )
        for name in names:
            if name not in self.groups:
                hint = "; paths stand before --exp-official" if "/" in name or "." in name else ""
                exist = say_what_exists(name, self.groups)
                raise PlanError(f"no official group named {name!r} in {self.where}; {exist}{hint}")
        return [self.groups[name] for name in dict.fromkeys(names or self.groups)]


def read_declaration(project: Project) -> Declaration:
    """The official trials of a project.

    Raises
    ------
    PlanError
        If a group is malformed, or both places declare them.
    """
    file = project.home / FILE
    table, where = project.official, f"pyproject.toml {TABLE}"
    if file.is_file():
        if table is not None:
            raise PlanError(f"official trials are declared in {where} and in {file}; keep one")
        table, where = read_toml(file), FILE
    table = table or {}
    folder = table.get("folder", FOLDER)
    if not isinstance(folder, str) or not folder:
        raise PlanError(f"{where} folder has to be a text, not {folder!r}")
    required = _flag(table, "require-hypothesis", where, default=False)
    groups = {
        name: _read_group(name, entry, where, require_hypothesis=required)
        for name, entry in table.items()
        if name not in SETTINGS
    }
    return Declaration(groups, project.root / folder, where)


def is_declared(project: Project) -> bool:
    """Whether a project has official trials."""
    return project.official is not None or (project.home / FILE).is_file()


def reference_globs(project: Project) -> tuple[str, ...]:
    """Where references are, as globs of what is never an uncommitted change of the code."""
    table: Mapping[str, Any] | None = project.official
    if table is None and (project.home / FILE).is_file():
        try:
            table = read_toml(project.home / FILE)
        except PlanError:  # said when official trials are asked for
            table = {}
    folder = (table or {}).get("folder", FOLDER)
    return () if table is None or not isinstance(folder, str) else (f"{folder}/**/*.json",)


def _read_group(name: str, entry: object, where: str, *, require_hypothesis: bool) -> Group:
    require_safe(name, f"a group in {where}")
    place = f"{where} {name}"
    if not isinstance(entry, dict):
        raise PlanError(f"{place} has to be a table such as {{exp = …}}, not {entry!r}")
    for key in entry:
        if key not in KEYS:
            raise PlanError(f"{place} has an unknown key {key!r}; {say_what_exists(key, KEYS)}")
    experiment = entry.get("exp")
    if not isinstance(experiment, str) or not experiment:
        raise PlanError(f'{place} needs exp = "…", the experiment as --exp names it')
    try:
        request = parse_request(
            _variants(_table(entry, "variants", place), place),
            _literals(_table(entry, "literals", place), place),
            _seeds(entry.get("seeds"), place),
        )
    except PlanError as error:
        raise error if place in str(error) else PlanError(f"{place}: {error}") from None
    tolerances = _table(entry, "tolerances", place)
    return Group(
        name,
        experiment,
        request,
        str(entry.get("title", "")),
        {key: _tolerance(one, f"{place} tolerances {key}") for key, one in tolerances.items()},
        _flag(entry, "require-hypothesis", place, default=require_hypothesis),
    )


def _variants(table: Mapping[str, Any], place: str) -> list[str]:
    found = []
    for parameter, names in table.items():
        listed = names if isinstance(names, list) else [names]
        if not listed or not all(isinstance(one, str) and one for one in listed):
            raise PlanError(
                f'{place} variants {parameter} has to be "*", a name or a list of names, '
                f"not {names!r}"
            )
        found.append(f"{parameter}={','.join(listed)}")
    return found


def _literals(table: Mapping[str, Any], place: str) -> list[str]:
    """A list is a grid, as everywhere else; a value that is a list stands in a list."""
    found = []
    for parameter, values in table.items():
        for value in values if isinstance(values, list) else [values]:
            if not _is_literal(value):
                raise PlanError(
                    f"{place} literals {parameter} has to be a number, a text, a truth value or a "
                    f"list of them, not {value!r}"
                )
            found.append(f"{parameter}={value!r}")
    return found


def _is_literal(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_is_literal, value))
    if isinstance(value, dict):
        return all(map(_is_literal, value.values()))
    return isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value))


def _seeds(value: object, place: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(type(one) is int and one >= 0 for one in listed):
        raise PlanError(f'{place} seeds has to be "0-4", a number or a list of them, not {value!r}')
    return ",".join(map(str, listed))


def _tolerance(value: object, place: str) -> Tolerance:
    if value in WORDS:
        return Tolerance(exact=value == "exact", ignore=value == "ignore", declared=True)
    if isinstance(value, dict) and value and value.keys() <= {"rtol", "atol"}:
        numbers = {key: _bound(one, f"{place} {key}") for key, one in value.items()}
        return Tolerance(numbers.get("rtol", 0.0), numbers.get("atol", 0.0), declared=True)
    raise PlanError(f'{place} has to be "exact", "ignore" or {{rtol = …, atol = …}}, not {value!r}')


def _bound(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise PlanError(f"{place} has to be a number that is not negative, not {value!r}")
    return float(value)


def _table(table: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise PlanError(f"{place} {key} has to be a table, not {value!r}")
    return value


def _flag(table: Mapping[str, Any], key: str, place: str, *, default: bool) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise PlanError(f"{place} {key} has to be true or false, not {value!r}")
    return value
