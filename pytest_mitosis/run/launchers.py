"""The launchers there are, by name.

Imports what a launcher needs only when one is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.run.launcher import Launcher
    from pytest_mitosis.run.warm import ForkedProcesses, Kind

KERNEL, PROCESS, INLINE = "kernel", "process", "inline"
NAMES = (KERNEL, PROCESS, INLINE)


def make_engine(name: str, preload: tuple[str, ...] = ()) -> ForkedProcesses:
    """What makes the processes of a launcher that is not inline; it begins to come up at once."""
    from pytest_mitosis.run.warm import ForkedProcesses

    return ForkedProcesses(name, _shells if name == PROCESS else _kernels, preload)


def make_launcher(
    name: str = KERNEL,
    preload: tuple[str, ...] = (),
    trace: Callable[..., Any] | None = None,
    engine: ForkedProcesses | None = None,
) -> Launcher:
    """The launcher called ``name``, one of `NAMES`.

    ``preload`` are modules to import before forking. ``trace`` calls a function under a debugger;
    only the inline launcher can do with it. ``engine`` is one that comes up already.
    """
    if name == INLINE:
        from pytest_mitosis.run.inline import InlineLauncher

        return InlineLauncher(trace)
    engine = engine or make_engine(name, preload)
    # After it, as this imports for half a second, in which the engine's server does the same.
    from pytest_mitosis.run.loop import LoopLauncher

    return LoopLauncher(engine)


def _shells() -> Kind:
    from pytest_mitosis.run.shells import Shells

    return Shells()


def _kernels() -> Kind:
    from pytest_mitosis.run.kernels import Kernels

    return Kernels()
