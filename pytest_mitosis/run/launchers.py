"""The launchers there are, by name.

Imports what a launcher needs only when one is made.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.run.launcher import Launcher
    from pytest_mitosis.run.warm import ForkedProcesses, Kind

KERNEL, PROCESS, INLINE = "kernel", "process", "inline"
NAMES = (KERNEL, PROCESS, INLINE)


def make_engine(name: str, preload: tuple[str, ...] = ()) -> ForkedProcesses:
    """What makes the processes of a launcher that is not inline; it begins to come up at once."""
    from pytest_mitosis.run.upcoming import has_forks, start_server

    private = Path(tempfile.mkdtemp(prefix="mitosis-"))
    server = start_server(name, preload, private) if has_forks() else None
    # After it: what is imported from here on is imported while the server does the same.
    from pytest_mitosis.run.warm import ForkedProcesses

    make_kind = _shells if name == PROCESS else _kernels
    return ForkedProcesses(name, make_kind, private, server, preload)


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
    from pytest_mitosis.run.loop import LoopLauncher

    return LoopLauncher(engine)


def _shells() -> Kind:
    from pytest_mitosis.run.shells import Shells

    return Shells()


def _kernels() -> Kind:
    from pytest_mitosis.run.kernels import Kernels

    return Kernels()
