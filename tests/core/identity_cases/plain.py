"""Builtins and the standard library."""

import argparse
import array
import asyncio
import collections
import contextvars
import csv
import datetime as dt
import decimal
import fractions
import io
import ipaddress
import itertools
import logging
import operator
import os
import pathlib
import queue
import random
import re
import socket
import sqlite3
import statistics
import string
import subprocess
import sys
import tempfile
import threading
import types
import typing
import uuid
import weakref
import zoneinfo

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
LONG = "stiff stochastic flow past a cylinder; " * 200


def _cycle(size):
    ring = [0.5] * size
    ring.append(ring)
    return ring


def _deep(depth):
    value = 0.125
    for _ in range(depth):
        value = [value]
    return value


def _seeded(seed, draws=0):
    generator = random.Random(seed)
    for _ in range(draws):
        generator.random()
    return generator


LOCKABLE = {
    "none": lambda: None,
    "true": lambda: True,
    "int": lambda: 4096,
    "int-zero": lambda: 0,
    "int-negative": lambda: -17,
    "int-huge": lambda: 7**9000,
    "float": lambda: 0.1,
    "float-tiny": lambda: 5e-324,
    "float-negative-zero": lambda: -0.0,
    "float-nan": lambda: float("nan"),
    "float-inf": lambda: float("-inf"),
    "complex": lambda: 1 - 0.0j,
    "complex-nan": lambda: complex(float("nan"), -0.0),
    "str": lambda: "tv-l1",
    "str-empty": lambda: "",
    "str-unicode": lambda: "Grüße, Ω ≤ 3 µm 🧪\t\n",
    "str-surrogate": lambda: "\udc80",
    "str-long": lambda: LONG,
    "bytes": lambda: b"\x00\xffraw",
    "bytes-long": lambda: bytes(range(256)) * 40,
    "bytearray": lambda: bytearray(b"mutable"),
    "memoryview": lambda: memoryview(b"seen through"),
    "ellipsis": lambda: ...,
    "notimplemented": lambda: NotImplemented,
    "decimal": lambda: decimal.Decimal("0.10"),
    "decimal-nan": lambda: decimal.Decimal("NaN"),
    "fraction": lambda: fractions.Fraction(22, 7),
    "range": lambda: range(3, 40, 7),
    "slice": lambda: slice(None, -1, 2),
    "list": lambda: [1, 2.0, "three", None],
    "list-nested": lambda: [[0.1, [0.2]], [], [[]]],
    "list-deep": lambda: _deep(80),
    "list-shared": lambda: [[1.5]] * 3,
    "list-cycle": lambda: _cycle(2),
    "tuple": lambda: (64, 64, 3),
    "tuple-empty": lambda: (),
    "dict": lambda: {"lr": 1e-3, "epochs": 200, "layers": [64, 64]},
    "dict-int-keys": lambda: {10: "ten", 2: "two", -1: "minus"},
    "dict-mixed-keys": lambda: {1: "a", "1": "b", (1, "x"): "c", None: "d", 0.5: "e"},
    "dict-nan-key": lambda: {float("nan"): 1, "nan": 2},
    "dict-odd-keys": lambda: {"a.b": 1, "a['b']": 2, "": 3, "x y": 4, "k" * 300: 5},
    "dict-frozenset-key": lambda: {frozenset({"mu", "sigma"}): 1, frozenset(): 2},
    "set": lambda: {"alpha", "beta", "gamma", "delta"},
    "set-mixed": lambda: {1, "1", 2.5, None, ("a", 1)},
    "set-of-tuples": lambda: {("a", 1), ("b", 2), ("c", (3, 4))},
    "frozenset": lambda: frozenset({"rbf", "poly"}),
    "frozenset-nested": lambda: frozenset({frozenset({"a", "b"}), frozenset({"c"})}),
    "ordereddict": lambda: collections.OrderedDict([("scale", 1), ("fit", 2)]),
    "defaultdict": lambda: collections.defaultdict(list, {"a": [1]}),
    "counter": lambda: collections.Counter("mississippi"),
    "deque": lambda: collections.deque([1, 2, 3], maxlen=5),
    "chainmap": lambda: collections.ChainMap({"a": 1}, {"b": 2}),
    "mappingproxy": lambda: types.MappingProxyType({"a": 1, "b": [2]}),
    "userdict": lambda: collections.UserDict(a=1),
    "userlist": lambda: collections.UserList([1, 2]),
    "userstring": lambda: collections.UserString("text"),
    "dict-keys": lambda: {"b": 1, "a": 2}.keys(),
    "dict-values": lambda: {"b": 1, "a": 2}.values(),
    "namespace": lambda: types.SimpleNamespace(alpha=0.5, steps=10),
    "argparse-namespace": lambda: argparse.Namespace(alpha=0.5, quiet=False),
    "array": lambda: array.array("d", [0.1, 0.2]),
    "path": lambda: pathlib.Path("data/oct.h5"),
    "path-pure": lambda: pathlib.PurePosixPath("/etc/hosts"),
    "path-windows": lambda: pathlib.PureWindowsPath("C:/data/x.csv"),
    "date": lambda: dt.date(2026, 5, 1),
    "datetime": lambda: dt.datetime(2026, 5, 1, 12, 30, 15, 250),
    "datetime-utc": lambda: dt.datetime(2026, 5, 1, tzinfo=dt.UTC),
    "datetime-zone": lambda: dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    "time": lambda: dt.time(23, 59, 59),
    "timedelta": lambda: dt.timedelta(days=-1, microseconds=5),
    "timezone": lambda: dt.timezone(dt.timedelta(hours=5, minutes=30)),
    "zoneinfo": lambda: BERLIN,
    "regex": lambda: re.compile(r"(\w+)_(\d{3})", re.IGNORECASE),
    "regex-bytes": lambda: re.compile(rb"\x00+"),
    "uuid": lambda: uuid.UUID(int=12345),
    "ip-address": lambda: ipaddress.ip_address("10.0.0.1"),
    "ip-network": lambda: ipaddress.ip_network("10.0.0.0/8"),
    "random": lambda: _seeded(3),
    "random-drawn": lambda: _seeded(3, draws=5),
    "itemgetter": lambda: operator.itemgetter("loss", 2),
    "attrgetter": lambda: operator.attrgetter("a.b"),
    "methodcaller": lambda: operator.methodcaller("mean", axis=0),
    "string-template": lambda: string.Template("$name-$seed"),
    "normal-dist": lambda: statistics.NormalDist(1.0, 0.25),
    "alias-list": lambda: list[int],
    "alias-dict": lambda: dict[str, list[float]],
    "alias-union": lambda: int | None,
    "alias-optional": lambda: typing.Optional[float],  # noqa: UP045
    "alias-callable": lambda: collections.abc.Callable[[int], str],
    "alias-literal": lambda: typing.Literal["a", "b"],
    "alias-any": lambda: typing.Any,
    "sys-float-info": lambda: sys.float_info,
    "struct": lambda: __import__("struct").Struct("<3d"),
    "decimal-context": lambda: decimal.Context(prec=50),
}


