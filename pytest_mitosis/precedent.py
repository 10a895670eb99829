"""Precedents: earlier trials that do for an item, waited for if another session is at one.

Runs in the pytest process the item belongs to. What makes a trial do is the store's business
(:mod:`pytest_mitosis.store.reuse`); here it is asked for, and one's turn is taken.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_mitosis.identity.code import installed_versions
from pytest_mitosis.model import Reuse
from pytest_mitosis.run.jobs import Describer, argument_identities
from pytest_mitosis.store.folder import claim, claim_turn, spec_folder
from pytest_mitosis.store.reuse import Found, Wanted, WantedArgument, look
from pytest_mitosis.store.turns import keep_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_mitosis.model import Trial, TrialSpec
    from pytest_mitosis.run.launcher import Order
    from pytest_mitosis.session import ExperimentSession
    from pytest_mitosis.store.folder import Claim

SHORTEST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
TOLD_AFTER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Something has to end before a trial can begin; the text says what."""

    what: str


@dataclass
class Precedents:
    """Finds what is already done, for one session."""

    session: ExperimentSession
    describer: Describer
    versions: Mapping[str, str] = field(default_factory=installed_versions)

    @property
    def mode(self) -> Reuse:
        """What counts as done; a draft always runs."""
        return Reuse.NEVER if self.session.draft else self.session.reuse

    @cached_property
    def store(self) -> Path:
        """The trials folder."""
        return self.session.project.trials_folder

    def wanted(self, spec: TrialSpec, key: str, fixtures: Mapping[str, object]) -> Wanted:
        """What an earlier trial must have been to do for ``spec``."""
        tracked = argument_identities(spec, self.describer, fixtures)
        return Wanted(
            experiment=spec.experiment.name,
            key=key,
            actions=tuple(step.action for step in spec.experiment.steps),
            arguments=tuple(
                WantedArgument(b.step, b.parameter, b.kind, b.name, digest) for b, digest in tracked
            ),
            commit=self.session.code.commit,
            root=self.session.project.root,
            mode=self.mode,
            versions=self.versions,
        )

    def look(self, wanted: Wanted) -> Found:
        """What there is of a trial now; nobody is waited for."""
        return look(self.store, wanted)

    def attempt(self, wanted: Wanted, own: Claim | None) -> Trial | Claim | Wait:
        """A trial that does, or a folder to run one in, or who is at work on one; returns at once.

        With a folder, nobody else has a turn. ``own`` is one that was claimed before; then only
        trials begun earlier can do.
        """
        if self.mode is Reuse.NEVER:
            return own or claim(self.store, wanted.experiment, wanted.key, draft=self.session.draft)
        while True:
            found = look(self.store, wanted, own.iteration if own else None)
            if found.trial is not None:
                return found.trial
            if found.busy:
                return Wait(f"{found.busy}, to reuse it")
            claimed = own or self._take(wanted, found.last + 1)
            if claimed is not None:
                return claimed

    def persist(
        self,
        attempt: Callable[[], Trial | Order | Wait],
        own: Claim | None,
        rest: Callable[[float], object] = time.sleep,
    ) -> Trial | Order:
        """Repeat ``attempt`` until nobody has to be waited for.

        ``rest`` spends the seconds between two attempts.
        """
        started, pause, told = time.monotonic(), SHORTEST_PAUSE, False
        while True:
            found = attempt()
            if not isinstance(found, Wait):
                return found
            if not told and time.monotonic() - started > TOLD_AFTER_SECONDS:
                self.session.say(f"waiting for {found.what}")
                told = True
            rest(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            if own is not None:
                keep_alive(own.folder.parent, own.iteration)

    def _take(self, wanted: Wanted, number: int) -> Claim | None:
        folder = spec_folder(self.store, wanted.experiment, wanted.key, draft=False)
        folder.mkdir(parents=True, exist_ok=True)
        return claim_turn(folder, number)
