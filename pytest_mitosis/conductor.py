"""Has trials run and waits for them, in the pytest process they belong to.

Knows how many may run at once and which are under way; which item is next is the schedule's
business (:mod:`pytest_mitosis.schedule`).
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_mitosis.live import Live, Running
from pytest_mitosis.model import Status, StoreError
from pytest_mitosis.store.batches import place_of
from pytest_mitosis.store.folder import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from pytest_mitosis.allotment import Allotment
    from pytest_mitosis.model import Outcome, Trial
    from pytest_mitosis.run.launcher import Handle, Launcher, Order
    from pytest_mitosis.session import ExperimentSession

TICK = 0.5
"""Seconds between two looks at what cannot wake us: other sessions' trials, the live lines."""
PATIENCE = 30.0
"""Seconds that trials have to end once their launcher has failed."""


@dataclass
class Conductor:
    """The trials of this session that are under way."""

    session: ExperimentSession
    under_way: list[Handle] = field(default_factory=list)
    running: dict[Path, Running] = field(default_factory=dict)
    allotted: dict[Path, Allotment] = field(default_factory=dict)
    fault: Exception | None = None  # what the launcher raised when it was waited for
    while_waiting: Callable[[], None] = lambda: None  # the schedule starts more meanwhile
    to_come: Callable[[], int] = lambda: 0  # how many more the schedule may start
    holds_back: bool = False  # none starts in another's place before that one is recorded

    @property
    def launcher(self) -> Launcher:
        """What runs the trials; closed when the session ends."""
        return self.session.launcher

    @cached_property
    def live(self) -> Live:
        """Shows what is under way."""
        return Live(self.session)

    @property
    def free(self) -> int:
        """How many more trials may start."""
        if self.session.site is not None:
            return 1  # the cluster's queue has room for all
        jobs = self.session.jobs
        running = [one for one in self.under_way if self.holds_back or not _is_gone(one)]
        # Those to be recorded need no slot, but shall not pile up behind slow pages.
        return min(jobs - len(running), 2 * jobs - len(self.under_way))

    def allot(self, order: Order, allotment: Allotment) -> None:
        """Keep what a trial has of the machine until it ends."""
        self.allotted[order.folder] = allotment

    def start(self, order: Order) -> Handle:
        """Have a begun trial run, while others do; what the launcher raises is its end.

        Raises
        ------
        StoreError
            If the store cannot be written.
        """
        try:
            self._announce()
            handle = self.launcher.submit(order)
        except BaseException as error:
            self._give_back(order.folder)
            if not isinstance(error, Exception):
                raise
            return _not_taken(order, error)
        usual = self.live.usual(order.job.experiment)
        # Launchers that hand trials to a queue can say what one waits for there.
        waits = getattr(handle, "waits", None)
        began = self.live.clock()
        self.running[order.folder] = Running(order.job, order.folder, began, usual, waits)
        self.under_way.append(handle)
        return handle

    def _announce(self) -> None:
        """Let a launcher of ours that can prepare processes know how many trials come next."""
        from pytest_mitosis.run.loop import LoopLauncher

        if isinstance(self.launcher, LoopLauncher) and self.session.jobs > 1:
            ahead = not self.holds_back
            self.launcher.expect(self.to_come(), self.session.jobs, ahead=ahead)

    def run(self, order: Order) -> tuple[Trial, Outcome]:
        """Run a begun trial to its end; on Ctrl-C to its end as interrupted."""
        handle = self.start(order)
        try:
            while handle in self.under_way:
                self.while_waiting()
                self.wait(TICK)
        except KeyboardInterrupt:
            if len(self.under_way) > 1 or self.session.site is not None:  # the schedule's part
                raise
            self.stop()
        except Exception:
            if self.fault is not None:
                self.stop()
            raise
        return handle.result()

    def wait(self, seconds: float) -> list[Handle]:
        """Those that ended; waits a while for the first, with the lines of all on the terminal."""
        self.live.show(list(self.running.values()) if seconds else ())
        try:
            ended = self.launcher.wait(self.under_way, seconds)
        except Exception as error:
            self._keep(error)
            raise
        finally:
            self.live.hide()
        self.under_way = [one for one in self.under_way if one not in ended]
        for one in filter(_is_gone, self.under_way):
            self._give_back(one.order.folder)
        for one in ended:
            done = self.running.pop(one.order.folder)
            self.live.learn(done.job.experiment, self.live.clock() - done.started)
            self._give_back(one.order.folder)
        return ended

    def _give_back(self, folder: Path) -> None:
        if allotment := self.allotted.pop(folder, None):
            self.session.allotments.give_back(allotment)

    def rest(self, seconds: float) -> None:
        """Spend time while another session is at a trial."""
        self.while_waiting()
        if self.under_way:
            self.wait(seconds)
        else:
            time.sleep(seconds)

    def wait_for_a_slot(self) -> None:
        """Return once one more trial may start."""
        while self.free < 1:
            self.wait(TICK)

    def leave(self) -> None:
        """Wait for none of the trials under way any more; they run on, on a cluster."""
        leave = getattr(self.launcher, "leave", None)
        if leave is not None:
            leave(self.under_way)
        self.live.hide()

    def stop(self) -> Collection[Handle]:
        """Interrupt all trials under way, wait until each is recorded, and return them.

        Those that a launcher lost when it failed are recorded as crashed.
        """
        self.live.hide()
        stopped, deadline = list(self.under_way), time.monotonic() + PATIENCE
        for handle in stopped:
            try:
                self.launcher.cancel(handle)
            except Exception as error:
                self._keep(error)
        while self.under_way and (self.fault is None or time.monotonic() < deadline):
            try:
                self.wait(TICK)
            except Exception:  # kept as the fault
                time.sleep(TICK)
        self._write_off()
        self.fault = None
        return stopped

    def _keep(self, error: Exception) -> None:
        if self.fault is None:
            words = f"the launcher failed ({type(error).__name__}: {error})"
            self.session.say(f"{words}; trials under way are ended")
        self.fault = error

    def _write_off(self) -> None:
        """Wait no more for those that are still under way, and record what no cluster has."""
        from pytest_mitosis.run.refused import record_failed

        lost, self.under_way = self.under_way, []
        for handle in lost:
            folder = handle.order.folder
            self.running.pop(folder, None)
            self._give_back(folder)
            with contextlib.suppress(OSError, StoreError):
                if place_of(folder) is None and read_manifest(folder)["status"] == Status.RUNNING:
                    assert self.fault is not None
                    record_failed(folder, self.fault)


def _is_gone(handle: Handle) -> bool:
    """Whether the trial's process has ended; where a launcher cannot say, whether all has."""
    return getattr(handle, "is_gone", handle.is_done)()


def _not_taken(order: Order, error: Exception) -> Handle:
    from pytest_mitosis.run.refused import NotTaken, record_failed

    if isinstance(error, StoreError):
        with contextlib.suppress(OSError, StoreError):
            record_failed(order.folder, error)
        raise error
    return NotTaken(order, record_failed(order.folder, error))
