"""Takes an item from its guards to its recorded trial.

Runs in the pytest process the item belongs to (under xdist, the worker). The trial itself runs
in another process; here it is prepared, waited for, recorded and judged.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_mitosis.conductor import Conductor
from pytest_mitosis.identity import Description, compare, render_changes
from pytest_mitosis.identity.hooks import HOOK
from pytest_mitosis.identity.repository import require_clean
from pytest_mitosis.model import (
    NOT_REPRODUCIBLE,
    Binding,
    Failure,
    Kind,
    LockError,
    MitosisError,
    Outcome,
    Status,
    StoreError,
    TreeError,
    Trial,
    TrialSpec,
    Undescribable,
)
from pytest_mitosis.orders import CLAIM, HELD, Orders, spec_of_item
from pytest_mitosis.precedent import Precedents, Wait
from pytest_mitosis.run.jobs import Describer
from pytest_mitosis.run.launcher import Handle, LeftRunning, Order
from pytest_mitosis.store.files import exists, store_errors
from pytest_mitosis.store.locks import Held, Name, take_lock
from pytest_mitosis.store.withdrawal import withdraw
from pytest_mitosis.table import Refusal, Row, reused_row, row_of

if TYPE_CHECKING:
    import pluggy

    from pytest_mitosis.session import ExperimentSession, Planned

ROW = pytest.StashKey[Row]()
REFUSAL = pytest.StashKey[Refusal]()
PROVEN = pytest.StashKey[bool]()
LEFT = pytest.StashKey[bool]()
"""Set on an item whose trial goes on without this session: nothing it relies on is taken back."""

Ended = Trial | tuple[Trial, Outcome]
"""An earlier trial that does, or one of this session with what its job left."""


@dataclass
class Prepared:
    """What became of an item before pytest reached it; nothing yet if it waits for another."""

    problem: Exception | None = None
    earlier: Trial | None = None
    handle: Handle | None = None

    @property
    def has_ended(self) -> bool:
        """Whether there is a trial that does, or the item's own has ended."""
        return self.earlier is not None or (self.handle is not None and self.handle.is_done())

    def end(self) -> Ended:
        """The trial that does, or the item's own at its end."""
        if self.problem is not None:
            raise self.problem
        if self.earlier is not None:
            return self.earlier
        assert self.handle is not None
        return self.handle.result()


PREPARED = pytest.StashKey[Prepared]()


