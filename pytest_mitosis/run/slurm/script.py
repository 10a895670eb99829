"""The script that sbatch is given: Slurm's own options, the site's lines, one command line.

Pure text; a person can read it, change it and submit it by hand.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mitosis.run.cluster.limits import time_needed
from pytest_mitosis.store.batches import SCRIPT, TRIALS

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.plan.resources import Request
    from pytest_mitosis.plan.sites import Site

LOG = "%a.log"
SHORTEST_WARNING = 15.0


@dataclass(frozen=True, slots=True)
class Array:
    """A job array: trials of equal needs, ``site.per_job`` of them a task, some at once."""

    folder: Path
    trials: int
    request: Request
    throttle: int | None
    python: str
    at_once: int = 1

    def text(self, site: Site) -> str:
        """The script, ready for sbatch."""
        setup = "".join(f"{line}\n" for line in site.setup)
        tasks = math.ceil(self.trials / site.per_job)
        first = f"SLURM_ARRAY_TASK_ID * {site.per_job} + 1"
        last = f"(SLURM_ARRAY_TASK_ID + 1) * {site.per_job}"
        trials = shlex.quote(str(self.folder / TRIALS))
        options = "\n".join(f"#SBATCH {one}" for one in self._options(site, tasks))
        return (
            f"#!/bin/bash\n{options}\n\n{setup}"
            "trap '' USR1  # a warning may come before Python listens\n"
            f'mapfile -t jobs < <(sed -n "$(({first})),$(({last}))p" {trials})\n'
            f'exec {shlex.quote(self.python)} -m pytest_mitosis.run "${{jobs[@]}}"\n'
        )

    def _options(self, site: Site, tasks: int) -> list[str]:
        throttle = f"%{max(1, self.throttle // self.at_once)}" if self.throttle else ""
        place = str(self.folder).replace("%", "%%")
        request = self.request
        limit = _limit(site, request, math.ceil(site.per_job / self.at_once))
        options = [
            f"--job-name={self.folder.name}",
            f"--array=0-{tasks - 1}{throttle}",
            f'--output="{place}/{LOG}"',
            "--open-mode=append",
            f'--chdir="{self.folder}"',
            "--requeue" if site.requeue else "--no-requeue",
            "--nodes=1",
            "--ntasks=1",
        ]
        if request.cpus or self.at_once > 1:
            options.append(f"--cpus-per-task={max(1, request.cpus) * self.at_once}")
        if request.gpus:
            options.append(f"--gres=gpu:{request.gpus * self.at_once}")
        if request.memory:
            options.append(f"--mem={math.ceil(request.memory / 1024**2) * self.at_once}M")
        if limit is not None and "time" not in site.options:
            options.append(f"--time={math.ceil(limit / 60)}")
        options.append(f"--signal=B:USR1@{math.ceil(_warning(site, limit))}")
        options += [f"--{name}={value}" for name, value in site.options.items()]
        return [*options, *site.flags]


def write_script(array: Array, site: Site) -> Path:
    """Write the script into the batch's folder."""
    file = array.folder / SCRIPT
    file.write_text(array.text(site), "utf-8", "surrogateescape")
    return file


def read_limit(text: str) -> float | None:
    """Seconds of a limit as Slurm writes it: ``30``, ``2:30:00``, ``1-12``; None if it is none."""
    days, dash, rest = text.rpartition("-")
    try:
        numbers = [int(part) for part in rest.split(":")]
        if dash:  # days-hours[:minutes[:seconds]]
            hours, minutes, seconds = (*numbers, 0, 0)[:3]
            return float(int(days) * 86400 + hours * 3600 + minutes * 60 + seconds)
    except ValueError:
        return None  # UNLIMITED, say
    if len(numbers) == 3:
        return float(numbers[0] * 3600 + numbers[1] * 60 + numbers[2])
    return float(numbers[0] * 60 + (numbers[1] if len(numbers) == 2 else 0))


def _limit(site: Site, request: Request, rounds: int) -> float | None:
    """The time limit of the site's table, else what follows from what trials may take."""
    if "time" in site.options:
        return read_limit(site.options["time"])
    return time_needed(site, request, rounds)


def _warning(site: Site, limit: float | None) -> float:
    return site.warn if limit is None else max(SHORTEST_WARNING, min(site.warn, limit / 4))
