"""Slurm as one of the schedulers: a batch is one job array."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.run.slurm import commands
from pytest_mitosis.run.slurm.commands import SlurmError, task_id
from pytest_mitosis.run.slurm.script import Array, write_script
from pytest_mitosis.store.batches import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_mitosis.plan.sites import Site
    from pytest_mitosis.run.cluster.scheduler import Facts, Load, Queued
    from pytest_mitosis.store.batches import Batch, Place


@dataclass(frozen=True)
class Slurm:
    """Speaks to Slurm by its own commands."""

    title: str = "Slurm"

    def require_cluster(self, launcher: str) -> None:
        """Make sure that there is a controller and that it answers."""
        commands.require_cluster(launcher)

    def record(self, site: Site, load: Load) -> dict[str, Any]:
        """Nothing: a batch is Slurm's if it does not say otherwise."""
        return {}

    def prepare(self, folder: Path, site: Site, load: Load) -> None:
        """Write the script for sbatch."""
        array = Array(folder, load.trials, load.request, load.throttle, load.python, load.at_once)
        write_script(array, site)

    def submit(self, batch: Batch) -> str:
        """Submit the script; the number of its job."""
        return commands.submit(batch.folder / SCRIPT)

    def find(self, batch: Batch) -> str:
        """The number of a batch's job, asked for by its name; empty if there is none."""
        with contextlib.suppress(SlurmError):
            queued = commands.queue().values()
            return next((one.job for one in queued if one.name == batch.id), "")
        return ""

    def task_of(self, folder: Path, job: str, task: int) -> str:
        """``12_3``."""
        return task_id(job, task) if job else ""

    def queue(self, places: Mapping[str, Place]) -> dict[str, Queued]:
        """All tasks of the user, with one squeue."""
        return commands.queue()

    def facts_of(self, task: str, folder: Path) -> Facts:
        """What the controller knows, or the accounting."""
        return commands.facts_of(task)

    def cancel(self, tasks: Iterable[str]) -> None:
        """End tasks with scancel."""
        commands.cancel(tasks)

    def requeue(self, task: str) -> None:
        """Put a task back with scontrol."""
        commands.requeue(task)

    def this_task(self) -> str:
        """The id in the variables that Slurm sets."""
        array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID", "") for name in ("JOB", "TASK"))
        return task_id(array, task) if array else os.environ.get("SLURM_JOB_ID", "")

    def is_requeued(self) -> bool:
        """Whether Slurm counts one more restart than this process was told of."""
        facts = commands.facts_of(self.this_task())
        return facts.restarts > int(os.environ.get("SLURM_RESTART_COUNT") or 0)