@dataclass
class Runner:
    """Guards, runs and records the trials of one session."""

    session: ExperimentSession
    refusal: Refusal | None = None
    started: float = field(default_factory=time.time)

    @cached_property
    def conductor(self) -> Conductor:
        """Runs trials, as many at once as are asked for."""
        return Conductor(self.session)

    @cached_property
    def orders(self) -> Orders:
        """Begins trials."""
        return Orders(self.session, self.describer, self.precedents, self.conductor, self.started)

    @cached_property
    def describer(self) -> Describer:
        """Describes values, asking the hooks ``pytest_mitosis_describe`` of this session first."""
        found = self.session.config.hook.pytest_mitosis_describe.get_hookimpls()
        # pluggy calls the one registered last first, and passes the arguments a hook names.
        asked = [(_reference(one), one.function) for one in reversed(found)]
        return Describer(
            hooks=tuple(function for _, function in asked),
            references=tuple(reference for reference, _ in asked),
        )

    @cached_property
    def precedents(self) -> Precedents:
        """Finds what is already done."""
        return Precedents(self.session, self.describer)

    def require_clean_tree(self) -> None:
        """Fail the session's first item, and stop, unless all code is committed."""
        if problem := self.tree_problem():
            self.refusal = Refusal.DIRTY
            fail(problem)

    def tree_problem(self) -> str:
        """Why no trial but a draft may begin; empty if all code is committed."""
        code = self.session.code
        try:
            require_clean(code.states)
        except TreeError as error:
            return str(error)
        return code.problem

    def lock_variants(self, item: pytest.Function) -> None:
        """Lock every variant name of the item's trial, or fail it and lock none."""
        problem: Exception | None = None
        if PREPARED in item.stash:  # what the store refused is told when its trial would run
            found = item.stash[PREPARED].problem
            problem = found if isinstance(found, LockError | Undescribable) else None
        else:
            try:
                self._take_locks(item)
            except MitosisError as error:
                problem = error
        if isinstance(problem, MitosisError):
            self.settle_locks(item)
            self._refuse(item, problem)

    def _take_locks(self, item: pytest.Function) -> None:
        held = item.stash.setdefault(HELD, [])
        if self.session.vouching is not None:
            self.session.vouching.require_values(item)
        for binding in _tracked_variants(item):
            held.append(self._lock(binding))

    def settle_locks(self, item: pytest.Function) -> None:
        """Keep the item's locks if its trial proved them, else withdraw those that are new.

        A name is locked for good only once another process found the same value under it. Where
        one was withdrawn that this trial relied on, it is taken again.
        """
        if item.stash.get(LEFT, False):
            return
        proven = item.stash.get(PROVEN, False)
        taken = item.stash.get(HELD, None) or []
        for binding, held in zip(_tracked_variants(item), taken, strict=False):
            if not proven:
                own = item.stash.get(CLAIM, None)
                store, folder = self.session.project.trials_folder, own.folder if own else None
                withdraw(held, self.session.began, store, folder)
            elif not exists(held.lock.file):
                self._lock(binding)

    def _lock(self, binding: Binding) -> Held:
        project = self.session.project
        description = self.describer.describe(binding)
        with store_errors(project.locks_folder):
            return take_lock(
                project.locks_folder,
                Name(binding.step, binding.parameter, binding.name),
                description,
                self.session.code.commit or "",
                strict_code=project.strict_code,
            )

    def run(self, item: pytest.Function, planned: Planned) -> None:
        """Run the item's trial in a process of its own, record it, and fail the item if it did.

        Raises
        ------
        KeyboardInterrupt
            If the trial was interrupted; it is recorded before.
        """
        problem: MitosisError | None = None
        try:
            with store_errors(self.session.project.trials_folder):
                found = self._end_of(item, planned)
        except LeftRunning as left:
            self._leave(item, str(left))
        except MitosisError as error:
            problem = error
        if problem is not None:  # outside the handler, or pytest shows both
            self._refuse(item, problem)
        row, failure = self.record(item, found)
        if row.status == Status.INTERRUPTED and self.session.site is None:
            self._exit(item, row)
        if not isinstance(found, Trial) and found[1].error is not None:
            raise found[1].error  # a debugger can look at its frames
        trial = found if isinstance(found, Trial) else found[0]
        if failure is not None:
            fail(_explain(trial, failure))
        self._conclude(item, trial, row)

    def _conclude(self, item: pytest.Function, trial: Trial, row: Row) -> None:
        """Fail the item of a trial that is done if it is not what was expected of it."""
        if row.supported is False:
            reason = f"the result does not support the hypothesis: {row.hypothesis}"
            item.stash[ROW] = row.replaced(refusal=Refusal.REFUTED, reason=reason)
            fail(f"{reason}\ntrial {trial.id}, main {row.metrics.get('main')!r} · {trial.folder}")
        if self.session.vouching is not None:
            item.stash[ROW], told = self.session.vouching.conclude(item, trial, row)
            if told:
                fail(told)

    def _exit(self, item: pytest.Function, row: Row) -> NoReturn:
        """End the session with a trial that was interrupted here."""
        if hasattr(item.config, "workerinput"):
            raise KeyboardInterrupt  # what xdist's worker expects
        self.session.interrupted.append(row)
        pytest.exit(f"trial {row.trial} was interrupted; what it left is kept", returncode=2)

    def _leave(self, item: pytest.Function, where: str) -> NoReturn:
        """Tell of a trial that goes on without this session."""
        item.stash[LEFT] = True
        pytest.skip(where)

    def record(self, item: pytest.Function, found: Ended) -> tuple[Row, Failure | None]:
        """Keep the row of the item's trial, and say how it failed if it did."""
        spec = spec_of_item(item)
        if isinstance(found, Trial):
            item.stash[PROVEN] = True  # by the trial that ran
            return self._record_row(item, reused_row(found, spec)), None
        from pytest_mitosis.store.rows import against_last  # needless where nothing runs

        trial, outcome = found
        item.stash[PROVEN] = outcome.proven
        row = self._record_row(item, row_of(trial, spec, against_last(trial)))
        self.session.config.hook.pytest_mitosis_trial_finished(
            config=self.session.config, folder=trial.folder, manifest=trial.manifest
        )
        failure = outcome.failure
        if failure is not None and failure.type == NOT_REPRODUCIBLE:
            failure = self._unproven(spec, outcome)
        return row, failure

    def start(self, item: pytest.Function, planned: Planned) -> Prepared | Wait:
        """Begin the item's trial before pytest reaches it, or say what it has to wait for.

        Its guards are asked first; what they or the store refuse is told when pytest reaches it.
        """
        prepared = item.stash.setdefault(PREPARED, Prepared())
        try:
            with store_errors(self.session.project.trials_folder):
                if not self.session.draft and HELD not in item.stash:
                    self._take_locks(item)
                found = self.orders.attempt(item, planned)
                if isinstance(found, Wait):
                    return found
                if isinstance(found, Trial):
                    prepared.earlier = found
                else:
                    prepared.handle = self.conductor.start(found)
        except Exception as error:
            prepared.problem = error
        return prepared

    def _end_of(self, item: pytest.Function, planned: Planned) -> Ended:
        """An earlier trial that does, or the item's own, run or waited for to its end."""
        prepared = item.stash.get(PREPARED, None)
        if prepared is not None:
            return prepared.end()
        self.conductor.wait_for_a_slot()
        found = self.precedents.persist(
            lambda: self.orders.attempt(item, planned),
            item.stash.get(CLAIM, None),
            self.conductor.rest,
        )
        return self.conductor.run(found) if isinstance(found, Order) else found

    def _record_row(self, item: pytest.Function, row: Row) -> Row:
        item.stash[ROW] = row
        item.user_properties += [(f"mitosis.{key}", str(row.metrics[key])) for key in row.metrics]
        return row

    def _unproven(self, spec: TrialSpec, outcome: Outcome) -> Failure:
        """What differs between this process and the trial's, leaf by leaf."""
        lines = []
        for binding in spec.bindings:
            found = outcome.unproven.get(f"{binding.step}.{binding.parameter}")
            if found is None:
                continue
            name = f"{binding.parameter}={binding.name}"
            if "error" in found:
                lines.append(f"{name}: {found['error']}")
                continue
            here, there = self.describer.describe(binding), Description.from_json(found)
            lines += [f"{name} is not reproducible; in another process it is another value:"]
            lines.append(render_changes(compare(here, there)))
        lines.append(
            "a variant has to be the same in every process: no times, temporary paths, "
            "unseeded random numbers or orders of sets"
        )
        return Failure(NOT_REPRODUCIBLE, "\n".join(lines))

    def _refuse(self, item: pytest.Function, error: MitosisError) -> NoReturn:
        """Fail an item for a reason of ours, in the words of the error."""
        if isinstance(error, LockError):
            item.stash[REFUSAL] = Refusal.LOCKED
        if isinstance(error, StoreError):
            item.stash[REFUSAL] = self.refusal = Refusal.STORE
            item.session.shouldstop = "the trials folder cannot be written"
        fail(str(error))


