"""Find the classifier that stands noise best, in one function, on the wine data."""

import numpy as np
from noisy_pipeline import corrupt, evaluate, load_data
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from variants import Noise, solvers

# Whitening scales what rounding leaves of the weakest components up to the size of the others: what
# the trees see there depends on the kernel of the linear algebra, and so on the processor.
whitened = make_pipeline(
    StandardScaler(),
    PolynomialFeatures(2),
    PCA(whiten=True),
    RandomForestClassifier(n_estimators=60),
)

lookup_dict = {
    "noise": {
        "low": Noise(sigma=0.5, outliers=0.01),
        "high": Noise(sigma=1.5, outliers=0.05),
    },
    "solver": {**solvers, "whitened": whitened},
}


def exp_fit_eval(noise, solver, *, seed=0):
    """Corrupt the wine data and fit a classifier to them; ``main`` is the balanced error."""
    clean = load_data("load_wine")["data"]
    noisy = corrupt(clean, noise, np.random.default_rng(seed))["data"]
    return evaluate(noisy, solver, seed)
