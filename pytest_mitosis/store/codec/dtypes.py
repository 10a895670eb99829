"""JSON of numpy's dtypes, structured ones field by field; numpy is loaded when this is called.

A dtype that would come back as another one (with metadata, of another library) has no safe form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.codec.place import NoSafeForm

if TYPE_CHECKING:
    from pytest_mitosis.store.codec.walk import Json

DType: TypeAlias = Any  # numpy is not imported to say so
_MARKS = {"None": None, "nan": float("nan")}


def describe_dtype(dtype: DType) -> dict[str, Json]:
    """Return the keys that say what a dtype is."""
    if dtype.metadata is not None:
        raise NoSafeForm("a dtype with metadata")
    node = _describe(dtype)
    if restore_any(node) != dtype:
        raise NoSafeForm("a dtype of another library")
    return node


def _describe(dtype: DType) -> dict[str, Json]:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {**describe_dtype(base), "shape": list(shape)}
    if dtype.names is not None:
        return _describe_fields(dtype)
    if dtype.kind == "T":
        return _describe_text(dtype)
    return {"dtype": dtype.str}


def _describe_text(dtype: DType) -> dict[str, Json]:
    node = {"dtype": "StringDType", "coerce": dtype.coerce}
    if not hasattr(dtype, "na_object"):
        return node
    mark = repr(dtype.na_object) if type(dtype.na_object) in (float, type(None)) else ""
    if mark not in _MARKS:
        raise NoSafeForm("a mark for missing text of another library")
    return node | {"missing": mark}


def _describe_fields(dtype: DType) -> dict[str, Json]:
    import numpy as np

    fields = []
    for name in dtype.names:
        kind, offset, *title = dtype.fields[name]
        if title and type(title[0]) is not str:
            raise NoSafeForm("a field with a title that is not text")
        titled = {"title": title[0]} if title else {}
        fields.append({"name": name, "offset": offset, **titled, **describe_dtype(kind)})
    node: dict[str, Json] = {"fields": fields, "itemsize": dtype.itemsize}
    if dtype.isalignedstruct:
        node["align"] = True
    if dtype.type is np.record:
        node["record"] = True
    return node


def restore_dtype(node: dict[str, Json]) -> DType:
    """Return the dtype that the keys say; a ``shape`` makes it one of sub-arrays."""
    import numpy as np

    if "fields" in node:
        return _restore_fields(node)
    if node["dtype"] == "StringDType":
        return _restore_text(node)
    return np.dtype(node["dtype"])


def restore_any(node: dict[str, Json]) -> DType:
    """Return the dtype of a node whose ``shape`` is the dtype's own, not an array's."""
    import numpy as np

    dtype = restore_dtype(node)
    return np.dtype((dtype, tuple(node["shape"]))) if "shape" in node else dtype


def _restore_text(node: dict[str, Json]) -> DType:
    import numpy as np

    text = getattr(np.dtypes, "StringDType", None)
    if text is None:
        raise ResultError("this result has text arrays of numpy 2: pip install 'numpy>=2'")
    missing = {"na_object": _MARKS[node["missing"]]} if "missing" in node else {}
    return text(coerce=node["coerce"], **missing)


def _restore_fields(node: dict[str, Json]) -> DType:
    import numpy as np

    fields = node["fields"]
    layout: Any = {
        "names": [field["name"] for field in fields],
        "formats": [restore_any(field) for field in fields],
        "offsets": [field["offset"] for field in fields],
        "itemsize": node["itemsize"],
    }
    if any("title" in field for field in fields):
        layout["titles"] = [field.get("title") for field in fields]
    found = np.dtype(layout, align=node.get("align", False))
    return np.dtype((np.record, found)) if node.get("record") else found
