"""Sees random generators being used and made without a seed, and by which line of the project.

Runs in the trial's own process. Nothing that code can hold, lock or pickle is replaced, and
nothing is drawn: from Python 3.12 on `sys.monitoring` shows each place that calls, once; what
takes entropy from the operating system does so through names private to `random` and
`numpy.random`, and only those are wrapped.
"""

from __future__ import annotations

import contextlib
import linecache
import random
import sys
from dataclasses import dataclass, field
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, cast

from pytest_mitosis.identity.executed import TOOL_IDS
from pytest_mitosis.run.callers import Caller, Callers

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

PYTHON = "random"
NUMPY = "numpy.random"
SYSTEM = "random.SystemRandom"
_SEEDS = frozenset({"seed", "setstate", "set_state", "_legacy_seeding", "set_bit_generator"})
_LOOKS = frozenset({"getstate", "get_state", "__reduce__", "__getstate__"})
_NUMPY_COPIES = "numpy/random/_pickle.py"
# Functions of numpy.random that use the global generator without being its methods.
_NUMPY_FUNCTIONS = ("seed", "sample", "ranf", "set_bit_generator")


@dataclass(frozen=True, slots=True)
class Unseeded:
    """Something took its seed from the operating system: numpy, random or SystemRandom."""

    generator: str
    caller: Caller