def _pairs(*rows):
    return {name: (make, path) for name, make, path in rows}


CHANGES = _pairs(
    ("int", lambda: (4096, 4097), "."),
    ("int-to-float", lambda: (1, 1.0), "."),
    ("int-to-bool", lambda: (1, True), "."),
    ("zero-to-false", lambda: (0, False), "."),
    ("zero-to-none", lambda: (0, None), "."),
    ("none-to-false", lambda: (None, False), "."),
    ("none-to-text", lambda: (None, "None"), "."),
    ("int-to-text", lambda: (1, "1"), "."),
    ("int-huge", lambda: (7**9000, 7**9000 + 1), "."),
    ("float-last-bit", lambda: (0.1, 0.1 + 2**-56), "."),
    ("float-sum", lambda: (0.3, 0.1 + 0.2), "."),
    ("float-zero-sign", lambda: (0.0, -0.0), "."),
    ("float-to-nan", lambda: (1.0, float("nan")), "."),
    ("float-inf-sign", lambda: (float("inf"), float("-inf")), "."),
    ("float-to-complex", lambda: (1.0, 1 + 0j), "."),
    ("complex-zero-sign", lambda: (complex(1, 0.0), complex(1, -0.0)), "."),
    ("complex-imag", lambda: (1 + 2j, 1 + 3j), "."),
    ("str-case", lambda: ("TV", "tv"), "."),
    ("str-space", lambda: ("tv", "tv "), "."),
    ("str-escape", lambda: ("a\n", "a\\n"), "."),
    ("str-normal-form", lambda: ("\u00e9", "e\u0301"), "."),
    ("str-look-alike", lambda: ("A", "\u0391"), "."),
    ("str-long-end", lambda: (LONG + "a", LONG + "b"), "."),
    ("str-to-bytes", lambda: ("ab", b"ab"), "."),
    ("str-quote", lambda: ("'", '"'), "."),
    ("bytes-to-bytearray", lambda: (b"ab", bytearray(b"ab")), "."),
    ("bytes-to-list", lambda: (b"ab", [97, 98]), "."),
    ("bytes-long", lambda: (bytes(9000), bytes(8999) + b"\x01"), "."),
    ("memoryview", lambda: (memoryview(b"ab"), memoryview(b"ac")), "[:]"),
    ("ellipsis-to-notimplemented", lambda: (..., NotImplemented), "."),
    ("decimal-digits", lambda: (decimal.Decimal("1.0"), decimal.Decimal("1.00")), "."),
    ("decimal-to-float", lambda: (decimal.Decimal("0.5"), 0.5), "."),
    ("fraction", lambda: (fractions.Fraction(1, 3), fractions.Fraction(2, 3)), "."),
    ("range-step", lambda: (range(0, 10, 2), range(0, 10, 3)), "."),
    ("range-to-list", lambda: (range(3), [0, 1, 2]), "."),
    ("slice-step", lambda: (slice(0, 9), slice(0, 9, 2)), ".step"),
    ("list-element", lambda: ([1, 2, 3], [1, 2, 4]), "[2]"),
    ("list-order", lambda: ([1, 2], [2, 1]), "[0]"),
    ("list-longer", lambda: ([1, 2], [1, 2, 3]), "[2]"),
    ("list-shorter", lambda: ([1, 2, 3], [1, 2]), "[2]"),
    ("list-to-tuple", lambda: ([1, 2], (1, 2)), "."),
    ("list-emptied", lambda: ([1], []), "[0]"),
    ("list-empty-to-none", lambda: ([], None), "."),
    ("list-text-split", lambda: (["a", "b"], ["a', 'b"]), "[0]"),
    ("list-inner-type", lambda: ([[1]], [(1,)]), "[0]"),
    ("list-deep", lambda: (_deep(60), [_deep(60)]), "[0]" * 60),
    ("list-cycle", lambda: (_cycle(2), _cycle(3)), "[2]"),
    ("tuple-nested", lambda: ((1, (2, 3)), (1, (2, 4))), "[1][1]"),
    ("tuple-flat", lambda: (((1,), 2), (1, (2,))), "[0]"),
    ("empty-containers", lambda: ([], ()), "."),
    ("empty-set-to-dict", lambda: (set(), {}), "."),
    ("dict-value", lambda: ({"lr": 1e-3}, {"lr": 1e-4}), "['lr']"),
    ("dict-key-added", lambda: ({"a": 1}, {"a": 1, "b": 2}), "['b']"),
    ("dict-key-gone", lambda: ({"a": 1, "b": None}, {"a": 1}), "['b']"),
    ("dict-key-type", lambda: ({1: "x"}, {"1": "x"}), "['1']"),
    ("dict-key-bool", lambda: ({1: "x"}, {True: "x"}), "[True]"),
    ("dict-key-float", lambda: ({1: "x"}, {1.0: "x"}), "[1.0]"),
    ("dict-swapped", lambda: ({"a": 1, "b": 2}, {"a": 2, "b": 1}), "['a']"),
    ("dict-nested", lambda: ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}), "['a']['b'][1]"),
    ("dict-tuple-key", lambda: ({(1, 2): 0}, {(1, 2): 1}), "[(1, 2)]"),
    ("dict-to-ordered", lambda: ({"a": 1}, collections.OrderedDict(a=1)), "."),
    ("dict-to-pairs", lambda: ({"a": 1}, [("a", 1)]), "."),
    ("set-member", lambda: ({"a", "b"}, {"a", "c"}), "{str 'c'}"),
    ("set-added", lambda: ({1, 2}, {1, 2, 3}), "{int 3}"),
    ("set-member-type", lambda: ({1}, {1.0}), "{float 1.0}"),
    ("set-to-frozenset", lambda: ({1}, frozenset({1})), "."),
    ("set-to-list", lambda: ({1}, [1]), "."),
    ("frozenset-member", lambda: (frozenset({1}), frozenset({2})), "{int 2}"),
    (
        "ordereddict-order",
        lambda: (
            collections.OrderedDict([("a", 1), ("b", 2)]),
            collections.OrderedDict([("b", 2), ("a", 1)]),
        ),
        ".",
    ),
    (
        "defaultdict-factory",
        lambda: (collections.defaultdict(list), collections.defaultdict(set)),
        ".default_factory",
    ),
    ("defaultdict-to-dict", lambda: (collections.defaultdict(list, a=1), {"a": 1}), "."),
    ("counter", lambda: (collections.Counter("aab"), collections.Counter("abb")), "['a']"),
    ("counter-to-dict", lambda: (collections.Counter("a"), {"a": 1}), "."),
    ("deque-maxlen", lambda: (collections.deque([1], 2), collections.deque([1], 3)), "."),
    ("deque-order", lambda: (collections.deque([1, 2]), collections.deque([2, 1])), "[0]"),
    (
        "chainmap-order",
        lambda: (
            collections.ChainMap({"a": 1}, {"a": 2}),
            collections.ChainMap({"a": 2}, {"a": 1}),
        ),
        "[0]['a']",
    ),
    (
        "mappingproxy",
        lambda: (types.MappingProxyType({"a": 1}), types.MappingProxyType({"a": 2})),
        "['a']",
    ),
    ("userdict", lambda: (collections.UserDict(a=1), collections.UserDict(a=2)), ".data['a']"),
    (
        "namespace",
        lambda: (types.SimpleNamespace(a=1), types.SimpleNamespace(a=2)),
        ".a",
    ),
    (
        "namespace-odd",
        lambda: (types.SimpleNamespace(**{"a b": 1}), types.SimpleNamespace()),
        ".'a b'",
    ),
    ("array-type", lambda: (array.array("i", [1]), array.array("f", [1])), "."),
    ("array-value", lambda: (array.array("d", [0.1]), array.array("d", [0.2])), "[:]"),
    ("path", lambda: (pathlib.Path("a/b.csv"), pathlib.Path("a/c.csv")), "."),
    ("path-to-str", lambda: (pathlib.Path("a"), "a"), "."),
    ("path-absolute", lambda: (pathlib.Path("data"), pathlib.Path("/data")), "."),
    ("date", lambda: (dt.date(2026, 5, 1), dt.date(2026, 5, 2)), "."),
    ("date-to-datetime", lambda: (dt.date(2026, 5, 1), dt.datetime(2026, 5, 1)), "."),
    (
        "datetime-microsecond",
        lambda: (dt.datetime(2026, 5, 1), dt.datetime(2026, 5, 1, 0, 0, 0, 1)),
        ".",
    ),
    (
        "datetime-zone",
        lambda: (dt.datetime(2026, 5, 1), dt.datetime(2026, 5, 1, tzinfo=dt.UTC)),
        ".tzinfo",
    ),
    (
        "datetime-fold",
        lambda: (dt.datetime(2026, 10, 25, 2), dt.datetime(2026, 10, 25, 2, fold=1)),
        ".",
    ),
    ("time", lambda: (dt.time(1), dt.time(2)), "."),
    ("timedelta", lambda: (dt.timedelta(1), dt.timedelta(1, 1)), "."),
    (
        "timezone",
        lambda: (dt.timezone(dt.timedelta(hours=1)), dt.timezone(dt.timedelta(hours=2))),
        ".",
    ),
    ("zoneinfo", lambda: (BERLIN, zoneinfo.ZoneInfo("Europe/Paris")), "."),
    ("regex-pattern", lambda: (re.compile("a+"), re.compile("a*")), "."),
    ("regex-flags", lambda: (re.compile("a"), re.compile("a", re.MULTILINE)), "."),
    (
        "regex-long",
        lambda: (re.compile("a" * 300 + "b"), re.compile("a" * 300 + "c")),
        ".",
    ),
    ("uuid", lambda: (uuid.UUID(int=1), uuid.UUID(int=2)), "."),
    ("uuid-to-str", lambda: (uuid.UUID(int=1), str(uuid.UUID(int=1))), "."),
    (
        "ip-address",
        lambda: (ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("10.0.0.2")),
        ".",
    ),
    ("random-seed", lambda: (_seeded(1), _seeded(2)), ".state[1]"),
    ("random-position", lambda: (_seeded(1), _seeded(1, draws=1)), ".state[1]"),
    ("itemgetter", lambda: (operator.itemgetter("a"), operator.itemgetter("b")), ".args[0]"),
    ("template", lambda: (string.Template("$a"), string.Template("$b")), ".template"),
    ("alias-argument", lambda: (list[int], list[str]), "[0]"),
    ("alias-origin", lambda: (list[int], set[int]), ".origin"),
    ("alias-union", lambda: (int | None, float | None), "."),
    ("alias-literal", lambda: (typing.Literal["a"], typing.Literal["b"]), "[0]"),
    ("class-to-alias", lambda: (list, list[int]), "."),
)


