"""The launchers there are, by name.

Imports what a launcher needs only when one is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.run.launcher import Launcher
    from pytest_mitosis.run.process import Engine

KERNEL, PROCESS, INLINE = "kernel", "process", "inline"
NAMES = (KERNEL, PROCESS, INLINE)


def make_launcher(
    name: str = KERNEL,
    preload: tuple[str, ...] = (),
    trace: Callable[..., Any] | None = None,
) -> Launcher:
    """The launcher called ``name``, one of `NAMES`.

    ``preload`` are modules to import before forking. ``trace`` calls a function under a debugger;
    only the inline launcher can do with it.
    """
    if name == INLINE:
        from pytest_mitosis.run.inline import InlineLauncher

        return InlineLauncher(trace)
    from pytest_mitosis.run.loop import LoopLauncher
    from pytest_mitosis.run.warm import ForkedProcesses

    def make_engine() -> Engine:
        if name == PROCESS:
            from pytest_mitosis.run.shells import Shells

            return ForkedProcesses(Shells(), preload)
        from pytest_mitosis.run.kernels import Kernels

        return ForkedProcesses(Kernels(), preload)

    return LoopLauncher(make_engine)
