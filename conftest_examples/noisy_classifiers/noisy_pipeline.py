"""Measure what noise costs a classifier: load data, corrupt them, fit and evaluate.

The ``data`` handed from step to step are a dictionary of ``features`` (array, samples x features),
``labels`` (array of integers, one per sample) and ``classes`` (list of the classes' names).
"""

import logging

import matplotlib.pyplot as plt
import numpy as np
from sklearn import datasets
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
)
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

logger = logging.getLogger(__name__)

OUTLIER_RANGE = 10.0  # gross errors reach this many standard deviations from the mean


def load_data(dataset):
    """Load a data set that comes with scikit-learn; ``main`` is its number of samples."""
    bunch = getattr(datasets, dataset)()
    classes = [str(name) for name in bunch.target_names]
    samples, features = bunch.data.shape
    logger.info("%s: %d samples, %d features, %d classes", dataset, samples, features, len(classes))
    return {
        "main": samples,
        "data": {"features": bunch.data, "labels": bunch.target, "classes": classes},
    }


def corrupt(data, noise, rng):
    """Add Gaussian noise and outliers to every feature, as a bad instrument would.

    Training and test samples suffer alike: whoever trains on noisy data has to predict from them.

    Parameters
    ----------
    data : dict
        Features, labels and classes.
    noise : Noise
        Strength of the noise and fraction of outliers.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    dict
        ``main`` is the root mean square of what was added, in standard deviations of the features.
    """
    clean = data["features"]
    mean, spread = clean.mean(axis=0), clean.std(axis=0)
    noisy = clean + noise.sigma * spread * rng.standard_normal(clean.shape)
    wrong = rng.random(clean.shape) < noise.outliers
    gross = mean + spread * rng.uniform(-OUTLIER_RANGE, OUTLIER_RANGE, clean.shape)
    noisy = np.where(wrong, gross, noisy)

    varies = spread > 0  # some pixels of the digits are always blank, and stay so
    added = (noisy - clean)[:, varies] / spread[varies]
    main = float(np.sqrt(np.mean(added**2)))
    logger.info("noise of %.2f standard deviations, %d outliers", main, wrong[:, varies].sum())

    data = {**data, "features": noisy}
    plot_principal_components(data, title=f"Data with {noise}")
    return {"main": main, "data": data}


def evaluate(data, solver, seed):
    """Fit the solver to 70 % of the samples and judge it by the others.

    Parameters
    ----------
    data : dict
        Features, labels and classes.
    solver : sklearn.base.ClassifierMixin
        Unfitted classifier. A clone is fitted, the solver itself stays as it is.
    seed : int
        Decides the split, and whatever is random in the solver.

    Returns
    -------
    dict
        ``main`` is the balanced error, one minus the mean recall of the classes: 0 is perfect,
        a guess among k classes scores 1 - 1/k. ``metrics`` are accuracy, macro f1 and log-loss.
    """
    labels = data["labels"]
    x_train, x_test, y_train, y_test = train_test_split(
        data["features"], labels, test_size=0.3, stratify=labels, random_state=seed
    )
    random_states = [name for name in solver.get_params() if name.endswith("random_state")]
    model = clone(solver).set_params(**dict.fromkeys(random_states, seed))
    model.fit(x_train, y_train)
    predicted = model.predict(x_test)

    error = float(1 - balanced_accuracy_score(y_test, predicted))
    metrics = {
        "accuracy": float(accuracy_score(y_test, predicted)),
        "f1": float(f1_score(y_test, predicted, average="macro")),
        "log_loss": float(log_loss(y_test, model.predict_proba(x_test))),
    }
    logger.info("%s: balanced error %.4f, %s", type(model[-1]).__name__, error, metrics)

    _, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(
        y_test, predicted, display_labels=data["classes"], cmap="Blues", ax=ax
    )
    ax.set_title(f"{len(y_test)} test samples, balanced error {error:.3f}")
    return {"main": error, "metrics": metrics, "data": {"labels": y_test, "predicted": predicted}}


def plot_principal_components(data, title):
    """Scatter the samples in the plane of their two strongest principal components."""
    plane = PCA(n_components=2, svd_solver="full")
    points = plane.fit_transform(StandardScaler().fit_transform(data["features"]))
    explained = plane.explained_variance_ratio_
    _, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
    for label, name in enumerate(data["classes"]):
        x, y = points[data["labels"] == label].T
        ax.scatter(x, y, s=8, alpha=0.7, color=f"C{label}", label=name)
    ax.set(
        title=title,
        xlabel=f"first component ({explained[0]:.0%} of variance)",
        ylabel=f"second component ({explained[1]:.0%})",
    )
    ax.legend(fontsize="small", markerscale=2)
