"""The schedule of ``--exp-jobs``: which item pytest reaches next while trials run.

Trials that can begin before pytest reaches their items do so as slots free up, and their items are
reached in the order of completion. Everything else is reached in the order of collection: items
prepared by fixtures once no other trial is left to begin, ordinary tests at their place.
Runs in the pytest process; not under xdist, where each worker has one item at a time.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pytest_mitosis.collection import planned_of, spec_of
from pytest_mitosis.conductor import TICK
from pytest_mitosis.model import StoreError
from pytest_mitosis.precedent import Wait
from pytest_mitosis.reach import Reach, reach_of
from pytest_mitosis.runner import LEFT, PREPARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_mitosis.conductor import Conductor
    from pytest_mitosis.run.launcher import Handle
    from pytest_mitosis.session import ExperimentSession

ASK_AGAIN_SECONDS = 0.25
SECOND_CTRL_C_SECONDS = 2.0


@dataclass(eq=False)  # registered as a plugin, so it has to be hashable
class Schedule:
    """The items of a session by what they wait for."""

    session: ExperimentSession
    tests: deque[pytest.Item] = field(default_factory=deque)
    early: deque[pytest.Function] = field(default_factory=deque)
    openers: deque[pytest.Function] = field(default_factory=deque)
    prepared_when_reached: deque[pytest.Function] = field(default_factory=deque)
    waiting: list[pytest.Function] = field(default_factory=list)
    running: list[pytest.Function] = field(default_factory=list)
    ended: list[pytest.Function] = field(default_factory=list)
    places: dict[pytest.Item, int] = field(default_factory=dict)
    parents: Counter[pytest.Collector] = field(default_factory=Counter)
    members: dict[pytest.Collector, list[pytest.Item]] = field(default_factory=dict)
    is_ordered: bool = False
    is_draining: bool = False
    asked: float = 0.0

    @property
    def conductor(self) -> Conductor:
        """What runs the trials."""
        return self.session.runner.conductor

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Emitted once, in place of pytest's own loop; that one remains for what runs nothing."""
        options = session.config.option
        distributed = session.config.pluginmanager.hasplugin("dsession")
        errors = session.testsfailed and not options.continue_on_collection_errors
        if options.collectonly or errors or distributed or options.setuponly or options.setupplan:
            return None
        # --sw goes on after the item that failed, so none before it may be left out.
        self.is_ordered = bool(session.config.getoption("stepwise", False))
        self._sort(session.items)
        self.conductor.holds_back = self._may_be_the_last
        try:
            self._run(session)
        except session.Interrupted:  # a KeyboardInterrupt of pytest's own, for shouldstop
            self._abandon()
            raise
        except KeyboardInterrupt:
            if self.session.site is not None and self.conductor.under_way:
                self._leave_running()
            if stopped := self._abandon():
                words = "1 trial was" if stopped == 1 else f"{stopped} trials were"
                pytest.exit(f"{words} interrupted; what they left is kept", returncode=2)
            raise
        except BaseException:
            self._abandon()
            raise
        return True

    def _run(self, session: pytest.Session) -> None:
        self.conductor.to_come = self._to_come
        item = self._next()
        while item is not None:
            self._leave(item)
            following = self._following(item)
            is_open = item in self.openers or item in self.early
            self.conductor.while_waiting = self._fill if is_open else _start_nothing
            item.config.hook.pytest_runtest_protocol(
                item=item, nextitem=following or self._farthest(item)
            )
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            item = following or self._next()

    def _sort(self, items: Iterable[pytest.Item]) -> None:
        reasons: dict[str, int] = {}
        for place, item in enumerate(items):
            self.places[item] = place
            assert item.parent is not None
            self.parents[item.parent] += 1
            self.members.setdefault(item.parent, []).append(item)
            spec = spec_of(item)
            if spec is None or not isinstance(item, pytest.Function):
                self.tests.append(item)
                continue
            reach, reason = reach_of(item, spec)
            queue = {Reach.AT_ONCE: self.early, Reach.OPENED: self.openers}
            queue.get(reach, self.prepared_when_reached).append(item)
            if reach is Reach.REACHED:
                reasons[reason] = reasons.get(reason, 0) + 1
        for reason, count in reasons.items():
            trials = "1 trial runs" if count == 1 else f"{count} trials run one at a time,"
            self.session.say(f"{trials} when pytest reaches it: {reason}")
        if self.early and not self.session.draft and self.session.runner.tree_problem():
            # Nothing may begin; the first item that is reached says so.
            self.prepared_when_reached.extendleft(reversed(self.early))
            self.early.clear()

    def _next(self) -> pytest.Item | None:
        """The item that pytest is to reach now; waits until there is one."""
        while self.places:
            self._collect(0)
            found = self._choose()
            if not (found in self.ended and self._may_be_the_last):
                self._fill()
                found = self._choose()
            if found is not None:
                return found
            if self.conductor.under_way:
                self._collect(TICK if not self.waiting else ASK_AGAIN_SECONDS)
            else:
                time.sleep(ASK_AGAIN_SECONDS)  # all that is left is run by others now
        return None

    @property
    def _may_be_the_last(self) -> bool:
        """Whether a failure would end the session: then none begins before it is known."""
        options = self.session.config.option
        return bool(options.maxfail or self.is_ordered)

    def _choose(self) -> pytest.Item | None:
        if self.is_draining:
            well = [one for one in self.ended if not _is_refused_by_store(one)]
            return next(iter(well if self.conductor.under_way else (*well, *self.ended)), None)
        if self.is_ordered:
            first = next(iter(self.places))
            early = first in self.early or first in self.waiting or first in self.running
            return None if early else first
        if self.openers:
            return self.openers[0]
        if self.ended:
            return self.ended[0]
        if self.tests and self._is_reached(self.tests[0]):
            return self.tests[0]
        if self.prepared_when_reached and not self.early:
            return self.prepared_when_reached[0]
        return None

    def _is_reached(self, item: pytest.Item) -> bool:
        return not self.early or self.places[item] < self.places[self.early[0]]

    def _fill(self) -> None:
        """Begin trials while there are slots for them."""
        if self.openers:
            self._open()
        if self.is_draining:
            return
        if self.waiting and time.monotonic() - self.asked > ASK_AGAIN_SECONDS:
            self.asked = time.monotonic()
            for item in list(self.waiting):
                if self.conductor.free < 1:
                    return
                self.waiting.remove(item)
                self._start(item)
        while self.early and self.conductor.free > 0 and not self.is_draining:
            self._start(self.early.popleft())

    def _to_come(self) -> int:
        """How many trials may be started from here on before one of them ends."""
        is_any_reached = bool(self.openers or self.prepared_when_reached)
        return len(self.early) + is_any_reached  # those run one at a time

    def _open(self) -> None:
        """Look again at the items that waited for fixtures of the session."""
        opened = list(self.openers)
        self.openers.clear()
        for item in opened:
            if item not in self.places:  # the one that pytest is at
                continue
            spec = spec_of(item)
            assert spec is not None
            reach, _ = reach_of(item, spec)
            queue = {Reach.AT_ONCE: self.early, Reach.OPENED: self.openers}
            queue.get(reach, self.prepared_when_reached).append(item)

    def _start(self, item: pytest.Function) -> None:
        planned = planned_of(item)
        assert planned is not None
        found = self.session.runner.start(item, planned)
        if isinstance(found, Wait):
            self.waiting.append(item)
        elif found.handle is not None:
            self.running.append(item)
        else:
            self.ended.append(item)
            self.is_draining |= _is_refused_by_store(item)

    def _collect(self, seconds: float) -> None:
        """Take in the trials that ended; waits a while for the first."""
        if self.conductor.under_way:
            self.conductor.wait(seconds)
        ended = [one for one in self.running if _handle_of(one).is_done()]
        self.running = [one for one in self.running if one not in ended]
        self.ended += sorted(ended, key=_finished)
        self.is_draining |= any(_is_refused_by_store(one) for one in ended)

    def _leave(self, item: pytest.Item) -> None:
        """Take the item out of all that is still to be reached."""
        del self.places[item]
        assert item.parent is not None
        self.parents[item.parent] -= 1
        for queue in (self.tests, self.early, self.prepared_when_reached, self.ended):
            if item in queue:
                queue.remove(item)  # type: ignore[arg-type]

    def _following(self, item: pytest.Item) -> pytest.Item | None:
        """The item that has to come next: one that shares fixtures with this one."""
        if self.is_ordered or item in self.openers:
            return None
        for queue in (self.tests, self.prepared_when_reached):
            if queue and PREPARED not in item.stash and _shares(item, queue[0]):
                return queue[0]
        return None

    def _farthest(self, item: pytest.Item) -> pytest.Item | None:
        """The item left that shares the fewest nodes with this one; what any of them needs stays.

        Which item is next is not known yet, and no fixture of a module is in use here.
        """
        if self.is_ordered:
            return next(iter(self.places), None)
        chain = item.listchain()
        left = [parent for parent, count in self.parents.items() if count]
        if not left:
            return None
        parent = min(left, key=lambda one: _common(chain, one.listchain()))
        return next(one for one in self.members[parent] if one in self.places)

    def _leave_running(self) -> None:
        """Let the cluster go on with what it has, unless Ctrl-C is pressed again."""
        self.conductor.live.hide()
        count = len(self.conductor.under_way)
        trials = "1 trial goes on" if count == 1 else f"{count} trials go on"
        try:
            self.session.say(f"{trials} at the cluster; press Ctrl-C again to cancel")
            time.sleep(SECOND_CTRL_C_SECONDS)
        except KeyboardInterrupt:
            self.session.say("cancelling")
            return
        self.conductor.leave()
        for item in (*self.running, *self.waiting):
            item.stash[LEFT] = True
        pytest.exit(f"{trials} at the cluster; the same command waits for them", returncode=2)

    def _abandon(self) -> int:
        """Interrupt what is under way and keep the rows of what pytest will not reach."""
        runner = self.session.runner
        under_way = len(self.conductor.under_way)
        self.conductor.stop()
        for item in (*self.ended, *self.running, *self.waiting):
            if item not in self.waiting and item.stash[PREPARED].has_ended:
                try:
                    found = item.stash[PREPARED].end()
                    self.session.interrupted.append(runner.record(item, found)[0])
                except Exception as error:
                    self.session.say(f"a trial could not be recorded: {error}")
            runner.settle_locks(item)
        return under_way


