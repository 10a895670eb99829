"""Time limits of jobs, from what their trials may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mitosis.plan.resources import Request
    from pytest_mitosis.plan.sites import Site

STARTUP_SECONDS = 120.0
"""What a task may take beside its trials' own time-outs."""


def time_needed(site: Site, request: Request, rounds: int) -> float | None:
    """Seconds that ``rounds`` trials may take one after the other; None if they may take any."""
    if request.timeout is None:
        return None
    return request.timeout * rounds + STARTUP_SECONDS + site.warn
