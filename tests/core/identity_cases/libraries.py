"""scikit-learn, scipy, pyarrow: what the examples of this project install."""

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
import scipy.stats
from scipy import interpolate, linalg, special
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import make_scorer, mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from identity_cases.plain import _pairs

X = np.arange(12.0).reshape(6, 2)
Y = np.arange(6.0)


def _pipeline(alpha=1.0):
    return Pipeline([("scale", StandardScaler()), ("fit", Ridge(alpha=alpha))])


def _matrix(kind=sp.csr_matrix):
    return kind(np.array([[0.0, 1.0], [2.0, 0.0]]))


def _unsorted():
    made = sp.csr_matrix(
        (np.array([3.0, 2.0]), np.array([1, 0]), np.array([0, 2, 2])), shape=(2, 2)
    )
    assert not made.has_sorted_indices
    return made


def _fitted_pipeline():
    return _pipeline().fit(X, Y)


LOCKABLE = {
    "ridge": lambda: Ridge(alpha=0.5),
    "forest": lambda: RandomForestClassifier(n_estimators=10, random_state=0),
    "pipeline": _pipeline,
    "make-pipeline": lambda: make_pipeline(PCA(2), LinearRegression()),
    "columns": lambda: ColumnTransformer([("a", StandardScaler(), [0, 1])]),
    "grid": lambda: GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=KFold(3)),
    "function-transformer": lambda: FunctionTransformer(np.log1p),
    "kernel": lambda: RBF(2.0) + WhiteKernel(0.1),
    "scorer": lambda: make_scorer(mean_squared_error, greater_is_better=False),
    "splitter": lambda: KFold(5, shuffle=True, random_state=1),
    "estimator-class": lambda: Ridge,
    "estimator-list": lambda: [LogisticRegression(C=0.1), PCA()],
    "csr": _matrix,
    "coo": lambda: _matrix(sp.coo_matrix),
    "csc-array": lambda: _matrix(sp.csc_array),
    "lil": lambda: _matrix(sp.lil_matrix),
    "dok": lambda: _matrix(sp.dok_matrix),
    "norm": lambda: scipy.stats.norm(0.0, 2.0),
    "gamma": lambda: scipy.stats.gamma(2.0, scale=3.0),
    "poisson": lambda: scipy.stats.poisson(3.0),
    "multivariate": lambda: scipy.stats.multivariate_normal([0.0, 1.0], np.eye(2)),
    "distribution": lambda: scipy.stats.uniform,
    "spline": lambda: _spline(4.0),
    "function": lambda: linalg.inv,
    "ufunc": lambda: special.expit,
    "param-grid": lambda: {"alpha": scipy.stats.loguniform(1e-3, 1.0), "fit": [True, False]},
    "arrow-table": lambda: pa.table({"a": [1, 2], "b": ["x", None]}),
    "arrow-array": lambda: pa.array([1.5, None]),
    "arrow-schema": lambda: pa.schema([("a", pa.int64())]),
}

