"""The ladder on which a result is compared with its reference, metric by metric.

Pure functions of numbers and texts; must not know trials, files or code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pytest_mitosis.read.student import t_quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_mitosis.plan.official import Group, Tolerance
    from pytest_mitosis.store.evidence import Part

    Metric = float | int | bool | str
    Elements = Callable[[str], tuple[Any, Any] | None]

FEWEST_SEEDS = 5
CONFIDENCE = 0.99
"""Of a hundred results that are one more seed, so many are taken for that. A group of twenty trials
with four metrics is checked often: with 95 % four of them would be called changed each time."""
SMALLEST = 1e-3
"""Elements below this part of the largest are judged as if they had it: rounding is relative to the
largest."""
DEVIATIONS = 6.0
"""What is within tolerance everywhere is beyond so many deviations of a signed sum with a chance
below 1e-7 (Hoeffding's inequality)."""


class Rung(StrEnum):
    """How a value compares with its reference, the best first."""

    IGNORED = "ignored"
    IDENTICAL = "identical"
    TOLERANCE = "within tolerance"
    SPREAD = "within seed spread"
    NEW = "new"
    MISSING = "missing"
    TYPE = "type changed"
    CHANGED = "CHANGED"

    @property
    def holds(self) -> bool:
        """Whether what was vouched for still holds."""
        return list(Rung).index(self) <= list(Rung).index(Rung.NEW)


def worst(rungs: Iterable[Rung]) -> Rung:
    """The rung that decides."""
    order = list(Rung)
    return max(rungs, key=order.index, default=Rung.IDENTICAL)


@dataclass(frozen=True, slots=True)
class Step:
    """One value beside its reference, as text; ``remark`` says what decided."""

    name: str
    old: str
    new: str
    rung: Rung
    distance: float | None = None
    remark: str = ""


def compare_metrics(
    old: Mapping[str, Metric],
    new: Mapping[str, Metric],
    group: Group,
    seeds: Mapping[str, Sequence[float]],
) -> list[Step]:
    """Each metric of either; ``seeds`` has what was recorded of a metric for all seeds."""
    return [
        _compare(name, old.get(name), new.get(name), group.tolerance(name), seeds.get(name, ()))
        for name in dict.fromkeys([*old, *new])
    ]


def compare_parts(
    old: Mapping[str, Part],
    new: Mapping[str, Part],
    group: Group,
    elements: Elements = lambda name: None,
) -> list[Step]:
    """Each text and array of either; ``elements`` gives all numbers of two arrays, if it can."""
    return [
        _compare_part(name, old.get(name), new.get(name), group.tolerance(name), elements)
        for name in dict.fromkeys([*old, *new])
    ]


def spread_of(values: Sequence[float]) -> tuple[float, float] | None:
    """Mean and half width of the interval one more seed is in; None with too few seeds.

    The prediction interval ``t * sd * sqrt(1 + 1/k)``, which accounts for how little few seeds tell
    of their spread.
    """
    k = len(values)
    if k < FEWEST_SEEDS or not all(map(math.isfinite, values)):
        return None
    mean = math.fsum(values) / k
    sd = math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (k - 1))
    return mean, t_quantile(CONFIDENCE, k - 1) * sd * math.sqrt(1 + 1 / k)


def _compare(
    name: str,
    old: Metric | None,
    new: Metric | None,
    tolerance: Tolerance,
    seeds: Sequence[float],
) -> Step:
    texts = ("–" if old is None else repr(old), "–" if new is None else repr(new))
    if tolerance.ignore:
        return Step(name, *texts, Rung.IGNORED, remark="declared ignore")
    if old is None or new is None:
        return Step(name, *texts, Rung.NEW if old is None else Rung.MISSING)
    if type(old) is not type(new):
        remark = f"{type(old).__name__} -> {type(new).__name__}"
        return Step(name, *texts, Rung.TYPE, remark=remark)
    if old == new or (old != old and new != new):
        return Step(name, *texts, Rung.IDENTICAL)
    if isinstance(old, str | bool) or isinstance(new, str | bool):  # alike, which mypy cannot see
        return Step(name, *texts, Rung.CHANGED)
    distance = _distance(old, new)
    if tolerance.exact:
        return Step(name, *texts, Rung.CHANGED, distance, "declared exact")
    if is_close(old, new, tolerance):
        return Step(name, *texts, Rung.TOLERANCE, distance, f"{tolerance}")
    spread = spread_of(seeds)
    if spread is not None and abs(new - spread[0]) <= spread[1]:
        return Step(name, *texts, Rung.SPREAD, distance, f"in {_interval(spread, len(seeds))}")
    return Step(name, *texts, Rung.CHANGED, distance, _beyond(tolerance, spread, len(seeds)))


