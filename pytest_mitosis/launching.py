"""Which launcher a session uses: by option, by table, by hook, or because of a debugger.

Runs in the pytest process that runs trials. What launchers do is the business of
:mod:`pytest_mitosis.run`.
"""

from __future__ import annotations

import atexit
import gc
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.plan.resources import AUTO
from pytest_mitosis.plan.sites import PSIJ, SLURM
from pytest_mitosis.run.launchers import INLINE, NAMES, make_engine, make_launcher

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_mitosis.plan.sites import Site
    from pytest_mitosis.run.copies import CodeCopy
    from pytest_mitosis.run.launcher import Launcher
    from pytest_mitosis.run.warm import ForkedProcesses
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


def runs_several(session: ExperimentSession) -> bool:
    """Whether several trials run at once; those that run in this process cannot."""
    if session.site is not None:
        return True
    return session.jobs > 1 and launcher_name(session) != INLINE


def code_copy_of(session: ExperimentSession) -> CodeCopy | None:
    """Where the session's checked commit is for trials on a cluster; None if they need none."""
    from pytest_mitosis.run.copies import CodeCopy

    site, commit = session.site, session.code.commit
    if site is None or not site.snapshot or session.draft or commit is None:
        return None
    return CodeCopy(session.code.states[0].root, session.project.trials_folder, commit)


def require_launcher(session: ExperimentSession) -> None:
    """Make sure, before anything runs, that there is a launcher of the name asked for.

    Raises
    ------
    PlanError
        If there is none, or no cluster answers it here.
    """
    if session.site is not None:
        asks = session.config.getoption
        if session.site.kind == PSIJ:
            _refuse_what_arrays_do(session, session.site)
        if not (asks("collectonly") or asks("exp_generate")):
            from pytest_mitosis.run.cluster.scheduler import scheduler_at

            scheduler_at(session.site).require_cluster(session.site.name)
    elif launcher_name(session) not in NAMES:
        _ = session.launcher


def warm_up(session: ExperimentSession) -> None:
    """Let what makes trials' processes come up, while the guards look at names and the tree."""
    name, config = launcher_name(session), session.config
    if session.site is not None or name == INLINE or name not in NAMES:
        return
    engine = session.engine = make_engine(name, session.project.preload)
    config.add_cleanup(lambda: _close_unused(session, engine))


def _close_unused(session: ExperimentSession, engine: ForkedProcesses) -> None:
    import asyncio

    if not session.has_launcher:
        asyncio.run(engine.close())


def _refuse_what_arrays_do(session: ExperimentSession, site: Site) -> None:
    asks, name = session.config.getoption, f"--exp-launcher {site.name}"
    if asks("exp_generate"):
        raise PlanError(
            f"--exp-generate writes scripts for Slurm's sbatch, and {name} submits by PSI/J; "
            "leave it out"
        )
    if asks("exp_jobs") not in (None, AUTO):
        raise PlanError(
            f"--exp-jobs bounds a job array of Slurm's, and {name} submits each job by itself; "
            "leave it out, the scheduler's queue bounds what runs at once"
        )


def launcher_of(session: ExperimentSession) -> Launcher:
    """The session's launcher; it is closed when the session ends.

    Raises
    ------
    PlanError
        If there is none of the name asked for.
    """
    name, config = launcher_name(session), session.config
    launcher: Launcher
    if session.site is not None:
        launcher = _to_site(session, session.site)
    elif name in NAMES:
        trace = _trace(config) if name == INLINE else None
        launcher = make_launcher(name, session.project.preload, trace, session.engine)
        if name != INLINE:
            # No experiment ran in this process: at its end Python need not look through all that
            # was imported for objects that hold each other, which takes a third of a second.
            atexit.register(gc.freeze)
    else:
        found: Launcher | None = config.hook.pytest_mitosis_launcher(config=config, name=name)
        if found is None:
            raise PlanError(
                f"there is no launcher {name!r}, and no conftest has one with the hook "
                f"pytest_mitosis_launcher; {say_what_exists(name, _known(session))}"
            )
        launcher = found
    config.add_cleanup(launcher.close)
    return launcher


def site_of(session: ExperimentSession) -> Site | None:
    """The cluster the session's trials are sent to; None if they run on this machine.

    Raises
    ------
    PlanError
        If an option for clusters is given and there is none.
    """
    name = launcher_name(session)
    site = session.project.site(name)
    if site is None:
        for option in ("--exp-detach", "--exp-generate"):
            if session.config.getoption(option.removeprefix("--").replace("-", "_")):
                raise PlanError(
                    f"{option} is for launchers that send trials to a cluster, not for {name}; "
                    f"use --exp-launcher with {' or '.join(('slurm', *session.project.sites))}"
                )
    return site


def _known(session: ExperimentSession) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*NAMES, SLURM, *session.project.sites)))


def _to_site(session: ExperimentSession, site: Site) -> Launcher:
    from pytest_mitosis.run.cluster.launcher import ClusterLauncher, Terms

    config = session.config
    given = config.getoption("exp_jobs")
    terms = Terms(
        throttle=session.jobs if given not in (None, AUTO) else None,
        detach=config.getoption("exp_detach"),
        generate=config.getoption("exp_generate"),
        code=lambda: _code_facts(session),
    )
    launcher = ClusterLauncher(session.project.trials_folder, site, terms, session.say)
    launcher.watching.catch_up()
    return launcher


def _code_facts(session: ExperimentSession) -> dict[str, Any]:
    """What judges imported files on the nodes; nothing of a draft."""
    if session.draft or session.code.problem:
        return {}
    facts: dict[str, Any] = {"since": session.runner.started}
    copy = session.code_copy
    if copy is None:
        return {**facts, "states": [one.to_json() for one in session.code.states]}
    return {**facts, "states": copy.states(session.code.states), "worktree": str(copy.place)}


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
