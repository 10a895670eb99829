"""What PSI/J is to ask a scheduler for, and the script that each of its jobs runs.

Pure text and numbers: psij is not needed. Where one of its executors would ask for something else
than what it is given, the wish is put so that the right thing is asked for.
"""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

from pytest_mitosis.run.cluster.limits import time_needed
from pytest_mitosis.run.cluster.scheduler import SchedulerError
from pytest_mitosis.store.batches import BEGAN, SCRIPT, TASK, TRIALS
from pytest_mitosis.store.files import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.plan.resources import Request
    from pytest_mitosis.plan.sites import Site
    from pytest_mitosis.run.cluster.scheduler import Load

SPEC = "psij.json"
BY_PROCESSES = ("pbs", "pbs_classic", "lsf")
"""Executors that ask for a processor for each process, and leave the cores of a process out."""
NEED_A_LIMIT = ("lsf", "flux")
"""Executors that cannot do without a time limit."""


def write_wishes(folder: Path, site: Site, load: Load) -> None:
    """Write the script and the wishes into a batch's folder.

    Raises
    ------
    SchedulerError
        If PSI/J has no way to ask for what the trials need.
    """
    limit = limit_of(site, load)
    if limit is None and site.executor in NEED_A_LIMIT:
        raise SchedulerError(
            f"PSI/J's {site.executor} needs a time limit; give the experiment a timeout or "
            f"[tool.mitosis.launchers.{site.name}] a time"
        )
    spec = {
        "tasks": math.ceil(load.trials / site.per_job),
        "script": str(folder / SCRIPT),
        "batch": folder.name,
        "limit": limit,
        "resources": resources(site.executor, load.request, load.at_once),
        "attributes": attributes(site),
        "custom": custom(site, load.request.gpus * load.at_once),
    }
    (folder / SCRIPT).write_text(script(folder, site, load), "utf-8", "surrogateescape")
    write_json(folder / SPEC, spec)


def limit_of(site: Site, load: Load) -> float | None:
    """The time limit of a job in seconds: the site's, or what follows from its trials."""
    if site.limit is not None:
        return site.limit
    return time_needed(site, load.request, math.ceil(site.per_job / load.at_once))


def resources(executor: str, request: Request, at_once: int) -> dict[str, int]:
    """Arguments of psij's ``ResourceSpecV1`` for one job.

    Raises
    ------
    SchedulerError
        If the executor does not pass on what is needed.
    """
    cpus = max(1, request.cpus) * at_once if request.cpus or at_once > 1 else 0
    if request.gpus and executor == "pbs":
        raise SchedulerError(
            'PSI/J\'s pbs asks for no GPUs; use executor = "pbs_classic" if the site takes '
            "nodes=1:ppn=…:gpus=…, or a queue that comes with GPUs and leave gpus out"
        )
    found = {"node_count": 1}
    if executor == "flux":
        found["process_count"] = 1
    if cpus and executor in BY_PROCESSES:
        found["processes_per_node"] = cpus
    elif cpus:
        found["cpu_cores_per_process"] = cpus
    if request.gpus and executor != "lsf":
        found["gpu_cores_per_process"] = request.gpus * at_once
    if request.memory:
        found["memory"] = request.memory * at_once
    return found


def attributes(site: Site) -> dict[str, str]:
    """Arguments of psij's ``JobAttributes``, by its names."""
    names = {"queue": "queue_name", "account": "account", "reservation": "reservation_id"}
    return {names[key]: value for key, value in site.options.items()}


def custom(site: Site, gpus: int) -> dict[str, str]:
    """The scheduler's own options; LSF's GPUs are among them, or each processor would get some."""
    given = {"lsf.gpu": f"num={gpus}"} if gpus and site.executor == "lsf" else {}
    return {**given, **site.custom}


def script(folder: Path, site: Site, load: Load) -> str:
    """What each job runs, with the number of its task as argument."""
    setup = "".join(f"{line}\n" for line in site.setup)
    log = f'{shlex.quote(str(folder))}/"$1".log'
    trials = shlex.quote(str(folder / TRIALS))
    first, last = f"$1 * {site.per_job} + 1", f"($1 + 1) * {site.per_job}"
    return (
        f"#!/bin/bash\nexec >>{log} 2>&1\n"
        f"export {TASK}={folder.name}/$1 {BEGAN}=$(date +%s)\n{setup}"
        f'mapfile -t jobs < <(sed -n "$(({first})),$(({last}))p" {trials})\n'
        f'exec {shlex.quote(load.python)} -m pytest_mitosis.run "${{jobs[@]}}"\n'
    )