@dataclass
class Sightings:
    """What was seen since the last `clear`.

    Attributes
    ----------
    used, seeded : dict
        Global generator to the first caller that used it, or set its state.
    """

    used: dict[str, Caller] = field(default_factory=dict)
    seeded: dict[str, Caller] = field(default_factory=dict)
    _unseeded: dict[Unseeded, None] = field(default_factory=dict)
    _fresh: dict[int, Unseeded] = field(default_factory=dict)
    _callers: Callers = field(default_factory=Callers)
    _owners: dict[int, str] = field(default_factory=dict)
    _functions: dict[int, str] = field(default_factory=dict)
    _undo: list[Callable[[], None]] = field(default_factory=list)
    _tool: int | None = None
    _seeding: tuple[int, int] = (0, 0)
    _legacy: tuple[type, ...] = ()

    def start(self) -> None:
        """Begin to see; `with_numpy` follows when numpy is there."""
        self._owners[id(random._inst)] = PYTHON
        self._wrap(random, "_urandom", self._saw_system_entropy)
        if sys.version_info >= (3, 12):
            self._monitor()

    def with_numpy(self, module: ModuleType) -> None:
        """See numpy's generators as well, from now on; ``module`` is ``numpy.random``."""
        self._owners[id(module.mtrand._rand)] = NUMPY
        self._legacy = (module.RandomState,)
        for name in _NUMPY_FUNCTIONS:
            if hasattr(module.mtrand, name):
                self._functions[id(getattr(module.mtrand, name))] = NUMPY
        self._wrap(module.bit_generator, "randbits", self._saw_numpy_entropy)

    def stop(self) -> None:
        """End it and put everything back; may be called twice."""
        while self._undo:
            self._undo.pop()()
        if sys.version_info >= (3, 12) and self._tool is not None:
            sys.monitoring.set_events(self._tool, sys.monitoring.events.NO_EVENTS)
            sys.monitoring.free_tool_id(self._tool)
            self._tool = None

    @property
    def unseeded(self) -> tuple[Unseeded, ...]:
        """Each place once; a generator of `random` that got a state later is not among them."""
        return tuple(dict.fromkeys((*self._unseeded, *self._fresh.values())))

    def clear(self) -> None:
        """Forget what was seen, and see the same places again."""
        for seen in (self.used, self.seeded, self._unseeded, self._fresh):
            seen.clear()
        if sys.version_info >= (3, 12) and self._tool is not None:
            sys.monitoring.restart_events()

    def _wrap(self, module: Any, name: str, saw: Callable[[], None]) -> None:
        """Have ``saw`` called whenever the private function ``module.name`` is."""
        inner = getattr(module, name)

        def wrapped(*arguments: int) -> Any:
            with contextlib.suppress(Exception):  # the experiment must not notice
                saw()
            return inner(*arguments)

        setattr(module, name, wrapped)
        self._undo.append(lambda: setattr(module, name, inner))

    def _saw_numpy_entropy(self) -> None:
        frame = sys._getframe(2)
        # A copied or unpickled generator is made without a seed and then given its state.
        if frame.f_code.co_filename.endswith(_NUMPY_COPIES) or self._is_seeding(frame):
            return
        caller = self._callers.find(2)
        # What a package sets up for itself while it is imported is its own affair.
        if caller.file and not (caller.package and caller.is_import):
            self._unseeded[Unseeded("numpy", caller)] = None

    def _is_seeding(self, frame: FrameType) -> bool:
        """Whether it calls ``RandomState(seed)``, which is made without a seed and then seeded."""
        if self._tool is not None:
            return self._seeding == (id(frame), frame.f_lasti)
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        return "RandomState(" in line and "RandomState()" not in line

    def _saw_system_entropy(self) -> None:
        caller = self._direct_caller(3)
        if caller is not None:
            self._unseeded[Unseeded(SYSTEM, caller)] = None

    def _direct_caller(self, depth: int) -> Caller | None:
        """A caller that is the project's own; packages name temporary files this way."""
        caller = self._callers.find(depth, (random.__file__,))
        return caller if caller.file and not caller.package else None

    def _saw_call(self, generator: str, name: str) -> None:
        if name in _LOOKS:
            return
        seen = self.seeded if name in _SEEDS else self.used
        caller = self._callers.find(2, (random.__file__,))
        if generator not in seen or not seen[generator].file:
            seen[generator] = caller

    if sys.version_info >= (3, 12):

        def _monitor(self) -> None:
            monitoring = sys.monitoring
            free = [number for number in TOOL_IDS if monitoring.get_tool(number) is None]
            if not free:
                return
            self._tool = free[-1]
            events = monitoring.events
            monitoring.use_tool_id(self._tool, "pytest-mitosis randomness")
            monitoring.register_callback(self._tool, events.CALL, self._callback())
            monitoring.register_callback(self._tool, events.PY_START, self._saw_seeding)
            for function in (random.Random.seed, random.Random.setstate):
                monitoring.set_local_events(self._tool, function.__code__, events.PY_START)
            monitoring.set_events(self._tool, events.CALL)

        def _callback(self) -> Callable[[CodeType, int, object, object], object]:
            owners, functions, disable = self._owners, self._functions, sys.monitoring.DISABLE
            bound = (MethodType, BuiltinFunctionType)

            def saw(_code: CodeType, _offset: int, function: object, first: object) -> object:
                kind = type(function)
                if kind is type and issubclass(cast("type", function), self._legacy):
                    return self._saw_legacy(first, sys._getframe(1))
                owner = function.__self__ if kind in bound else first  # type: ignore[attr-defined]
                generator = owners.get(id(owner)) or functions.get(id(function))
                if generator is not None and (kind in bound or _is_method(function)):
                    with contextlib.suppress(Exception):  # the experiment must not notice
                        self._saw_call(generator, function.__name__)  # type: ignore[attr-defined]
                return disable

            return saw

        def _saw_legacy(self, seed: object, frame: FrameType) -> None:
            """Every call of ``RandomState`` is seen, whatever its first one was given."""
            given = seed is not None and seed is not sys.monitoring.MISSING
            self._seeding = (id(frame), frame.f_lasti) if given else (0, 0)

        def _saw_seeding(self, _code: CodeType, _offset: int) -> None:
            """Called as `random.Random.seed` or ``setstate`` begins; a copy does both."""
            with contextlib.suppress(Exception):
                given = sys._getframe(1).f_locals
                before = self._fresh.pop(id(given["self"]), None)
                if given.get("a", given.get("state")) is not None:
                    return
                if before is not None:
                    self._unseeded[before] = None
                if caller := self._direct_caller(2):
                    self._fresh[id(given["self"])] = Unseeded(PYTHON, caller)


def _is_method(function: object) -> bool:
    """Whether it is a generator's own, and not one that merely takes a generator."""
    if type(function) is FunctionType:
        return function.__code__.co_filename == random.__file__
    return type(function).__name__ in {"cython_function_or_method", "method_descriptor"}
