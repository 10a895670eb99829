"""Turns an item into an order: its trial claimed, described by a job, and begun on disk.

Runs in the pytest process the item belongs to. What is run with the order, and when, is decided
elsewhere (:mod:`pytest_mitosis.runner`, :mod:`pytest_mitosis.conductor`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mitosis.collection import key_of
from pytest_mitosis.identity.repository import snapshot
from pytest_mitosis.launching import launcher_name
from pytest_mitosis.model import Job, Kind, MitosisError, Reuse, TreeError, Trial, TrialSpec
from pytest_mitosis.precedent import Precedents, Wait
from pytest_mitosis.run.jobs import Describer, argument_identities, build_job
from pytest_mitosis.run.judging import CodeJudge
from pytest_mitosis.run.launcher import Judge, Order, taints_nothing
from pytest_mitosis.store.attempts import CHECKPOINTS, claim_attempt, put_by, stopped_trial
from pytest_mitosis.store.batches import place_of
from pytest_mitosis.store.files import read_json, store_errors
from pytest_mitosis.store.folder import JOB, MANIFEST, Claim, claim, release
from pytest_mitosis.store.locks import Held
from pytest_mitosis.store.reuse import Wanted, held_trial

if TYPE_CHECKING:
    from pytest_mitosis.allotment import Allotment
    from pytest_mitosis.conductor import Conductor
    from pytest_mitosis.plan.references import LoadedExperiment
    from pytest_mitosis.session import ExperimentSession, Planned

CLAIM = pytest.StashKey[Claim]()
HELD = pytest.StashKey[list[Held]]()
WANTED = pytest.StashKey[Wanted]()


@dataclass
class Orders:
    """Begins the trials of one session's items."""

    session: ExperimentSession
    describer: Describer
    precedents: Precedents
    conductor: Conductor
    started: float = field(default_factory=time.time)

    def claim(self, item: pytest.Function) -> Claim:
        """The folder of the item's trial; made when it is first asked for."""
        if CLAIM not in item.stash:
            spec = spec_of_item(item)
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
        if stopped is None or place_of(stopped.folder) is not None:  # a cluster has it still
            return None
        return claim_attempt(stopped)

    def release_unused(self, item: pytest.Function) -> None:
        """Give back the item's folder if its trial never began."""
        claimed = item.stash.get(CLAIM, None)
        if claimed is not None and not (claimed.folder / MANIFEST).exists():
            release(claimed)

    def attempt(self, item: pytest.Function, planned: Planned) -> Trial | Order | Wait:
        """An earlier trial that does, or the item's own, begun; returns at once.

        What the trial needs of the machine is taken before its turn and given back if that is
        another's: nobody has a turn and waits for the machine, so nobody waits in a circle.
        """
        assert planned.loaded is not None
        if self.session.site is not None and (held := self._held(item)) is not None:
            return held
        own = item.stash.get(CLAIM, None) or self._resumed(item, spec_of_item(item))
        resumed = own if own is not None and own.attempt > 1 else None
        allotments = self.session.allotments
        asks = bool(allotments.request_of(planned.loaded))
        if asks and resumed is None and self.precedents.mode is not Reuse.NEVER:
            earlier = self.precedents.look(self._wanted(item)).trial
            if earlier is not None:
                return earlier
        allotment = allotments.try_take(planned.loaded)
        if allotment is None:
            return Wait("what other trials hold of this machine")
        try:
            found = resumed or self.precedents.attempt(self._wanted(item), own)
            if isinstance(found, Claim):
                item.stash[CLAIM] = found
                order = self._order(item, planned, allotment)
                self.conductor.allot(order, allotment)
                return order
        except BaseException:
            allotments.give_back(allotment)
            raise
        allotments.give_back(allotment)
        return found

    def _held(self, item: pytest.Function) -> Trial | Order | None:
        """The item's trial if the cluster has it already, submitted by another session or ours.

        It is only waited for, unless another one that does has ended meanwhile.
        """
        _ = self.conductor.launcher  # it has looked what the cluster still holds
        if self.precedents.mode is Reuse.NEVER:
            return None
        wanted, store = self._wanted(item), self.session.project.trials_folder
        folder = held_trial(store, wanted)
        if folder is None:
            return None
        job = Job.from_json(read_json(folder / JOB))
        return self.precedents.look(wanted).trial or Order(job, folder, store)

    def _wanted(self, item: pytest.Function) -> Wanted:
        if WANTED not in item.stash:
            spec = spec_of_item(item)
            key = key_of(item, spec)
            item.stash[WANTED] = self.precedents.wanted(spec, key, _arguments(item))
        return item.stash[WANTED]

    def _order(self, item: pytest.Function, planned: Planned, allotment: Allotment) -> Order:
        """Begin the item's trial: from now on it is on disk."""
        assert planned.loaded is not None
        _ = self.session.launcher  # what it starts comes up during the next import
        # Imported here, as it takes longer than to reuse a hundred trials.
        from pytest_mitosis.run.trial import begin_trial

        claimed = self.claim(item)
        job = self._job(item, planned.loaded, spec_of_item(item))
        timeout = planned.loaded.timeout or allotment.request.timeout or job.timeout
        job = replace(job, environment=allotment.environment, timeout=timeout)
        if self.session.code_copy is not None:
            job = self.session.code_copy.job(job)
        attempts = put_by(claimed) if claimed.attempt > 1 else {}
        provenance = {**self._provenance(claimed.id), **allotment.record, **attempts}
        if self.session.officials is not None and not self.session.draft:
            provenance["run_for"] = self.session.officials.label_of(spec_of_item(item))
        notes = [note for held in item.stash.get(HELD, []) for note in held.notes]
        try:
            begin_trial(job, claimed.folder, {**provenance, "notes": notes})
        except OSError:  # a full disk: nothing that looks like half a trial stays
            self.release_unused(item)
            raise
        return Order(
            job,
            claimed.folder,
            self.session.project.trials_folder,
            (("code", self.session.describe_code()),),
            tuple(notes),
            self._judge,
            allotment.request if timeout is None else replace(allotment.request, timeout=timeout),
        )

    def _job(self, item: pytest.Function, loaded: LoadedExperiment, spec: TrialSpec) -> Job:
        claimed = self.claim(item)
        try:
            return build_job(
                replace(spec, key=key_of(item, spec)),
                loaded,
                claimed,
                self.session.project,
                self.describer,
                {**_own_folders(spec, claimed), **_arguments(item)},
                self.session.rerun_command(item.nodeid),
                draft=self.session.draft,
                share_steps=self.precedents.mode is not Reuse.NEVER,
            )
        except MitosisError:
            self.release_unused(item)
            raise

    @cached_property
    def _judge(self) -> Judge:
        """Says which imported files are not what the recorded commit holds; drafts vouch for none.

        Whoever takes up the trial elsewhere makes the same of its manifest.
        """
        if self.session.draft or self.session.code.problem:
            return taints_nothing
        return CodeJudge(self.session.code.states, self.started)

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
            "checked": datetime.fromtimestamp(self.started, UTC).isoformat(),
            "launcher": launcher_name(self.session),
            "preload": list(self.session.project.preload),
            **self._keep_code(trial),
        }
        self.session.config.hook.pytest_mitosis_provenance(
            config=self.session.config, record=record
        )
        return record


def spec_of_item(item: pytest.Function) -> TrialSpec:
    """The spec of an item that is known to have one."""
    spec = item.callspec.params["trial"]
    assert isinstance(spec, TrialSpec)
    return spec


def _own_folders(spec: TrialSpec, claimed: Claim) -> dict[str, object]:
    """The folders of the trial that its experiment asks for, made before pytest's fixtures are."""
    asked = {one.parameter for one in spec.bindings if one.kind is Kind.FIXTURE}
    found: dict[str, object] = {"trial_dir": claimed.folder}
    if "checkpoint_dir" in asked:
        checkpoints = claimed.folder / CHECKPOINTS
        checkpoints.mkdir(exist_ok=True)
        found["checkpoint_dir"] = checkpoints
    return found


def _arguments(item: pytest.Function) -> dict[str, object]:
    """The values of fixtures; before pytest reached the item, those of ``parametrize``."""
    given = {name: one for name, one in item.callspec.params.items() if name != "trial"}
    return {**given, **(item.funcargs or {})}
