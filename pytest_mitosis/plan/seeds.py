"""Which parameters the runner fills from the trial's seed, and which seeds a trial may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mitosis.model import Kind
from pytest_mitosis.plan.references import RNG, SEED, LoadedExperiment, LoadedStep

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytest_mitosis.plan.selection import Selection

Place = tuple[str, str]
"""A step's name and a parameter's."""


def runner_filled(
    experiment: LoadedExperiment, assigned: Collection[Place] = (), *, seeds_given: bool = True
) -> list[Place]:
    """The parameters ``seed``, ``rng`` and ``rng_NAME`` that nothing else is given for.

    Steps that declare different default seeds keep them unless the request names seeds. A
    ``rng_NAME`` with a default or an entry in the lookup dictionary is a parameter like others.
    """
    return [
        (step.name, parameter)
        for step in experiment.steps
        for parameter in step.parameters
        if _is_filled(step, parameter)
        and (step.name, parameter) not in assigned
        and (seeds_given or parameter != SEED or not keeps_own_seeds(experiment))
    ]


def _is_filled(step: LoadedStep, parameter: str) -> bool:
    if parameter in (SEED, RNG):
        return True
    is_stream = parameter.startswith(f"{RNG}_") and parameter != f"{RNG}_"
    return is_stream and parameter not in step.defaults and not step.variants(parameter)


def keeps_own_seeds(experiment: LoadedExperiment) -> bool:
    """Whether its steps declare different default seeds."""
    return len(_declared(experiment)) > 1


def default_seed(experiment: LoadedExperiment) -> int:
    """The one seed the steps declare as default, else 0."""
    declared = _declared(experiment)
    return declared.pop() if len(declared) == 1 else 0


def is_trial_seed(
    experiment: LoadedExperiment, one: Selection, targets: Sequence[LoadedStep]
) -> bool:
    """Whether a selection means the seed of the whole trial: ``seed=3`` is ``--seeds 3``.

    A literal for one of several seeded steps is that step's own.
    """
    if one.parameter != SEED or one.kind is not Kind.LITERAL or not one.tracked:
        return False
    if not all(name.isdecimal() for name in one.names):
        return False
    seeded = {step.name for step in experiment.steps if SEED in step.parameters}
    if seeded:
        return {step.name for step in targets} == seeded
    return not one.step and bool(runner_filled(experiment))


def _declared(experiment: LoadedExperiment) -> set[int]:
    defaults = [step.defaults.get(SEED) for step in experiment.steps]
    return {seed for seed in defaults if type(seed) is int and seed >= 0}
