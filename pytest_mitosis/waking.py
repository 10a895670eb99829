"""Wakes the plugin: from options and arguments to a session, and what is registered for it.

Runs in every pytest process that was asked for experiments.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_mitosis.launching import runs_several
from pytest_mitosis.model import Experiment, MitosisError, PlanError, Reuse
from pytest_mitosis.official import read_officials, register
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.index import Index, read_file
from pytest_mitosis.plan.resources import read_jobs
from pytest_mitosis.plan.selection import parse_request
from pytest_mitosis.plugin import is_experiment_node
from pytest_mitosis.session import NAME, WORKER_INPUT, ExperimentSession, Node

if TYPE_CHECKING:
    from pathlib import Path


def wake(config: pytest.Config) -> None:
    """Read what the command line asks for and register what collects, guards, runs and reports.

    Raises
    ------
    pytest.UsageError
        If a name, an option or a table is wrong.
    """
    from pytest_mitosis import collection, ending, fixtures, reporting

    try:
        session = _read_session(config)
        _ = session.site  # options that do not go together are told before anything is made
    except MitosisError as error:
        raise pytest.UsageError(str(error)) from None
    manager = config.pluginmanager
    manager.register(session, NAME)
    manager.register(fixtures.session_fixtures(session), "mitosis-session-fixtures")
    manager.register(fixtures.Fixtures(session), "mitosis-fixtures")
    collecting = collection.Collection(session)
    manager.register(collecting, "mitosis-collection")
    manager.register(ending.Ending(session), "mitosis-ending")
    reporter = reporting.Reporter(session)
    manager.register(reporter, "mitosis-reporting")
    register(session, reporter)
    if config.getoption("collectonly"):
        from pytest_mitosis.forecast import Forecast

        manager.register(Forecast(session, reporter), "mitosis-forecast")
    elif getattr(config.option, "tx", None) and config.getoption("exp_jobs") is not None:
        _bound_workers(config, session.jobs)
    elif runs_several(session) and not hasattr(config, "workerinput"):
        collecting.schedules = True
    config.args[:] = session.arguments()
    config.option.keyword = collection.rewrite_keywords(config.option.keyword)


def _bound_workers(config: pytest.Config, jobs: int) -> None:
    """Under xdist each worker has one trial at a time, so no more than ``jobs`` workers."""
    asked = len(config.option.tx)
    config.option.tx = config.option.tx[:jobs]
    if asked > jobs and not hasattr(config, "workerinput"):
        print(f"mitosis: {jobs} of {asked} workers, one trial each, since --exp-jobs is {jobs}")


def _read_session(config: pytest.Config) -> ExperimentSession:
    here = config.invocation_params.dir
    given = list(config.args) if config.args_source is config.ArgsSource.ARGS else []
    names: list[str] = list(dict.fromkeys(config.getoption("exp")))
    is_named = bool(names) or config.getoption("exp_official") is not None
    is_named = is_named or config.getoption("exp_all")
    ours = [one for one in given if is_experiment_node(one) and ("::" in one or not is_named)]
    start = here if is_named or not ours else (here / ours[0].partition("::")[0]).parent
    folder = config.getoption("trials_folder")
    project = read_project(start.resolve(), here / folder if folder else None)
    others = [one for one in given if one not in ours]
    officials = read_officials(config, project, [*names, *(one for one in ours if "::" in one)])
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        known = json.loads(worker_input[WORKER_INPUT])
        nodes = [Node(**{**one, "ids": tuple(one["ids"])}) for one in known["nodes"]]
        others = known["others"]
    else:
        # With --exp, plain paths say where to look; without it they are pytest's as ever.
        index = Index(project, [here / one for one in others] if is_named else ())
        nodes = [_node_of(index.find(name)) for name in names]
        for group in officials.groups if officials is not None else ():
            nodes.append(replace(_node_of(index.find(group.experiment)), group=group.name))
        nodes += [node for one in ours for node in _nodes_of_argument(index, here, one)]
        others = [] if is_named else others
    request = parse_request(
        config.getoption("variant"), config.getoption("eval_param"), config.getoption("seeds")
    )
    if request and any(node.ids for node in nodes):
        raise PlanError(
            "a node id with [brackets] says all parameters: "
            "leave --variant, --eval-param and --seeds out"
        )
    draft = config.getoption("exp_draft")
    given_reuse = config.getoption("exp_reuse")
    if draft and given_reuse not in (None, Reuse.NEVER):
        raise PlanError("a draft always runs: leave --exp-draft or --exp-reuse out")
    usual = Reuse.SAME_CODE if officials is None else officials.reuse
    reuse = Reuse(given_reuse or usual)
    jobs = read_jobs(config.getoption("exp_jobs"), project.jobs)
    return ExperimentSession(config, project, nodes, others, request, draft, reuse, jobs, officials)


def _node_of(experiment: Experiment) -> Node:
    return Node(str(experiment.file), experiment.node)


def _nodes_of_argument(index: Index, here: Path, argument: str) -> list[Node]:
    """The nodes a path or node id on the command line stands for."""
    place, bracket, trial = argument.partition("[")
    path, _, name = place.partition("::")
    file = (here / path).resolve()
    if not file.is_file():
        raise PlanError(f"{path} does not exist; node ids are relative to {here}")
    if not name:
        found = read_file(file)
        if not found.defined:
            raise PlanError(found.problem or f"{path} defines no experiment exp_*")
        return [Node(str(file), one) for one in found.defined]
    experiment = index.find_node(file, name)
    ids = (trial.removesuffix("]"),) if bracket else ()
    return [Node(str(experiment.file), experiment.node, ids)]
