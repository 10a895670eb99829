"""Official trials, item by item: locked before they run, compared or accepted afterwards.

Runs in the pytest process an item belongs to; in the controller it says what became of all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mitosis.changed_values import changed_value
from pytest_mitosis.collection import key_of, spec_of
from pytest_mitosis.model import Binding, Kind, LockError, MitosisError, PlanError, Trial
from pytest_mitosis.read.ladder import Rung
from pytest_mitosis.read.statistics import shifts_of
from pytest_mitosis.read.verdict import Verdict, judge, without_reference
from pytest_mitosis.read.verdict_text import around, count_rungs, gist, told
from pytest_mitosis.store.files import store_errors
from pytest_mitosis.store.reference import (
    Reference,
    accepted_trial,
    make_reference,
    mark_official,
    read_group,
    read_reference,
    recorded_environment,
    reference_file,
    write_reference,
)
from pytest_mitosis.table import Refusal, Row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_mitosis.model import TrialSpec
    from pytest_mitosis.official import Officials
    from pytest_mitosis.plan.official import Group
    from pytest_mitosis.session import ExperimentSession

ACCEPTED = "accepted"


@dataclass(eq=False)  # registered as a plugin, so it has to be hashable
class Vouching:
    """The references of a session's official trials."""

    session: ExperimentSession
    officials: Officials
    locked: dict[str, LockError] = field(default_factory=dict)
    _groups: dict[str, list[Reference]] = field(default_factory=dict)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Emitted after collection; if a name is not what is vouched for, nothing else runs."""
        ours = [(one, spec) for one in items if (spec := spec_of(one)) is not None]
        folder = self.officials.declaration.folder
        try:
            for group in self.officials.groups if not self.officials.why else ():
                self._groups[group.name] = read_group(folder, group.name)
            for item, spec in ours:
                assert isinstance(item, pytest.Function)
                if problem := self._changed_value(item, spec):
                    self.locked[item.nodeid] = problem
        except MitosisError as error:
            raise pytest.UsageError(str(error)) from None
        if self.locked and not config.getoption("collectonly"):
            others = [one for one in items if one.nodeid not in self.locked]
            items[:] = [one for one in items if one.nodeid in self.locked]
            config.hook.pytest_deselected(items=others)

    def require_values(self, item: pytest.Function) -> None:
        """Refuse an item with a variant that is not what its reference has.

        Raises
        ------
        LockError
            With what changed.
        """
        if item.nodeid in self.locked:
            raise self.locked[item.nodeid]

    def outlook(self, item: pytest.Function, spec: TrialSpec) -> str:
        """What an item's trial would be compared with, in a plan."""
        if self.officials.why:
            return "to be accepted"
        told = []
        for group in self.officials.groups_of(spec):
            found = self.reference(item, spec, group)
            against = f"{found.record['trial']} ({found.origin})" if found else "nothing yet"
            told.append(f"to compare with {group.name} {against}")
        return "; ".join(told)

    def reference(self, item: pytest.Function, spec: TrialSpec, group: Group) -> Reference | None:
        """What is vouched for of an item's trial in a group."""
        return read_reference(self._file(item, spec, group))

    def conclude(self, item: pytest.Function, trial: Trial, row: Row) -> tuple[Row, str]:
        """The row of a trial that is done, and why its item fails; empty if it does not."""
        spec = spec_of(item)
        assert spec is not None
        label = f"{spec.experiment.name}[{spec.id}]"
        if tainted := trial.manifest.get("tainted"):
            reason = f"{label} is tainted, so nobody can vouch for it: {'; '.join(tainted)}"
            return _unvouched(row, reason)
        if self.officials.why:
            return self._accept(item, spec, trial, row)
        verdicts = [self._judge(item, spec, trial, one) for one in self.officials.groups_of(spec)]
        item.user_properties += [
            (f"mitosis.official.{one.group}", str(one.rung)) for one in verdicts
        ]
        failed = [one for one in verdicts if not one.holds]
        drifted = [one for one in failed if one.has_reference]
        row = row.replaced(
            against=_word(verdicts),
            verdicts=tuple(one.to_json() for one in verdicts),
            notes=(*row.notes, *_warnings(verdicts, label)),
        )
        if failed:
            refusal = Refusal.DRIFTED if drifted else Refusal.UNVOUCHED
            row = row.replaced(refusal=refusal, reason=gist((drifted or failed)[0], label))
        return row, "\n\n".join(told(one, label) for one in failed)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Emitted in the controller: the groups and what became of their trials."""
        reporter = terminalreporter.config.pluginmanager.get_plugin("mitosis-reporting")
        rows: list[Row] = [row for row in reporter.rows if row.trial]
        is_locked = any(row.refusal == Refusal.LOCKED for row in reporter.rows)
        for group in self.officials.groups:
            lines = self._told_of_group(group, rows)
            if lines:
                terminalreporter.write_line(f" official {group.name}: {lines}")
            verdicts = _verdicts_of(group, rows)
            for line in (*around(verdicts), *shifts_of(verdicts)):
                terminalreporter.write_line(f"   {line}")
        if is_locked and not rows and not terminalreporter.config.getoption("collectonly"):
            terminalreporter.write_line(" official trials: nothing ran, since a name has changed")

    def _told_of_group(self, group: Group, rows: Sequence[Row]) -> str:
        verdicts = _verdicts_of(group, rows)
        if verdicts:
            return " · ".join([count_rungs(verdicts), *self._undeclared(group)])
        if not self.officials.why or not rows:
            return ""
        words = [row.against.partition(" ") for row in rows]
        accepted = sum(w[0] == ACCEPTED and group.name in w[2].split(", ") for w in words)
        if not accepted:
            return "no reference changed"
        folder = os.path.relpath(self.officials.declaration.folder / group.name)
        files = "1 reference" if accepted == 1 else f"{accepted} references"
        return f"{files} written; review and commit: git add {folder}"

    def _undeclared(self, group: Group) -> list[str]:
        """References of trials the group does not have any more."""
        folder = self.officials.declaration.folder
        keys = self.officials.keys.get(group.name, set())
        known = [reference_file(folder, group.name, key).stem for key in keys]
        # A key may go on with the values of the user's own parametrize.
        left = [
            file.name
            for file in sorted((folder / group.name).glob("*.json"))
            if not any(file.stem == one or file.stem.startswith(f"{one},") for one in known)
        ]
        if not left:
            return []
        files = "reference is" if len(left) == 1 else "references are"
        return [f"{len(left)} {files} of trials that are not declared any more, such as {left[0]}"]

    def _judge(self, item: pytest.Function, spec: TrialSpec, trial: Trial, group: Group) -> Verdict:
        found = self.reference(item, spec, group)
        if found is None:
            return without_reference(trial, group)
        project = self.session.project
        environment = recorded_environment(project.trials_folder, trial)
        siblings = self._groups.get(group.name, ())
        recorded = accepted_trial(found, trial.folder.parent)
        return judge(trial, found, group, siblings, environment, project.root, recorded)

    def _accept(
        self, item: pytest.Function, spec: TrialSpec, trial: Trial, row: Row
    ) -> tuple[Row, str]:
        if problem := self.session.runner.tree_problem():  # a conftest may guard otherwise
            return _unvouched(row, f"only what a commit has can be accepted: {problem}")
        environment = recorded_environment(self.session.project.trials_folder, trial)
        descriptions = {
            (one.step, one.parameter): self.session.runner.describer.describe(one)
            for one in _variants(spec)
        }
        place = os.path.relpath(item.path, self.session.project.root)
        node = f"{place}::{item.nodeid.partition('::')[2]}"
        written, notes = [], []
        for group in self.officials.groups_of(spec):
            file = self._file(item, spec, group)
            new = make_reference(
                trial, file, group.name, self.officials.why, environment, descriptions, node
            )
            notes += self._change(item, spec, trial, group, row.label)
            try:
                with store_errors(file.parent):
                    written += [group.name] if write_reference(new) else []
                with store_errors(self.session.project.trials_folder):
                    _mark(trial, file, group)
            except MitosisError as error:
                return _unvouched(row, str(error))
        against = f"{ACCEPTED} {', '.join(written)}" if written else f"as {ACCEPTED}"
        return row.replaced(against=against, notes=(*row.notes, *notes)), ""

    def _change(
        self, item: pytest.Function, spec: TrialSpec, trial: Trial, group: Group, label: str
    ) -> list[str]:
        """How what is accepted differs from what was; nothing of a file that is no reference."""
        try:
            before = self._judge(item, spec, trial, group)
        except PlanError:
            return []
        is_other = before.has_reference and before.rung is not Rung.IDENTICAL
        return [f"accepted: {gist(before, label)}"] if is_other else []

    def _file(self, item: pytest.Function, spec: TrialSpec, group: Group) -> Path:
        return reference_file(self.officials.declaration.folder, group.name, key_of(item, spec))

    def _changed_value(self, item: pytest.Function, spec: TrialSpec) -> LockError | None:
        """How a variant of the item is another value than its reference's."""
        if self.officials.why:
            return None
        for group in self.officials.groups_of(spec):
            found = self.reference(item, spec, group)
            if found is None:
                continue
            for binding in _variants(spec):
                now = self.session.runner.describer.describe(binding)
                strict = self.session.project.strict_code
                if problem := changed_value(found, binding, now, strict_code=strict):
                    return problem
        return None


