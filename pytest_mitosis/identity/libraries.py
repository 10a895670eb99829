"""scikit-learn, scipy, xarray, pyarrow, polars, sympy, pytz: what their objects are made of.

Each is recognised by the name of a type; none is imported unless such an object exists.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity import names
from pytest_mitosis.identity.arrays import dtype_text, text_digests, write_blocks, write_data
from pytest_mitosis.identity.containers import entries, read_dict
from pytest_mitosis.identity.frames import write_ticks
from pytest_mitosis.identity.objects import NO_DEFAULT, read_plain, write_fields, write_type
from pytest_mitosis.identity.scalars import bounded, sha256
from pytest_mitosis.identity.state import state_of
from pytest_mitosis.identity.walk import Walk, attribute, item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mitosis.identity.walk import Reader

_FEW: Final = 1000


def read_estimator(walk: Walk, value: Any, path: str) -> None:
    """Write a scikit-learn estimator by its parameters; a fitted one is a result, not a recipe."""
    kind = type(value)
    state = state_of(value)
    fitted = [
        name
        for name, part in state.items()
        # Some packages have a `fitted_` from the beginning.
        if name.endswith("_")
        and not name.startswith("__")
        and part is not None
        and part is not False
    ]
    if fitted:
        walk.refuse(
            path,
            f"is a fitted {kind.__name__} (it has {fitted[0]})",
            "Put an unfitted one there, such as sklearn.base.clone(...) of it.",
        )
    write_type(walk, kind, path, "estimator")
    make = getattr(kind.__init__, "deprecated_original", kind.__init__)
    spec = {
        name: NO_DEFAULT if part.default is part.empty else part.default
        for name, part in inspect.signature(make).parameters.items()
        if name != "self" and part.kind not in (part.VAR_POSITIONAL, part.VAR_KEYWORD)
    }
    if not spec.keys() <= state.keys():
        state = {**value.get_params(deep=False), **state}
    write_fields(walk, state, spec, path)


def read_sparse(walk: Walk, value: Any, path: str) -> None:
    """Write a sparse array by format, dtype, shape and its entries in row order."""
    import numpy as np

    walk.leaf(path, f"sparse {type(value).__name__} {dtype_text(value.dtype)} shape={value.shape}")
    entries_ = value.tocoo(copy=True)
    entries_.sum_duplicates()
    places = entries_.coords if hasattr(entries_, "coords") else (entries_.row, entries_.col)
    order = np.lexsort(tuple(reversed(places)))
    for axis, place in enumerate(places):
        write_data(walk, np.asarray(place, dtype="i8")[order], attribute(path, f"axis{axis}"))
    write_data(walk, entries_.data[order], path)


def read_frozen(walk: Walk, value: Any, path: str) -> None:
    """Write a frozen distribution: which one, and its arguments."""
    walk.leaf(path, "frozen distribution")
    walk.visit(value.dist, attribute(path, "dist"))
    for index, part in enumerate(value.args):
        walk.visit(part, item(path, str(index)))
    for name in sorted(value.kwds):
        walk.visit(value.kwds[name], attribute(path, name))


def read_distribution(walk: Walk, value: Any, path: str) -> None:
    """Write a distribution of scipy.stats by class and what it was made with.

    Its random stream is none of it: copies and pickles replace the global one by a private one.
    """
    write_type(walk, type(value), path, "distribution")
    made = value._updated_ctor_param() if hasattr(value, "_updated_ctor_param") else {}
    for name in ("a", "b", "shapes", "values", "histogram", "density"):
        if made.get(name) is not None:
            walk.visit(made[name], attribute(path, name))


def read_multivariate(walk: Walk, value: Any, path: str) -> None:
    """Write the family of a multivariate distribution."""
    write_type(walk, type(value), path, "distribution")


def read_new_distribution(walk: Walk, value: Any, path: str) -> None:
    """Write a distribution of the newer scipy interface by its parameters."""
    parameters = getattr(value, "_original_parameters", None)
    if parameters is None:
        read_plain(walk, value, path)
        return
    write_type(walk, type(value), path, "distribution")
    entries(walk, parameters.items(), path)


def read_vectorize(walk: Walk, value: Any, path: str) -> None:
    """Write ``np.vectorize`` without what it caches."""
    import numpy as np

    walk.leaf(path, "np.vectorize")
    for name in ("pyfunc", "signature", "excluded"):
        walk.visit(getattr(value, name, None), attribute(path, name))
    types = ",".join(dtype_text(np.dtype(part)) for part in value.otypes or ())
    walk.leaf(attribute(path, "otypes"), types or "None")
    if value.cache:
        walk.leaf(attribute(path, "cache"), "bool True")


def read_piecewise(walk: Walk, value: Any, path: str) -> None:
    """Write a spline by knots and coefficients, which scipy keeps elsewhere in each release."""
    write_type(walk, type(value), path, "spline")
    for name in ("x", "t", "c", "k", "axis", "extrapolate"):
        if hasattr(value, name):
            walk.visit(getattr(value, name), attribute(path, name))


def read_polynomial(walk: Walk, value: Any, path: str) -> None:
    """Write a polynomial of numpy; a copy has of its own what a fresh one has from its class."""
    write_type(walk, type(value), path, "polynomial")
    walk.visit(value.coef, attribute(path, "coef"))
    # The default window is whole numbers in numpy 1 and floats in numpy 2.
    walk.visit([float(end) for end in value.domain], attribute(path, "domain"))
    walk.visit([float(end) for end in value.window], attribute(path, "window"))
    walk.visit(getattr(value, "symbol", "x"), attribute(path, "symbol"))


def read_variable(walk: Walk, value: Any, path: str) -> None:
    """Write an xarray variable: dimensions, numbers, attributes."""
    import numpy as np

    data = value.data
    walk.leaf(path, f"variable {value.dims!a} shape={value.shape}")
    if not isinstance(data, np.ndarray):
        walk.visit(data, attribute(path, "data"))
    elif data.dtype.kind in "Mm":
        write_ticks(walk, data, path)
    elif data.dtype.kind in "OUT" and all(type(part) is str for part in data.flat):
        walk.leaf(path, "dtype str")
        write_data(walk, data.astype(object), path)
    else:
        walk.leaf(path, f"dtype {dtype_text(data.dtype)}")
        write_data(walk, np.asarray(data), path)
    entries(walk, dict(value.attrs).items(), attribute(path, "attrs"))


def read_data_array(walk: Walk, value: Any, path: str) -> None:
    """Write an xarray DataArray with coordinates and name."""
    walk.leaf(path, "DataArray")
    read_variable(walk, value.variable, path)
    walk.visit(value.name, attribute(path, "name"))
    _write_coordinates(walk, value, path)


def read_dataset(walk: Walk, value: Any, path: str) -> None:
    """Write an xarray Dataset by variables and coordinates."""
    walk.leaf(path, "Dataset")
    for name in sorted(value.data_vars, key=str):
        read_variable(walk, value.variables[name], item(path, ascii(name)))
    entries(walk, dict(value.attrs).items(), attribute(path, "attrs"))
    _write_coordinates(walk, value, path)


def _write_coordinates(walk: Walk, value: Any, path: str) -> None:
    for name in sorted(value.coords, key=str):
        place = item(attribute(path, "coords"), ascii(name))
        read_variable(walk, value.coords[name].variable, place)


def read_table(walk: Walk, value: Any, path: str) -> None:
    """Write a table of pyarrow or a frame of polars, per column; chunks do not count."""
    names_ = [str(name) for name in (getattr(value, "column_names", None) or value.columns)]
    walk.leaf(path, f"{type(value).__name__} columns {names_!a}")
    for index, name in enumerate(names_):
        column = value[index] if hasattr(value, "combine_chunks") else value[name]
        write_cells(walk, column, item(path, ascii(name)))


def read_cells(walk: Walk, value: Any, path: str) -> None:
    """Write an array of pyarrow or a series of polars."""
    walk.leaf(path, f"{type(value).__name__.removesuffix('Array')} cells")
    if isinstance(getattr(value, "name", None), str):
        walk.leaf(attribute(path, "name"), ascii(value.name))
    write_cells(walk, value, path)


def write_cells(walk: Walk, column: Any, path: str) -> None:
    """Write the type and the cells of a column, few by value, many by digest."""
    kind = column.type if hasattr(column, "type") else column.dtype
    walk.leaf(path, f"type {str(kind)!a}")
    cells: Sequence[object] = (
        column.to_pylist() if hasattr(column, "to_pylist") else column.to_list()
    )
    if len(cells) <= _FEW:
        for index, part in enumerate(cells):
            walk.visit(part, item(path, str(index)))
    else:
        write_blocks(walk, path, text_digests([ascii(part) for part in cells]), len(cells))


def read_symbolic(walk: Walk, value: Any, path: str) -> None:
    """Write a sympy expression by its constructor text."""
    import sympy  # type: ignore[import-not-found,unused-ignore]

    walk.leaf(path, f"sympy {ascii(bounded(sympy.srepr(value), 'expression'))[1:-1]}")


def read_pytz(walk: Walk, value: Any, path: str) -> None:
    """Write a pytz zone by name and current offset: ``localize`` picks one of several."""
    walk.leaf(path, f"pytz {str(value)!a} {getattr(value, '_utcoffset', '')}")


def read_colormap(walk: Walk, value: Any, path: str) -> None:
    """Write a colormap of matplotlib by the colors it gives, not by what it computed so far."""
    import numpy as np

    walk.leaf(path, f"colormap {value.name!a} of {value.N}")
    write_data(walk, np.asarray(value(np.arange(value.N))), path)


def read_normalize(walk: Walk, value: Any, path: str) -> None:
    """Write a color scale of matplotlib without who listens to it."""
    write_type(walk, type(value), path)
    state = {name: part for name, part in state_of(value).items() if name != "callbacks"}
    write_fields(walk, state, {}, path)


def read_image(walk: Walk, value: Any, path: str) -> None:
    """Write an image of Pillow by mode, size and pixels."""
    walk.leaf(path, f"image {value.mode} size={value.size}")
    walk.leaf(f"{path}[:]", sha256(value.tobytes()))
    palette = value.getpalette()
    if palette:
        walk.leaf(attribute(path, "palette"), sha256(bytes(palette)))


def read_workdays(walk: Walk, value: Any, path: str) -> None:
    """Write a calendar of working days."""
    walk.leaf(path, "busdaycalendar")
    write_data(walk, value.weekmask, attribute(path, "weekmask"))
    write_data(walk, value.holidays, attribute(path, "holidays"))


def read_secret(walk: Walk, value: Any, path: str) -> None:
    """Write a secret of pydantic by digest: records are read by others."""
    secret = state_of(value)["_secret_value"]
    raw = secret if isinstance(secret, bytes) else ascii(secret).encode()
    walk.leaf(path, f"{type(value).__name__} {sha256(raw)}")


def read_bunch(walk: Walk, value: dict[object, object], path: str) -> None:
    """Write a Bunch of scikit-learn as the dict it is."""
    walk.leaf(path, f"Bunch {names.name_of(type(value))}")
    read_dict(walk, value, path)


def read_compiled(walk: Walk, value: Any, path: str) -> None:
    """Write a function compiled by numba: the Python function it came from."""
    walk.leaf(path, "numba function")
    walk.visit(value.py_func, attribute(path, "func"))


LIBRARIES: Final[dict[str, Reader]] = {
    "sklearn:BaseEstimator": read_estimator,
    "sklearn:Bunch": read_bunch,
    "scipy:_spbase": read_sparse,
    "scipy:spmatrix": read_sparse,
    "scipy:sparray": read_sparse,
    "scipy:rv_frozen": read_frozen,
    "scipy:rv_generic": read_distribution,
    "scipy:multi_rv_generic": read_multivariate,
    "scipy:UnivariateDistribution": read_new_distribution,
    "numpy:vectorize": read_vectorize,
    "numpy:ABCPolyBase": read_polynomial,
    "scipy:PPoly": read_piecewise,
    "scipy:BPoly": read_piecewise,
    "scipy:BSpline": read_piecewise,
    "xarray:Variable": read_variable,
    "xarray:DataArray": read_data_array,
    "xarray:Dataset": read_dataset,
    "pyarrow:Table": read_table,
    "pyarrow:RecordBatch": read_table,
    "pyarrow:Array": read_cells,
    "pyarrow:ChunkedArray": read_cells,
    "polars:DataFrame": read_table,
    "polars:Series": read_cells,
    "sympy:Basic": read_symbolic,
    "sympy:MatrixBase": read_symbolic,
    "pytz:BaseTzInfo": read_pytz,
    "matplotlib:Colormap": read_colormap,
    "matplotlib:Normalize": read_normalize,
    "PIL:Image": read_image,
    "numpy:busdaycalendar": read_workdays,
    "pydantic:Secret": read_secret,
    "pydantic:_SecretBase": read_secret,
    "pydantic:_SecretField": read_secret,
    "numba:Dispatcher": read_compiled,
}
