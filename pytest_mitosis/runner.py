"""Takes an item from its guards to its recorded trial.

Runs in the pytest process the item belongs to (under xdist, the worker). The trial itself runs
in another process; here it is prepared, waited for, recorded and judged.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_mitosis.collection import key_of
from pytest_mitosis.identity import Description, compare, render_changes
from pytest_mitosis.identity.imported import ImportedFile
from pytest_mitosis.identity.repository import require_clean, snapshot
from pytest_mitosis.identity.verdicts import verdicts
from pytest_mitosis.launching import launcher_name
from pytest_mitosis.model import (
    NOT_REPRODUCIBLE,
    Binding,
    Failure,
    Job,
    Kind,
    LockError,
    MitosisError,
    Outcome,
    Status,
    StoreError,
    TreeError,
    Trial,
    TrialSpec,
)
from pytest_mitosis.precedent import Precedents
from pytest_mitosis.run.jobs import Describer, argument_identities, build_job
from pytest_mitosis.run.launcher import Launcher, Order
from pytest_mitosis.store.attempts import claim_attempt, put_by, stopped_trial
from pytest_mitosis.store.files import store_errors
from pytest_mitosis.store.folder import MANIFEST, Claim, claim, release
from pytest_mitosis.store.locks import Held, Name, take_lock, withdraw
from pytest_mitosis.store.reuse import Reuse
from pytest_mitosis.store.rows import against_last
from pytest_mitosis.table import Refusal, Row, reused_row, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mitosis.plan.references import LoadedExperiment
    from pytest_mitosis.session import ExperimentSession, Planned

CLAIM = pytest.StashKey[Claim]()
HELD = pytest.StashKey[list[Held]]()
ROW = pytest.StashKey[Row]()
REFUSAL = pytest.StashKey[Refusal]()
PROVEN = pytest.StashKey[bool]()


@dataclass
class Runner:
    """Guards, runs and records the trials of one session."""

    session: ExperimentSession
    describer: Describer = field(default_factory=Describer)
    refusal: Refusal | None = None
    started: float = field(default_factory=time.time)

    @cached_property
    def precedents(self) -> Precedents:
        """Finds what is already done."""
        return Precedents(self.session, self.describer)

    @cached_property
    def launcher(self) -> Launcher:
        """Starts the processes of trials; closed when the session ends."""
        return self.session.launcher

    def require_clean_tree(self) -> None:
        """Fail the session's first item, and stop, unless all code is committed."""
        code = self.session.code
        problem = code.problem
        try:
            require_clean(code.states)
        except TreeError as error:
            problem = str(error)
        if problem:
            self.refusal = Refusal.DIRTY
            fail(problem)

    def lock_variants(self, item: pytest.Function) -> None:
        """Lock every variant name of the item's trial, or fail it and lock none."""
        held = item.stash.setdefault(HELD, [])
        problem: MitosisError | None = None
        try:
            for binding in _tracked_variants(item):
                held.append(self._lock(binding))
        except MitosisError as error:
            problem = error
        if problem is not None:
            self.settle_locks(item)
            self._refuse(item, problem)

    def settle_locks(self, item: pytest.Function) -> None:
        """Keep the item's locks if its trial proved them, else withdraw those it created.

        A name is locked for good only once another process found the same value under it. Where
        another session withdrew a lock this trial relied on, it is taken again.
        """
        proven = item.stash.get(PROVEN, False)
        taken = item.stash.get(HELD, None) or []
        for binding, held in zip(_tracked_variants(item), taken, strict=False):
            if not proven:
                withdraw(held)
            elif not held.lock.file.exists():
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

    def claim(self, item: pytest.Function) -> Claim:
        """The folder of the item's trial; made when it is first asked for."""
        if CLAIM not in item.stash:
            spec = _spec(item)
            store = self.session.project.trials_folder
            with store_errors(store):
                item.stash[CLAIM] = self._resumed(item, spec) or claim(
                    store, spec.experiment.name, key_of(item, spec), draft=self.session.draft
                )
        return item.stash[CLAIM]

    def _resumed(self, item: pytest.Function, spec: TrialSpec) -> Claim | None:
        """With --exp-resume, the folder of a trial that was stopped before it ended."""
        if not item.config.getoption("exp_resume"):
            return None
        bound = tuple(one for one in spec.bindings if one.kind is not Kind.FIXTURE)
        known = argument_identities(replace(spec, bindings=bound), self.describer, {})
        stopped = stopped_trial(
            self.session.project.trials_folder,
            spec.experiment.name,
            key_of(item, spec),
            draft=self.session.draft,
            commit=self.session.code.commit,
            digests={(binding.step, binding.parameter): digest for binding, digest in known},
        )
        return claim_attempt(stopped) if stopped is not None else None

    def release_unused(self, item: pytest.Function) -> None:
        """Give back the item's folder if its trial never began."""
        claimed = item.stash.get(CLAIM, None)
        if claimed is not None and not (claimed.folder / MANIFEST).exists():
            release(claimed)

    def run(self, item: pytest.Function, planned: Planned, spec: TrialSpec) -> None:
        """Run the item's trial in a process of its own, record it, and fail the item if it did.

        Raises
        ------
        KeyboardInterrupt
            If the trial was interrupted; it is recorded before.
        """
        problem: MitosisError | None = None
        try:
            earlier = self._reuse(item, spec)
            if earlier is not None:
                self._record_row(item, reused_row(earlier, spec))
                return
            trial, outcome = self._run(item, planned, spec)
        except MitosisError as error:
            problem = error
        if problem is not None:  # outside the handler, or pytest shows both
            self._refuse(item, problem)
        row = row_of(trial, spec, against_last(trial))
        self._record_row(item, row)
        self.session.config.hook.pytest_mitosis_trial_finished(
            config=self.session.config, folder=trial.folder, manifest=trial.manifest
        )
        if outcome.status is Status.INTERRUPTED:
            if hasattr(item.config, "workerinput"):
                raise KeyboardInterrupt  # what xdist's worker expects
            self.session.interrupted.append(row)
            pytest.exit(f"trial {trial.id} was interrupted; what it left is kept", returncode=2)
        if outcome.error is not None:  # a debugger can look at its frames
            raise outcome.error
        if outcome.failure is not None:
            fail(_explain(trial, outcome.failure))

    def _record_row(self, item: pytest.Function, row: Row) -> None:
        item.stash[ROW] = row
        item.user_properties += [(f"mitosis.{key}", str(row.metrics[key])) for key in row.metrics]

    def _reuse(self, item: pytest.Function, spec: TrialSpec) -> Trial | None:
        """A trial that is already done; without one the item has a folder of its own to run in."""
        store = self.session.project.trials_folder
        with store_errors(store):
            claimed = item.stash.get(CLAIM, None) or self._resumed(item, spec)
            if claimed is not None and claimed.attempt > 1:
                item.stash[CLAIM] = claimed
                return None
            wanted = self.precedents.wanted(spec, key_of(item, spec), item.funcargs)
            found = self.precedents.obtain(wanted, item.stash.get(CLAIM, None))
        if isinstance(found, Claim):
            item.stash[CLAIM] = found
            return None
        item.stash[PROVEN] = True  # by the trial that ran
        return found

    def _run(
        self, item: pytest.Function, planned: Planned, spec: TrialSpec
    ) -> tuple[Trial, Outcome]:
        assert planned.loaded is not None
        store = self.session.project.trials_folder
        # Imported here, as it takes longer than to reuse a hundred trials.
        from pytest_mitosis.run.loop import run_alone
        from pytest_mitosis.run.trial import begin_trial

        claimed = self.claim(item)
        with store_errors(store):
            job = self._job(item, planned.loaded, spec)
            attempts = put_by(claimed) if claimed.attempt > 1 else {}
            begin_trial(job, claimed.folder, {**self._provenance(claimed.id), **attempts})
            facts = (("code", self.session.describe_code()),)
            notes = tuple(note for held in item.stash.get(HELD, []) for note in held.notes)
            order = Order(job, claimed.folder, store, facts, notes, self._judge)
            trial, outcome = run_alone(self.launcher, order)
        item.stash[PROVEN] = outcome.proven
        if outcome.failure is not None and outcome.failure.type == NOT_REPRODUCIBLE:
            outcome = replace(outcome, failure=self._unproven(spec, outcome))
        return trial, outcome

    def _job(self, item: pytest.Function, loaded: LoadedExperiment, spec: TrialSpec) -> Job:
        claimed = self.claim(item)
        try:
            return build_job(
                replace(spec, key=key_of(item, spec)),
                loaded,
                claimed,
                self.session.project,
                self.describer,
                item.funcargs,
                self.session.rerun_command(item.nodeid),
                draft=self.session.draft,
                share_steps=self.precedents.mode is not Reuse.NEVER,
            )
        except MitosisError:
            self.release_unused(item)
            raise

    def _judge(self, imported: Sequence[dict[str, Any]]) -> tuple[str, ...]:
        """Imported files that are not what the recorded commit holds; drafts vouch for none."""
        if self.session.draft or self.session.code.problem:
            return ()
        files = [ImportedFile.from_json(one) for one in imported]
        found = verdicts(files, self.session.code.states, since=self.started)
        return tuple(str(one) for one in found)

    def _keep_code(self, trial: str) -> dict[str, str]:
        """A draft's code, as a commit of its own beside the branches."""
        if not self.session.draft or not self.session.project.is_repository:
            return {}
        project = self.session.project
        try:
            commit = snapshot(
                project.root,
                trial,
                f"code of the draft {trial}",
                exclude=project.own_folders,
            )
        except TreeError as error:
            return {"code_problem": str(error)}
        return {"snapshot": commit}

    def _provenance(self, trial: str) -> dict[str, Any]:
        from pytest_mitosis import __version__

        code = self.session.code
        record: dict[str, Any] = {
            "version": __version__,
            "commit": code.commit,
            "repositories": [state.to_json() for state in code.states],
            "code_problem": code.problem,
            "launcher": launcher_name(self.session),
            "preload": list(self.session.project.preload),
            **self._keep_code(trial),
        }
        self.session.config.hook.pytest_mitosis_provenance(
            config=self.session.config, record=record
        )
        return record

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


def _tracked_variants(item: pytest.Function) -> list[Binding]:
    bindings = _spec(item).bindings
    return [one for one in bindings if one.kind is Kind.VARIANT and one.tracked]


def _spec(item: pytest.Function) -> TrialSpec:
    spec = item.callspec.params["trial"]
    assert isinstance(spec, TrialSpec)
    return spec


def fail(text: str) -> NoReturn:
    """Fail the running item with ``text`` alone, without frames of ours."""
    __tracebackhide__ = True
    pytest.fail(text, pytrace=False)


def _explain(trial: Trial, failure: Failure) -> str:
    manifest = trial.manifest
    head = f"{failure.type}: {failure.message}"
    lines = [head]
    if failure.traceback:
        lines += ["", failure.traceback]
    lines += [
        "",
        f"after {manifest['duration_s']:.1f} s · trial {trial.id} · "
        f"notebook {trial.folder / 'notebook.html'} · log {trial.folder / 'log.txt'}",
    ]
    return "\n".join(lines)
