"""Values that set traps: code that would run, metaclasses, subclasses of C types, deep nesting."""

import collections
import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import json
import operator
import os.path
import pathlib
import random
import re
import typing

import attrs
import numpy as np
import pandas as pd

from identity_cases.plain import _pairs


class Trap:
    """Everything that can run, raises."""

    def __init__(self, value):
        object.__setattr__(self, "value", value)

    def _raise(self, *args):
        raise RuntimeError("the user's code ran")

    __eq__ = __hash__ = __repr__ = __str__ = __getattr__ = __setattr__ = __bool__ = _raise
    __len__ = __iter__ = __reduce_ex__ = __getstate__ = __dir__ = __copy__ = _raise
    __class__ = property(_raise)
    costly = property(_raise)


class TrapMeta(type):
    def __getattribute__(cls, name):
        raise RuntimeError("the metaclass ran")

    __eq__ = __hash__ = __instancecheck__ = __subclasscheck__ = __repr__ = __getattribute__

    def __call__(cls, *args):
        return type.__call__(cls, *args)


class Trapped(metaclass=TrapMeta):
    def __init__(self, value):
        self.value = value


class Comparing(type):
    """Like those of some query languages: a metaclass without hash."""

    def __eq__(cls, other):
        return NotImplemented


class Column(metaclass=Comparing):
    def __init__(self, name):
        self.name = name


def _trapped(base, *names):
    def fail(self, *args):
        raise RuntimeError("the user's code ran")

    space = dict.fromkeys(names, fail)
    name = f"Trapped{base.__name__}"
    made = type(name, (base,), {"__module__": __name__, **space})
    return globals().setdefault(name, made)


_LOOPS = ("__iter__", "__len__", "__getitem__", "__reduce_ex__", "copy")
TrappedDict = _trapped(dict, "items", "keys", "values", "get", *_LOOPS)
TrappedList = _trapped(list, "__reversed__", *_LOOPS)
TrappedSet = _trapped(set, "__contains__", *_LOOPS)
TrappedStr = _trapped(str, "__str__", "__repr__", "encode", "__len__")
TrappedFloat = _trapped(float, "__float__", "__repr__")
TrappedInt = _trapped(int, "__int__", "__index__", "__repr__")
TrappedTime = _trapped(dt.datetime, "isoformat", "replace", "date", "time")
TrappedArray = _trapped(np.ndarray, "view", "__array_ufunc__", "__array_function__", "__eq__")
TrappedError = _trapped(Exception, "__getattr__", "__str__")


class Named(dict):
    """With attributes called as pandas calls its own."""

    def __init__(self, name):
        self._name = name
        self.maps = []


def _free(*bases, **space):
    """A subclass whose instances take attributes."""
    return type(f"Free{bases[0].__name__}", bases, {"__module__": __name__, **space})


FREE = {
    name: (_free(base), args)
    for name, base, args in [
        ("list", list, ([1],)),
        ("tuple", tuple, ((1,),)),
        ("set", set, ([1],)),
        ("frozenset", frozenset, ([1],)),
        ("bytes", bytes, (b"a",)),
        ("int", int, (3,)),
        ("complex", complex, (3,)),
        ("deque", collections.deque, ([1],)),
        ("ordered", collections.OrderedDict, ([(1, 2)],)),
        ("counter", collections.Counter, ("a",)),
        ("defaultdict", collections.defaultdict, (list,)),
        ("decimal", decimal.Decimal, ("1.0",)),
        ("fraction", fractions.Fraction, (1, 2)),
        ("date", dt.date, (2026, 5, 1)),
        ("timedelta", dt.timedelta, (1,)),
        ("time", dt.time, (1,)),
        ("path", pathlib.PurePosixPath, ("a",)),
        ("random", random.Random, (1,)),
        ("partial", functools.partial, (abs,)),
        ("error", ValueError, ("a",)),
        ("masked", np.ma.MaskedArray, ([1.0],)),
    ]
}
globals().update({kind.__name__: kind for kind, _ in FREE.values()})


def _with(name, note):
    kind, args = FREE[name]
    made = kind(*args)
    made.note = note
    return made


@dataclasses.dataclass
class Shaped:
    shape: tuple = (1, 2)
    options: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Computed:
    """A field that is a property: what the instance holds is under another name."""

    x: int
    _x: int = dataclasses.field(init=False, repr=False)

    @property
    def x(self):
        raise RuntimeError("a property is the user's code")

    @x.setter
    def x(self, value):
        self._x = value


