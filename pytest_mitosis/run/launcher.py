"""Launchers: what takes begun trials to their recorded ends, wherever their processes run.

The protocol, and nothing of any one launcher. Runs in the process that starts trials; must not
know pytest.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pytest_mitosis.plan.resources import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from pytest_mitosis.model import Job, Outcome, Trial


Judge: TypeAlias = "Callable[[Sequence[dict[str, Any]]], tuple[str, ...]]"
"""Says which of a process's imported files, as :class:`Outcome` has them, taint a trial."""


def taints_nothing(_: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The judge of those who vouch for no code."""
    return ()


@dataclass(frozen=True, slots=True)
class Order:
    """A trial that has begun, its job and manifest on disk, and is to be run to its end.

    Attributes
    ----------
    facts : tuple of (str, str)
        Shown at the top of the notebook.
    notes : tuple of str
        Recorded before the trial's own notes.
    judge : callable
        Called before the end, or a step for others, is recorded; maybe in another thread.
    request : Request
        What the trial asks of the machine, for launchers that pass it on.
    variables : mapping
        The environment as it was when the trial began; fixtures may change it while it starts.
    """

    job: Job
    folder: Path
    store: Path
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    judge: Judge = taints_nothing
    request: Request = field(default_factory=Request)
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


class LeftRunning(Exception):  # noqa: N818  not an error: nobody waits for the trial here
    """The trial goes on without this process; the text says where."""


class Handle(Protocol):
    """A submitted order.

    With ``is_gone()``, whether the trial's process has ended, another one may begin before the
    trial is recorded.
    """

    @property
    def order(self) -> Order:
        """What was submitted."""

    def is_done(self) -> bool:
        """Whether the trial has ended and is recorded."""

    def result(self) -> tuple[Trial, Outcome]:
        """The recorded trial and what its job left; waits for the end.

        Raises
        ------
        StoreError
            If the store could not be written; says where the results are instead.
        LeftRunning
            If nobody is to wait for it.
        """


class Launcher(Protocol):
    """Runs trials, each in a process of its own; several at once if several are submitted."""

    def submit(self, order: Order) -> Handle:
        """Start a trial, or queue it, and return at once."""

    def wait(self, handles: Collection[Handle], timeout: float | None = None) -> list[Handle]:
        """Those of ``handles`` that are done; waits up to ``timeout`` seconds for the first."""

    def cancel(self, handle: Handle) -> None:
        """End a trial as interrupted, in order; returns at once, the handle becomes done."""

    def close(self) -> None:
        """Free what the launcher holds; trials still under way are cancelled and waited for."""
