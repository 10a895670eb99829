"""``--exp-all --collect-only``: whether every name of the project means what it was locked to.

Looks at all variants of all experiments, runs and writes nothing; a check of seconds for CI. Runs
in the pytest process that collects, in place of collecting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mitosis.changed_values import changed_value
from pytest_mitosis.model import Binding, Kind, LockError, MitosisError, Undescribable
from pytest_mitosis.plan.index import Index
from pytest_mitosis.plan.official import is_declared, read_declaration
from pytest_mitosis.plan.references import load_experiment
from pytest_mitosis.store.locks import Name, check_lock
from pytest_mitosis.store.reference import Reference, read_group
from pytest_mitosis.table import Refusal, Row

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pytest_mitosis.model import Experiment
    from pytest_mitosis.reporting import Reporter
    from pytest_mitosis.session import ExperimentSession


@dataclass(eq=False)  # registered as a plugin, so it has to be hashable
class RollCall:
    """All names of a project, each compared with its lock and with the references that have it."""

    session: ExperimentSession
    reporter: Reporter
    same: int = 0
    new: int = 0
    changed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        """Emitted before collecting; there is nothing to collect."""
        try:
            references = list(self._references())
            for binding in self._bindings():
                self._look(binding, references)
        except MitosisError as error:
            raise pytest.UsageError(str(error)) from None
        for text in self.changed:
            self.reporter.rows.append(Row(refusal=Refusal.LOCKED, reason=text.splitlines()[0]))
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Emitted at the end; that no test was collected is as it should be."""
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK
        yield

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Emitted at the end: what changed, and how many names there are."""
        for text in [*self.changed, *self.problems]:
            terminalreporter.write_line(text)
        told = [f"{self.same} unchanged", f"{self.new} new"]
        told += [f"{len(self.problems)} that cannot be locked"] if self.problems else []
        told += [f"{len(self.changed)} LOCKED"] if self.changed else []
        terminalreporter.write_line(f"names of variants: {', '.join(told)}")

    def _look(self, binding: Binding, references: list[Reference]) -> None:
        project, describer = self.session.project, self.session.runner.describer
        name = Name(binding.step, binding.parameter, binding.name)
        strict = project.strict_code
        try:
            description = describer.describe(binding)
            held = check_lock(project.locks_folder, name, description, strict_code=strict)
            known = held is not None
            for one in references:
                if one.variant(binding.step, binding.parameter) == binding.name:
                    known = True
                    if problem := changed_value(one, binding, description, strict_code=strict):
                        raise problem
        except LockError as error:
            self.changed.append(str(error))
        except Undescribable as error:
            self.problems.append(f"{binding.step}: {error}")
        else:
            self.same += known
            self.new += not known

    def _references(self) -> Iterator[Reference]:
        if is_declared(self.session.project):
            declaration = read_declaration(self.session.project)
            for group in declaration.groups:
                yield from read_group(declaration.folder, group)

    def _bindings(self) -> Iterator[Binding]:
        """Every variant of every step, once."""
        seen = set()
        for experiment in self._experiments():
            try:
                loaded = load_experiment(experiment)
            except pytest.skip.Exception as reason:  # pytest.importorskip in the user's module
                self.session.say(
                    f"{experiment.name} is left out, its module skips itself: {reason}"
                )
                continue
            for step in loaded.steps:
                for parameter in step.lookup:
                    for name, value in step.variants(parameter).items():
                        key = (step.name, str(parameter), str(name))
                        if key not in seen:
                            seen.add(key)
                            yield Binding(*key[:2], Kind.VARIANT, key[2], value=value)

    def _experiments(self) -> Iterator[Experiment]:
        project = self.session.project
        index = Index(project)
        for name in (*project.experiments, *project.steps):
            yield index.find(name)
        for file in index.files:
            for node in file.defined:
                yield index.find_node(file.path, node)
