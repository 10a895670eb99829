"""Watches a trial's random numbers: global generators it used, and what no seed of it reaches.

Runs in the trial's own process, from before the first cell to the end. Use of a global generator
is told by its state, so none is missed; `Sightings` say which line it was, where they can.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Finding
from pytest_mitosis.run.callers import Caller
from pytest_mitosis.run.postimport import AfterImport
from pytest_mitosis.run.randomness import FindingKind, describe_finding, numpy_seed, torch_seed
from pytest_mitosis.run.sightings import NUMPY, PYTHON, Sightings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

TORCH = "torch"


@dataclass
class Watch:
    """Seeds global generators where the cells cannot, and gathers findings.

    ``seed`` is what the cells seed the generators with; ``has_seed`` whether the trial was given
    it. `look` ends a stretch, such as a step, and tells the findings of it apart.
    """

    seed: int
    root: Path
    has_seed: bool
    findings: list[Finding] = field(default_factory=list)
    seeded: list[str] = field(default_factory=list)
    _states: dict[str, Any] = field(default_factory=dict)
    _sightings: Sightings = field(default_factory=Sightings)

    def __post_init__(self) -> None:
        self._imports = AfterImport({NUMPY: self._seed_numpy, TORCH: self._seed_torch})
        self._read: dict[str, Callable[[], Any]] = {PYTHON: random.getstate}

    def start(self) -> None:
        """Begin; the state a generator has once it is seeded is known without looking."""
        self._states[PYTHON] = random.Random(self.seed).getstate()  # noqa: S311
        self._sightings.start()
        self._imports.start()

    def stop(self) -> None:
        """End it; may be called twice."""
        self._imports.stop()
        self._sightings.stop()

    def look(self, step: str) -> None:
        """Make findings of what happened since the last look; ``step`` is empty for imports."""
        seen = self._sightings
        for generator, read in self._read.items():
            state = read()
            if state == self._states[generator]:
                continue
            self._states[generator] = state
            self._note_use(step, generator)
        for one in seen.unseeded:
            self._note(FindingKind.UNSEEDED, step, one.generator, one.caller)
        seen.clear()

    def forget(self) -> None:
        """Pass over what happened since the last look; it was not the experiment's doing."""
        self._states = {generator: read() for generator, read in self._read.items()}
        self._sightings.clear()

    def _note_use(self, step: str, generator: str) -> None:
        seeded, used = (
            one.get(generator) for one in (self._sightings.seeded, self._sightings.used)
        )
        if seeded is None:
            self._note(FindingKind.GLOBAL, step, generator, used or Caller())
        elif seeded not in {one.caller for one in self._sightings.unseeded}:
            self._note(FindingKind.RESEEDED, step, generator, seeded)

    def _note(self, kind: FindingKind, step: str, generator: str, caller: Caller) -> None:
        file = self._place(caller.file)
        text = describe_finding(
            kind,
            step=step,
            generator=generator,
            place=f"{file}:{caller.line}" if file else "",
            package=caller.package if file else "",
            has_seed=self.has_seed,
        )
        found = Finding(kind.value, step, generator, file, caller.line, text)
        if found not in self.findings:
            self.findings.append(found)

    def _place(self, file: str) -> str:
        """A file's name within the project, else the absolute one."""
        inside = os.path.relpath(file, self.root.resolve()) if file else ""
        return file if inside.startswith("..") else Path(inside).as_posix() if file else ""

    def _seed_numpy(self, module: ModuleType) -> None:
        # A module of this name may be something else, and then there is nothing to seed.
        with suppress(AttributeError, TypeError):
            module.seed(numpy_seed(self.seed))
            self._sightings.with_numpy(module)
            self._states[NUMPY] = _state_of_numpy(module)
            self._read[NUMPY] = lambda: _state_of_numpy(module)
            self.seeded.append("numpy")

    def _seed_torch(self, module: ModuleType) -> None:
        with suppress(AttributeError, TypeError):
            module.manual_seed(torch_seed(self.seed))
            self._states[TORCH] = bytes(module.get_rng_state().tolist())
            self._read[TORCH] = lambda: bytes(module.get_rng_state().tolist())
            self.seeded.append(TORCH)


def _state_of_numpy(module: ModuleType) -> object:
    """Its state; as a dictionary, because the experiment may have put in another bit generator."""
    return _comparable(module.get_state(legacy=False))


def _comparable(state: Any) -> object:  # Any: dictionaries, arrays and numbers
    if isinstance(state, dict):
        return {name: _comparable(value) for name, value in state.items()}
    return state.tobytes() if hasattr(state, "tobytes") else state