def _reference(hook: pluggy.HookImpl) -> str:
    """Where the trial's process finds a hook: a function of a module or of a ``conftest.py``."""
    module, name = sys.modules.get(hook.function.__module__), hook.function.__name__
    if getattr(module, name, None) is not hook.function or list(hook.argnames) != ["value"]:
        raise pytest.UsageError(
            f"{hook.plugin_name}: {HOOK} has to be a function of a module, with the argument "
            "value: trials ask it in a process of their own"
        )
    file = getattr(module, "__file__", None) or ""
    return f"{file if Path(file).name == 'conftest.py' else hook.function.__module__}:{name}"


def _tracked_variants(item: pytest.Function) -> list[Binding]:
    bindings = spec_of_item(item).bindings
    return [one for one in bindings if one.kind is Kind.VARIANT and one.tracked]


def fail(text: str) -> NoReturn:
    """Fail the running item with ``text`` alone, without frames of ours."""
    __tracebackhide__ = True
    pytest.fail(text, pytrace=False)


def _to_look_at(folder: Path) -> str:
    """What there is to read of a trial; one that never began has its folder only."""
    names = {"notebook": "notebook.html", "log": "log.txt"}
    there = [f"{word} {folder / name}" for word, name in names.items() if (folder / name).exists()]
    return " · ".join(there or [f"folder {folder}"])


def _explain(trial: Trial, failure: Failure) -> str:
    manifest = trial.manifest
    head = f"{failure.type}: {failure.message}"
    lines = [head]
    if failure.traceback:
        lines += ["", failure.traceback]
    lines += [
        "",
        f"after {manifest['duration_s']:.1f} s · trial {trial.id} · {_to_look_at(trial.folder)}",
    ]
    return "\n".join(lines)
