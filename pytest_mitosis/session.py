"""One object per pytest session that runs experiments: plans trials, guards them, runs them.

Runs in every pytest process that was asked for experiments, xdist's controller and workers too;
the controller plans (so that a wrong name is one usage error) and the workers plan and run.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_mitosis import launching
from pytest_mitosis.model import Experiment, PlanError, Reuse, TreeError, TrialSpec
from pytest_mitosis.plan.index import Index
from pytest_mitosis.plan.official import reference_globs
from pytest_mitosis.plan.references import LoadedExperiment, load_experiment
from pytest_mitosis.plan.variants import expand, read_id, require_targets
from pytest_mitosis.store.folder import now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_mitosis.allotment import Allotments
    from pytest_mitosis.identity.repository import RepositoryState
    from pytest_mitosis.official import Officials
    from pytest_mitosis.plan.config import Project
    from pytest_mitosis.plan.selection import Request
    from pytest_mitosis.plan.sites import Site
    from pytest_mitosis.run.copies import CodeCopy
    from pytest_mitosis.run.launcher import Launcher
    from pytest_mitosis.run.warm import ForkedProcesses
    from pytest_mitosis.runner import Runner
    from pytest_mitosis.table import Row
    from pytest_mitosis.vouching import Vouching

NAME = "mitosis-session"
WORKER_INPUT = "mitosis_nodes"


@dataclass(frozen=True, slots=True)
class Node:
    """An experiment's place in the collection tree.

    ``ids`` are the trials a pasted id asks for, ``group`` is the official group it is planned for.
    """

    file: str
    node: str
    ids: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment that is to be collected, with its trials, or why its module skips itself."""

    experiment: Experiment
    loaded: LoadedExperiment | None
    specs: tuple[TrialSpec, ...]
    skipped: BaseException | None = None
    is_draft: bool = False

    @property
    def is_parametrized(self) -> bool:
        """Whether the user put ``pytest.mark.parametrize`` on the experiment."""
        return self.loaded is not None and _is_parametrized(self.loaded)


@dataclass(frozen=True, slots=True)
class Code:
    """The repositories the session's code is in, or the sentence why that cannot be said."""

    states: tuple[RepositoryState, ...] = ()
    problem: str = ""

    @property
    def commit(self) -> str | None:
        """The commit of the project's own repository."""
        return self.states[0].commit if self.states else None


