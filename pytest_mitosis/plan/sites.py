"""Sites: clusters that trials are sent to, as ``[tool.mitosis.launchers.NAME]`` describes them.

Knows the words of the table. How a scheduler is spoken to is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.plan.resources import read_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

SLURM, PSIJ = "slurm", "psij"
KINDS = (SLURM, PSIJ)
EXECUTORS = ("pbs", "pbs_classic", "lsf", "flux", "slurm", "local")
"""The schedulers that PSI/J speaks to, by its names."""
BUILT_IN = ("kernel", "process", "inline")
OPTIONS = ("partition", "account", "qos", "time", "constraint", "reservation", "mem")
"""Keys that are Slurm's own options, written through as they are."""
PSIJ_OPTIONS = ("queue", "account", "reservation")
"""Keys that PSI/J has words for, whatever the scheduler's are."""
NODE_LAUNCHERS = ("kernel", "process")


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster, or one way of using it.

    Attributes
    ----------
    options : mapping
        The scheduler's own options by their long names, or PSI/J's.
    flags : tuple of str
        Further options, each as it stands on a command line.
    setup : tuple of str
        Lines of shell that run before Python does.
    jobs : int or None
        How many trials of equal needs run at once; None for all.
    per_job : int
        How many trials one job runs.
    at_once : int
        How many of those it runs at the same time.
    warn : float
        Seconds before its time limit at which a trial is told to save.
    requeue : bool
        Whether the scheduler may put a job back, and a trial that reached its time limit does.
    snapshot : bool
        Whether trials run a copy of the checked commit instead of the working tree.
    poll : float
        Seconds between two questions to the scheduler, at most.
    python : str
        The interpreter on the nodes; empty for the session's own.
    node_launcher : str
        What runs a trial there.
    executor : str
        Which of PSI/J's executors hands trials over; empty if that is not used.
    custom : mapping
        What PSI/J hands to the scheduler as it is, such as ``{"pbs.c": "n"}``.
    limit : float or None
        The time limit of PSI/J's jobs in seconds; None for what follows from their trials.
    """

    name: str
    kind: str = SLURM
    options: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    jobs: int | None = None
    per_job: int = 1
    at_once: int = 1
    warn: float = 60.0
    requeue: bool = True
    snapshot: bool = True
    poll: float = 10.0
    python: str = ""
    node_launcher: str = "kernel"
    executor: str = ""
    custom: Mapping[str, str] = field(default_factory=dict)
    limit: float | None = None


KEYS = {
    SLURM: (
        *("kind", "flags", "setup", "jobs", "per-job", "at-once", "warn", "requeue", "snapshot"),
        *("poll", "python", "node-launcher", *OPTIONS),
    ),
    PSIJ: (
        *("kind", "executor", *PSIJ_OPTIONS, "time", "custom", "setup", "per-job", "at-once"),
        *("warn", "snapshot", "poll", "python", "node-launcher"),
    ),
}


def read_sites(table: Mapping[str, Any], where: str) -> dict[str, Site]:
    """The sites of ``[tool.mitosis.launchers]`` by name.

    Raises
    ------
    PlanError
        If one is malformed; says what there is.
    """
    sites = {}
    for name, entry in table.items():
        if name in BUILT_IN:
            raise PlanError(f"{where}: {name} is the name of a launcher there is; choose another")
        if not isinstance(entry, dict):
            raise PlanError(f"{where}.{name} has to be a table, not {entry!r}")
        sites[name] = _read_site(name, entry, f"{where}.{name}")
    return sites


def _read_site(name: str, entry: Mapping[str, Any], where: str) -> Site:
    kind = _choice(entry, "kind", SLURM, KINDS, where)
    for key in entry:
        if key not in KEYS[kind]:
            what_exists = say_what_exists(key, KEYS[kind])
            raise PlanError(f"{where} has an unknown key {key!r}; {what_exists}")
    default = Site(name)
    per_job = _number(entry, "per-job", where) or default.per_job
    at_once = _number(entry, "at-once", where) or default.at_once
    if at_once > per_job:
        raise PlanError(
            f"{where} at-once is {at_once}, and a job has {per_job} of the trials; "
            f"set per-job to {at_once} or more"
        )
    options = PSIJ_OPTIONS if kind == PSIJ else OPTIONS
    site = Site(
        name,
        kind=kind,
        options={key: _word(entry[key], f"{where} {key}") for key in options if key in entry},
        flags=_lines(entry, "flags", where),
        setup=_lines(entry, "setup", where),
        jobs=_number(entry, "jobs", where),
        per_job=per_job,
        at_once=at_once,
        warn=read_seconds(entry.get("warn"), f"{where} warn") or default.warn,
        requeue=_flag(entry, "requeue", where),
        snapshot=_flag(entry, "snapshot", where),
        poll=read_seconds(entry.get("poll"), f"{where} poll") or default.poll,
        python=_word(entry["python"], f"{where} python") if "python" in entry else "",
        node_launcher=_choice(entry, "node-launcher", default.node_launcher, NODE_LAUNCHERS, where),
    )
    return site if kind == SLURM else _with_psij(site, entry, where)


def _with_psij(site: Site, entry: Mapping[str, Any], where: str) -> Site:
    """What only PSI/J's sites have; none of them can be asked to put a job back."""
    custom = entry.get("custom", {})
    if not isinstance(custom, dict) or not all("." in key for key in custom):
        raise PlanError(
            f"{where} custom has to be a table of the scheduler's own options, such as "
            f'{{ "pbs.c" = "n" }}, not {custom!r}'
        )
    return replace(
        site,
        executor=_choice(entry, "executor", "", EXECUTORS, where),
        custom={key: _word(value, f"{where} custom {key}") for key, value in custom.items()},
        limit=read_seconds(entry.get("time"), f"{where} time"),
        requeue=False,
    )


def _word(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or "\n" in str(value):
        raise PlanError(f"{where} has to be a text of one line, not {value!r}")
    if not str(value):
        raise PlanError(f"{where} is empty; leave it out")
    return str(value)


def _lines(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise PlanError(f"{where} {key} has to be a list of lines, not {value!r}")
    return tuple(_word(one, f"{where} {key}") for one in value)


def _number(entry: Mapping[str, Any], key: str, where: str) -> int | None:
    value = entry.get(key)
    if value is not None and (type(value) is not int or value < 1):
        raise PlanError(f"{where} {key} has to be a number above 0, not {value!r}")
    return value


def _flag(entry: Mapping[str, Any], key: str, where: str) -> bool:
    value = entry.get(key, True)
    if not isinstance(value, bool):
        raise PlanError(f"{where} {key} has to be true or false, not {value!r}")
    return value


def _choice(
    entry: Mapping[str, Any], key: str, default: str, choices: tuple[str, ...], where: str
) -> str:
    value = entry.get(key, default)
    if value not in choices:
        raise PlanError(f"{where} {key} is {value!r}; it can be {' or '.join(choices)}")
    return str(value)
