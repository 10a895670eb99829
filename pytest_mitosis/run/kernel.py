"""The default launcher: a Jupyter kernel of its own for each trial, driven by nbclient.

Runs in the process that started the trial (pytest, or ``python -m pytest_mitosis.run``). Knows a
job and a folder; knows neither pytest nor other trials.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient.exceptions import CellExecutionError, DeadKernelError

from pytest_mitosis.model import (
    NOT_REPRODUCIBLE,
    Failure,
    Finding,
    Job,
    Kind,
    Outcome,
    Status,
)
from pytest_mitosis.run import inside
from pytest_mitosis.run.notebook import (
    SETUP_CELL,
    TrialNotebook,
    call_source,
    result_source,
    setup_source,
)
from pytest_mitosis.run.outputs import TrialClient
from pytest_mitosis.run.process import cancel_on_signals, connect, explain_death, kernel_process
from pytest_mitosis.store.folder import now, takes_seed

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.run.sharing import Sharing

FILES = "files"
_LONGEST_MESSAGE = 2000
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class TrialFailed(Exception):  # noqa: N818  not an error of ours: how a trial ended
    """Ends the cells of a trial."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass
class KernelRun:
    """One trial under way: its cells, the hidden requests between them, and what they told."""

    job: Job
    folder: Path
    built: TrialNotebook
    client: TrialClient
    sharing: Sharing
    timeout: asyncio.Timeout
    metrics: dict[str, Any] = field(default_factory=dict)
    has_metrics: bool = False
    notes: list[str] = field(default_factory=list)
    proven: bool = False
    unproven: dict[str, Any] = field(default_factory=dict)
    survey: dict[str, Any] = field(default_factory=dict)
    ending: dict[str, Any] = field(default_factory=dict)
    place: int = SETUP_CELL  # if nothing ran

    async def execute(self) -> None:
        """Run all cells.

        Raises
        ------
        TrialFailed
            If a cell raises, or a step does not return what it owes.
        """
        await self._ask(
            "begin",
            debug=self.job.draft,
            sys_path=list(self.job.sys_path),
            root=self.job.root,
            seed=self.job.seed,
            has_seed=takes_seed(self.job),
        )
        first_run = self.built.run_cells[0]
        for index in range(first_run):
            await self._cell(index)
            if self.sharing and index in self.built.load_cells:
                await self._ask("mark")
        self.survey = await self._ask("survey")
        for index in range(len(self.job.steps)):
            await self._prove(index)
        self.proven = True
        await self._steps()
        cells = self.built.notebook.cells
        await self._cell(len(cells) - 1)
        if self.has_metrics:
            source = result_source(self.built.names[-1], "metrics")
            cells.append(nbformat.v4.new_code_cell(source, id=f"cell-{len(cells)}"))
            await self._cell(len(cells) - 1)

    async def finish(self) -> None:
        """Have the process tell which code it ran and what it used."""
        step = self.client.step if self.place >= self.built.run_cells[0] else ""
        self.ending = await self._ask("finish", root=self.job.root, step=step)
        # What was first imported by a step was seeded then; a rerun of the cells does it here.
        cell = self.built.notebook.cells[SETUP_CELL]
        cell.source = setup_source(self.job, self.ending["seeded"])
        self.client.save()

    def show(self, failure: Failure) -> None:
        """Put a failure that is no exception of the experiment's below the cell it ended."""
        output = nbformat.v4.new_output(
            "error",
            ename=failure.type,
            evalue=failure.message,
            traceback=[f"{failure.type}: {failure.message}"],
        )
        self.built.notebook.cells[self.place].setdefault("outputs", []).append(output)
        self.client.save()

    async def _steps(self) -> None:
        """Run the steps in order, but for those that another trial has run already."""
        index, has_data = 0, True
        while index < len(self.job.steps):
            done = await self.sharing.obtain(index, self._wait) if self.sharing else index
            if done > index:
                has_data = await self._adopt(index, done)
                index = done
                continue
            async with self.sharing.running():
                has_data = await self._step(index, has_data=has_data)
            index += 1

    def _wait(self, seconds: float) -> None:
        """Time spent waiting for another trial is not this one's."""
        deadline = self.timeout.when()
        if deadline is not None:
            self.timeout.reschedule(deadline + seconds)

    async def _adopt(self, first: int, end: int) -> bool:
        """Take over the results of steps ``first`` to ``end``, and say so where they would run."""
        has_data = False
        for index in range(first, end):
            step, variable = self.job.steps[index], self.built.names[index].result
            shared = self.sharing.taken[step.name]
            reply = await self._ask(
                "adopt", step=step.name, variable=variable, shared=str(shared.folder)
            )
            has_data = bool(reply["has_data"])
            text = (
                f"reused: trial {shared.trial} ran {step.name} with the same arguments, seed and "
                f"code; what it returned is loaded\n"
            )
            output = nbformat.v4.new_output("stream", name="stdout", text=text)
            self.built.notebook.cells[self.built.run_cells[index]]["outputs"] = [output]
        self.client.save()
        return has_data

    async def _offer(self, index: int, seconds: float, kept: dict[str, Any], changed: str) -> None:
        """Hand what a step left to other trials, if it is this one's turn to."""
        if not self.sharing.has_turn:
            return
        step, variable = self.job.steps[index], self.built.names[index].result
        unsaved = kept["unsaved"]
        why_not = f"{unsaved[0]} of its result could not be kept" if unsaved else changed
        offered = await self._ask(
            "offer", index=index, step=step.name, variable=variable, root=self.job.root
        )
        self.sharing.finish(index, seconds, {**offered, "pickled": kept["pickled"]}, why_not)

    async def _step(self, index: int, *, has_data: bool) -> bool:
        step, place = self.job.steps[index], self.built.run_cells[index]
        names, last = self.built.names[index], index == len(self.job.steps) - 1
        self.client.step = step.name
        if step.data and not has_data and step.data_optional:
            source = call_source(self.built, self.job, index, with_data=False)
            self.built.notebook.cells[place].source = source
        clock = time.perf_counter()
        await self._cell(place)
        seconds = round(time.perf_counter() - clock, 6)
        reply = await self._ask("keep", step=step.name, variable=names.result, last=last)
        self.notes += reply["notes"]
        self.metrics, self.has_metrics = reply["metrics"], reply["has_metrics"]
        problem = reply["problem"]
        following = None if last else self.job.steps[index + 1]
        if not problem and following and not reply["has_data"] and not following.data_optional:
            problem = f"{step.name} returned no 'data', which {following.name} takes"
        if problem:
            self.show(Failure("ResultError", problem))
            raise TrialFailed(Failure("ResultError", problem))
        changed = [
            f"{step.name}.{parameter} was changed by the experiment as it ran"
            for parameter in await self._differing(index)
        ]
        self.notes += changed
        await self._offer(index, seconds, reply, *changed[:1] or [""])
        return bool(reply["has_data"])

    async def _cell(self, index: int) -> None:
        self.place = index
        cell = self.built.notebook.cells[index]
        try:
            await self.client.async_execute_cell(cell, index)
        except CellExecutionError as error:
            frames = (await self._ask("explain"))["frames"]
            message = _ANSI.sub("", error.evalue)[:_LONGEST_MESSAGE]
            raise TrialFailed(Failure(error.ename, message, frames)) from None
        finally:
            self.client.save()

    async def _prove(self, index: int) -> None:
        differing = await self._differing(index)
        if differing:
            step = self.job.steps[index]
            self.unproven = {f"{step.name}.{name}": found for name, found in differing.items()}
            meant = {one.parameter: one.summary for one in step.arguments}
            words = "; ".join(
                f"{step.name}.{name} is {found.get('summary') or found.get('error')} "
                f"in the trial's process, but {meant[name]} when the trial was made"
                for name, found in differing.items()
            )
            raise TrialFailed(Failure(NOT_REPRODUCIBLE, words))

    async def _differing(self, index: int) -> dict[str, Any]:
        """Arguments whose description is not the parent's, with what is found instead."""
        digests = {
            one.parameter: one.digest
            for one in self.job.steps[index].arguments
            if one.digest and one.kind in {Kind.VARIANT, Kind.LITERAL}
        }
        if not digests:
            return {}
        variable = self.built.names[index].parameters
        reply = await self._ask("prove", variable=variable, digests=digests)
        found: dict[str, Any] = reply["differ"]
        return found

    async def _ask(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Run a function of :mod:`pytest_mitosis.run.inside` in the kernel, unseen."""
        answer = self.folder / inside.REPLY
        answer.unlink(missing_ok=True)
        code = (
            "__import__('pytest_mitosis.run.inside', fromlist=['call'])"
            f".call({function!r}, {str(self.folder)!r}, {arguments!r}, globals())"
        )
        cells = self.built.notebook.cells
        cells.append(nbformat.v4.new_code_cell(code))
        try:
            await self.client.async_execute_cell(cells[-1], len(cells) - 1, store_history=False)
        except CellExecutionError as error:
            words = f"the trial's process cannot work with pytest-mitosis: {error.evalue}"
            raise TrialFailed(Failure(error.ename, words)) from None
        finally:
            cells.pop()
        reply: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        answer.unlink()
        if "os_error" in reply:
            raise OSError(*reply["os_error"])
        if "error" in reply:
            raise TrialFailed(Failure("RuntimeError", reply["error"], reply["traceback"]))
        return reply


def run_in_kernel(job: Job, folder: Path, built: TrialNotebook, sharing: Sharing) -> Outcome:
    """Run ``job`` in a kernel and say what became of it; artifacts are in ``folder``.

    ``sharing`` says which steps others have run already.

    A failing experiment is an outcome, not an exception. Ctrl-C and SIGTERM give the status
    ``interrupted``; the caller decides whether to go on.

    Raises
    ------
    OSError
        If this or the trial's process could not write to ``folder`` (a full disk, say).
    """
    started, clock = now(), time.perf_counter()
    (folder / FILES).mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the user's filters are for the user's code
        status, failure, run = asyncio.run(_drive(job, folder, built, sharing))
    duration = round(time.perf_counter() - clock, 6)
    outcome = Outcome(status, started, now(), duration, failure=failure)
    if run is None:
        return outcome
    findings = tuple(Finding(**one) for one in run.ending.get("randomness", ()))
    outcome = replace(
        outcome,
        metrics=run.metrics,
        notes=(*run.notes, *(found.text for found in findings)),
        randomness=findings,
        proven=run.proven,
        unproven=run.unproven,
        cpu_s=run.ending.get("cpu_s"),
        peak_memory=run.ending.get("peak_memory"),
        code=run.ending.get("code", {}),
        files=tuple(run.ending.get("files", ())),
        environment=run.survey.get("environment", {}),
        scheduler=run.survey.get("scheduler", {}),
    )
    return sharing.complete(outcome)


async def _drive(
    job: Job, folder: Path, built: TrialNotebook, sharing: Sharing
) -> tuple[Status, Failure | None, KernelRun | None]:
    task = asyncio.current_task()
    assert task is not None
    run, failure = None, None
    timeout = asyncio.timeout(job.timeout)
    try:
        async with timeout:
            with cancel_on_signals(task):
                async with kernel_process(folder, job.cwd) as manager:
                    client = TrialClient(built.notebook, folder, manager)
                    run = KernelRun(job, folder, built, client, sharing, timeout)
                    failure = await _run_to_end(run)
    except (TimeoutError, asyncio.CancelledError):
        pass  # told apart below, as nbclient hides a cancelled cell behind a dead kernel
    ending = None
    if timeout.expired():
        words = f"the trial took longer than its time-out of {job.timeout:g} s"
        ending = Status.TIMEOUT, Failure("Timeout", words)
    elif task.cancelling():
        ending = Status.INTERRUPTED, Failure("Interrupted", "stopped before it ended")
    if ending is None:
        return Status.CRASHED if failure else Status.DONE, failure, run
    if run is not None:
        run.show(ending[1])
    return *ending, run


async def _run_to_end(run: KernelRun) -> Failure | None:
    failure = None
    try:
        run.client.save()
        run.client.kc = await connect(run.client.km)
        try:
            await run.execute()
        except TrialFailed as end:
            failure = end.failure
        await run.finish()
    except (DeadKernelError, RuntimeError):  # died while running, or before it was ready
        failure = explain_death(run.client.km, run.folder)
        run.show(failure)
    finally:
        if run.client.kc is not None:
            run.client.kc.stop_channels()
    return failure
