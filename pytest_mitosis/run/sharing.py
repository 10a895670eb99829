"""Which of a trial's steps another trial has run already, and whose turn it is to run them.

Runs in the process that drives the trial. Holds one turn at most and waits only without one, so
trials that wait for each other's steps cannot stop each other. Knows no kernels.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.code import CodeIdentity, merge_code
from pytest_mitosis.model import Finding
from pytest_mitosis.store.files import read_json
from pytest_mitosis.store.folder import HEARTBEAT_SECONDS, MANIFEST
from pytest_mitosis.store.steps import SharedStep, Wanted, beginnings, look, publish, take_over
from pytest_mitosis.store.turns import give_back, keep_alive, take_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pytest_mitosis.model import Job, Outcome
    from pytest_mitosis.run.launcher import Judge

SHORTEST_PAUSE = 0.02
LONGEST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to run a step for all who want it."""

    folder: Path
    number: int


@dataclass
class Sharing:
    """The steps one trial shares with others.

    Attributes
    ----------
    wanted : list of Wanted
        What could be shared, the shortest beginning first.
    taken : dict
        Name of a step to the shared step that was taken over in place of running it.
    """

    job: Job
    folder: Path
    store: Path
    judge: Judge
    wanted: list[Wanted]
    taken: dict[str, SharedStep] = field(default_factory=dict)
    _turn: Turn | None = None
    _alone: int = 0  # steps before this one are run without a turn

    @classmethod
    def of(
        cls,
        job: Job,
        folder: Path,
        store: Path,
        judge: Judge,
    ) -> Sharing:
        """What ``job`` shares; nothing if it says so, or if a file of one trial is another's."""
        # In a folder of all, a file that a step left may be of another trial by now.
        shares = job.share_steps and not job.draft and job.cwd != job.root
        begun = beginnings(job) if shares else []
        commit = read_json(folder / MANIFEST).get("commit") if begun else None
        wanted = [Wanted(one, job.seed, Path(job.root), commit) for one in begun]
        return cls(job, folder, store, judge, wanted)

    def __bool__(self) -> bool:
        """Whether there is anything to share."""
        return bool(self.wanted)

    async def obtain(self, done: int, on_wait: Callable[[float], None]) -> int:
        """How many steps are done now: more than ``done`` if others' were taken over.

        Waits for another trial that is at the next step; ``on_wait`` is told the seconds. If none
        is, the next step is this trial's to run, which `finish` or `abandon` has to follow.
        """
        pause, waited = SHORTEST_PAUSE, False
        while done < len(self.wanted):
            step = await asyncio.to_thread(self._longest, done)
            if step is not None:
                await asyncio.to_thread(take_over, step, self.folder)
                names = step.record["steps"]
                self.taken |= dict.fromkeys(names[done:], step)
                return len(names)
            found = look(self.store, self.wanted[done])
            if found.step is not None:
                continue  # it was left this moment
            if found.unshared or done < self._alone or (waited and not found.busy):
                # Whoever was at it left nothing to share, so nobody waits for anybody.
                self._alone = done + 1
                return done
            if not found.busy:
                if self._take(done, found.last + 1):
                    return done
                continue
            waited = True
            await asyncio.sleep(pause)
            on_wait(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        return done

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Give signs of life while the step runs; without `finish` the turn is given back."""
        beat = asyncio.create_task(self._beat()) if self._turn is not None else None
        try:
            yield
        finally:
            if beat is not None:
                beat.cancel()
            self.abandon()

    @property
    def has_turn(self) -> bool:
        """Whether what the step leaves is to be offered to others."""
        return self._turn is not None

    async def finish(self, index: int, seconds: float, offered: dict[str, Any]) -> None:
        """Keep what step ``index`` left for others, or why it cannot be shared."""
        turn = self._turn
        if turn is None:
            return
        tainted = await asyncio.to_thread(self.judge, offered["files"])
        problem = offered["unshared"] or (f"tainted: {tainted[0]}" if tainted else "")
        about = {
            "trial": self.job.trial,
            "iteration": self.job.iteration,
            "experiment": self.job.experiment,
            "duration_s": seconds,
            "seed": self.job.seed if offered["seeded"] else None,
            "pickled": offered["pickled"],
            "randomness": [*self._findings(), *offered["randomness"]],
            "code": self._code(offered["code"]),
            **({"unshared": problem} if problem else {}),
        }
        # In a thread, as copying and hashing must not stop the other trials of the loop.
        wanted = self.wanted[index]
        await asyncio.to_thread(publish, wanted, self.store, turn.number, self.folder, about)
        self._turn = None

    def abandon(self) -> None:
        """Give the turn back, if it is still held."""
        if self._turn is not None:
            give_back(self._turn.folder, self._turn.number)
            self._turn = None

    def complete(self, outcome: Outcome) -> Outcome:
        """The outcome with the code of the steps that were taken over, and where they came from."""
        if not self.taken:
            return outcome
        reused = {
            name: {
                "trial": step.trial,
                "duration_s": step.seconds,
                "folder": step.folder.relative_to(self.store).as_posix(),
            }
            for name, step in self.taken.items()
        }
        notes = tuple(f"{name}: reused from trial {one.trial}" for name, one in self.taken.items())
        code = self._code(outcome.code) if outcome.code else outcome.code
        found = [Finding(**one) for one in self._findings()]
        return replace(
            outcome,
            reused=reused,
            code=code,
            randomness=(*found, *outcome.randomness),
            notes=(*notes, *outcome.notes),
        )

    def _findings(self) -> list[dict[str, Any]]:
        """What the steps taken over did with random numbers, which this trial's depend on."""
        steps = {step.folder: step for step in self.taken.values()}.values()
        return [found for step in steps for found in step.record.get("randomness", ())]

    def _code(self, own: dict[str, Any]) -> dict[str, Any]:
        """The code of this process together with that of the steps taken over."""
        others = {step.folder: step.record["code"] for step in self.taken.values()}
        if not others:
            return own
        merged = merge_code([CodeIdentity.from_json(one) for one in (*others.values(), own)])
        return {**merged.to_json(), "digest": merged.digest}

    def _longest(self, done: int) -> SharedStep | None:
        for wanted in reversed(self.wanted[done:]):
            step = look(self.store, wanted).step
            if step is not None:
                return step
        return None

    def _take(self, index: int, number: int) -> bool:
        wanted = self.wanted[index]
        folder = wanted.beginning.folder(self.store)
        if take_turn(folder, number, self.job.trial, wanted.commit):
            self._turn = Turn(folder, number)
        return self._turn is not None

    async def _beat(self) -> None:
        while self._turn is not None:
            with contextlib.suppress(OSError):
                keep_alive(self._turn.folder, self._turn.number)
            await asyncio.sleep(HEARTBEAT_SECONDS)