@attrs.define
class Tabled:
    n: int

    @functools.cached_property
    def table(self):
        return [self.n] * 3


class Same:
    """Equal by content, different as keys."""

    def __init__(self, value):
        self.value = value


class Node:
    def __init__(self, value, following=None):
        self.value, self.following = value, following


def _chain(length):
    node = None
    for index in range(length):
        node = Node(index, node)
    return node


def _nested(depth, wrap=lambda value: [value]):
    value = 0.5
    for _ in range(depth):
        value = wrap(value)
    return value


def wrapping(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


def by_library(scale):
    """Local functions whose outermost code is the standard library's."""

    @contextlib.contextmanager
    def scaled(value):
        yield value * scale

    return scaled


@functools.singledispatch
def dispatching(value):
    return value


@contextlib.contextmanager
def managed():
    yield


async def running(value):
    return value


def local_async(scale):
    async def run(value):
        return value * scale

    return run


def local_kinds(scale):
    def run(values):
        match values:
            case [1, *rest] if rest:
                return scale
            case {"a": found, **others}:
                return found, others
        if (last := values[-1]) > scale:
            return {value: scale for value in values}, {*values}, last  # noqa: C420
        return f"{last!r:>{scale}}{last=}tail{{}}" + rf"\d{last:%Y}", list(v for v in values)  # noqa: C400

    return run


by_key = {"up": lambda x: x + 1, "down": lambda x: x - 1, "one": lambda: 1, "two": lambda: 2}
# fmt: off
spelled = lambda x: (x, 16, "a" "b", "\\d", f"a" f"{x}" "b")  # noqa: E731
spelled_otherwise = lambda x: (x, 0x10, 'ab', r"\d", f"a{x}b",)  # noqa: E731
# fmt: on
in_loop = [lambda x, step=step: x + step for step in range(3)]


class Method:
    def __init__(self, gain):
        self.gain = gain

    def run(self, x):
        return self.gain * x

    @classmethod
    def make(cls):
        return cls(1.0)


class Heir(Method):
    pass


class Kept(enum.Enum):
    EARTH = (1.0, 2.0)
    MARS = (3.0, 4.0)

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius


def _main(kind):
    space = {"__name__": "__main__"}
    exec(
        "class Plain: pass\n"
        "class Listed(list): pass\n"
        "class Said:\n    def __describe__(self): return 1\n"
        "def function(): pass\n"
        "short = lambda: 1\n",
        space,
    )
    return space[kind]


class HidesDict:
    def __init__(self, value):
        self.value = value

    @property
    def __dict__(self):
        raise RuntimeError("a property is the user's code")


class Endless:
    def __describe__(self):
        return [Endless()]


NAN = float("nan")
_INNER = ".closure.function.closure.func.closure.scale"
_ARG = ".args[1]"
LOCKABLE = {
    "trap": lambda: {"a": [Trap((1, Trap(2)))]},
    "trap-metaclass": lambda: Trapped(1),
    "metaclass-without-hash": lambda: Column("x"),
    "trap-dict": lambda: TrappedDict(a=1),
    "trap-list": lambda: TrappedList([1]),
    "trap-set": lambda: TrappedSet([1]),
    "trap-str": lambda: TrappedStr("a"),
    "trap-datetime": lambda: TrappedTime(2026, 5, 1),
    "trap-array": lambda: np.ones(3).view(TrappedArray),
    "trap-error": lambda: TrappedError(3),
    "nested-400": lambda: _nested(400),
    "nested-900-dicts": lambda: _nested(900, lambda value: {"a": value}),
    "nested-sets": lambda: _nested(60, lambda value: frozenset([value])),
    "chain": lambda: _chain(300),
    "computed-field": lambda: Computed(5),
    "contextmanager": lambda: managed,
    "contextmanager-local": lambda: by_library(2),
    "singledispatch": lambda: dispatching,
    "coroutine-function": lambda: running,
    "coroutine-local": lambda: local_async(2),
    "syntax-of-all-kinds": lambda: local_kinds(2),
    "lambda-in-dict": lambda: by_key["two"],
    "lambda-in-loop": lambda: in_loop[1],
    "classmethod-inherited": lambda: Heir.make,
    "enum-with-init": lambda: Kept.MARS,
    "bool-class": lambda: np.bool_,
    "na-class": lambda: type(pd.NA),
    "array-class": lambda: pd.arrays.IntegerArray,
    "recarray-class": lambda: np.recarray,
    "masked-function": lambda: np.ma.mean,
    "generator-method": lambda: np.random.default_rng(1).normal,
    "compiled-functions": lambda: [np.random.default_rng, np.add.reduce],
    "error-class": lambda: re.error,
    "path-function": lambda: os.path.lexists,
    "annotated": lambda: typing.Annotated[int, "metres"],
    "string-array": lambda: pd.array(["a", None], dtype="string"),
    "text-array": lambda: pd.Series(["a", "b"]).array,
    "dtype-places": lambda: np.dtype([("a", "i1"), ("b", ">f8")], align=True),
    "two-nan-keys": lambda: {float("nan"): 1, float("nan"): 2},
    **{f"free-{name}": (lambda name=name: _with(name, 1)) for name in FREE},
}

CHANGES = _pairs(
    ("trap", lambda: (Trap(1), Trap(2)), ".value"),
    ("trap-metaclass", lambda: (Trapped(1), Trapped(2)), ".value"),
    ("metaclass-without-hash", lambda: (Column("x"), Column("y")), ".name"),
    ("trap-dict", lambda: (TrappedDict(a=1), TrappedDict(a=2)), "['a']"),
    ("trap-list", lambda: (TrappedList([1]), TrappedList([2])), "[0]"),
    ("trap-float", lambda: (TrappedFloat(1), TrappedFloat(2)), "."),
    ("trap-int", lambda: (TrappedInt(1), TrappedInt(2)), "."),
    ("trap-datetime", lambda: (TrappedTime(2026, 5, 1), TrappedTime(2026, 5, 1, fold=1)), "."),
    ("trap-error", lambda: (TrappedError(1), TrappedError(2)), ".args[0]"),
    (
        "trap-array",
        lambda: (np.ones(2).view(TrappedArray), np.zeros(2).view(TrappedArray)),
        "[:]",
    ),
    ("name-of-a-dict", lambda: (Named("a"), Named("b")), "._name"),
    *(
        (f"free-{name}", lambda name=name: (_with(name, 1), _with(name, 2)), ".note")
        for name in FREE
        if name != "error"
    ),
    ("free-error", lambda: (_with("error", 1), _with("error", 2)), ".state['note']"),
    ("timedelta-subclass", lambda: (FREE["timedelta"][0](1), FREE["timedelta"][0](2)), "."),
    ("decimal-subclass", lambda: (FREE["decimal"][0]("1.0"), FREE["decimal"][0]("1.00")), "."),
    ("default-tuple-shorter", lambda: (Shaped(), Shaped((1,))), ".shape[1]"),
    ("default-tuple-longer", lambda: (Shaped((1,)), Shaped()), ".shape[1]"),
    ("default-tuple-emptied", lambda: (Shaped(), Shaped(())), ".shape[0]"),
    ("default-dict-filled", lambda: (Shaped(), Shaped(options={"a": 1})), ".options['a']"),
    ("default-dict-emptied", lambda: (Shaped(options={"a": 1}), Shaped()), ".options['a']"),
    ("computed-field", lambda: (Computed(1), Computed(2)), "._x"),
    (
        "keys-that-read-the-same",
        lambda: ({Same(1): [1, 2], Same(1): [3, 4]}, {Same(1): [1, 4], Same(1): [3, 2]}),
        "[object identity_cases.odd:Same sha256:b113a59c12be5093][0]",
    ),
    ("nan-keys", lambda: ({NAN: 1, float("nan"): 2}, {NAN: 1, float("nan"): 3}), "[nan#1]"),
    ("nested-deep", lambda: (_nested(400), [_nested(400)]), "[0]" * 400),
    ("chain", lambda: (_chain(200), _chain(201)), ".value"),
    ("matrix-to-array", lambda: (np.asmatrix([[1, 2]]), np.array([[1, 2]])), "."),
    ("recarray-to-array", lambda: (_records().view(np.recarray), _records()), "."),
    ("dtype-inner-order", lambda: (np.dtype([("a", "<f4")]), np.dtype([("a", ">f4")])), ".a"),
    ("dtype-aligned", lambda: (np.dtype("i1, f8"), np.dtype("i1, f8", align=True)), ".f1"),
    (
        "dtype-offset",
        lambda: tuple(
            np.dtype({"names": ["a"], "formats": ["i4"], "offsets": [place], "itemsize": 8})
            for place in (0, 4)
        ),
        ".a",
    ),
    ("dtype-base-order", lambda: (np.dtype(("<f4", (2,))), np.dtype((">f4", (2,)))), ".base"),
    ("vectorize-cache", lambda: (np.vectorize(abs), np.vectorize(abs, cache=True)), ".cache"),
    ("path-of-windows", lambda: (pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a")), "."),
    ("lambda-in-dict", lambda: (by_key["one"], by_key["two"]), "."),
    ("lambda-in-loop", lambda: (in_loop[0], in_loop[1]), ".defaults.step"),
    ("contextmanager-local", lambda: (by_library(1), by_library(2)), ".closure.func.closure.scale"),
    ("wrapped-local", lambda: (wrapping(by_library(1)), wrapping(by_library(2))), _INNER),
    ("coroutine-local", lambda: (local_async(1), local_async(2)), ".closure.scale"),
    ("classmethod-owner", lambda: (Method.make, Heir.make), ".self"),
    (
        "generator-method-state",
        lambda: (np.random.default_rng(1).normal, np.random.default_rng(2).normal),
        ".self.bit_generator.state['state']['state']",
    ),
    ("ufunc-method", lambda: (np.add.reduce, np.multiply.reduce), ".self"),
    ("methodcaller", lambda: (operator.methodcaller("a", 1), operator.methodcaller("a", 2)), _ARG),
    ("default-lambda", lambda: ((lambda f=abs: f), (lambda f=len: f)), ".defaults.f"),
    ("encoder", lambda: (json.JSONEncoder(indent=1), json.JSONEncoder(indent=2)), ".indent"),
)


def _records():
    return np.array([(0.5, 1)], [("x", "f8"), ("n", "i4")])


def _used(value, use):
    use(value)
    return value


EQUAL = {
    "attrs-cached-property": lambda: (Tabled(1), _used(Tabled(1), lambda made: made.table)),
    "nan-keys-swapped": lambda: (
        {float("nan"): 1, float("nan"): 2},
        {float("nan"): 2, float("nan"): 1},
    ),
    "keys-that-read-the-same": lambda: ({Same(1): [1], Same(1): [2]}, {Same(1): [2], Same(1): [1]}),
    "masked-subclass-seen": lambda: (
        np.ma.ones(2).view(FREE["masked"][0]),
        _used(np.ma.ones(2).view(FREE["masked"][0]), lambda made: (made.fill_value, made[0])),
    ),
    "matrix-seen": lambda: (
        np.asmatrix([[1, 2]]),
        _used(np.asmatrix([[1, 2]]), lambda made: (made[0], made.T)),
    ),
    "singledispatch-used": lambda: (dispatching, _used(dispatching, lambda made: made(3))),
    "memory-of-views": lambda: (np.arange(6).reshape(2, 3).T, np.array([[0, 3], [1, 4], [2, 5]])),
    "scalar-of-c-type": lambda: (np.longlong(3), np.int64(3)),
    "struct-without-a-field": lambda: (
        np.zeros(2, [("a", "i1"), ("b", "f8"), ("c", "i4")])[["a", "c"]],
        np.zeros(2, [("a", "i1"), ("c", "i4")]),
    ),
    "error-raised": lambda: (ValueError(1), _raised()),
    "lambda-spelling": lambda: (spelled, spelled_otherwise),
}


def _raised():
    try:
        raise ValueError(1)
    except ValueError as error:
        return error


REFUSED = _pairs(
    ("main-inside", lambda: {"a": [_main("Plain")()]}, "['a'][0]"),
    ("main-list", lambda: _main("Listed")([1]), "."),
    ("main-own-description", lambda: _main("Said")(), "."),
    ("main-partial", lambda: functools.partial(_main("function")), ".func"),
    ("main-lambda", lambda: [_main("short")], "[0]"),
    ("main-alias", lambda: list[_main("Plain")], "[0]"),
    ("hidden-dict", lambda: [HidesDict(1)], "[0]"),
    ("endless-description", Endless, "."),
    ("too-deep-objects", lambda: _chain(5_000), "."),
    ("too-deep-dicts", lambda: _nested(5_000, lambda value: {"a": value}), "."),
    ("larger-than-memory", lambda: np.broadcast_to(1.0, (10**6, 10**7)), "."),
    ("match", lambda: re.match("a", "a"), "."),
    ("code", lambda: managed.__code__, "."),
)
