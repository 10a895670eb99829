"""Has trials run and waits for them, in the pytest process they belong to.

Knows how many may run at once and which are under way; which item is next is the schedule's
business (:mod:`pytest_mitosis.schedule`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_mitosis.live import Live, Running

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from pytest_mitosis.allotment import Allotment
    from pytest_mitosis.model import Outcome, Trial
    from pytest_mitosis.run.launcher import Handle, Launcher, Order
    from pytest_mitosis.session import ExperimentSession

TICK = 0.5
"""Seconds between two looks at what cannot wake us: other sessions' trials, the live lines."""


@dataclass
class Conductor:
    """The trials of this session that are under way."""

    session: ExperimentSession
    under_way: list[Handle] = field(default_factory=list)
    running: dict[Path, Running] = field(default_factory=dict)
    allotted: dict[Path, Allotment] = field(default_factory=dict)
    while_waiting: Callable[[], None] = lambda: None  # the schedule starts more meanwhile

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
        return self.session.jobs - len(self.under_way)

    def allot(self, order: Order, allotment: Allotment) -> None:
        """Keep what a trial has of the machine until it ends."""
        self.allotted[order.folder] = allotment

    def start(self, order: Order) -> Handle:
        """Have a begun trial run, while others do."""
        handle = self.launcher.submit(order)
        usual = self.live.usual(order.job.experiment)
        # Launchers that hand trials to a queue can say what one waits for there.
        waits = getattr(handle, "waits", None)
        began = self.live.clock()
        self.running[order.folder] = Running(order.job, order.folder, began, usual, waits)
        self.under_way.append(handle)
        return handle

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
        return handle.result()

    def wait(self, seconds: float) -> list[Handle]:
        """Those that ended; waits a while for the first, with the lines of all on the terminal."""
        self.live.show(list(self.running.values()) if seconds else ())
        try:
            ended = self.launcher.wait(self.under_way, seconds)
        finally:
            self.live.hide()
        self.under_way = [one for one in self.under_way if one not in ended]
        for one in ended:
            done = self.running.pop(one.order.folder)
            self.live.learn(done.job.experiment, self.live.clock() - done.started)
            if allotment := self.allotted.pop(one.order.folder, None):
                self.session.allotments.give_back(allotment)
        return ended

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
        """Interrupt all trials under way, wait until each is recorded, and return them."""
        stopped = list(self.under_way)
        for handle in stopped:
            self.launcher.cancel(handle)
        while self.under_way:
            self.wait(TICK)
        return stopped