EQUAL = {
    "dict-insertion": lambda: ({"a": 1, "b": 2, "c": 3}, {"c": 3, "b": 2, "a": 1}),
    "set-insertion": lambda: (set("abcdefgh"), set("hgfedcba")),
    "frozenset-collisions": lambda: (frozenset([0, 8, 16]), frozenset([16, 8, 0])),
    "nan": lambda: (float("nan"), -float("nan")),
    "nan-arithmetic": lambda: (float("nan"), float("inf") - float("inf")),
    "decimal-nan": lambda: (decimal.Decimal("NaN"), decimal.Decimal("-NaN")),
    "float-spelling": lambda: (1e-3, 0.001),
    "str-built": lambda: ("abcdef", "".join("abcdef")),
    "shared-or-copied": lambda: ([[1]] * 2, [[1], [1]]),
    "shared-tuple": lambda: ((x := ("a",), x), (("a",), ("a",))),
    "cycle": lambda: (_cycle(3), _cycle(3)),
    "counter-insertion": lambda: (collections.Counter("ab"), collections.Counter("ba")),
    "defaultdict": lambda: (
        collections.defaultdict(int, {"a": 1, "b": 2}),
        collections.defaultdict(int, {"b": 2, "a": 1}),
    ),
    "namespace-order": lambda: (types.SimpleNamespace(a=1, b=2), types.SimpleNamespace(b=2, a=1)),
    "path-spelling": lambda: (pathlib.Path("a//b/./c"), pathlib.Path("a/b/c")),
    "path-kind": lambda: (pathlib.PurePosixPath("a"), pathlib.PurePosixPath("a/")),
    "regex-again": lambda: (re.compile("a", re.I), re.compile("a", re.IGNORECASE)),
    "timedelta-units": lambda: (dt.timedelta(hours=24), dt.timedelta(days=1)),
    "fraction-reduced": lambda: (fractions.Fraction(2, 4), fractions.Fraction(1, 2)),
    "random-state": lambda: (_seeded(5, 3), _seeded(5, 3)),
    "union-order": lambda: (int | str, str | int),
    "union-spelling": lambda: (typing.Optional[int], int | None),  # noqa: UP045
    "utc": lambda: (dt.UTC, dt.UTC),
    "mappingproxy-order": lambda: (
        types.MappingProxyType({"a": 1, "b": 2}),
        types.MappingProxyType({"b": 2, "a": 1}),
    ),
    "nested-sets": lambda: ({"k": {("b", 2), ("a", 1)}}, {"k": {("a", 1), ("b", 2)}}),
    "dict-keys-view": lambda: ({"a": 1, "b": 2}.keys(), {"b": 1, "a": 2}.keys()),
    "int-built": lambda: (10**30, int("1" + "0" * 30)),
    "bytes-built": lambda: (b"abc", bytes([97, 98, 99])),
}


