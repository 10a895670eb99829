"""Names for the values under study, one lookup dictionary per step."""

from dataclasses import dataclass

from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


@dataclass(frozen=True)
class Noise:
    """Measurement noise.

    Attributes
    ----------
    sigma : float
        Standard deviation of the Gaussian noise, in units of each feature's standard deviation.
    outliers : float
        Fraction of the values that are replaced by gross errors, between 0 and 1.
    """

    sigma: float
    outliers: float


solvers = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "forest": make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=60)),
    # A support vector machine has no probabilities of its own, so they are calibrated.
    "svm": make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(), cv=3, ensemble=False)),
}

load_config = {
    "dataset": {"digits": "load_digits", "wine": "load_wine", "breast_cancer": "load_breast_cancer"}
}
corrupt_config = {
    "noise": {
        "none": Noise(sigma=0.0, outliers=0.0),
        "low": Noise(sigma=0.5, outliers=0.01),
        "heavy": Noise(sigma=2.0, outliers=0.10),
    }
}
evaluate_config = {"solver": solvers}
