"""Which launcher a session uses: by option, by table, by hook, or because of a debugger.

Runs in the pytest process that runs trials. What launchers do is the business of
:mod:`pytest_mitosis.run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.run.launchers import INLINE, NAMES, make_launcher

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_mitosis.run.launcher import Launcher
    from pytest_mitosis.session import ExperimentSession


def launcher_name(session: ExperimentSession) -> str:
    """The name of the session's launcher.

    Raises
    ------
    PlanError
        If a debugger is asked for and a launcher it cannot follow trials into.
    """
    config = session.config
    given = config.getoption("exp_launcher")
    if config.getoption("usepdb", False) or config.getoption("trace", False):
        if given not in (None, INLINE):
            raise PlanError(
                f"--pdb and --trace cannot follow a trial into a process of its own: leave "
                f"--exp-launcher {given} out, or the debugger"
            )
        return INLINE
    return given or session.project.launcher


def require_launcher(session: ExperimentSession) -> None:
    """Make sure, before anything runs, that there is a launcher of the name asked for.

    Raises
    ------
    PlanError
        If there is none.
    """
    if launcher_name(session) not in NAMES:
        _ = session.launcher


def launcher_of(session: ExperimentSession) -> Launcher:
    """The session's launcher; it is closed when the session ends.

    Raises
    ------
    PlanError
        If there is none of the name asked for.
    """
    name, config = launcher_name(session), session.config
    if name in NAMES:
        trace = _trace(config) if name == INLINE else None
        launcher = make_launcher(name, session.project.preload, trace)
    else:
        found: Launcher | None = config.hook.pytest_mitosis_launcher(config=config, name=name)
        if found is None:
            raise PlanError(
                f"there is no launcher {name!r}; {say_what_exists(name, NAMES)}; a conftest can "
                "have others with the hook pytest_mitosis_launcher"
            )
        launcher = found
    config.add_cleanup(launcher.close)
    return launcher


def _trace(config: pytest.Config) -> Callable[..., Any] | None:
    """With --trace: call a function so that pytest's debugger stops at its first line."""
    if not config.getoption("trace", False):
        return None

    def call(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        # Private, but the only way to pytest's debugger, which knows of captured output.
        from _pytest.debugging import pytestPDB

        debugger: Any = pytestPDB._init_pdb("trace")  # type: ignore[no-untyped-call]
        return debugger.runcall(function, *arguments, **named)

    return call
