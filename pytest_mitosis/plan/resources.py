"""What a trial asks of the machine: processors, GPUs, memory, time; read and checked.

Knows the words of tables and marks. What the machine has and who holds it is not known here.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.names import say_what_exists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AUTO = "auto"
KEYS = ("cpus", "gpus", "memory", "timeout")
GPUS = "gpus"
_MEMORY = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT])i?B?", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?) ?([smhd]|min)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Request:
    """What one trial needs; 0 is nothing in particular. ``memory`` is in bytes."""

    cpus: int = 0
    gpus: int = 0
    memory: int = 0
    timeout: float | None = None

    def __bool__(self) -> bool:
        return bool(self.cpus or self.gpus or self.memory)

    def to_json(self) -> dict[str, Any]:
        """Plain builtins."""
        return asdict(self)


def read_request(facts: Mapping[str, Any], what: str) -> Request:
    """The request in the arguments of a mark or the entries of a table.

    Raises
    ------
    PlanError
        If one of them is malformed.
    """
    return Request(
        _count(facts.get("cpus"), f"{what}: cpus", least=1),
        _count(facts.get("gpus"), f"{what}: gpus", least=0),
        _memory(facts.get("memory"), f"{what}: memory"),
        read_seconds(facts.get("timeout"), f"{what}: timeout"),
    )


def read_requests(table: Mapping[str, Any], where: str) -> dict[str, Request]:
    """The requests of ``[tool.mitosis.resources]`` by step or experiment."""
    requests = {}
    for name, entry in table.items():
        if name == GPUS and not isinstance(entry, dict):
            continue
        if not isinstance(entry, dict):
            raise PlanError(
                f"{where} is malformed: {name} = {entry!r} has to be a table such as "
                '{ cpus = 4, memory = "8G" }'
            )
        for key in entry:
            if key not in KEYS:
                raise PlanError(
                    f"{where} {name} has an unknown key {key!r}; {say_what_exists(key, KEYS)}"
                )
        requests[name] = read_request(entry, f"{where} {name}")
    return requests


def read_gpus(table: Mapping[str, Any], where: str) -> int | None:
    """``gpus = N`` of the table: how many the machine has."""
    entry = table.get(GPUS)
    return None if entry is None or isinstance(entry, dict) else _count(entry, where, least=0)


def join_requests(requests: Iterable[Request]) -> Request:
    """What steps need that run one after the other in one process: the most of each."""
    given = list(requests)
    times = [one.timeout for one in given if one.timeout is not None]
    return Request(
        max((one.cpus for one in given), default=0),
        max((one.gpus for one in given), default=0),
        max((one.memory for one in given), default=0),
        times[-1] if times else None,
    )


def override(request: Request, by: Request) -> Request:
    """``request`` with what ``by`` says in its place."""
    return Request(
        by.cpus or request.cpus,
        by.gpus or request.gpus,
        by.memory or request.memory,
        request.timeout if by.timeout is None else by.timeout,
    )


def usable_cpus() -> int:
    """How many processors this process may use."""
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_jobs(option: str | None, configured: int | str) -> int:
    """How many trials run at once, from the command line or else the table.

    Raises
    ------
    PlanError
        If the option is neither a number above 0 nor ``auto``.
    """
    if option is None:
        given = configured
    else:
        given = require_jobs(int(option) if option.isdecimal() else option, "--exp-jobs")
    return usable_cpus() if isinstance(given, str) else given


def require_jobs(value: object, what: str) -> int | str:
    """``value`` if it says how many trials run at once."""
    if value == AUTO:
        return AUTO
    if type(value) is not int or value < 1:
        raise PlanError(f"{what} has to be a number above 0 or 'auto', not {value!r}")
    return value


def read_seconds(value: object, what: str) -> float | None:
    """Seconds, as a number or as a text such as ``90s``, ``30m``, ``2h``, ``1d``."""
    if value is None:
        return None
    if isinstance(value, str) and (found := _TIME.fullmatch(value.strip())):
        value = float(found[1]) * _SECONDS[found[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise PlanError(
            f"{what} has to be a number of seconds above 0, or a text such as '30m', "
            f"'2h' or '1d', not {value!r}"
        )
    return float(value)


def _memory(value: object, what: str) -> int:
    if value is None:
        return 0
    found = _MEMORY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or not float(found[1]) > 0:
        raise PlanError(f"{what} has to be a text such as '512M' or '8G', not {value!r}")
    return int(float(found[1]) * 1024 ** ("KMGT".index(found[2].upper()) + 1))


def _count(value: object, what: str, *, least: int) -> int:
    if value is None:
        return 0
    if type(value) is not int or value < least:
        raise PlanError(f"{what} has to be a whole number from {least} on, not {value!r}")
    return value
