"""What a trial gets of the machine: what its experiment asks for, leased from all sessions' share.

Runs in the pytest process the item belongs to. Leases are the store's business
(:mod:`pytest_mitosis.store.leases`), the machine is looked at in :mod:`pytest_mitosis.run.machine`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_mitosis.plan.resources import Request, join_requests, override

if TYPE_CHECKING:
    from pytest_mitosis.plan.references import LoadedExperiment
    from pytest_mitosis.run.machine import Machine
    from pytest_mitosis.session import ExperimentSession
    from pytest_mitosis.store.leases import Lease, Leases


@dataclass(frozen=True, slots=True)
class Allotment:
    """What one trial asks for, and what it holds of that; nothing if it asks for nothing."""

    request: Request
    lease: Lease | None = None
    is_elsewhere: bool = False
    """Whether a cluster gives it what it asks for."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the trial's process."""
        if self.lease is None and not self.is_elsewhere:
            return {}
        from pytest_mitosis.run.machine import VISIBLE, thread_variables

        gpus = {}
        if self.lease is not None and self.request.gpus:
            gpus = {VISIBLE: ",".join(self.lease.share.gpus)}
        return {**thread_variables(self.request.cpus), **gpus}

    @property
    def record(self) -> dict[str, Any]:
        """What the manifest says of it."""
        if self.lease is None:
            return {}
        share = self.lease.share
        granted = {"cpus": share.cpus, "gpus": list(share.gpus), "memory_bytes": share.memory}
        return {"resources": {name: value for name, value in granted.items() if value}}


@dataclass
class Allotments:
    """Gives the trials of one session their part of the machine."""

    session: ExperimentSession
    _requests: dict[str, Request] = field(default_factory=dict)

    @cached_property
    def machine(self) -> Machine:
        """What there is; looked at once."""
        from pytest_mitosis.run.machine import read_machine

        requests = [self.request_of(one) for one in self.session.loaded]
        wants_gpus = any(one.gpus for one in requests)
        return read_machine(self.session.project.gpus, wants_gpus=wants_gpus)

    @cached_property
    def leases(self) -> Leases:
        """The leases of this machine."""
        from pytest_mitosis.store.leases import Leases

        return Leases(self.session.project.trials_folder)

    def request_of(self, loaded: LoadedExperiment) -> Request:
        """What a trial asks for: marks, over them the table's entries for steps and experiment."""
        if loaded.name not in self._requests:
            table = self.session.project.resources
            steps = [
                override(request, table.get(step.name, Request()))
                for step, request in zip(loaded.steps, loaded.requests, strict=True)
            ]
            joined = override(join_requests(steps), table.get(loaded.name, Request()))
            self._requests[loaded.name] = joined
        return self._requests[loaded.name]

    def require_possible(self) -> None:
        """Refuse what this machine can never give; a cluster speaks for itself.

        Raises
        ------
        PlanError
            If an experiment of the session asks for more than there is.
        """
        if self.session.site is not None:
            return
        for loaded in self.session.loaded:
            if request := self.request_of(loaded):
                self.machine.require(request, loaded.name)

    def try_take(self, loaded: LoadedExperiment) -> Allotment | None:
        """What a trial asks for, or None as long as other trials have too much of it."""
        request = self.request_of(loaded)
        if not request or self.session.site is not None:
            return Allotment(request, is_elsewhere=self.session.site is not None)
        from pytest_mitosis.store.folder import new_id
        from pytest_mitosis.store.leases import Share

        machine = self.machine
        there_is = Share(machine.cpus, machine.gpus, machine.memory, machine.processors)
        lease = self.leases.try_take(new_id(), there_is, request)
        return None if lease is None else Allotment(request, lease)

    def give_back(self, allotment: Allotment) -> None:
        """Free what a trial held."""
        if allotment.lease is not None:
            self.leases.release(allotment.lease)