@dataclass(eq=False)  # registered as a plugin, so it has to be hashable
class ExperimentSession:
    """What a pytest session knows of its experiments."""

    config: pytest.Config
    project: Project
    nodes: list[Node]
    other_arguments: list[str]
    request: Request
    draft: bool
    reuse: Reuse
    jobs: int = 1
    officials: Officials | None = None
    planned: dict[Path, dict[str, Planned]] = field(default_factory=dict)
    interrupted: list[Row] = field(default_factory=list)
    began: str = field(default_factory=now)
    engine: ForkedProcesses | None = None
    """What the launcher will make processes with, if it comes up already."""

    @cached_property
    def code(self) -> Code:
        """The state of the project's repository and of those behind editable installs."""
        from pytest_mitosis.identity.repository import editable_repositories, read_state

        exclude = self.project.own_folders
        ignore = (*self.project.clean_ignore, *reference_globs(self.project))
        try:
            own = read_state(self.project.root, ignore=ignore, exclude=exclude)
            others = [
                read_state(root, exclude=exclude) for root in editable_repositories([own.root])
            ]
        except TreeError as error:
            return Code(problem=str(error))
        return Code((own, *others))

    @cached_property
    def site(self) -> Site | None:
        """The cluster trials are sent to; None if they run on this machine."""
        return launching.site_of(self)

    @cached_property
    def code_copy(self) -> CodeCopy | None:
        """The checked commit beside the store, for trials on a cluster; None if they need none."""
        return launching.code_copy_of(self)

    @property
    def loaded(self) -> list[LoadedExperiment]:
        """The experiments that are to be collected."""
        planned = [one for nodes in self.planned.values() for one in nodes.values()]
        return [one.loaded for one in planned if one.loaded is not None]

    @cached_property
    def allotments(self) -> Allotments:
        """Gives trials their part of the machine."""
        from pytest_mitosis.allotment import Allotments

        return Allotments(self)

    @cached_property
    def runner(self) -> Runner:
        """Runs trials; made when the first one is, because it imports what running needs."""
        from pytest_mitosis.runner import Runner

        return Runner(self)

    @cached_property
    def vouching(self) -> Vouching | None:
        """Checks official trials; None in a session without."""
        if self.officials is None:
            return None
        from pytest_mitosis.vouching import Vouching

        return Vouching(self, self.officials)

    @cached_property
    def launcher(self) -> Launcher:
        """Starts the processes of trials; what it needs is imported when a trial starts."""
        return launching.launcher_of(self)

    @property
    def has_launcher(self) -> bool:
        """Whether a launcher was made, which then ends with the session."""
        return "launcher" in vars(self)

    def arguments(self) -> list[str]:
        """What pytest is to collect in place of what the command line said.

        A pasted id is planned, so its node is enough; only where the user parametrizes as well
        the brackets say more than the plan.
        """
        nodes: dict[str, None] = {}
        for node in self.nodes:
            place = f"{node.file}::{node.node}"
            planned = self.planned.get(Path(node.file), {}).get(node.node)
            if planned is not None and planned.skipped is not None:
                nodes[node.file] = None  # a module that skips itself has no functions
            elif planned is not None and planned.is_parametrized and node.ids:
                nodes |= {f"{place}[{text}]": None for text in node.ids}
            else:
                nodes[place] = None
        return [*self.other_arguments, *nodes]

    def plan(self) -> None:
        """Import the experiments and expand them into trial specs.

        Raises
        ------
        PlanError
            If anything the command line or the tables say is wrong.
        """
        index = Index(self.project)
        home = str(self.project.home)
        if home not in sys.path:  # as with python -m pytest: exps/exp_a.py may import lab/
            sys.path.insert(0, home)
        loaded: list[tuple[Node, Experiment, LoadedExperiment | None, BaseException | None]] = []
        for node in self.nodes:
            experiment = index.find_node(Path(node.file), node.node)
            try:
                loaded.append((node, experiment, load_experiment(experiment), None))
            except pytest.skip.Exception as reason:  # pytest.importorskip in the user's module
                loaded.append((node, experiment, None, reason))
        _require_one_meaning([experiment for _, experiment, _, _ in loaded])
        require_targets([one for _, _, one, _ in loaded if one is not None], self.request)
        for node, experiment, one, skipped in loaded:
            specs = self._specs(node, one) if one is not None else ()
            nodes = self.planned.setdefault(Path(node.file), {})
            before = nodes[node.node].specs if node.node in nodes else ()
            unique = {spec.id: spec for spec in (*before, *specs)}
            nodes[node.node] = Planned(experiment, one, tuple(unique.values()), skipped, self.draft)
        self.allotments.require_possible()

    def _specs(self, node: Node, loaded: LoadedExperiment) -> Iterable[TrialSpec]:
        if self.officials is not None and node.group:
            return self.officials.expand(node.group, loaded)
        if node.ids:
            return [_read_pasted(loaded, text) for text in node.ids]
        return expand(loaded, self.request)

    def describe_code(self) -> str:
        """``commit 7ab1f20 main, clean``, or why that cannot be said."""
        if not self.project.is_repository:
            return "not in a git repository"
        from pytest_mitosis.identity.repository import describe_code

        return describe_code(self.code.states, self.code.problem)

    def say(self, line: str) -> None:
        """Tell the user something at once, where a terminal is at hand."""
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None and terminal.verbosity >= -1:
            with uncaptured(self.config):
                terminal.ensure_newline()
                terminal.write_line(f"mitosis: {line}")

    def rerun_command(self, nodeid: str) -> str:
        """The command that runs one trial again, also if nothing changed."""
        command = ["pytest", "-p", "mitosis", nodeid]
        command += ["--exp-draft"] if self.draft else ["--exp-reuse", Reuse.NEVER]
        folder = self.config.getoption("trials_folder")
        if folder:
            command += ["--trials-folder", folder]
        return shlex.join(command)


@contextlib.contextmanager
def uncaptured(config: pytest.Config) -> Iterator[None]:
    """While a test runs, pytest keeps what is printed for it; inside, the terminal is reached."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        yield


def _require_one_meaning(experiments: Iterable[Experiment]) -> None:
    """Two experiments of one name would share trials and locks."""
    known: dict[str, Experiment] = {}
    for one in experiments:
        other = known.setdefault(one.name, one)
        if other.steps != one.steps:
            raise PlanError(
                f"two experiments are called {one.name}: {other.file.name}::{other.node} and "
                f"{one.file.name}::{one.node}; rename one, or run them with --trials-folder apart"
            )


def _is_parametrized(loaded: LoadedExperiment) -> bool:
    return any(
        getattr(mark, "name", "") == "parametrize"
        for step in loaded.steps
        for mark in getattr(step.action, "pytestmark", ())
    )


def _read_pasted(loaded: LoadedExperiment, text: str) -> TrialSpec:
    """The spec of a pasted id; ``noise=low-3`` may end in an id of the user's ``parametrize``."""
    shorter = text
    while _is_parametrized(loaded) and "-" in shorter:
        try:
            return read_id(loaded, shorter)
        except PlanError:
            shorter = shorter.rpartition("-")[0]
    return read_id(loaded, shorter)
