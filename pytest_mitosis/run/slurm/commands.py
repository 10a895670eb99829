"""Slurm's own commands: sbatch, squeue, scancel, and scontrol and sacct to explain an end.

Works without accounting. Runs in the process that submits trials, on a node, and in the command
line tool; must not know what a trial is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from pytest_mitosis.model import PlanError
from pytest_mitosis.run.cluster.scheduler import SECONDS, Facts, Queued, SchedulerError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NEEDED = ("sbatch", "squeue")
_FIELDS = "%F|%K|%T|%N|%j|%r"


class SlurmError(SchedulerError):
    """A command of Slurm's refused, in its words."""


def task_id(job: str, task: str | int) -> str:
    """``12_3``, as Slurm's commands take it."""
    return f"{job}_{task}"


def require_cluster(launcher: str) -> None:
    """Make sure that trials can be handed over from here.

    Raises
    ------
    PlanError
        If Slurm is not installed, or its controller does not answer.
    """
    if lacking := [name for name in NEEDED if shutil.which(name) is None]:
        raise PlanError(
            f"--exp-launcher {launcher} needs Slurm, and there is no {' and no '.join(lacking)} "
            "here: run on a login node of the cluster, write scripts for one with --exp-generate, "
            "or run on this machine with --exp-launcher kernel"
        )
    try:
        queue()
    except SlurmError as error:
        raise PlanError(
            f"Slurm does not answer, so nothing was submitted (what it has runs on): {error}"
        ) from None


def submit(script: Path) -> str:
    """Hand a script over; the number of its job.

    Raises
    ------
    SlurmError
        If it is refused.
    """
    return _run("sbatch", "--parsable", str(script)).strip().partition(";")[0]


def queue(*, everyone: bool = False) -> dict[str, Queued]:
    """The tasks that wait or run, by id; one call, whatever their number.

    Raises
    ------
    SlurmError
        If the controller does not answer.
    """
    whose = () if everyone else ("-u", str(os.getuid()))
    found = {}
    for line in _run("squeue", "-h", "-r", *whose, "-o", _FIELDS).splitlines():
        job, task, state, node, name, reason = line.split("|", 5)
        one = Queued(task_id(job, task), state, reason.strip("()"), node, job, name)
        found[one.id] = one
    return found


def facts_of(task: str) -> Facts:
    """What Slurm knows of a task, ended or not: from its controller, else from its accounting."""
    try:
        shown = _run("scontrol", "-o", "show", "job", task)
    except SlurmError:
        return _accounted(task)
    known: dict[str, str] = dict(re.findall(r"(\w+)=(\S*)", shown.splitlines()[0] if shown else ""))
    return Facts(
        known.get("JobState", ""),
        _reason(known.get("Reason", "")),
        known.get("ExitCode", ""),
        (known.get("BatchHost") or known.get("NodeList") or "").replace("(null)", ""),
        int(known.get("Restarts", 0)),
    )


def cancel(tasks: Iterable[str]) -> None:
    """End tasks, waiting or running; those that Slurm does not know any more have ended.

    Raises
    ------
    SlurmError
        If the controller does not answer.
    """
    given = list(tasks)
    if given:
        try:
            _run("scancel", *given)
        except SlurmError as error:
            if "Invalid job id" not in str(error):
                raise


def requeue(task: str) -> None:
    """Put a running task back into the queue.

    Raises
    ------
    SlurmError
        If that is not allowed.
    """
    _run("scontrol", "requeue", task)


def _accounted(task: str) -> Facts:
    try:
        lines = _run("sacct", "-n", "-P", "-X", "-j", task, "-o", "State,ExitCode,NodeList")
    except SlurmError:
        return Facts()
    for line in lines.splitlines():
        state, code, node = line.split("|")
        return Facts(state.partition(" ")[0], "", code, node)
    return Facts()


def _reason(text: str) -> str:
    return "" if text in {"None", "(null)"} else text


def _run(*command: str) -> str:
    # What users set for their own eyes would hide tasks here.
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("SQUEUE_", "SACCT_"))}
    try:
        done = subprocess.run(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise SlurmError(
            f"{command[0]} was not found: is this a login node of a cluster?"
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]} did not answer in {SECONDS:g} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        words = re.sub(r"^\w+: (error|fatal): ", "", said[-1]) if said else "no reason given"
        if len(said) > 1 and "Batch job submission failed" not in words:
            words = "; ".join(re.sub(r"^\w+: (error|fatal): ", "", line) for line in said)
        raise SlurmError(f"{command[0]}: {words}")
    return done.stdout
