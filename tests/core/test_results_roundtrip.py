"""Every kind of value a step may return comes back as it was, without pickle and without trust."""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import math
import re
import sys
import uuid
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pytest
from test_results_exact import same, through

from pytest_mitosis.store.results import load_result, save_result


class Solver(enum.Enum):
    TV = "total variation"
    STLSQ = ("threshold", 0.1, -0.0)


class Flags(enum.Flag):
    CENTER = 1
    SCALE = 2


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Fit:
    coef: Any
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    label: str = "ø"


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float = math.nan


T = TypeVar("T")


@dataclasses.dataclass
class Boxed(Generic[T]):
    inside: T


@dataclasses.dataclass
class Checked:
    rate: float

    def __post_init__(self) -> None:
        raise AssertionError("loading calls nothing of the user's")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError


class Split(NamedTuple):
    train: Any
    test: Any = None


PLAIN = [
    None, True, 0, -1, 2**63 - 1, 2**63, -(2**63), 10**400, -(7**9000),
    0.1, -0.0, 5e-324, 1.7976931348623157e308, math.nan, -math.nan, math.inf, -math.inf,
    complex(-0.0, math.nan), complex(1.5, -math.inf),
    "", "Größe\n\t\0\x7f\u2028", "\ud800", "\ud83d\ude00", "😀", "$", "nan",
    b"", bytes(range(256)), b"x" * 10_000, bytearray(b"\0\xff"), bytearray(5000),
    [], [[]], [1, 1.0, True], (), ((),), (1, [2, (3,)]), {}, {"a": {}},
    {"b": 1, "a": 2}, {1: "a", "1": "b", (1, 2): [3], None: 4, 1.5: 5, True.__class__: 6},
    {"$": "tuple", "items": [1]}, {"a": {"$": 1}}, {"\ud800": 1, "": 2}, {math.nan: 1},
    set(), {1, "a", (2.5, None)}, frozenset({frozenset({1}), b"x"}),
    collections.OrderedDict([("z", 1), ("a", [2])]), collections.Counter("mississippi"),
    collections.defaultdict(list, {"a": [1]}), collections.defaultdict(None, {1: 2}),
    collections.deque([1, [2]], maxlen=5), collections.deque(), SimpleNamespace(a=1, b=[2]),
    range(3, 10, 2), slice(None, 5, -1), slice((1,), None), ..., NotImplemented, list, float,
]  # fmt: skip
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
STDLIB = [
    date(2026, 11, 21), datetime(2026, 11, 21, 22, 4, 11, 999999), datetime.min, datetime.max,
    datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1), datetime(1, 1, 1, fold=1),
    datetime(2026, 1, 1, tzinfo=UTC), time(1, 2, 3, 4), time(0, fold=1),
    time(3, tzinfo=timezone(timedelta(hours=-3, microseconds=5), "here")),
    timedelta(days=-1, microseconds=1), timedelta.max, UTC, BERLIN,
    Decimal("0.10"), Decimal("-0"), Decimal("NaN"), Decimal("sNaN12"), Decimal("-Infinity"),
    Decimal("1E+1000000"), Fraction(1, 3), Fraction(-(10**30), 7),
    uuid.UUID(int=7), uuid.UUID(int=7, is_safe=uuid.SafeUUID.safe),
    Path("a b/ü"), Path(), PurePosixPath("/x/../y"), PureWindowsPath("C:\\x\\y"),
    Path("caf\udce9.csv"), re.compile(r"(?i)\d+ü", re.MULTILINE), re.compile(rb"\x00", re.DOTALL),
]  # fmt: skip
CLASSES = [
    Solver.TV, Solver.STLSQ, Flags.CENTER, Flags.CENTER | Flags.SCALE, Flags(0), Level.LOW,
    re.IGNORECASE, Fit(np.arange(100.0), {"r2": math.nan}), Fit(Fit(None)), Point(-0.0),
    Boxed[int]([1]), Split([1], {2}), Split(1), [Split(1), Split(1.0)], {Point(1.0): Point(2.0)},
]  # fmt: skip
RECORD = np.dtype([("t", "<f8"), ("größe", ">i4", (2,)), ("in", [("name", "U5"), ("b", "?")])])
ARRAYS = [
    np.float64(0.1), np.float32(0.1), np.float16(-0.0), np.float64("nan"), np.longdouble("0.1"),
    np.int8(-5), np.uint64(2**64 - 1), np.longlong(3), np.intc(4), np.bool_(True), np.True_,
    np.complex128(complex(math.nan, -0.0)), np.complex64(1j), np.str_("ü"), np.bytes_(b"a\0b"),
    np.datetime64("2026-11-21T22:04:11.123456789"), np.datetime64("NaT", "s"),
    np.timedelta64(5, "D"),
    np.datetime64(7, "25s"), np.array([(1.5, (1, 2), ("x", True))], RECORD)[0],
    np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.zeros((0, 3)),
    np.array(1.5), np.array([], dtype="i2"), np.array([math.nan, -0.0, math.inf]),
    np.arange(65.0), np.arange(1000, dtype=">f4").reshape(10, 100), np.arange(200)[::2],
    np.frombuffer(bytes.fromhex("010000000000f87f"), "<f8"), np.zeros((2, 3, 4), order="F"),
    np.array([True, False]), np.array([1 + 2j, math.nan]), np.arange(4, dtype=">u2"),
    np.array(["a", "größe"]), np.array([b"a", b"bc"]), np.array("x"),
    np.array(["2026-11", "NaT"], "M8[M]"), np.array([1, 2], ">m8[ns]"), np.ones(3, np.longdouble),
    np.zeros(3, RECORD), np.zeros((2, 2), np.dtype("i1,f8", align=True)), np.zeros(2, "V3"),
    np.array([None, 1, 1.0, "a", [1], (2,), {"x": np.ones(2)}], dtype=object),
    np.array([[[1], [2, 3]], [None, b""]], dtype=object, order="F"), np.array(None, dtype=object),
    np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    np.ma.MaskedArray([1.0, 2.0], [True, False]), np.ma.MaskedArray([1, 2], fill_value=7),
    np.ma.MaskedArray([1, 2], [0, 1], hard_mask=True), np.ma.masked, np.dtype(">f4"), RECORD,
    np.dtype("i1,f8", align=True), np.dtype(("f4", (2, 3))), np.broadcast_to(1.5, (40, 5)),
    np.ma.zeros(3, RECORD), np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0],
    np.zeros(2, {"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [8, 0], "itemsize": 20}),
    np.zeros(2, {"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 2]}),
    np.zeros(2, [(("Title", "a"), "f8")]), np.zeros(2, [(f"f{n}", "i1") for n in range(9000)]),
    np.zeros(9, RECORD)[["t", "in"]], np.dtype((np.record, [("a", "f4")])),
    np.zeros(3, np.dtype((np.record, [("a", "f4")]))),
]  # fmt: skip
if hasattr(np, "dtypes") and hasattr(np.dtypes, "StringDType"):
    TEXT = np.dtypes.StringDType
    ARRAYS += [np.array([["a"], ["größe"]], TEXT()), np.array(["a", None], TEXT(na_object=None))]
VALUES = [*PLAIN, *STDLIB, *CLASSES, *ARRAYS]


@pytest.mark.parametrize(
    "value", VALUES, ids=[f"{n}-{type(v).__name__}" for n, v in enumerate(VALUES)]
)
def test_comes_back_exactly(value: object, tmp_path: Path) -> None:
    saved, back = through({"main": 0.5, "data": [value]}, tmp_path)
    assert (saved.pickled, saved.unsaved) == ((), ())
    assert same(back, {"main": 0.5, "data": [value]})
    second = tmp_path / "second"
    second.mkdir()
    again = save_result(back, second, "fit")
    if isinstance(value, np.longdouble):
        return  # six of its bytes have no meaning and any content
    assert [file.sha256 for file in again.files] == [file.sha256 for file in saved.files]


@pytest.mark.parametrize("value", [[1], {"a": {1: 2}}, {1, 2}, collections.deque([[]]), Fit([])])
def test_does_not_change_the_value(value: object, tmp_path: Path) -> None:
    before = repr(value)
    through(value, tmp_path)
    assert repr(value) == before


def test_calls_nothing_of_a_hostile_class(tmp_path: Path) -> None:
    value = object.__new__(Checked)
    object.__setattr__(value, "rate", 0.1)
    saved, back = through({"main": value}, tmp_path)
    assert saved.pickled == ()
    assert type(back["main"]) is Checked
    assert vars(back["main"]) == {"rate": 0.1}


def test_keeps_attributes_beside_the_fields(tmp_path: Path) -> None:
    fit = Fit([0.25])
    fit.residual = 1e-9  # type: ignore[attr-defined]
    back = through(fit, tmp_path)[1]
    assert vars(back) == vars(fit)


@pytest.mark.parametrize("kind", [list, tuple])
def test_ten_thousand_levels(kind: type, tmp_path: Path) -> None:
    value: Any = kind([0.1])
    for number in range(10_000):
        value = kind([number, value])
    saved, back = through(value, tmp_path)
    assert saved.is_complete
    for number in range(9_999, -1, -1):
        assert type(back) is kind
        assert back[0] == number
        back, value = back[1], value[1]
    assert back == kind([0.1])


def test_deep_dictionaries_with_files_below(tmp_path: Path) -> None:
    value: Any = np.arange(100.0)
    for _ in range(3_000):
        value = {"next": value, 1: Point(0.5)}
    saved, back = through(value, tmp_path)
    assert max(len(file.name) for file in saved.files) < 140
    for _ in range(3_000):
        assert same(back[1], Point(0.5))
        back = back["next"]
    assert same(back, np.arange(100.0))


def test_cycle_is_cut_and_told(tmp_path: Path) -> None:
    loop: list[Any] = [0.5]
    graph = {"loop": loop, "kept": (1, 2)}
    loop.append({"graph": graph})
    saved, back = through(graph, tmp_path)
    [left_out] = saved.unsaved
    assert left_out == (".loop[1].graph", "dict", "it contains itself")
    assert back["kept"] == (1, 2)
    assert back["loop"][0] == 0.5
    assert "contains itself" in str(back["loop"][1]["graph"])


def test_long_cycle_is_cut_once(tmp_path: Path) -> None:
    first: list[Any] = []
    here = first
    for _ in range(1_234):
        here.append([])
        here = here[0]
    here.append(first)
    saved = save_result(first, tmp_path, "fit")
    assert [part.reason for part in saved.unsaved] == ["it contains itself"]


def test_shared_objects_become_copies(tmp_path: Path) -> None:
    shared = [1.5]
    back = through({"a": shared, "b": shared}, tmp_path)[1]
    assert back == {"a": [1.5], "b": [1.5]}
    assert back["a"] is not back["b"]


def test_is_json_for_people(tmp_path: Path) -> None:
    value = {"main": 0.93, "größe": [1, 2, 3], "data": {"coef": np.array([[1.5, -2.0]])}}
    save_result(value, tmp_path, "fit")
    text = (tmp_path / "fit.json").read_text("utf-8")
    assert '\n  "main": 0.93,\n  "größe": [1, 2, 3],\n' in text
    assert json.loads(text)["schema"] == 1
    assert json.loads(text)["value"]["data"]["coef"]["values"] == [[1.5, -2.0]]


def test_set_text_does_not_depend_on_hash_order(tmp_path: Path) -> None:
    forward, backward = dict.fromkeys("abcdefgh"), dict.fromkeys("hgfedcba")
    one = save_result(set(forward), tmp_path, "one").files[-1].sha256
    two = save_result(set(backward), tmp_path, "two").files[-1].sha256
    assert one == two


def test_works_with_a_small_limit_of_digits(tmp_path: Path) -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert through([10**639, 10**5000], tmp_path)[1] == [10**639, 10**5000]
    finally:
        sys.set_int_max_str_digits(before)


def test_memory_map_becomes_an_array(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "big", dtype="f8", mode="w+", shape=(100,))
    mapped[:] = 0.25
    assert same(through(mapped, tmp_path)[1], np.full(100, 0.25))


def test_two_results_in_one_folder(tmp_path: Path) -> None:
    long = np.arange(100.0)
    save_result({"data": {"x": long}}, tmp_path, "fit")
    save_result({"x": -long}, tmp_path, "fit.data")
    assert same(load_result(tmp_path, "fit")["data"]["x"], long)
    assert same(load_result(tmp_path, "fit.data")["x"], -long)
