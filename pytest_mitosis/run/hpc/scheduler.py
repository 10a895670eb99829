"""The schedulers that PSI/J speaks to, as one of ours: each task is a job for itself.

psij is never imported here: that would set a handler for SIGCHLD and start threads. A helper
process with a session of its own speaks for us, one for each question.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError
from pytest_mitosis.run.cluster.scheduler import SECONDS, Facts, Queued, SchedulerError
from pytest_mitosis.run.hpc.wishes import SPEC, limit_of, write_wishes
from pytest_mitosis.store.batches import IDS, WORK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_mitosis.plan.sites import Site
    from pytest_mitosis.run.cluster.scheduler import Load
    from pytest_mitosis.store.batches import Batch, Place

TITLES = {"pbs": "PBS", "pbs_classic": "PBS", "lsf": "LSF", "flux": "Flux", "slurm": "Slurm"}
OWN_IDS = ("PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID", "SLURM_JOB_ID")
"""What schedulers call the variable with a job's id."""
EACH_SECONDS = 10.0
"""How long a scheduler may take for each of several jobs."""
HELP = "pytest_mitosis.run.hpc.helper"
INSTALL = "pip install 'pytest-mitosis[hpc]'"
SIGNALLED = 128
"""A shell adds it to the number of the signal that killed a process."""
STATES = {"QUEUED": "PENDING", "ACTIVE": "RUNNING"}


@dataclass(eq=False)
class PsijScheduler:
    """Speaks to the scheduler of one of PSI/J's executors."""

    executor: str
    _ended: dict[str, Facts] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The scheduler's own name."""
        return TITLES.get(self.executor, self.executor)

    def require_cluster(self, launcher: str) -> None:
        """Make sure that psij is installed, and the scheduler's commands are."""
        needs = f"--exp-launcher {launcher} needs"
        if not is_installed():
            raise PlanError(f"{needs} psij-python: {INSTALL}")
        try:
            self._ask("check")
        except SchedulerError as error:
            raise PlanError(f"{needs} {self.title}, so nothing was submitted: {error}") from None

    def record(self, site: Site, load: Load) -> dict[str, Any]:
        """Which executor has the batch, and the time limit that its tasks warn their trials of."""
        return {"executor": self.executor, "limit": limit_of(site, load)}

    def prepare(self, folder: Path, site: Site, load: Load) -> None:
        """Write the script of all tasks and what PSI/J is to ask for."""
        write_wishes(folder, site, load)

    def submit(self, batch: Batch) -> str:
        """Submit each task; the helper writes down their ids one by one, should we die."""
        spec = json.loads((batch.folder / SPEC).read_text("utf-8"))
        tasks = int(spec["tasks"])
        self._ask("submit", SECONDS + EACH_SECONDS * tasks, folder=str(batch.folder), **spec)
        return self.find(batch)

    def find(self, batch: Batch) -> str:
        """The first and the last of a batch's jobs."""
        ids = _ids(batch.folder)
        return " … ".join(dict.fromkeys((ids[0], ids[-1]))) if ids else ""

    def task_of(self, folder: Path, job: str, task: int) -> str:
        """The scheduler's own id of a job."""
        ids = _ids(folder)
        return ids[task] if task < len(ids) else ""

    def queue(self, places: Mapping[str, Place]) -> dict[str, Queued]:
        """Those of ``places`` that wait or run; how others ended is kept for `facts_of`."""
        if not places:
            return {}
        marks = {task: mark(place.batch, place.task) for task, place in places.items()}
        found = {}
        for task, (state, why) in self._ask("queue", tasks=marks).items():
            if state in STATES:
                found[task] = Queued(task, STATES[state], why)
            else:
                self._ended[task] = Facts(state, why)
        return found

    def facts_of(self, task: str, folder: Path) -> Facts:
        """What was said of it when it was last asked for, and how its process ended.

        The scripts that PSI/J writes end well whatever they ran, and leave its exit code in a file.
        """
        found = self._ended.get(task, Facts())
        code = exit_code(folder / WORK / self.executor / f"{task}.ec")
        if not code or found.state not in {"", "COMPLETED"}:
            return found
        said = f"0:{code - SIGNALLED}" if code > SIGNALLED else f"{code}:0"
        return replace(found, state="FAILED", code=said)

    def cancel(self, tasks: Iterable[str]) -> None:
        """End jobs, waiting or running."""
        if given := list(tasks):
            answer = self._ask("cancel", SECONDS + EACH_SECONDS * len(given), tasks=given)
            if refused := answer["refused"]:
                raise SchedulerError("; ".join(dict.fromkeys(refused.values())), refused)

    def requeue(self, task: str) -> None:
        """Refuse: PSI/J has no word for it."""
        raise SchedulerError(f"PSI/J cannot put {task} back into a queue")

    def this_task(self) -> str:
        """The id that the scheduler gave, or the process that PSI/J started here."""
        given = next((os.environ[one] for one in OWN_IDS if os.environ.get(one)), "")
        return given if self.executor != "local" else f"{os.getppid()}@{socket.gethostname()}"

    def is_requeued(self) -> bool:
        """Never, as far as PSI/J can tell."""
        return False

    def _ask(self, what: str, seconds: float = SECONDS, **facts: Any) -> dict[str, Any]:
        """The helper's answer to a question.

        Raises
        ------
        SchedulerError
            If it has none.
        """
        if not is_installed():
            raise SchedulerError(f"psij-python is not installed here: {INSTALL}")
        asked = json.dumps({**facts, "ask": what, "executor": self.executor})
        try:
            done = subprocess.run(
                [sys.executable, "-m", HELP],
                input=asked,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise SchedulerError(f"{self.title} did not answer in {seconds:g} s") from None
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise SchedulerError(f"psij failed: {said[-1]}") from None
        if "error" in answer:
            raise SchedulerError(str(answer["error"]))
        return answer


def is_installed() -> bool:
    """Whether psij is there; it is not imported."""
    return importlib.util.find_spec("psij") is not None


def exit_code(file: Path) -> int:
    """What a file of PSI/J's says; 0 if there is none."""
    try:
        return int(file.read_text("utf-8"))
    except (OSError, ValueError):
        return 0


def mark(batch: str, task: int) -> str:
    """What a task's processes carry in their environment."""
    return f"{batch}/{task}"


def _ids(folder: Path) -> list[str]:
    try:
        text = (folder / IDS).read_text("utf-8")
    except OSError:
        return []
    return text[: text.rfind("\n") + 1].splitlines()
