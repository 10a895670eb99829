"""What of a result can be compared later: its texts and arrays, each by digest and a few numbers.

Metrics are compared as they are; the rest of a result may be large, so a reference keeps of each
part a digest, and of floating-point arrays enough numbers to tell rounding from a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity import Undescribable, describe
from pytest_mitosis.model import ResultError
from pytest_mitosis.store.codec.metrics import scalar
from pytest_mitosis.store.codec.names import loaded, safe_text
from pytest_mitosis.store.results import load_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_mitosis.model import Trial

RESULTS = "results"
SMALL = 12
"""Arrays up to this size are kept whole."""
BLOCKS = 16
"""Larger ones are summed in so many pieces."""
MOST_KEYS = 50
_DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a result.

    Attributes
    ----------
    digest : str
        Identity of the value; empty if it has none, then ``summary`` says why.
    numbers : tuple of float
        All of a small array of floats, else its moments: smallest and largest element, mean, root
        mean square, mean after multiplication by ``cos(1), cos(2), …`` (the order counts), and how
        many are NaN and infinite.
    are_moments : bool
        Which of the two.
    sums : tuple of float
        With moments: the array in pieces of ``piece`` elements, each summed with signs that are
        random and always the same. An element that changes by d changes one of the sums by d, while
        what rounding does to all of them adds up like the root of their number.
    """

    digest: str
    summary: str
    numbers: tuple[float, ...] = ()
    are_moments: bool = False
    sums: tuple[float, ...] = ()
    piece: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain builtins for a reference."""
        found: dict[str, Any] = {"value": self.summary, "digest": self.digest}
        if self.numbers:
            found["moments" if self.are_moments else "numbers"] = list(self.numbers)
        if self.sums:
            found |= {"piece": self.piece, "sums": list(self.sums)}
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Part:
        """The part a dictionary from :meth:`to_json` stands for."""
        numbers = tuple(data.get("moments") or data.get("numbers") or ())
        sums, piece = tuple(data.get("sums", ())), int(data.get("piece", 0))
        text = str(data["value"])
        return cls(str(data["digest"]), text, numbers, "moments" in data, sums, piece)


def parts_of_trial(trial: Trial) -> dict[str, Part]:
    """The parts of the result of a trial's last step; none if it cannot be read."""
    return parts_of(_result(trial))


def values_of_trial(trial: Trial) -> dict[str, object]:
    """What its parts are of."""
    return dict(_values(_result(trial)))


def elements_of(value: object, digest: str) -> Any:
    """All elements of an array of floats; None if it is none, or not the one with that digest."""
    flat = _flat(value)
    return flat if flat is not None and _part(value).digest == digest else None


def parts_of(result: Mapping[Any, object]) -> dict[str, Part]:
    """What a result holds beside its metrics, nested names joined by dots."""
    return {name: _part(value) for name, value in _values(result)}


def _result(trial: Trial) -> Mapping[Any, object]:
    try:
        result = load_result(trial.folder / RESULTS, trial.manifest["steps"][-1]["name"])
    except ResultError:
        return {}
    return result if isinstance(result, Mapping) else {}


def _values(result: Mapping[Any, object]) -> Iterator[tuple[str, object]]:
    rest = {
        key: value
        for key, value in result.items()
        if key != "metrics" and not _is_metric(key, value)
    }
    return _flatten(rest, "", 0)


def _is_metric(key: object, value: object) -> bool:
    found = scalar(value)
    return found is not None and (key == "main" or not isinstance(found, str))


def _flatten(values: Mapping[Any, object], prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        name = f"{prefix}{key if type(key) is str else safe_text(key, 60)}"
        inner = _inner(value)
        if inner is not None and len(inner) <= MOST_KEYS and depth < _DEEPEST:
            yield from _flatten(inner, f"{name}.", depth + 1)
        else:
            yield name, value


def _inner(value: object) -> Mapping[Any, object] | None:
    """What a value is made of, if its parts are compared one by one."""
    if type(value) is dict:
        return value
    pandas: Any = loaded("pandas")  # Any: may be absent
    if pandas is not None and type(value) is getattr(pandas, "DataFrame", None):
        columns = value.columns  # type: ignore[attr-defined]
        if columns.is_unique and "index" not in columns:
            return {"index": value.index, **dict(value.items())}  # type: ignore[attr-defined]
    return None


def _part(value: object) -> Part:
    try:
        found = describe(value)
    except Undescribable as error:
        return Part("", f"not compared: {error.path} {error.reason}")
    flat = _flat(value)
    numbers = (
        () if flat is None else _moments(flat) if flat.size > SMALL else tuple(map(float, flat))
    )
    summary = found.summary
    if type(value) is str and len(value) <= SMALL * 5:
        summary = ascii(value)
    elif numbers and scalar(value) is not None:
        summary = type(value).__name__  # its value is among the numbers
    if flat is None or flat.size <= SMALL:
        return Part(found.digest, summary, numbers)
    piece = -(-flat.size // BLOCKS)
    return Part(found.digest, summary, numbers, True, _signed_sums(flat, piece), piece)


def _flat(value: Any) -> Any:
    """The numbers of what is an array of floats; None of anything else."""
    import numpy as np

    if type(value) is float or (type(value) in {list, tuple} and _are_floats(value)):
        array = np.asarray(value, dtype=float)
    elif isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
    elif hasattr(value, "to_numpy") and getattr(getattr(value, "dtype", None), "kind", "") in "fc":
        array = np.asarray(value.to_numpy())
    else:
        return None
    if array.dtype.kind not in "fc" or not array.size:
        return None
    flat = np.ascontiguousarray(array).ravel()
    if flat.dtype.kind == "c":
        flat = np.concatenate([flat.real, flat.imag])
    return flat.astype(float)


def _are_floats(values: Any) -> bool:
    return (
        bool(values)
        and all(type(one) in {int, float} for one in values)
        and any(type(one) is float for one in values)
    )


def _moments(flat: Any) -> tuple[float, ...]:
    import numpy as np

    finite = np.isfinite(flat)
    x = np.where(finite, flat, 0.0)
    wave = np.cos(np.arange(1, x.size + 1))
    with np.errstate(over="ignore"):
        found = (x.min(), x.max(), x.mean(), np.sqrt(np.mean(x**2)), np.mean(x * wave))
    missing = int(np.isnan(flat).sum())
    return (*map(float, found), float(missing), float((~finite).sum() - missing))


def _signed_sums(flat: Any, piece: int) -> tuple[float, ...]:
    """Sums of pieces with random signs, from the bits of a generator whose stream never changes."""
    import numpy as np

    bits = np.random.PCG64(0)
    found = []
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, flat.size, piece):
            x = flat[start : start + piece]
            words = bits.random_raw(-(-piece // 64)).astype("<u8").view(np.uint8)
            is_positive = np.unpackbits(words, count=x.size).astype(bool)
            x = np.where(np.isfinite(x), x, 0.0)
            found.append(float(np.where(is_positive, x, -x).sum()))
    return tuple(found)
