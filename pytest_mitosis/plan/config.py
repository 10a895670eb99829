"""``[tool.mitosis]`` of ``pyproject.toml``, read and checked once into a frozen ``Project``.

Knows where the project begins and what its table says. Imports nothing of the user's.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.names import require_safe, say_what_exists
from pytest_mitosis.plan.resources import (
    Request,
    read_gpus,
    read_requests,
    read_seconds,
    require_jobs,
)
from pytest_mitosis.plan.sites import SLURM, Site, read_sites

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLE = "[tool.mitosis]"
KNOWN_KEYS = (
    "steps",
    "experiments",
    "trials-folder",
    "clean-ignore",
    "locks",
    "cwd",
    "timeout",
    "strict-code",
    "launcher",
    "preload",
    "reuse",
    "jobs",
    "resources",
    "official",
    "launchers",
)


@dataclass(frozen=True, slots=True)
class Project:
    """Where a project's experiments, settings and trials are.

    Attributes
    ----------
    root : Path
        The git repository's top folder; without a repository, the folder of the configuration.
    home : Path
        The folder of ``config_file``, put on ``sys.path`` for the references in it.
    config_file : Path or None
        The ``pyproject.toml`` in force, if there is one.
    steps : mapping
        Name to ``(callable reference, lookup reference)``.
    experiments : mapping
        Name to step names.
    configured_folder : Path
        The table's trials folder, also where the command line names another.
    timeout : float or None
        Seconds a trial may take.
    launcher : str
        What runs each trial, by name.
    preload : tuple of str
        Installed modules that are imported once for all trials.
    reuse : mapping
        Name of a step to whether trials may share what it returns.
    jobs : int or str
        How many trials run at once, or ``auto``.
    resources : mapping
        Name of a step or an experiment to what its trials need.
    gpus : int or None
        How many GPUs this machine has, where it cannot say so itself.
    official : mapping or None
        The table of official trials as it stands, see :mod:`pytest_mitosis.plan.official`.
    sites : mapping
        Clusters by the name of the launcher that sends trials there.
    """

    root: Path
    home: Path
    config_file: Path | None
    is_repository: bool
    trials_folder: Path
    locks_folder: Path
    configured_folder: Path
    steps: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    experiments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clean_ignore: tuple[str, ...] = ()
    cwd: str = "trial"
    timeout: float | None = None
    strict_code: bool = False
    launcher: str = "kernel"
    preload: tuple[str, ...] = ()
    reuse: Mapping[str, bool] = field(default_factory=dict)
    jobs: int | str = 1
    resources: Mapping[str, Request] = field(default_factory=dict)
    gpus: int | None = None
    official: Mapping[str, Any] | None = None
    sites: Mapping[str, Site] = field(default_factory=dict)

    def site(self, launcher: str) -> Site | None:
        """The cluster that a launcher sends trials to; None if they run on this machine."""
        return self.sites.get(launcher) or (Site(SLURM) if launcher == SLURM else None)

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """Folders this package writes to: what lies there is no change of the code."""
        return self.trials_folder, self.locks_folder, self.configured_folder


def read_project(start: Path, trials_folder: Path | None = None) -> Project:
    """Read the project that ``start`` lies in.

    The nearest ``pyproject.toml`` with a ``[tool.mitosis]`` table counts, from ``start`` up to the
    root of the git repository. ``trials_folder`` overrides the table's.

    Raises
    ------
    PlanError
        If the file is no TOML or the table is malformed.
    """
    repository = find_repository(start)
    config_file, table = _find_table(start, repository)
    home = config_file.parent if config_file else (repository or start)
    root = repository or home
    where = f"{config_file.name if config_file else 'pyproject.toml'} {TABLE}"
    _check_keys(table, where)
    configured = root / _text(table, "trials-folder", "trials", where)
    store = trials_folder or configured
    locks = _text(table, "locks", "", where)
    return Project(
        root=root,
        home=home,
        config_file=config_file,
        is_repository=repository is not None,
        trials_folder=store.resolve(),
        locks_folder=(root / locks).resolve() if locks else store.resolve() / "locks",
        configured_folder=configured.resolve(),
        steps=_steps(table, where),
        experiments=_experiments(table, where),
        clean_ignore=_texts(table.get("clean-ignore", []), f"{where} clean-ignore"),
        cwd=_choice(table, "cwd", ("trial", "root"), where),
        timeout=read_seconds(table.get("timeout"), f"{where} timeout"),
        strict_code=_flag(table, "strict-code", where),
        launcher=_text(table, "launcher", "kernel", where),
        preload=_texts(table.get("preload", []), f"{where} preload"),
        reuse=_reuse(table, where),
        jobs=require_jobs(table.get("jobs", 1), f"{where} jobs"),
        resources=read_requests(_table(table, "resources", where), f"{where} resources"),
        gpus=read_gpus(_table(table, "resources", where), f"{where} resources"),
        official=_table(table, "official", where) if "official" in table else None,
        sites=read_sites(_table(table, "launchers", where), "[tool.mitosis.launchers]"),
    )


def find_repository(start: Path) -> Path | None:
    """The nearest folder at or above ``start`` with a ``.git`` entry; git itself is not asked."""
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
    return None


def _find_table(start: Path, repository: Path | None) -> tuple[Path | None, dict[str, Any]]:
    nearest = None
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            nearest = nearest or file
            tools = read_toml(file).get("tool")
            if tools is not None and not isinstance(tools, dict):
                raise PlanError(f"{file}: [tool] is malformed: it has to be a table")
            table = tools.get("mitosis") if tools else None
            if table is not None:
                if not isinstance(table, dict):
                    raise PlanError(f"{file}: {TABLE} is malformed: it has to be a table")
                return file, table
        if folder == repository:
            break
    return nearest, {}


def read_toml(file: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises
    ------
    PlanError
        If it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{file} is not valid TOML: {error}") from None
    except OSError as error:
        raise PlanError(f"{file} cannot be read: {error.strerror}") from None


def _check_keys(table: Mapping[str, Any], where: str) -> None:
    for key in table:
        if key not in KNOWN_KEYS:
            raise PlanError(
                f"{where} has an unknown key {key!r}; {say_what_exists(key, KNOWN_KEYS)}"
            )


def _steps(table: Mapping[str, Any], where: str) -> dict[str, tuple[str, str]]:
    steps = {}
    for name, entry in _table(table, "steps", where).items():
        _require_step_name(name, f"a step in {where}")
        if not (isinstance(entry, list) and len(entry) == 2 and all(_is_text(x) for x in entry)):
            raise PlanError(
                f"{where} steps is malformed: {name} = {entry!r} has to be "
                '["package.module:callable", "package.module:lookup_dictionary"]'
            )
        steps[name] = (entry[0], entry[1])
    return steps


def _experiments(table: Mapping[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    experiments = {}
    for name, entry in _table(table, "experiments", where).items():
        _require_step_name(name, f"an experiment in {where}")
        steps = _texts(entry, f"{where} experiments: {name}")
        if not steps:
            raise PlanError(f"{where} experiments is malformed: {name} has no steps")
        experiments[name] = steps
    return experiments


def _reuse(table: Mapping[str, Any], where: str) -> dict[str, bool]:
    found = dict(_table(table, "reuse", where))
    for name, value in found.items():
        if not isinstance(value, bool):
            raise PlanError(f"{where} reuse: {name} has to be true or false, not {value!r}")
    return found


def _require_step_name(name: str, what: str) -> None:
    require_safe(name, what)
    if name[0] in "+-":
        raise PlanError(f"{what} is called {name!r}; a name begins with a letter, a digit or _")


def _table(table: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise PlanError(f"{where} {key} is malformed: it has to be a table, not {value!r}")
    return value


def _text(table: Mapping[str, Any], key: str, default: str, where: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str) or (key in table and not value):
        raise PlanError(f"{where} {key} has to be a text, not {value!r}")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_text(one) for one in value):
        raise PlanError(f"{where} has to be a list of names, not {value!r}")
    return tuple(value)


def _choice(table: Mapping[str, Any], key: str, choices: tuple[str, ...], where: str) -> str:
    value = _text(table, key, choices[0], where)
    if value not in choices:
        raise PlanError(f"{where} {key} is {value!r}; it can be {' or '.join(choices)}")
    return value


def _flag(table: Mapping[str, Any], key: str, where: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise PlanError(f"{where} {key} has to be true or false, not {value!r}")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