def _mark(trial: Trial, file: Path, group: Group) -> None:
    """Mark the trial its reference names; one that gave the very same is not what was accepted."""
    found = read_reference(file)
    if found is not None and found.record["trial"] == trial.id:
        from pytest_mitosis.read.site.page import write_page  # here: templates

        write_page(mark_official(trial, group.name))


def _verdicts_of(group: Group, rows: Sequence[Row]) -> list[Verdict]:
    told = (one for row in rows for one in row.verdicts if one["group"] == group.name)
    return [Verdict.from_json(one) for one in told]


def _unvouched(row: Row, reason: str) -> tuple[Row, str]:
    return row.replaced(refusal=Refusal.UNVOUCHED, reason=reason.splitlines()[0]), reason


def _variants(spec: TrialSpec) -> list[Binding]:
    return [one for one in spec.bindings if one.kind is Kind.VARIANT and one.tracked]


def _word(verdicts: Sequence[Verdict]) -> str:
    order = list(Rung)
    if not all(one.has_reference for one in verdicts):
        return "no reference"
    return str(max((one.rung for one in verdicts), key=order.index, default=Rung.IDENTICAL))


def _warnings(verdicts: Sequence[Verdict], label: str) -> list[str]:
    """What is worth saying of trials that hold: spread, new values, an unexpected rung."""
    found = []
    for one in verdicts:
        if one.has_reference and one.holds and one.rung in {Rung.SPREAD, Rung.NEW}:
            found.append(gist(one, label))
        elif one.holds and one.rung is Rung.TOLERANCE and one.expected.startswith("identical"):
            found.append(f"{gist(one, label)}; expected {one.expected}")
        found += one.notes
    return found
