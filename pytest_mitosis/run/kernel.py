"""The cells of one trial, driven from first to last, whatever kind of process runs them.

Runs in the process that started the trial (pytest, or ``python -m pytest_mitosis.run``). Knows a
job and a folder; knows neither pytest nor other trials nor what a process is.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nbformat import v4

from pytest_mitosis.model import (
    NOT_REPRODUCIBLE,
    Failure,
    Finding,
    Job,
    Kind,
    Outcome,
)
from pytest_mitosis.run.notebook import (
    SETUP_CELL,
    TrialNotebook,
    call_source,
    result_source,
    setup_source,
)
from pytest_mitosis.run.outputs import CellFailed, Cells
from pytest_mitosis.store.folder import takes_seed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_mitosis.run.sharing import Sharing

INTERRUPTED = Failure("Interrupted", "stopped before it ended")
_LONGEST_MESSAGE = 2000
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class TrialFailed(Exception):  # noqa: N818  not an error of ours: how a trial ended
    """Ends the cells of a trial."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class UnwrittenError(OSError):
    """The trial's process could not write; ``rescued`` is where it left a result instead."""

    def __init__(self, *told: Any, rescued: str = "") -> None:
        super().__init__(*told)
        self.rescued = rescued


@dataclass
class KernelRun:
    """One trial under way: its cells, the hidden requests between them, and what they told."""

    job: Job
    folder: Path
    built: TrialNotebook
    cells: Cells
    sharing: Sharing
    on_wait: Callable[[float], None] = lambda _: None
    metrics: dict[str, Any] = field(default_factory=dict)
    has_metrics: bool = False
    supported: bool | None = None
    notes: list[str] = field(default_factory=list)
    proven: bool = False
    unproven: dict[str, Any] = field(default_factory=dict)
    survey: dict[str, Any] = field(default_factory=dict)
    ending: dict[str, Any] = field(default_factory=dict)
    place: int = SETUP_CELL  # if nothing ran
    stopped: bool = False
    unwritten: OSError | None = None
    begins_with: dict[str, Any] = field(default_factory=dict)

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
            **self.begins_with,
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
            cells.append(v4.new_code_cell(source, id=f"cell-{len(cells)}"))
            await self._cell(len(cells) - 1)

    async def finish(self) -> None:
        """Have the process tell which code it ran and what it used."""
        step = self.cells.step if self.place >= self.built.run_cells[0] else ""
        self.ending = await self._ask("finish", root=self.job.root, step=step)
        self.notes += self.ending["notes"]
        # What was first imported by a step was seeded then; a rerun of the cells does it here.
        cell = self.built.notebook.cells[SETUP_CELL]
        cell.source = setup_source(self.job, self.ending["seeded"])

    def show(self, failure: Failure) -> None:
        """Put a failure that is no exception of the experiment's below the cell it ended."""
        output = v4.new_output(
            "error",
            ename=failure.type,
            evalue=failure.message,
            traceback=[f"{failure.type}: {failure.message}"],
        )
        self.built.notebook.cells[self.place].setdefault("outputs", []).append(output)
        self.cells.save()

    def told(self, outcome: Outcome) -> Outcome:
        """``outcome`` with what the trial's process told so far."""
        findings = tuple(Finding(**one) for one in self.ending.get("randomness", ()))
        failed = outcome.failure is not None and outcome.failure.type == "AssertionError"
        outcome = replace(
            outcome,
            metrics=self.metrics,
            supported=False if failed and self.job.hypothesis else self.supported,
            notes=(*outcome.notes, *self.notes, *(found.text for found in findings)),
            randomness=findings,
            proven=self.proven,
            unproven=self.unproven,
            cpu_s=self.ending.get("cpu_s"),
            peak_memory=self.ending.get("peak_memory"),
            code=self.ending.get("code", {}),
            files=tuple(self.ending.get("files", ())),
            environment=self.survey.get("environment", {}),
            scheduler=self.survey.get("scheduler", {}),
        )
        return self.sharing.complete(outcome)

    async def _steps(self) -> None:
        """Run the steps in order, but for those that another trial has run already."""
        index, has_data = 0, True
        while index < len(self.job.steps):
            done = await self.sharing.obtain(index, self.on_wait) if self.sharing else index
            if done > index:
                has_data = await self._adopt(index, done)
                index = done
                continue
            async with self.sharing.running():
                has_data = await self._step(index, has_data=has_data)
            index += 1

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
            output = v4.new_output("stream", name="stdout", text=text)
            self.built.notebook.cells[self.built.run_cells[index]]["outputs"] = [output]
        self.cells.save()
        return has_data

    async def _offer(self, index: int, seconds: float, kept: dict[str, Any], changed: str) -> None:
        """Hand what a step left to other trials, if it is this one's turn to."""
        if not self.sharing.has_turn:
            return
        step, variable = self.job.steps[index], self.built.names[index].result
        unsaved = kept["unsaved"]
        why_not = f"{unsaved[0]} of its result could not be kept" if unsaved else changed
        offered = await self._ask(
            "offer",
            index=index,
            step=step.name,
            variable=variable,
            root=self.job.root,
            why_not=why_not,
        )
        await self.sharing.finish(index, seconds, {**offered, "pickled": kept["pickled"]})

    async def _step(self, index: int, *, has_data: bool) -> bool:
        step, place = self.job.steps[index], self.built.run_cells[index]
        names, last = self.built.names[index], index == len(self.job.steps) - 1
        self.cells.step = step.name
        if step.data and not has_data and step.data_optional:
            source = call_source(self.built, self.job, index, with_data=False)
            self.built.notebook.cells[place].source = source
        clock = time.perf_counter()
        await self._cell(place)
        seconds = round(time.perf_counter() - clock, 6)
        reply = await self._ask("keep", step=step.name, variable=names.result, last=last)
        if self.unwritten is not None:
            raise self.unwritten
        self.notes += reply["notes"]
        self.metrics, self.has_metrics = reply["metrics"], reply["has_metrics"]
        problem = reply["problem"]
        following = None if last else self.job.steps[index + 1]
        if not problem and following and not reply["has_data"] and not following.data_optional:
            problem = f"{step.name} returned no 'data', which {following.name} takes"
        if last and self.job.hypothesis and not problem:
            problem = await self._check(names.result)
        if problem:
            self.show(Failure("ResultError", problem))
            raise TrialFailed(Failure("ResultError", problem))
        if self.stopped:  # what the step still returned is kept, but no other step begins
            raise TrialFailed(INTERRUPTED)
        changed = [
            f"{step.name}.{parameter} was changed by the experiment as it ran"
            for parameter in await self._differing(index)
        ]
        self.notes += changed
        await self._offer(index, seconds, reply, *changed[:1] or [""])
        return bool(reply["has_data"])

    async def _check(self, variable: str) -> str:
        """Ask whether the result supports the hypothesis; why that could not be asked."""
        actions = [names.action for names in self.built.names]
        reply = await self._ask("check", actions=actions, variable=variable)
        self.supported = reply["supported"]
        return str(reply["problem"])

    async def _cell(self, index: int) -> None:
        self.place = index
        if self.stopped:
            raise TrialFailed(INTERRUPTED)
        try:
            await self.cells.run(index)
        except CellFailed as error:
            frames = (await self._ask("explain"))["frames"]
            message = _ANSI.sub("", error.message)[:_LONGEST_MESSAGE]
            raise TrialFailed(Failure(error.name, message, frames)) from None
        finally:
            # One that shows nothing is saved with the next that does, or at the trial's end.
            if self.built.notebook.cells[index].get("outputs"):
                self._save()

    def _save(self) -> None:
        """Write the notebook; a full disk ends the trial only after the result is safe."""
        try:
            self.cells.save()
        except OSError as error:
            self.unwritten = error

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
        reply = await self._ask(
            "prove", variable=variable, digests=digests, hooks=list(self.job.describe)
        )
        found: dict[str, Any] = reply["differ"]
        return found

    async def _ask(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Run a function of :mod:`pytest_mitosis.run.inside` in the trial's process, unseen."""
        try:
            reply = await self.cells.ask(function, arguments)
        except CellFailed as error:
            words = f"the trial's process cannot work with pytest-mitosis: {error.message}"
            raise TrialFailed(Failure(error.name, words)) from None
        if "os_error" in reply:
            raise UnwrittenError(*reply["os_error"], rescued=reply.get("rescued", ""))
        if "error" in reply:
            raise TrialFailed(Failure("RuntimeError", reply["error"], reply["traceback"]))
        return reply
