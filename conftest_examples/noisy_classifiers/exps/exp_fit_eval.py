"""Find the classifier that stands noise best, in one function, on the wine data."""

import numpy as np
from noisy_pipeline import corrupt, evaluate, load_data
from variants import Noise, solvers

lookup_dict = {
    "noise": {
        "low": Noise(sigma=0.5, outliers=0.01),
        "high": Noise(sigma=1.5, outliers=0.05),
    },
    "solver": solvers,
}


def exp_fit_eval(noise, solver, *, seed=0):
    """Corrupt the wine data and fit a classifier to them; ``main`` is the balanced error."""
    clean = load_data("load_wine")["data"]
    noisy = corrupt(clean, noise, np.random.default_rng(seed))["data"]
    return evaluate(noisy, solver, seed)