async def _coroutine():
    return 1


async def _async_generator():
    yield 1


def _unawaited():
    task = _coroutine()
    task.close()
    return task


class _Locked:
    def __init__(self):
        self.alpha = 0.5
        self.lock = threading.Lock()


def _open_here():
    return open(__file__, encoding="utf-8")


REFUSED = _pairs(
    ("iterator", lambda: iter([1, 2]), "."),
    ("dict-iterator", lambda: iter({"a": 1}), "."),
    ("generator", lambda: (x for x in (1, 2)), "."),
    ("zip", lambda: zip([1], [2], strict=True), "."),
    ("map", lambda: map(str, [1]), "."),
    ("enumerate", lambda: enumerate([1]), "."),
    ("reversed", lambda: reversed([1]), "."),
    ("itertools-count", lambda: itertools.count(), "."),
    ("itertools-product", lambda: itertools.product([1], [2]), "."),
    ("coroutine", _unawaited, "."),
    ("async-generator", _async_generator, "."),
    ("open-file", _open_here, "."),
    ("binary-file", lambda: open(__file__, "rb"), "."),
    ("stringio", lambda: io.StringIO("x"), "."),
    ("temporary-file", lambda: tempfile.NamedTemporaryFile(), "."),
    ("temporary-directory", lambda: tempfile.TemporaryDirectory(), "."),
    ("socket", socket.socket, "."),
    ("lock", threading.Lock, "."),
    ("rlock", threading.RLock, "."),
    ("event", threading.Event, "."),
    ("thread", lambda: threading.Thread(target=print), "."),
    ("thread-local", threading.local, "."),
    ("queue", queue.Queue, "."),
    ("future", __import__("concurrent.futures").futures.Future, "."),
    ("event-loop", asyncio.new_event_loop, "."),
    ("logger", lambda: logging.getLogger("exps.fit"), "."),
    ("handler", lambda: logging.NullHandler(), "."),
    ("weakref", lambda: weakref.ref(_Locked), "."),
    ("weakset", weakref.WeakSet, "."),
    ("object", object, "."),
    ("contextvar", lambda: contextvars.ContextVar("x"), "."),
    ("database", lambda: sqlite3.connect(":memory:"), "."),
    ("subprocess", lambda: subprocess.Popen([sys.executable, "-c", ""]), "."),
    ("csv-reader", lambda: csv.reader([]), "."),
    ("frame", sys._getframe, "."),
    ("environment", lambda: os.environ, "."),
    ("lock-inside", _Locked, ".lock"),
    ("iterator-inside", lambda: {"batches": [1, iter([])]}, "['batches'][1]"),
    ("iterator-in-tuple", lambda: (1, (2, iter([]))), "[1][1]"),
    ("too-many-leaves", lambda: list(range(200_001)), "."),
    ("too-many-shared", lambda: _explosion(20), "."),
    ("too-deep", lambda: _deep(100_000), "."),
)


def _explosion(depth):
    value = [0]
    for _ in range(depth):
        value = [value, value]
    return value