def is_close(old: float, new: float, tolerance: Tolerance, least: float = 0.0) -> bool:
    """Whether ``new`` is as near to ``old`` as declared; never so for NaN and infinities.

    The relative tolerance is that of ``old``, of ``least`` if that is larger.
    """
    if not (math.isfinite(old) and math.isfinite(new)):
        return old == new or (old != old and new != new)
    return abs(new - old) <= tolerance.atol + tolerance.rtol * max(abs(old), least)


def _beyond(tolerance: Tolerance, spread: tuple[float, float] | None, seeds: int) -> str:
    if spread is None:
        return f"beyond {tolerance}"
    return f"beyond {tolerance}, and {_interval(spread, seeds)}"


def _interval(spread: tuple[float, float], seeds: int) -> str:
    return f"{spread[0]:.6g} ± {spread[1]:.2g}, {CONFIDENCE:.0%} interval of {seeds} seeds"


def _compare_part(
    name: str, old: Part | None, new: Part | None, tolerance: Tolerance, elements: Elements
) -> Step:
    texts = ("–" if old is None else old.summary, "–" if new is None else new.summary)
    if tolerance.ignore:
        return Step(name, *texts, Rung.IGNORED, remark="declared ignore")
    if old is None or new is None:
        return Step(name, *texts, Rung.NEW if old is None else Rung.MISSING)
    if not (old.digest or new.digest):
        return Step(name, *texts, Rung.IGNORED, remark=new.summary)
    if old.digest == new.digest:
        return Step(name, *texts, Rung.IDENTICAL)
    if not (old.digest and new.digest):
        return Step(name, *texts, Rung.TYPE)
    # Numbers of arrays of other shapes or types may agree, and the arrays are not the same.
    alike = len(old.numbers) == len(new.numbers) and old.are_moments == new.are_moments
    if alike and old.numbers and old.summary == new.summary:
        both = elements(name) if old.are_moments else None
        if both is not None and len(both[0]) == len(both[1]):
            return _compare_elements(name, old.summary, *both, tolerance)
        return _compare_numbers(name, old, new, tolerance)
    if old.summary == new.summary:
        texts = (f"{old.summary} {old.digest[:8]}", f"{new.summary} {new.digest[:8]}")
    return Step(name, *texts, Rung.CHANGED)


def _compare_numbers(name: str, old: Part, new: Part, tolerance: Tolerance) -> Step:
    """By the elements of a small array, by moments and signed sums of a large one."""
    texts = (old.summary, new.summary)
    values, counts = (old.numbers[:-2], 2) if old.are_moments else (old.numbers, 0)
    pairs = list(zip(values, new.numbers, strict=False))
    scale = max((abs(one) for one in values if math.isfinite(one)), default=0.0)
    least = scale if old.are_moments else SMALLEST * scale
    close = all(is_close(a, b, tolerance, least) for a, b in pairs)
    if counts:  # how many are NaN, how many infinite
        close = close and old.numbers[-counts:] == new.numbers[-counts:]
    how, sums = "", []
    if old.are_moments:
        how = ", by sums over it"
        if old.sums and old.piece == new.piece:
            sums = list(zip(old.sums, new.sums, strict=False))
            allowed = tolerance.atol + tolerance.rtol * scale
            allowed *= DEVIATIONS * math.sqrt(old.piece)
            close = close and all(a == b or abs(b - a) <= allowed for a, b in sums)
    apart = [abs(b - a) for a, b in (pairs if close else [*pairs, *sums])]
    distance = max(filter(math.isfinite, apart), default=0.0) / scale if scale else None
    return _verdict(name, texts, tolerance, distance, how, close=close)


def _compare_elements(name: str, text: str, old: Any, new: Any, tolerance: Tolerance) -> Step:
    import numpy as np

    both = np.isfinite(old) & np.isfinite(new)
    size = np.abs(np.where(both, old, 0.0))
    apart = np.abs(np.where(both, new, 0.0) - np.where(both, old, 0.0))
    scale = float(size.max())
    allowed = tolerance.atol + tolerance.rtol * np.maximum(size, SMALLEST * scale)
    is_same = (old == new) | (np.isnan(old) & np.isnan(new))
    beyond = np.flatnonzero(np.where(both, apart > allowed, ~is_same))
    distance = float(apart.max()) / scale if scale else None
    how = f" in {len(beyond)} of {old.size} elements" if len(beyond) else ", all elements"
    return _verdict(name, (text, text), tolerance, distance, how, close=not len(beyond))


def _verdict(
    name: str,
    texts: tuple[str, str],
    tolerance: Tolerance,
    distance: float | None,
    how: str,
    *,
    close: bool,
) -> Step:
    if tolerance.exact:
        return Step(name, *texts, Rung.CHANGED, distance, "declared exact")
    remark = f"{'' if close else 'beyond '}{tolerance}{how}"
    return Step(name, *texts, Rung.TOLERANCE if close else Rung.CHANGED, distance, remark)


def _distance(old: float, new: float) -> float | None:
    """The relative distance; None where there is none."""
    if not (math.isfinite(old) and math.isfinite(new)) or not old:
        return None
    return abs(new - old) / abs(old)
