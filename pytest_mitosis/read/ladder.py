"""The ladder on which a result is compared with its reference, metric by metric.

Pure functions of numbers and texts; must not know trials, files or code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_mitosis.read.student import t_quantile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_mitosis.plan.official import Group, Tolerance
    from pytest_mitosis.store.evidence import Part

    Metric = float | int | bool | str

FEWEST_SEEDS = 5
CONFIDENCE = 0.99


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


def compare_parts(old: Mapping[str, Part], new: Mapping[str, Part], group: Group) -> list[Step]:
    """Each text and array of either."""
    return [
        _compare_part(name, old.get(name), new.get(name), group.tolerance(name))
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
        return Step(name, *texts, Rung.SPREAD, distance, f"of {len(seeds)} seeds")
    return Step(name, *texts, Rung.CHANGED, distance, _beyond(tolerance, spread, len(seeds)))


def is_close(old: float, new: float, tolerance: Tolerance, scale: float = 0.0) -> bool:
    """Whether ``new`` is as near to ``old`` as declared; never so for NaN and infinities."""
    if not (math.isfinite(old) and math.isfinite(new)):
        return old == new or (old != old and new != new)
    return abs(new - old) <= tolerance.atol + tolerance.rtol * max(abs(old), scale)


def _beyond(tolerance: Tolerance, spread: tuple[float, float] | None, seeds: int) -> str:
    if spread is None:
        return f"beyond {tolerance}"
    return f"beyond {tolerance}, and {spread[0]:.6g} ± {spread[1]:.2g} of {seeds} seeds"


def _compare_part(name: str, old: Part | None, new: Part | None, tolerance: Tolerance) -> Step:
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
    return _compare_numbers(name, old, new, tolerance)


def _compare_numbers(name: str, old: Part, new: Part, tolerance: Tolerance) -> Step:
    texts = (old.summary, new.summary)
    alike = len(old.numbers) == len(new.numbers) and old.are_moments == new.are_moments
    # Numbers of arrays of other shapes or types may agree, and the arrays are not the same.
    if not alike or not old.numbers or old.summary != new.summary:
        if old.summary == new.summary:
            texts = (f"{old.summary} {old.digest[:8]}", f"{new.summary} {new.digest[:8]}")
        return Step(name, *texts, Rung.CHANGED)
    finite = [abs(one) for one in old.numbers if math.isfinite(one)]
    scale = max(finite, default=0.0)
    pairs = list(zip(old.numbers, new.numbers, strict=True))
    apart = [abs(b - a) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    distance = max(apart, default=0.0) / scale if scale else None
    how = ", by its moments" if old.are_moments else ""
    if tolerance.exact:
        return Step(name, *texts, Rung.CHANGED, distance, "declared exact")
    close = all(is_close(a, b, tolerance, scale) for a, b in pairs)
    remark = " ".join(
        one for one in (str(tolerance) if close else f"beyond {tolerance}", how) if one
    )
    return Step(name, *texts, Rung.TOLERANCE if close else Rung.CHANGED, distance, remark)


def _distance(old: float, new: float) -> float | None:
    """The relative distance; None where there is none."""
    if not (math.isfinite(old) and math.isfinite(new)) or not old:
        return None
    return abs(new - old) / abs(old)
