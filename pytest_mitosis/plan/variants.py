"""Expands experiments and a request into trial specs: the product over all parameters."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_mitosis.model import Binding, Kind, PlanError, TrialSpec
from pytest_mitosis.plan import ids
from pytest_mitosis.plan.names import require_safe, say_what_exists
from pytest_mitosis.plan.references import RUNNER_FILLED, LoadedExperiment, LoadedStep
from pytest_mitosis.plan.selection import (
    ALL,
    Request,
    Selection,
    literal_value,
    normal_literal,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Place = tuple[str, str]
"""A step's name and a parameter's."""


@dataclass(frozen=True, slots=True)
class Option:
    """One value of one dimension of a grid: its part of the id and what it binds."""

    part: str
    bindings: tuple[Binding, ...]
    tracked: bool = True
    seed: int | None = None


def require_targets(experiments: Sequence[LoadedExperiment], request: Request) -> None:
    """Refuse a parameter, step or seed that no selected experiment takes.

    Raises
    ------
    PlanError
        Naming what exists.
    """
    all_steps = [step for experiment in experiments for step in experiment.steps]
    for one in request.selections:
        steps = [step for step in all_steps if one.step in ("", step.name)]
        if not steps:
            names = say_what_exists(one.step, [step.name for step in all_steps])
            raise PlanError(f"{one.label}: no step named {one.step!r}; {names}")
        if not any(_targets(experiment, one) for experiment in experiments):
            where = one.step or " and ".join(e.name for e in experiments)
            names = say_what_exists(one.parameter, [p for s in steps for p in s.parameters])
            raise PlanError(f"{where} has no parameter {one.parameter!r}; {names}")
    if request.seeds and not any(_runner_filled(e, {}, True) for e in experiments):
        names = " and ".join(e.name for e in experiments)
        raise PlanError(f"--seeds: {names} has neither a parameter 'seed' nor 'rng'")


def expand(experiment: LoadedExperiment, request: Request) -> list[TrialSpec]:
    """All trial specs of ``experiment`` that ``request`` asks for, in a stable order.

    Parameters vary in step, then signature order, the last one fastest.

    Raises
    ------
    PlanError
        If a variant does not exist, a value is missing, or a parameter is ambiguous.
    """
    specs = []
    for combination in itertools.product(*_dimensions(experiment, request)):
        shown = [option for option in combination if option.part]
        specs.append(
            TrialSpec(
                experiment.experiment,
                tuple(binding for option in combination for binding in option.bindings),
                next((o.seed for o in combination if o.seed is not None), None),
                ids.join_parts([option.part for option in shown]),
                ids.join_parts([option.part for option in shown if option.tracked]),
            )
        )
    return specs


def read_id(experiment: LoadedExperiment, text: str) -> TrialSpec:
    """The one spec that the id ``text`` stands for.

    Raises
    ------
    PlanError
        If it is not a complete id of this experiment.
    """
    selections = []
    for label, name, tracked in ids.split_id(text):
        step, _, parameter = label.rpartition(".")
        one = Selection(step, parameter, Kind.VARIANT, (name,), tracked)
        selections.append(_as_literal_if_it_is_one(experiment, one))
    request = Request(tuple(selections))
    require_targets([experiment], request)
    return expand(experiment, request)[0]


def _as_literal_if_it_is_one(experiment: LoadedExperiment, one: Selection) -> Selection:
    name = one.names[0]
    if any(_has_variant(step, one.parameter, name) for step in _targets(experiment, one)):
        return one
    try:
        literal = normal_literal(name, one.label)
    except PlanError:
        return one  # expanding says which variants there are
    return replace(one, kind=Kind.LITERAL, names=(literal,))


def _targets(experiment: LoadedExperiment, one: Selection) -> list[LoadedStep]:
    """The steps a selection is for; those that name the parameter before those with ``**``."""
    steps = [s for s in experiment.steps if one.step in ("", s.name)]
    named = [s for s in steps if one.parameter in s.parameters]
    return named or [s for s in steps if s.accepts(one.parameter)]


def _dimensions(experiment: LoadedExperiment, request: Request) -> list[list[Option]]:
    assigned, seeds = _assign(experiment, request)
    filled = _runner_filled(experiment, assigned, bool(seeds))
    shared = _shared_names(experiment, assigned)
    dimensions = []
    seeds_placed = False
    for step in experiment.steps:
        for parameter in _ordered(step, assigned):
            if (step.name, parameter) in filled:
                if not seeds_placed:
                    dimensions.append(_seed_options(filled, seeds or _default_seed(experiment)))
                seeds_placed = True
                continue
            label = f"{step.name}.{parameter}" if parameter in shared else parameter
            given = assigned.get((step.name, parameter))
            dimensions.append(
                _given_options(step, label, given) if given else [_not_given(step, parameter)]
            )
    return dimensions


def _assign(
    experiment: LoadedExperiment, request: Request
) -> tuple[dict[Place, Selection], tuple[int, ...]]:
    """Which selection each parameter gets, and the seeds the request names."""
    assigned: dict[Place, Selection] = {}
    seeds = request.seeds
    for one in request.selections:
        targets = _targets(experiment, one)
        if _is_trial_seed(experiment, one, targets):
            if seeds:
                raise PlanError("the seed is given twice, by --seeds and by --eval-param seed=…")
            seeds = tuple(int(name) for name in one.names)
            continue
        if len(targets) > 1:
            spelled = " or ".join(f"{step.name}.{one.parameter}" for step in targets)
            raise PlanError(
                f"{one.parameter} is a parameter of {len(targets)} steps of {experiment.name}; "
                f"write {spelled}"
            )
        for step in targets:
            if (step.name, one.parameter) in assigned:
                raise PlanError(f"{step.name}.{one.parameter} is given twice; give one of them")
            assigned[step.name, one.parameter] = one
    return assigned, seeds


def _is_trial_seed(
    experiment: LoadedExperiment, one: Selection, targets: Sequence[LoadedStep]
) -> bool:
    """``--eval-param seed=3`` is ``--seeds 3``, unless it is for one of several seeded steps."""
    seeded = [step for step in experiment.steps if "seed" in step.parameters]
    return (
        one.parameter == "seed"
        and one.kind is Kind.LITERAL
        and one.tracked
        and all(name.isdecimal() for name in one.names)
        and bool(targets)
        and len(seeded) in (0, len(targets))
        and (bool(seeded) or bool(_runner_filled(experiment, {}, True)))
    )


def _runner_filled(
    experiment: LoadedExperiment, assigned: Mapping[Place, Selection], seeds_given: bool
) -> list[Place]:
    """The ``seed`` and ``rng`` parameters the runner fills.

    Steps that declare different default seeds keep them unless the request names seeds.
    """
    filled = [
        (step.name, parameter)
        for step in experiment.steps
        for parameter in step.parameters
        if parameter in RUNNER_FILLED and (step.name, parameter) not in assigned
    ]
    if not seeds_given and len(_declared_seeds(experiment)) > 1:
        return [place for place in filled if place[1] != "seed"]
    return filled


def _declared_seeds(experiment: LoadedExperiment) -> set[int]:
    defaults = [step.defaults.get("seed") for step in experiment.steps]
    return {seed for seed in defaults if type(seed) is int and seed >= 0}


def _default_seed(experiment: LoadedExperiment) -> tuple[int, ...]:
    declared = _declared_seeds(experiment)
    return tuple(declared) if len(declared) == 1 else (0,)


def _seed_options(filled: Sequence[Place], seeds: Sequence[int]) -> list[Option]:
    kinds = {"seed": Kind.SEED, "rng": Kind.RNG}
    return [
        Option(
            ids.format_part("seed", str(seed)),
            tuple(Binding(step, p, kinds[p], str(seed), value=seed) for step, p in filled),
            seed=seed,
        )
        for seed in seeds
    ]


def _shared_names(experiment: LoadedExperiment, assigned: Mapping[Place, Selection]) -> set[str]:
    """Parameters whose name alone does not say which step they belong to."""
    places = {(s.name, p) for s in experiment.steps for p in s.parameters} | set(assigned)
    names = [parameter for _, parameter in places]
    return {name for name in names if names.count(name) > 1}


def _ordered(step: LoadedStep, assigned: Mapping[Place, Selection]) -> list[str]:
    extra = sorted(p for s, p in assigned if s == step.name and p not in step.parameters)
    return [*step.parameters, *extra]


def _given_options(step: LoadedStep, label: str, given: Selection) -> list[Option]:
    if given.kind is Kind.LITERAL:
        return [_literal(step, label, given, text) for text in given.names]
    variants = step.variants(given.parameter)
    names = given.names
    if names == (ALL,):
        names = tuple(variants)
        if not names:
            raise PlanError(f"{_no_variants(step, given.parameter)}, so '*' stands for nothing")
    return [_variant(step, label, given, name) for name in names]


def _variant(step: LoadedStep, label: str, given: Selection, name: str) -> Option:
    if not isinstance(name, str):
        raise PlanError(
            f"{step.name}.{given.parameter}: variant names have to be text; "
            f"the lookup dictionary has {name!r}"
        )
    variants = step.variants(given.parameter)
    try:
        value = variants[name]
    except KeyError:
        if not variants:
            raise PlanError(_no_variants(step, given.parameter)) from None
        exists = ", ".join(str(one) for one in variants)
        raise PlanError(
            f"{step.name}.{given.parameter} has no variant {name!r}; it has {exists}"
        ) from None
    require_safe(name, f"a variant of {step.name}.{given.parameter}")
    binding = Binding(step.name, given.parameter, Kind.VARIANT, name, given.tracked, value)
    return Option(ids.format_part(label, name, tracked=given.tracked), (binding,), given.tracked)


def _no_variants(step: LoadedStep, parameter: str) -> str:
    exists = say_what_exists(parameter, [str(name) for name in step.lookup])
    return (
        f"{step.name}.{parameter} has no variants in the lookup dictionary ({exists}); "
        f"give a value: --eval-param {parameter}=…"
    )


def _literal(step: LoadedStep, label: str, given: Selection, text: str) -> Option:
    value = literal_value(text, given.label)
    binding = Binding(step.name, given.parameter, Kind.LITERAL, text, given.tracked, value)
    # A literal that reads like a variant's name is told apart by parentheses.
    name = f"({text})" if _has_variant(step, given.parameter, text) else text
    return Option(ids.format_part(label, name, tracked=given.tracked), (binding,), given.tracked)


def plain_text(value: object) -> str:
    """A number, a text or None as the literal it would be; empty for anything else."""
    return ascii(value) if value is None or type(value) in {bool, int, float, str} else ""


def _has_variant(step: LoadedStep, parameter: str, name: str) -> bool:
    return name in step.variants(parameter)


def _not_given(step: LoadedStep, parameter: str) -> Option:
    if parameter in step.defaults:
        value = step.defaults[parameter]
        name = plain_text(value)
        return Option("", (Binding(step.name, parameter, Kind.DEFAULT, name, value=value),))
    variants = [str(name) for name in step.variants(parameter)]
    if variants:
        raise PlanError(
            f"{step.name}.{parameter} needs a value; it has the variants {', '.join(variants)}: "
            f"--variant {parameter}={variants[0]}, or {parameter}=* for all"
        )
    return Option("", (Binding(step.name, parameter, Kind.FIXTURE),))
