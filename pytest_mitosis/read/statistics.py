"""Statistics of an official group: per setting over its seeds, and between settings by seed.

Pure functions of references and verdicts; must not know how they are printed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mitosis.model import Kind, PlanError
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.read.ladder import CONFIDENCE as SPREAD_CONFIDENCE
from pytest_mitosis.read.ladder import FEWEST_SEEDS, Rung
from pytest_mitosis.read.student import t_quantile, t_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_mitosis.read.ladder import Step
    from pytest_mitosis.read.verdict import Verdict
    from pytest_mitosis.store.reference import Reference

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Sample:
    """Numbers of one kind: how many, mean, standard deviation, half width of the mean's interval.

    ``sd`` and ``half`` are None of a single number.
    """

    n: int
    mean: float
    sd: float | None
    half: float | None


@dataclass(frozen=True, slots=True)
class Setting:
    """What trials have in common but for the seed, with the metric of each seed."""

    parameters: tuple[tuple[str, str], ...]
    values: dict[int | None, float]

    @property
    def sample(self) -> Sample:
        """Its numbers over the seeds."""
        return sample_of(list(self.values.values()))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two settings that differ in one parameter, compared seed by seed.

    ``p`` is that of the paired t test, two-sided; ``wilcoxon`` that of the signed-rank test, where
    scipy is installed. Both None if they say nothing.
    """

    parameter: str
    one: str
    other: str
    rest: tuple[tuple[str, str], ...]
    difference: Sample
    p: float | None
    wilcoxon: float | None


def settings_of(references: Iterable[Reference], metric: str) -> list[Setting]:
    """The settings of a group, as they are in its files.

    Raises
    ------
    PlanError
        If no reference has that metric as a number.
    """
    found: dict[tuple[tuple[str, str], ...], dict[int | None, float]] = {}
    names: dict[str, None] = {}
    for one in references:
        numbers = {n: float(v) for n, v in one.metrics.items() if type(v) in {int, float}}
        names |= dict.fromkeys(numbers)
        if metric in numbers:
            found.setdefault(_parameters(one), {})[one.record.get("seed")] = numbers[metric]
    if not found:
        raise PlanError(f"no trial has a number {metric!r}; {say_what_exists(metric, names)}")
    return [Setting(parameters, values) for parameters, values in found.items()]


def sample_of(values: Sequence[float]) -> Sample:
    """Mean, spread and the t interval of the mean."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2 or not math.isfinite(mean):
        return Sample(n, mean, None, None)
    sd = math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (n - 1))
    return Sample(n, mean, sd, t_quantile(CONFIDENCE, n - 1) * sd / math.sqrt(n))


def pairs_of(settings: Sequence[Setting]) -> list[Pair]:
    """All pairs that differ in one parameter and have two seeds or more in common."""
    found = []
    for one, other in itertools.combinations(settings, 2):
        names = [name for name, _ in one.parameters]
        before, after = dict(one.parameters), dict(other.parameters)
        differing = [name for name in names if before[name] != after.get(name)]
        seeds = [seed for seed in one.values if seed is not None and seed in other.values]
        if len(differing) != 1 or before.keys() != after.keys() or len(seeds) < 2:
            continue
        differences = [one.values[seed] - other.values[seed] for seed in seeds]
        name = differing[0]
        rest = tuple(part for part in one.parameters if part[0] != name)
        sample, wilcoxon = sample_of(differences), _signed_rank(differences)
        found.append(Pair(name, before[name], after[name], rest, sample, _t_test(sample), wilcoxon))
    return found


def shifts_of(verdicts: Iterable[Verdict]) -> list[str]:
    """Metrics that are within their spread seed by seed, and moved all the same, as sentences.

    One seed more may be anywhere in the spread; that all seeds move to one side is hardly
    by chance.
    """
    moved: dict[tuple[tuple[str, ...], str], list[Step]] = {}
    for verdict in verdicts:
        for step in verdict.steps:
            if step.rung in {Rung.IDENTICAL, Rung.TOLERANCE, Rung.SPREAD, Rung.CHANGED}:
                moved.setdefault((verdict.family, step.name), []).append(step)
    found = []
    for (family, name), steps in moved.items():
        if len(steps) < FEWEST_SEEDS or all(step.rung is not Rung.SPREAD for step in steps):
            continue
        try:
            sample = sample_of([float(step.new) - float(step.old) for step in steps])
        except ValueError:  # of some seeds a text
            continue
        p = _t_test(sample) if sample.sd else 0.0
        if p is not None and p < 1 - SPREAD_CONFIDENCE:
            setting = ", ".join(one.rpartition(".")[2] for one in family)
            found.append(
                f"{name} of {setting} moved by {sample.mean:+.3g} ± {sample.half or 0.0:.2g} over "
                f"{sample.n} seeds, each within their spread; hardly by chance (p = {p:.1g})"
            )
    return found


def _parameters(reference: Reference) -> tuple[tuple[str, str], ...]:
    entries = [
        one
        for one in reference.record["parameters"]
        if one["kind"] not in {Kind.SEED, Kind.RNG, Kind.DEFAULT}
    ]
    names = [one["name"] for one in entries]
    return tuple(
        (
            one["name"] if names.count(one["name"]) == 1 else f"{one['step']}.{one['name']}",
            one["variant"] or one["value"],
        )
        for one in entries
    )


def _t_test(sample: Sample) -> float | None:
    if not sample.sd:  # all differences are the same: there is no spread to judge them by
        return None
    t = sample.mean / (sample.sd / math.sqrt(sample.n))
    return max(0.0, 1 - t_within(t, sample.n - 1))


def _signed_rank(differences: Sequence[float]) -> float | None:
    if not all(map(math.isfinite, differences)) or not any(differences):
        return None
    try:
        from scipy.stats import wilcoxon
    except ImportError:
        return None
    return float(wilcoxon(differences).pvalue)
