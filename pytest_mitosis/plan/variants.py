"""Expands experiments and a request into trial specs: the product over all parameters."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_mitosis.model import Binding, Kind, PlanError, TrialSpec
from pytest_mitosis.plan import ids
from pytest_mitosis.plan.names import require_safe, say_what_exists
from pytest_mitosis.plan.references import SEED
from pytest_mitosis.plan.seeds import (
    Place,
    default_seed,
    is_trial_seed,
    keeps_own_seeds,
    runner_filled,
)
from pytest_mitosis.plan.selection import (
    ALL,
    Request,
    Selection,
    literal_value,
    normal_literal,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_mitosis.plan.references import LoadedExperiment, LoadedStep


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
        if not any(_is_for(experiment, one) for experiment in experiments):
            where = one.step or " and ".join(e.name for e in experiments)
            names = say_what_exists(one.parameter, [p for s in steps for p in s.parameters])
            raise PlanError(f"{where} has no parameter {one.parameter!r}; {names}")
    if request.seeds and not any(runner_filled(e) for e in experiments):
        names = " and ".join(e.name for e in experiments)
        raise PlanError(f"--seeds: {names} has no parameter 'seed', 'rng' or 'rng_NAME'")


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
        If it names something else, or a parameter without a default is missing.
    """
    selections = []
    for label, name, tracked in ids.split_id(text):
        if name == ALL:
            raise PlanError(f"[{text}] is no trial: {label} needs one name, not {ALL}")
        step, _, parameter = label.rpartition(".")
        one = Selection(step, parameter, Kind.VARIANT, (name,), tracked)
        selections.append(_as_literal_if_it_is_one(experiment, one))
    request = Request(tuple(selections))
    require_targets([experiment], request)
    return expand(experiment, request)[0]


def _is_for(experiment: LoadedExperiment, one: Selection) -> bool:
    targets = _targets(experiment, one)
    return bool(targets) or is_trial_seed(experiment, one, targets)


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
    filled = runner_filled(experiment, assigned, seeds_given=bool(seeds))
    dimensions = []
    seeds_placed = False
    for step in experiment.steps:
        for parameter in _ordered(step, assigned):
            if (step.name, parameter) in filled:
                if not seeds_placed:
                    dimensions.append(_seed_options(experiment, filled, seeds))
                seeds_placed = True
                continue
            given = assigned.get((step.name, parameter))
            label = _label(experiment, step, parameter)
            dimensions.append(
                _given_options(step, label, given) if given else [_not_given(step, parameter)]
            )
    return dimensions


def _label(experiment: LoadedExperiment, step: LoadedStep, parameter: str) -> str:
    """The parameter's name, with its step where the name alone does not say which is meant."""
    meant = _targets(experiment, Selection("", parameter, Kind.VARIANT, ()))
    return parameter if [one.name for one in meant] == [step.name] else f"{step.name}.{parameter}"


def _assign(
    experiment: LoadedExperiment, request: Request
) -> tuple[dict[Place, Selection], tuple[int, ...]]:
    """Which selection each parameter gets, and the seeds the request names."""
    assigned: dict[Place, Selection] = {}
    seeds = request.seeds
    for one in request.selections:
        targets = _targets(experiment, one)
        if is_trial_seed(experiment, one, targets):
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


def _seed_options(
    experiment: LoadedExperiment, filled: Sequence[Place], seeds: Sequence[int]
) -> list[Option]:
    # Where steps keep seeds of their own, the trial's is in the id only if it was asked for.
    shown = bool(seeds) or not keeps_own_seeds(experiment)
    names = {name for step in experiment.steps for name in step.variants(SEED)}
    return [
        Option(
            ids.format_part(SEED, f"({seed})" if str(seed) in names else str(seed))
            if shown
            else "",
            tuple(
                Binding(step, p, Kind.SEED if p == SEED else Kind.RNG, str(seed), value=seed)
                for step, p in filled
            ),
            seed=seed if shown else None,
        )
        for seed in seeds or [default_seed(experiment)]
    ]


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
