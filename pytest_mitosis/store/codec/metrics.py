"""The few numbers of a result that fit in a table's row.

Runs in the trial's process. Sees numpy's scalars if numpy is loaded, never imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_mitosis.store.codec.names import loaded, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator

Metric: TypeAlias = float | int | bool | str
_DEEPEST = 20


def metrics_of(result: Mapping[Any, object]) -> dict[str, Metric]:
    """Return ``main``, the other scalar numbers of a result, and the scalars under ``metrics``.

    ``main`` is there whatever its type, by ``safe_text`` if neither number nor text. Scalars of the
    mapping ``metrics`` go by their own names, nested ones joined by dots; where such a name is
    taken by a number of the result itself, it starts with ``metrics.``. NaN and infinities stay.
    """
    found: dict[str, Metric] = {}
    if "main" in result:
        main = scalar(result["main"])
        found["main"] = safe_text(result["main"]) if main is None else main
    for key, value in result.items():
        number = scalar(value)
        if type(key) is str and key not in ("main", "data") and not isinstance(number, str | None):
            found[key] = number
    nested = result.get("metrics")
    if isinstance(nested, Mapping):
        for name, number in list(_flatten(nested, "", 0)):
            found[f"metrics.{name}" if name in found else name] = number
    return found


def _flatten(values: Mapping[Any, object], prefix: str, depth: int) -> Iterator[tuple[str, Metric]]:
    for key, value in values.items():
        name = f"{prefix}{key if type(key) is str else safe_text(key, 60)}"
        number = scalar(value)
        if number is not None:
            yield name, number
        elif isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _flatten(value, f"{name}.", depth + 1)


def scalar(value: object) -> Metric | None:
    """Return a number, truth value or text as Python's own type; None for anything else."""
    cls = type(value)
    if cls in (bool, int, float, str):
        return value  # type: ignore[return-value]
    np: Any = loaded("numpy")  # Any: may be absent
    if hasattr(np, "ndarray"):
        if cls is np.ndarray and _is_scalar_array(value):
            return _from_numpy(_only(value))
        if issubclass(cls, np.generic):
            return _from_numpy(value)
    return _from_subclass(cls, value)


def _is_scalar_array(value: Any) -> bool:
    return bool(value.ndim == 0)


def _only(value: Any) -> Any:
    return value[()]


def _from_subclass(cls: type, value: Any) -> Metric | None:
    # The builtin's own method: a subclass may have overridden the conversion.
    if issubclass(cls, int):
        return int.__int__(value)
    if issubclass(cls, float):
        return float.__float__(value)
    return str.__str__(value) if issubclass(cls, str) else None


def _from_numpy(value: Any) -> Metric | None:
    # item() of a long double is one again; float() is as near as a double gets.
    convert: dict[str, type[Metric]] = {"b": bool, "i": int, "u": int, "f": float, "U": str}
    kind = convert.get(value.dtype.kind)
    return None if kind is None else kind(value)