CHANGES = _pairs(
    ("parameter", lambda: (Ridge(alpha=1.5), Ridge(alpha=2.5)), ".alpha"),
    ("parameter-default", lambda: (Ridge(), Ridge(alpha=2.5)), ".alpha"),
    ("parameter-type", lambda: (Ridge(alpha=2), Ridge(alpha=2.0)), ".alpha"),
    ("estimator", lambda: (Ridge(), LinearRegression()), "."),
    ("pipeline-parameter", lambda: (_pipeline(2.0), _pipeline(3.0)), ".steps[1][1].alpha"),
    (
        "pipeline-step",
        lambda: (make_pipeline(PCA(2), Ridge()), make_pipeline(StandardScaler(), Ridge())),
        ".steps[0][1]",
    ),
    ("grid", lambda: (_grid([0.1]), _grid([0.2])), ".param_grid['alpha'][0]"),
    ("grid-estimator", lambda: (_grid([0.1], 1.5), _grid([0.1], 2.5)), ".estimator.alpha"),
    ("transformer", lambda: (FunctionTransformer(np.log), FunctionTransformer(np.exp)), ".func"),
    ("kernel", lambda: (RBF(1.0), RBF(2.0)), ".length_scale"),
    ("splitter", lambda: (KFold(5), KFold(4)), ".n_splits"),
    ("estimator-to-class", lambda: (Ridge, Ridge()), "."),
    ("sparse-value", lambda: (_matrix(), _matrix() * 2), "[:]"),
    ("sparse-place", lambda: (_matrix(), sp.csr_matrix(np.diag([1.0, 2.0]))), ".axis1[:]"),
    ("sparse-shape", lambda: (sp.csr_matrix((2, 3)), sp.csr_matrix((3, 2))), "."),
    ("sparse-format", lambda: (_matrix(), _matrix(sp.csc_matrix)), "."),
    ("sparse-dtype", lambda: (_matrix(), _matrix().astype("f4")), "."),
    ("sparse-to-dense", lambda: (_matrix(), _matrix().toarray()), "."),
    ("norm", lambda: (scipy.stats.norm(0.0, 1.0), scipy.stats.norm(0.0, 2.0)), "[1]"),
    (
        "gamma-scale",
        lambda: (scipy.stats.gamma(2, scale=1), scipy.stats.gamma(2, scale=3)),
        ".scale",
    ),
    ("distribution", lambda: (scipy.stats.norm(0, 1), scipy.stats.uniform(0, 1)), ".dist"),
    (
        "multivariate",
        lambda: (
            scipy.stats.multivariate_normal([0.0, 1.0], np.eye(2)),
            scipy.stats.multivariate_normal([0.0, 2.0], np.eye(2)),
        ),
        ".mean[:]",
    ),
    ("function-module", lambda: (linalg.inv, np.linalg.inv), "."),
    ("ufunc", lambda: (special.expit, special.logit), "."),
    ("spline", lambda: (_spline(4.0), _spline(5.0)), ".c[:]"),
    ("arrow", lambda: (pa.table({"a": [1, 2]}), pa.table({"a": [1, 3]})), "['a'][1]"),
    ("arrow-type", lambda: (pa.array([1], pa.int32()), pa.array([1], pa.int64())), "."),
)


def _grid(alphas, alpha=1.0):
    return GridSearchCV(Ridge(alpha=alpha), {"alpha": alphas})


def _spline(last):
    return interpolate.PPoly([[1.0, last], [0.5, 0.25]], [0.0, 1.0, 2.0])


EQUAL = {
    "estimator-spelled": lambda: (Ridge(), Ridge(alpha=1.0)),
    "pipeline-again": lambda: (_pipeline(), _pipeline()),
    "sparse-unsorted": lambda: (_unsorted(), sp.csr_matrix(np.array([[2.0, 3.0], [0.0, 0.0]]))),
    "sparse-index-width": lambda: (_matrix(), _wide(_matrix())),
    "frozen-again": lambda: (scipy.stats.norm(0, 1), scipy.stats.norm(0, 1)),
    "frozen-used": lambda: (scipy.stats.norm(0, 1), _used(scipy.stats.norm(0, 1))),
    "arrow-chunks": lambda: (
        pa.chunked_array([[1, 2], [3]]),
        pa.chunked_array([[1], [2, 3]]),
    ),
}


def _wide(matrix):
    matrix.indices = matrix.indices.astype("i8")
    matrix.indptr = matrix.indptr.astype("i8")
    return matrix


def _used(frozen):
    frozen.pdf(0.5), frozen.rvs(2), frozen.mean()
    return frozen


REFUSED = _pairs(
    ("fitted", lambda: Ridge().fit(X, Y), "."),
    ("fitted-transformer", lambda: StandardScaler().fit(X), "."),
    ("fitted-in-pipeline", _fitted_pipeline, ".steps[0][1]"),
    ("fitted-in-dict", lambda: {"model": LinearRegression().fit(X, Y)}, "['model']"),
    ("fitted-search", lambda: GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=2).fit(X, Y), "."),
)
