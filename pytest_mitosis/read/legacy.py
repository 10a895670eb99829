"""Trials of the existing tool mitosis, as it left them: databases, folders and HTML files.

Reads text only: databases are opened without writing, pickled results are never opened. What the
tool did not record stays unknown.
"""

from __future__ import annotations

import ast
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pytest_mitosis.model import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PAGE = re.compile(
    r"trial_(?P<variant>.+)_(?P<iteration>\d+)_(?P<hex>[0-9a-f]{6})(?P<debug>debug)?\.html"
)
_FOLDER = re.compile(r"\d{4}-\d\d-\d\d_(?P<hex>[0-9a-f]{6})")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}")
_NO_COMMIT = "0000000"
_NO_PARAMETERS = "noparams"


@dataclass(frozen=True, slots=True)
class OldParameter:
    """An argument of a step; a literal was given by ``-e``, what is not tracked with ``+``."""

    step: str
    name: str
    variant: str
    value: str = ""
    is_literal: bool = False
    tracked: bool = True


@dataclass(frozen=True, slots=True)
class OldTrial:
    """What is known of one trial; None and empty is unknown.

    Attributes
    ----------
    has_ended : bool
        False if the tool recorded neither a page nor a result.
    main : str or None
        What ``main`` was, as printed.
    """

    steps: tuple[str, ...]
    variant: str
    iteration: int
    hex: str = ""
    commit: str | None = None
    main: str | None = None
    cpu_time: float | None = None
    is_debug: bool = False
    has_ended: bool = True
    page: Path | None = None
    folder: Path | None = None
    database: str = ""
    parameters: tuple[OldParameter, ...] = ()
    started: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)

    @property
    def experiment(self) -> str:
        """What the experiment is called here: ``gen+fit``."""
        return "+".join(self.steps)


