"""Integrate by throwing dice."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Integrand:
    """A function on the unit interval and the exact value of its integral."""

    function: Callable[[np.ndarray], np.ndarray]
    exact: float


def quarter_circle(x):
    """Give the height of the unit circle above ``x``."""
    return np.sqrt(1 - x**2)


def peak(x):
    """Give a narrow Lorentzian around 0.5, of which most samples see little."""
    return 1 / (1 + ((x - 0.5) / 0.05) ** 2)


lookup_dict = {
    "integrand": {
        "quarter_circle": Integrand(quarter_circle, exact=np.pi / 4),
        "peak": Integrand(peak, exact=0.1 * float(np.arctan(10))),
    }
}


@pytest.mark.experiment(
    lookup=lookup_dict,
    hypothesis="the Monte-Carlo estimate stays within five standard errors of the integral",
)
def exp_integral(integrand, sample_size, rng):
    """Estimate an integral over the unit interval by the mean of random samples.

    Parameters
    ----------
    integrand : Integrand
        What to integrate.
    sample_size : int
        Number of samples. Not in the lookup dictionary: a fixture of ``conftest.py``.
    rng : numpy.random.Generator
        Source of the samples, made by the runner from the trial's seed.

    Returns
    -------
    dict
        ``main`` is the absolute error, ``metrics`` the standard error and their quotient,
        ``data`` the estimate after 1, 2, 3 ... samples.
    """
    heights = integrand.function(rng.random(sample_size))
    n = np.arange(1, sample_size + 1)
    estimates = np.cumsum(heights) / n
    error = float(abs(estimates[-1] - integrand.exact))
    standard_error = float(heights.std(ddof=1) / np.sqrt(sample_size))
    logger.info("%.6f +- %.6f, exact %.6f", estimates[-1], standard_error, integrand.exact)

    _, ax = plt.subplots(figsize=(6.5, 3.5), layout="constrained")
    band = heights.std(ddof=1) / np.sqrt(n)
    ax.fill_between(n, -band, band, color="0.85", label="standard error")
    ax.semilogx(n, estimates - integrand.exact, label="estimate")
    ax.set(
        title=f"Error of the estimate, {error / standard_error:.1f} standard errors at the end",
        xlabel="samples",
        ylabel="error",
        xlim=(10, sample_size),
        ylim=(-band[9], band[9]),
    )
    ax.legend()

    assert error < 5 * standard_error
    return {
        "main": error,
        "metrics": {"standard_error": standard_error, "z": error / standard_error},
        "data": estimates,
    }
