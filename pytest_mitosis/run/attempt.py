"""One trial under way, from the start of its process to what became of it.

Here time-outs, stops and deaths are told apart. Runs on the launcher's loop; knows one job and one
folder, neither pytest nor other trials.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import signal
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Failure, Outcome, Status
from pytest_mitosis.run.kernel import INTERRUPTED, KernelRun, TrialFailed
from pytest_mitosis.run.notebook import TrialNotebook, build_notebook
from pytest_mitosis.run.outputs import save_notebook
from pytest_mitosis.run.process import ProcessFailed, explain_death, heartbeat, output_of
from pytest_mitosis.run.sharing import Sharing
from pytest_mitosis.store.folder import now

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.run.launcher import Order
    from pytest_mitosis.run.process import Engine, TrialProcess

FILES = "files"
GRACE_SECONDS = 5.0
"""How long an experiment that is stopped may save what it has."""
DRAIN_SECONDS = 0.2
TOLD_SECONDS = 5.0


@dataclass
class Attempt:
    """Runs an order in a process of an engine.

    A failing experiment is an outcome, not an exception.
    """

    order: Order
    engine: Engine
    grace: float = GRACE_SECONDS
    settle: float = 0.0
    """How long what can wait is to wait once the process is up, as others begin as well."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    gone: concurrent.futures.Future[None] = field(default_factory=concurrent.futures.Future)
    """Done once the process has ended, while the trial is still to be recorded."""
    _opened: asyncio.Event = field(default_factory=asyncio.Event)
    _started: float = field(default_factory=time.perf_counter)
    _process: TrialProcess | None = None
    _sharing: Sharing = field(init=False)
    run: KernelRun | None = None
    stopped_as: tuple[Status, Failure] = (Status.INTERRUPTED, INTERRUPTED)
    """What it ends as if it is stopped."""
    is_told: Callable[[], bool] = lambda: False
    """Whether the trial's process is told to stop by others than this one, a scheduler say."""

    _deadline: float | None = None

    def stop(self) -> None:
        """End it as interrupted; the experiment has a moment to save what it has."""
        self._stop.set()

    async def outcome(self) -> tuple[Outcome, TrialNotebook]:
        """Run the job and say what became of it; artifacts are in the trial's folder.

        Raises
        ------
        OSError
            If this or the trial's process could not write to the folder (a full disk, say).
        """
        job, folder = self.order.job, self.order.folder
        started = now()
        order = self.order
        self._sharing = Sharing.of(order.job, order.folder, order.store, order.judge)
        (folder / FILES).mkdir(exist_ok=True)
        built = build_notebook(job, self.order.facts)
        save_notebook(built.notebook, folder)
        async with heartbeat(folder):
            status, failure = await self._drive(built)
            self.gone.set_result(None)
        duration = round(time.perf_counter() - self._started, 6)
        outcome = Outcome(status, started, now(), duration, failure=failure)
        return self.run.told(outcome) if self.run is not None else outcome, built

    async def _drive(self, built: TrialNotebook) -> tuple[Status, Failure | None]:
        """Race the cells against the clock, the stop and the process's death."""
        whole = asyncio.ensure_future(self._in_process(built))
        stop = asyncio.ensure_future(self._stop.wait())
        ready = asyncio.ensure_future(self._opened.wait())
        try:
            first = asyncio.FIRST_COMPLETED
            # How long a process takes to come up is not the experiment's time.
            await asyncio.wait({whole, stop, ready}, return_when=first)
            while ready.done() and not (whole.done() or stop.done() or self._is_late()):
                left = None if self._deadline is None else self._deadline - time.perf_counter()
                await asyncio.wait({whole, stop}, timeout=left, return_when=first)
            if whole.done() and not await self._was_told(whole, stop):
                failure = whole.result()
                return (Status.CRASHED if failure else Status.DONE), failure
            ending = self._ending()
            await self._end(whole)
        finally:
            stop.cancel()
            ready.cancel()
        shown = self.run or self._unseen(built)
        shown.show(ending[1])
        return ending

    async def _was_told(
        self, whole: asyncio.Future[Failure | None], stop: asyncio.Future[Any]
    ) -> bool:
        """Whether the cells ended because a scheduler told their process to stop.

        The same is about to be told here; what an experiment returns then is no result.
        """
        failure = whole.result()
        by_signal = failure is not None and failure.type == "KeyboardInterrupt"
        if by_signal or self.is_told():
            await asyncio.wait({stop}, timeout=TOLD_SECONDS)
        return self._stop.is_set() and (by_signal or self.is_told())

    def _extend(self, seconds: float) -> None:
        """Time spent waiting for another trial is not this one's."""
        if self._deadline is not None:
            self._deadline += seconds

    def _is_late(self) -> bool:
        return self._deadline is not None and time.perf_counter() >= self._deadline

    def _ending(self) -> tuple[Status, Failure]:
        if self._stop.is_set():
            return self.stopped_as
        words = f"the trial took longer than its time-out of {self.order.job.timeout:g} s"
        return Status.TIMEOUT, Failure("Timeout", words)

    async def _end(self, whole: asyncio.Future[Failure | None]) -> None:
        """SIGTERM, a moment to save, then SIGKILL: the process context does that."""
        if self.run is not None and self._process is not None:
            self.run.stopped = True
            if not self.is_told():
                self._process.send(signal.SIGTERM)
            await asyncio.wait({whole}, timeout=self.grace)
        whole.cancel()
        await asyncio.wait({whole})
        if not whole.cancelled() and isinstance(error := whole.exception(), OSError):
            raise error

    async def _in_process(self, built: TrialNotebook) -> Failure | None:
        job, folder = self.order.job, self.order.folder
        job = replace(job, environment={**self.order.variables, **job.environment})
        try:
            async with self.engine.open(job, folder, built) as opened:
                self._process = opened.process
                run = KernelRun(job, folder, built, opened.cells, self._sharing, self._extend)
                run.begins_with = opened.begins_with
                self.run = run
                self._started = time.perf_counter()
                if job.timeout is not None:
                    self._deadline = self._started + job.timeout
                self._opened.set()
                asyncio.get_running_loop().call_later(self.settle, self.is_up.set)
                return await self._until_dead(run, opened.process)
        except ProcessFailed as error:
            failure = error.failure
            self.run = self._unseen(built)
            self.run.show(failure)
            return failure

    def _unseen(self, built: TrialNotebook) -> KernelRun:
        """The cells of a process that never came up."""
        job, folder = self.order.job, self.order.folder
        return KernelRun(job, folder, built, _Unseen(built, self.order), self._sharing)

    async def _until_dead(self, run: KernelRun, process: TrialProcess) -> Failure | None:
        cells: asyncio.Future[Any] = asyncio.ensure_future(_run_to_end(run))
        try:
            await asyncio.wait([cells, process.died], return_when=asyncio.FIRST_COMPLETED)
            if not cells.done():  # what it said before it died may be on its way
                await asyncio.wait({cells}, timeout=DRAIN_SECONDS)
            if cells.done():
                failure: Failure | None = cells.result()
                return failure
        finally:
            cells.cancel()
            await asyncio.wait({cells})
            if not cells.cancelled():
                cells.exception()  # asked for, or asyncio logs that nobody did
        death = explain_death(process.died.result(), output_of(run.folder))
        run.show(death)
        return death


@dataclass
class _Unseen:
    """Stands in for the cells of a process that never came up."""

    built: TrialNotebook
    order: Order
    step: str = "setup"

    async def run(self, index: int) -> None:
        raise NotImplementedError

    async def ask(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def save(self) -> None:
        save_notebook(self.built.notebook, self.order.folder)


async def _run_to_end(run: KernelRun) -> Failure | None:
    failure = None
    try:
        await run.execute()
    except TrialFailed as end:
        failure = end.failure
    try:
        await run.finish()
    except TrialFailed as end:
        return failure or end.failure
    return failure
