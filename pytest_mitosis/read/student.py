"""Student's t distribution for whole degrees of freedom, in closed form.

Formulas 26.7.3 and 26.7.4 of Abramowitz and Stegun, Handbook of Mathematical Functions. The same
digits come out whatever is installed.
"""

from __future__ import annotations

import math

_STEPS = 200


def t_within(t: float, degrees: int) -> float:
    """The probability that ``|T| <= t``, for ``degrees`` >= 1."""
    angle = math.atan2(abs(t), math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = degrees % 2
    term, total = (cosine, 0.0) if is_odd else (1.0, 0.0)
    for n in range(1 + is_odd, degrees, 2):
        total += term
        term *= cosine**2 * n / (n + 1)
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total


def t_quantile(confidence: float, degrees: int) -> float:
    """The ``t`` with ``|T| <= t`` in the fraction ``confidence`` of all cases."""
    low, high = 0.0, 1.0
    while t_within(high, degrees) < confidence:
        high *= 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_within(middle, degrees) < confidence else (low, middle)
    return high
