"""Tags of scipy's sparse arrays and matrices: their class's name and the arrays they are made of.

Touches scipy only if the process has it already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_mitosis.store.codec import arrays
from pytest_mitosis.store.codec.names import loaded
from pytest_mitosis.store.codec.place import NoSafeForm

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_mitosis.store.codec.place import Place
    from pytest_mitosis.store.codec.walk import Decoder, Encoder, Json

_PARTS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "coords"),
    "dia": ("data", "offsets"),
}


def find_encoder(cls: type) -> Callable[[Encoder, Any, Place], Json] | None:
    """Return the encoder of a sparse type of scipy; the growable ones (lil, dok) have none."""
    sparse: Any = loaded("scipy.sparse")  # Any: may be absent, or still being imported
    form, _, kind = cls.__name__.partition("_")
    if sparse is None or form not in _PARTS or kind not in ("array", "matrix"):
        return None
    return _encode if getattr(sparse, cls.__name__, None) is cls else None


def _encode(encoder: Encoder, value: Any, place: Place) -> Json:
    names = _PARTS[value.format]
    node = {"$": "sparse", "class": type(value).__name__, "shape": list(value.shape)}
    for name in names:
        part = getattr(value, name, None)
        if part is None and name == "coords":  # before scipy 1.13
            part = (value.row, value.col)
        if part is None:
            raise NoSafeForm(f"a sparse array without {name}")
        node[name] = encoder.encode(part, place.field(name))
    return node


def _decode(decoder: Decoder, node: dict[str, Json]) -> Any:
    name, shape = node["class"], tuple(node["shape"])
    form, _, kind = name.partition("_")
    if form not in _PARTS or kind not in ("array", "matrix"):
        raise ValueError(f"no sparse class {name}")
    sparse = arrays.need("scipy.sparse")
    parts = tuple(decoder.decode(node[part]) for part in _PARTS[form])
    return getattr(sparse, name)(parts, shape=shape)


DECODERS: dict[str, Callable[[Decoder, dict[str, Json]], object]] = {"sparse": _decode}
