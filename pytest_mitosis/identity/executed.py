"""Which functions a trial ran, noted at the first call of each and free after that.

Must not know what is done with the answer. Runs in the trial's own process, from before the
first import of the project's code until after the experiment.

Functions seen are named as the compiler does: file, ``co_qualname``, ``co_firstlineno``. Where a
function could have run unseen, `Recorder.gaps` says why, and then all bodies must count.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pytest_mitosis.identity.imported import project_paths

if TYPE_CHECKING:
    from types import CodeType

# Starts a child process that may run the project's functions: multiprocessing, joblib, torch.
PROCESS_START = ("process.py", "BaseProcess.start")
# Translate functions instead of letting Python run them.
COMPILERS = frozenset({"numba", "taichi", "triton", "tensorflow"})
# 0 debugger, 1 coverage, 2 profiler and 5 optimizer are spoken for.
TOOL_IDS = (4, 3)


class CalledFunction(NamedTuple):
    """A code object that ran."""

    file: str
    qualname: str
    line: int


class Recorder:
    """Notes every function that runs between `start` and `stop`, on Python 3.12 and newer.

    One at a time per process; `stop` may be called twice.
    """

    _has_forked: ClassVar[bool] = False
    _watches_forks: ClassVar[bool] = False

    def __init__(self) -> None:
        self._called: set[CalledFunction] = set()
        self._before: set[CalledFunction] = set()
        self._gaps: list[str] = []
        self._tool: int | None = None
        self.loaded_before: frozenset[str] = frozenset()

    def start(self) -> None:
        """Begin to note calls; what is imported already belongs to the runner, not the trial."""
        if early := project_paths():
            # Their functions may have run before, and what those left behind is in memory.
            self._gaps.append(f"{os.path.basename(min(early))} was imported before the trial")  # noqa: PTH119
        else:
            self.loaded_before = frozenset(sys.modules)
        self._watch_forks()
        if sys.version_info >= (3, 12):
            self._monitor()
        else:
            self._gaps.append("Python 3.11 cannot tell which functions ran")

    def restart(self) -> frozenset[CalledFunction]:
        """Return what ran since the last restart; what runs again is noted again."""
        seen = frozenset(self._called)
        self._before |= seen
        self._called.clear()
        if sys.version_info >= (3, 12) and self._tool is not None:
            sys.monitoring.restart_events()
        return seen

    def stop(self) -> None:
        """End it."""
        if sys.version_info >= (3, 12) and self._tool is not None:
            sys.monitoring.set_events(self._tool, sys.monitoring.events.NO_EVENTS)
            sys.monitoring.register_callback(self._tool, sys.monitoring.events.PY_START, None)
            sys.monitoring.free_tool_id(self._tool)
            self._tool = None

    @property
    def called(self) -> frozenset[CalledFunction]:
        """The functions that ran, of the project, the standard library and all packages."""
        return frozenset(self._before | self._called)

    @property
    def called_lately(self) -> frozenset[CalledFunction]:
        """Those that ran since the last restart."""
        return frozenset(self._called)

    @property
    def gaps(self) -> tuple[str, ...]:
        """Reasons why `called` may be incomplete by now, each once."""
        found = list(self._gaps)
        name, start = PROCESS_START
        if Recorder._has_forked or any(
            call.qualname == start and os.path.basename(call.file) == name  # noqa: PTH119
            for call in self.called
        ):
            found.append("child processes ran, in which calls are not seen")
        if compilers := sorted(COMPILERS & sys.modules.keys()):
            found.append(f"{compilers[0]} may have compiled functions")
        return tuple(dict.fromkeys(found))

    def _watch_forks(self) -> None:
        Recorder._has_forked = False
        if not Recorder._watches_forks and hasattr(os, "register_at_fork"):
            # Cannot be taken back, so once per process.
            Recorder._watches_forks = True
            os.register_at_fork(after_in_parent=_note_fork)

    if sys.version_info >= (3, 12):

        def _monitor(self) -> None:
            monitoring = sys.monitoring
            free = [number for number in TOOL_IDS if monitoring.get_tool(number) is None]
            if not free:
                self._gaps.append("other tools use all of sys.monitoring")
                return
            self._tool = free[0]
            called, disable = self._called, monitoring.DISABLE

            def note(code: CodeType, _offset: int) -> object:
                called.add(CalledFunction(code.co_filename, code.co_qualname, code.co_firstlineno))
                return disable

            monitoring.use_tool_id(self._tool, "pytest-mitosis")
            monitoring.register_callback(self._tool, monitoring.events.PY_START, note)
            # Functions that an earlier recording in this process switched off count again.
            monitoring.restart_events()
            monitoring.set_events(self._tool, monitoring.events.PY_START)


def _note_fork() -> None:
    Recorder._has_forked = True