def _start_nothing() -> None:
    """What an item prepared by fixtures changed would be seen by trials that start meanwhile."""


def _handle_of(item: pytest.Function) -> Handle:
    handle = item.stash[PREPARED].handle
    assert handle is not None
    return handle


def _finished(item: pytest.Function) -> str:
    """When an item's trial ended; first those of which that is not known."""
    with contextlib.suppress(Exception):
        return str(_handle_of(item).result()[0].manifest["finished"])
    return ""


def _is_refused_by_store(item: pytest.Function) -> bool:
    """Whether the store could not be written for it: then no more trials begin.

    Those under way may end; the item that found out is reached last, since it ends the session.
    """
    prepared = item.stash[PREPARED]
    if prepared.handle is None:
        return isinstance(prepared.problem, StoreError)
    try:
        prepared.handle.result()
    except (OSError, StoreError):
        return True
    except Exception:
        return False
    return False


def _shares(one: pytest.Item, other: pytest.Item) -> bool:
    """Whether both lie in one class, module or package, whose fixtures may be set up."""
    theirs = set(other.listchain())
    return any(
        isinstance(node, pytest.Package | pytest.Module | pytest.Class) and node in theirs
        for node in one.listchain()
    )


def _common(chain: Sequence[object], other: Sequence[object]) -> int:
    """How many nodes two chains begin with together."""
    return next(
        (n for n, (a, b) in enumerate(zip(chain, other, strict=False)) if a is not b),
        min(len(chain), len(other)),
    )