@dataclass(frozen=True, slots=True)
class OldStore:
    """All trials of a folder, and what belongs to none of them."""

    trials: tuple[OldTrial, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Database:
    file: Path
    rows: tuple[tuple[Any, ...], ...]
    variants: Mapping[tuple[str, str], Mapping[str, str]]


def read_old_store(top: Path) -> OldStore:
    """The trials in a trials folder of mitosis.

    Raises
    ------
    StoreError
        If there are none, or a database cannot be read.
    """
    databases = [_read_database(file) for file in sorted(top.glob("*.db"))]
    pages = {
        m["hex"]: (f, m) for f in sorted(top.glob("trial_*.html")) if (m := _PAGE.fullmatch(f.name))
    }
    folders = {
        m["hex"]: f
        for f in sorted(top.iterdir())
        if f.is_dir() and (m := _FOLDER.fullmatch(f.name))
    }
    trials = []
    for database in databases:
        trials += [_of_row(row, database, pages, folders) for row in database.rows]
    seen = {trial.hex for trial in trials}
    known = _merged([database.variants for database in databases])
    for key, (file, match) in pages.items():
        if key not in seen:
            trials.append(_of_page(file, match, known, folders))
    if not trials:
        raise StoreError(f"{top} has no trials of mitosis: no *.db with trials, no trial_*.html")
    seen |= {trial.hex for trial in trials}
    left = [
        f"{f.name}: no row and no page belongs to it" for h, f in folders.items() if h not in seen
    ]
    return OldStore(tuple(trials), tuple(left))


def _read_database(file: Path) -> _Database:
    # Immutable: no journal beside it, no lock, nothing written into a folder that is only read.
    address = f"file:{quote(str(file.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as db:
            names = [
                row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            rows: list[tuple[Any, ...]] = []
            for name in names:
                if name.startswith("trials_"):
                    query = 'SELECT variant, iteration, "commit", cpu_time, results, filename FROM '
                    rows += db.execute(f"{query}{_quoted(name)}").fetchall()
            variants = {}
            for name in names:
                step, between, argument = name.partition("_variant_")
                if between:
                    found = db.execute(f"SELECT name, params FROM {_quoted(name)}").fetchall()  # noqa: S608
                    variants[step, argument] = {str(n): str(p) for n, p in found}
    except sqlite3.Error as error:
        raise StoreError(f"{file} cannot be read as a database of mitosis: {error}") from None
    return _Database(file, tuple(rows), variants)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _merged(
    all_variants: Sequence[Mapping[tuple[str, str], Mapping[str, str]]],
) -> dict[tuple[str, str], dict[str, str]]:
    known: dict[tuple[str, str], dict[str, str]] = {}
    for variants in all_variants:
        for key, names in variants.items():
            known.setdefault(key, {}).update(names)
    return known


def _of_row(
    row: tuple[Any, ...],
    database: _Database,
    pages: Mapping[str, tuple[Path, re.Match[str]]],
    folders: Mapping[str, Path],
) -> OldTrial:
    variant, iteration, commit, cpu_time, results, filename = row
    match = _PAGE.fullmatch(Path(str(filename or "")).name)
    key = match["hex"] if match else ""
    return _complete(
        OldTrial(
            steps=(),
            variant=str(variant),
            iteration=iteration if isinstance(iteration, int) else 0,  # 0.6.0 wrote bytes at times
            hex=key,
            commit=str(commit) if commit and commit != _NO_COMMIT else None,
            main=None if results is None else str(results),
            cpu_time=cpu_time,
            has_ended=filename is not None,
            page=pages[key][0] if key in pages else None,
            folder=folders.get(key),
            database=database.file.name,
        ),
        database.variants,
    )


def _of_page(
    file: Path,
    match: re.Match[str],
    variants: Mapping[tuple[str, str], Mapping[str, str]],
    folders: Mapping[str, Path],
) -> OldTrial:
    return _complete(
        OldTrial(
            steps=(),
            variant=match["variant"],
            iteration=int(match["iteration"]),
            hex=match["hex"],
            is_debug=bool(match["debug"]),
            page=file,
            folder=folders.get(match["hex"]),
        ),
        variants,
    )


def _complete(trial: OldTrial, variants: Mapping[tuple[str, str], Mapping[str, str]]) -> OldTrial:
    """Add what the folder tells: arguments, when it began, which callables ran."""
    configs = list(_configs(trial.folder))
    given, references = _given(trial.folder)
    steps, parameters = [], []
    for number, part in enumerate(trial.variant.split("+")):
        config = configs[number] if number < len(configs) else {}
        step, names = _split(part, config, variants)
        steps.append(step)
        said = given.get(number)
        for name, one in ({**said[0], **said[1]} if said is not None else names).items():
            stored = variants.get((step, name), {}).get(one)
            is_literal = name in said[1] if said is not None else stored == repr(one)
            value = _text(config.get(name)) or ("" if is_literal else stored or "")
            parameters.append(OldParameter(step, name, one, value, is_literal, stored is not None))
    return replace(
        trial,
        steps=tuple(steps),
        parameters=tuple(parameters),
        started=_first_time(trial.folder),
        references={steps[n]: text for n, text in references.items() if n < len(steps)},
    )


def _split(
    part: str, config: Mapping[str, Any], variants: Mapping[tuple[str, str], Mapping[str, str]]
) -> tuple[str, dict[str, str]]:
    """``gen-few-low`` as step and name of each argument; names may hold dashes themselves."""
    steps = sorted({step for step, _ in variants}, key=len, reverse=True)
    step = next((s for s in steps if part == s or part.startswith(f"{s}-")), part.partition("-")[0])
    rest = part[len(step) + 1 :]
    known = {argument for s, argument in variants if s == step}
    arguments = sorted(config) or sorted(known)
    if not rest or rest == _NO_PARAMETERS:
        return step, {}
    fitting = [
        dict(zip(arguments, names, strict=True))
        for names in _partitions(rest.split("-"), len(arguments))
    ]
    certain = [
        one
        for one in fitting
        if all(value in variants.get((step, name), {value: ""}) for name, value in one.items())
    ]
    chosen = certain if len(certain) == 1 else fitting
    if len(chosen) == 1:
        return step, chosen[0]
    return step, {"unknown": rest}


def _partitions(parts: Sequence[str], count: int) -> Iterator[list[str]]:
    """All ways to join ``parts`` by dashes into ``count`` texts."""
    if count == 1:
        yield ["-".join(parts)]
    for length in range(1, len(parts) - count + 2 if count > 1 else 0):
        for rest in _partitions(parts[length:], count - 1):
            yield ["-".join(parts[:length]), *rest]


def _configs(folder: Path | None) -> Iterator[dict[str, Any]]:
    """The arguments of each step; a value that is no literal stays text."""
    text = _read(folder, "config.txt")
    place = 0
    while (start := text.find("{", place)) >= 0:
        end = re.compile(r"\}\n|\}\Z").search(text, start)
        if end is None:
            return
        inner = text[start : end.start() + 1]
        place = end.end()
        try:
            value = ast.literal_eval(inner)
        except (ValueError, SyntaxError):
            names = re.findall(r"^[{ ]'(\w+)': (.*?),?$", inner[:-1], re.MULTILINE)
            value = dict(names)
        yield value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)


def _first_time(folder: Path | None) -> str | None:
    """When the log begins, as a time of this machine's zone."""
    match = _TIME.search(_read(folder, "experiment.log"))
    if match is None:
        return None
    local = datetime.strptime(match[0], "%Y-%m-%d %H:%M:%S,%f").astimezone()
    return local.astimezone(UTC).isoformat(timespec="milliseconds")


def _given(
    folder: Path | None,
) -> tuple[dict[int, tuple[dict[str, str], dict[str, str]]], dict[int, str]]:
    """By step: the variants and the literals it was given, and its callable; from the cells."""
    text = _read(folder, "source.py")
    references = re.findall(r'^print\("Loaded step (\d+) as (.+)"\)$', text, re.MULTILINE)
    loops = re.findall(
        r"^for arg_name, var_name in (\{.*\})\.items\(\):\n {4}val = (mitosis\._lookup|eval).*\n"
        r" {4}resolved_args_(\d+)\.",
        text,
        re.MULTILINE,
    )
    given: dict[int, tuple[dict[str, str], dict[str, str]]] = {}
    for names, how, number in loops:
        try:
            found = ast.literal_eval(names)
        except (ValueError, SyntaxError):
            continue
        variants, literals = given.setdefault(int(number), ({}, {}))
        (literals if how == "eval" else variants).update({str(k): str(v) for k, v in found.items()})
    return given, {int(number): text for number, text in references}


def _read(folder: Path | None, name: str) -> str:
    if folder is None:
        return ""
    try:
        return (folder / name).read_text("utf-8", "replace")
    except OSError:
        return ""
