"""Classes: dataclasses, attrs, pydantic, enums, named tuples, slots, plain ones, functions."""

import abc
import collections
import dataclasses
import datetime
import enum
import functools
import math
import operator
import os.path
import pathlib
import random
import re
import signal
import statistics
import threading
import types
import typing

import attrs
import pandas as pd
import pydantic

SCALE = 2.5
UserId = typing.NewType("UserId", int)
OFFSETS = [1, 2]


@dataclasses.dataclass
class Noise:
    """Field defaults of every kind."""

    sigma: float = 0.1
    tags: list[str] = dataclasses.field(default_factory=list)
    kind: str = "white"


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    shape: tuple[int, int]
    spacing: float


@dataclasses.dataclass
class Nested:
    noise: Noise
    grids: dict[str, Grid]
    hidden: float = dataclasses.field(default=1.0, repr=False, compare=False)


@dataclasses.dataclass
class Derived:
    n: int
    double: int = dataclasses.field(init=False)

    def __post_init__(self):
        self.double = 2 * self.n
        self.extra = "set later"


@attrs.define
class Solver:
    name: str
    tol: float = 1e-6
    options: dict = attrs.Factory(dict)


@attrs.frozen(slots=False)
class Bounds:
    low: float
    high: float = attrs.field(default=1.0, eq=False)


class Config(pydantic.BaseModel):
    lr: float
    layers: list[int] = [64, 64]
    _seen: int = pydantic.PrivateAttr(default=0)


class Open(pydantic.BaseModel, extra="allow"):
    lr: float = 0.1


class Color(enum.Enum):
    RED = 1
    BLUE = (0.0, 0.0, 1.0)
    CYAN = "c"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Name(enum.StrEnum):
    TV = "tv"


class Perm(enum.Flag):
    R = 4
    W = 2
    X = 1
    RW = 6


class Point(typing.NamedTuple):
    x: float
    y: float = 0.0


Pair = collections.namedtuple("Pair", "left right")


class Slots:
    __slots__ = ("__private", "a", "b")

    def __init__(self, a, b=None):
        self.a = a
        if b is not None:
            self.b = b
        self.__private = a


class SlotsAndDict(Slots):
    def __init__(self, a, c):
        super().__init__(a)
        self.c = c


class Plain:
    """State in ``__dict__``; everything that could run raises."""

    limit = 10

    def __init__(self, alpha, parts=()):
        self.alpha = alpha
        self.parts = list(parts)

    def __repr__(self):
        raise RuntimeError("repr is the user's code")

    def __eq__(self, other):
        raise RuntimeError("eq is the user's code")

    __hash__ = None

    def __getattr__(self, name):
        raise RuntimeError(f"getattr is the user's code: {name}")

    @property
    def costly(self):
        raise RuntimeError("a property is the user's code")

    def run(self, x):
        return self.alpha * x

    @classmethod
    def make(cls):
        return cls(1.0)

    @staticmethod
    def helper(x):
        return x


class Loud:
    def __getattribute__(self, name):
        raise RuntimeError("getattribute is the user's code")


def loud(value):
    made = object.__new__(Loud)
    object.__getattribute__(made, "__dict__")["value"] = value
    return made


class Cached:
    def __init__(self, n):
        self.n = n

    @functools.cached_property
    def table(self):
        return [self.n] * 3


class Stateless:
    pass


class Tracked(dict):
    def __init__(self, *args, source="none", **kwargs):
        super().__init__(*args, **kwargs)
        self.source = source

    def items(self):
        raise RuntimeError("items is the user's code")

    def __iter__(self):
        raise RuntimeError("iter is the user's code")


class Celsius(float):
    def __new__(cls, value, scale="C"):
        made = super().__new__(cls, value)
        made.scale = scale
        return made

    def __repr__(self):
        return "always the same"

    __str__ = __repr__


class Label(str):
    __slots__ = ()


class Steps(list):
    pass


class Bits(int):
    pass


class Linked:
    def __init__(self, value):
        self.value = value
        self.me = self


class Own:
    def __init__(self, shown, hidden):
        self.shown, self.hidden = shown, hidden
        self.lock = threading.Lock()

    def __describe__(self):
        return {"shown": self.shown}


class Callable:
    def __init__(self, gain):
        self.gain = gain

    def __call__(self, x):
        return self.gain * x


class Moment(datetime.datetime):
    pass


class Folder(type(pathlib.Path())):
    pass


class Bound(functools.partial):
    pass


class Measured(pd.DataFrame):
    _metadata: typing.ClassVar = ["unit"]

    @property
    def _constructor(self):
        return Measured


def measured(unit):
    made = Measured({"a": [1.0]})
    made.unit = unit
    return made


Number = typing.TypeVar("Number")


class Typed(typing.Generic[Number]):
    def __init__(self, value):
        self.value = value


class Shape(abc.ABC):
    def __init__(self, size):
        self.size = size

    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return self.size**2


class Sized(typing.Protocol):
    size: float


class Disc(Sized):
    def __init__(self, size):
        self.size = size


class Diverged(Exception):
    def __init__(self, step):
        super().__init__(step)
        self.step = step


class Meta(type):
    pass


class WithMeta(metaclass=Meta):
    pass


def named(x, scale=2.0):
    """Importable."""
    return scale * x


@functools.lru_cache(maxsize=8)
def cached(x):
    return x + 1


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@decorated
def wrapped(x):
    return x


def make_line(slope, intercept=0.0):
    def line(x):
        return slope * x + intercept

    return line


def make_line_commented(slope, intercept=0.0):
    def line(x):
        """A straight line."""
        # slope first
        return (
            slope * x
            + intercept
        )  # fmt: skip

    return line


def make_line_other(slope, intercept=0.0):
    def line(x):
        return slope * x - intercept

    return line


def make_default(value):
    def probe(x, y=value, *, z=value):
        return x, y, z

    return probe


def make_counter():
    total = 0

    def count():
        nonlocal total
        total += 1
        return total

    return count


def make_recursive():
    def fact(n):
        return 1 if n < 2 else n * fact(n - 1)

    return fact


def local_instance(value):
    class Local:
        def __init__(self):
            self.value = value

    return Local()


def enum_of(**members):
    return enum.Enum("Made", members, module=__name__)


two_lambdas = (lambda x: x + 1, lambda x: x + 2)
nested_lambda = lambda x: lambda y: x + y  # noqa: E731


def noise_of(cls_fields, **values):
    """A dataclass that may have gained or lost fields since yesterday."""
    cls = dataclasses.make_dataclass("Grown", cls_fields)
    cls.__module__ = __name__
    return cls(**values)


GROWN = [("sigma", float)]
GROWN_MORE = [*GROWN, ("mode", str, dataclasses.field(default="fast"))]
GROWN_OTHER = [*GROWN, ("mode", str, dataclasses.field(default="slow"))]


def use_cache(cached_value):
    assert cached_value.table
    return cached_value


def call_cached():
    cached(3)
    return cached


LOCKABLE = {
    "dataclass": lambda: Noise(0.2, ["a"], "pink"),
    "dataclass-defaults": Noise,
    "dataclass-slots": lambda: Grid((64, 64), 0.5),
    "dataclass-nested": lambda: Nested(Noise(), {"fine": Grid((1, 2), 0.1)}),
    "dataclass-derived": lambda: Derived(3),
    "attrs": lambda: Solver("tv", 1e-3, {"a": 1}),
    "attrs-frozen": lambda: Bounds(0.0, 2.0),
    "pydantic": lambda: Config(lr=0.1, layers=[1]),
    "pydantic-extra": lambda: Open(lr=0.2, momentum=0.9),
    "enum": lambda: Color.RED,
    "enum-tuple": lambda: Color.BLUE,
    "intenum": lambda: Level.HIGH,
    "strenum": lambda: Name.TV,
    "flag": lambda: Perm.R | Perm.X,
    "flag-none": lambda: Perm(0),
    "enum-key": lambda: {Color.RED: 1, Level.LOW: 2},
    "namedtuple": lambda: Point(1.0, 2.0),
    "namedtuple-old": lambda: Pair(1, [2]),
    "slots": lambda: Slots(1, 2),
    "slots-unset": lambda: Slots(1),
    "slots-and-dict": lambda: SlotsAndDict(1, {"c": 2}),
    "plain": lambda: Plain(0.5, [1, 2]),
    "plain-loud": lambda: loud(4),
    "plain-cached-property": lambda: Cached(3),
    "stateless": Stateless,
    "dict-subclass": lambda: Tracked({"a": 1}, source="lab"),
    "float-subclass": lambda: Celsius(21.5),
    "str-subclass": lambda: Label("x"),
    "list-subclass": lambda: Steps([1, 2]),
    "int-subclass": lambda: Bits(5),
    "self-reference": lambda: Linked(1),
    "own-description": lambda: Own(1, 2),
    "callable-object": lambda: Callable(2.0),
    "local-class-instance": lambda: local_instance(3),
    "datetime-subclass": lambda: Moment(2026, 5, 1),
    "path-subclass": lambda: Folder("a/b"),
    "partial-subclass": lambda: Bound(named, 1),
    "frame-subclass": lambda: measured("km"),
    "secret": lambda: pydantic.SecretStr("hunter2"),
    "newtype": lambda: UserId,
    "forward": lambda: typing.ForwardRef("Plain"),
    "signal": lambda: signal.SIGTERM,
    "regex-flags": lambda: re.I | re.M,
    "method-stdlib": lambda: pathlib.PurePosixPath("a").match,
    "generic": lambda: Typed(1.5),
    "generic-alias": lambda: Typed[int],
    "generic-parametrised": lambda: Typed[int](2),
    "abstract": lambda: Square(2.0),
    "protocol": lambda: Disc(2.0),
    "own-exception": lambda: Diverged(7),
    "class": lambda: Plain,
    "class-builtin": lambda: dict,
    "class-stdlib": lambda: collections.OrderedDict,
    "class-dataclass": lambda: Noise,
    "class-enum": lambda: Color,
    "class-with-meta": lambda: WithMeta,
    "class-exception": lambda: ValueError,
    "exception": lambda: ValueError("bad", 3),
    "function": lambda: named,
    "function-stdlib": lambda: statistics.mean,
    "function-path": lambda: os.path.join,
    "function-cached": lambda: cached,
    "function-wrapped": lambda: wrapped,
    "function-builtin": lambda: len,
    "function-math": lambda: math.sqrt,
    "function-operator": lambda: operator.add,
    "function-random": lambda: random.gauss,
    "method-str": lambda: str.upper,
    "method-wrapper": lambda: int.__add__,
    "method-bound": lambda: Plain(2.0).run,
    "method-class": lambda: Plain.make,
    "method-static": lambda: Plain.helper,
    "method-unbound": lambda: Plain.run,
    "method-builtin-bound": lambda: {"a": 1}.get,
    "partial": lambda: functools.partial(named, 1, scale=3),
    "partial-of-partial": lambda: functools.partial(functools.partial(pow, 2), 5),
    "partialmethod": lambda: functools.partialmethod(named, 1),
    "lambda": lambda: two_lambdas[0],
    "lambda-second": lambda: two_lambdas[1],
    "lambda-nested": lambda: nested_lambda,
    "lambda-inner": lambda: nested_lambda(3),
    "lambda-default": lambda: lambda x, k=3, *a, q=None, **kw: x + k,
    "lambda-global": lambda: lambda x: x * SCALE,
    "lambda-module": lambda: lambda x: math.exp(x),
    "lambda-fstring": lambda: lambda x: f"a{x:>{3}}bc{x!r}",
    "lambda-comprehension": lambda: lambda xs: [x * SCALE for x in xs if x],
    "closure": lambda: make_line(2.0, 1.0),
    "closure-default": lambda: make_default([1]),
    "closure-recursive": make_recursive,
    "closure-counter": make_counter,
    "module": lambda: math,
    "module-package": lambda: os.path,
    "property": lambda: vars(Plain)["costly"],
    "typevar": lambda: typing.TypeVar("T"),
    "missing": lambda: dataclasses.MISSING,
    "fields-grown": lambda: noise_of(GROWN_MORE, sigma=1.0),
}


def _pairs(*rows):
    return {name: (make, path) for name, make, path in rows}


def _touched(make):
    value = make()
    value.extra = 1
    return value


CHANGES = _pairs(
    ("dataclass-field", lambda: (Noise(0.2), Noise(0.3)), ".sigma"),
    ("dataclass-from-default", lambda: (Noise(), Noise(0.3)), ".sigma"),
    ("dataclass-to-default", lambda: (Noise(0.3), Noise()), ".sigma"),
    ("dataclass-type", lambda: (Noise(1), Noise(1.0)), ".sigma"),
    ("dataclass-list", lambda: (Noise(tags=["a"]), Noise(tags=["b"])), ".tags[0]"),
    ("dataclass-list-filled", lambda: (Noise(), Noise(tags=["b"])), ".tags[0]"),
    ("dataclass-not-compared", lambda: (Nested(1, {}, 2.0), Nested(1, {}, 3.0)), ".hidden"),
    (
        "dataclass-nested",
        lambda: (Nested(Noise(0.2), {}), Nested(Noise(0.4), {})),
        ".noise.sigma",
    ),
    (
        "dataclass-in-dict",
        lambda: (Nested(1, {"f": Grid((1, 2), 0.1)}), Nested(1, {"f": Grid((1, 3), 0.1)})),
        ".grids['f'].shape[1]",
    ),
    ("dataclass-extra", lambda: (Noise(), _touched(Noise)), ".extra"),
    ("dataclass-to-dict", lambda: (Grid((1, 2), 0.5), {"shape": (1, 2), "spacing": 0.5}), "."),
    ("dataclass-class", lambda: (Noise(), Derived(1)), "."),
    (
        "dataclass-default-moved",
        lambda: (noise_of(GROWN_MORE, sigma=1.0), noise_of(GROWN_OTHER, sigma=1.0)),
        ".mode",
    ),
    (
        "dataclass-grown-not-default",
        lambda: (noise_of(GROWN, sigma=1.0), noise_of(GROWN_MORE, sigma=1.0, mode="x")),
        ".mode",
    ),
    ("attrs-field", lambda: (Solver("tv"), Solver("l1")), ".name"),
    ("attrs-default", lambda: (Solver("tv"), Solver("tv", 1e-3)), ".tol"),
    ("attrs-factory", lambda: (Solver("tv"), Solver("tv", options={"a": 1})), ".options['a']"),
    ("attrs-not-compared", lambda: (Bounds(0.0, 2.0), Bounds(0.0, 3.0)), ".high"),
    ("pydantic-field", lambda: (Config(lr=0.1), Config(lr=0.2)), ".lr"),
    ("pydantic-list", lambda: (Config(lr=0.1), Config(lr=0.1, layers=[64, 65])), ".layers[1]"),
    ("pydantic-extra", lambda: (Open(m=1), Open(m=2)), ".m"),
    ("pydantic-extra-added", lambda: (Open(), Open(m=2)), ".m"),
    ("enum-member", lambda: (Color.RED, Color.CYAN), "."),
    ("enum-to-value", lambda: (Color.RED, 1), "."),
    ("enum-value", lambda: (enum_of(A=1).A, enum_of(A=2).A), "."),
    ("enum-name", lambda: (enum_of(A=1).A, enum_of(B=1).B), "."),
    ("intenum-to-int", lambda: (Level.LOW, 1), "."),
    ("strenum-to-str", lambda: (Name.TV, "tv"), "."),
    ("flag", lambda: (Perm.R, Perm.R | Perm.W), "."),
    ("namedtuple-field", lambda: (Point(1.0, 2.0), Point(1.0, 3.0)), ".y"),
    ("namedtuple-to-tuple", lambda: (Pair(1, 2), (1, 2)), "."),
    ("slots", lambda: (Slots(1, 2), Slots(1, 3)), ".b"),
    ("slots-unset", lambda: (Slots(1, 2), Slots(1)), ".b"),
    ("slots-inherited", lambda: (SlotsAndDict(1, 2), SlotsAndDict(2, 2)), ".a"),
    ("slots-and-dict", lambda: (SlotsAndDict(1, 2), SlotsAndDict(1, 3)), ".c"),
    ("plain", lambda: (Plain(0.5), Plain(0.25)), ".alpha"),
    ("plain-nested", lambda: (Plain(1, [Plain(2)]), Plain(1, [Plain(3)])), ".parts[0].alpha"),
    ("plain-attribute-added", lambda: (Plain(1), _touched(lambda: Plain(1))), ".extra"),
    ("plain-class", lambda: (Plain(1), Callable(1)), "."),
    ("plain-loud", lambda: (loud(1), loud(2)), ".value"),
    ("dict-subclass-item", lambda: (Tracked(a=1), Tracked(a=2)), "['a']"),
    ("dict-subclass-attribute", lambda: (Tracked(a=1), Tracked(a=1, source="x")), ".source"),
    ("dict-subclass-to-dict", lambda: (Tracked(a=1), {"a": 1}), "."),
    ("float-subclass", lambda: (Celsius(1), Celsius(2)), "."),
    ("float-subclass-attribute", lambda: (Celsius(1), Celsius(1, "F")), ".scale"),
    ("float-subclass-to-float", lambda: (Celsius(1), 1.0), "."),
    ("str-subclass-to-str", lambda: (Label("x"), "x"), "."),
    ("list-subclass", lambda: (Steps([1]), Steps([2])), "[0]"),
    ("list-subclass-to-list", lambda: (Steps([1]), [1]), "."),
    ("int-subclass", lambda: (Bits(1), Bits(2)), "."),
    ("self-reference", lambda: (Linked(1), Linked(2)), ".value"),
    ("own-description", lambda: (Own(1, 0), Own(2, 0)), "['shown']"),
    ("callable-object", lambda: (Callable(1.0), Callable(2.0)), ".gain"),
    ("local-class", lambda: (local_instance(1), local_instance(2)), ".value"),
    ("datetime-subclass", lambda: (Moment(2026, 5, 1), datetime.datetime(2026, 5, 1)), "."),
    ("path-subclass", lambda: (Folder("a"), pathlib.Path("a")), "."),
    ("partial-subclass", lambda: (Bound(named, 1), functools.partial(named, 1)), "."),
    ("frame-subclass", lambda: (measured("km"), pd.DataFrame({"a": [1.0]})), "."),
    ("frame-subclass-attribute", lambda: (measured("km"), measured("m")), ".unit"),
    ("secret", lambda: (pydantic.SecretStr("a"), pydantic.SecretStr("b")), "."),
    ("method-name", lambda: ("a".upper, "a".lower), "."),
    ("generic", lambda: (Typed(1.5), Typed(2.5)), ".value"),
    ("abstract", lambda: (Square(1.0), Square(2.0)), ".size"),
    ("protocol", lambda: (Disc(1.0), Disc(2.0)), ".size"),
    ("own-exception", lambda: (Diverged(7), Diverged(8)), ".state['step']"),
    ("class", lambda: (Noise, Grid), "."),
    ("class-to-instance", lambda: (Stateless, Stateless()), "."),
    ("exception-args", lambda: (ValueError("a"), ValueError("b")), ".args[0]"),
    ("function", lambda: (named, wrapped), "."),
    ("function-builtin", lambda: (len, sum), "."),
    ("function-stdlib", lambda: (statistics.mean, statistics.median), "."),
    ("function-operator", lambda: (operator.add, operator.sub), "."),
    ("function-to-name", lambda: (named, "identity_cases.classes:named"), "."),
    ("method-bound-self", lambda: (Plain(1).run, Plain(2).run), ".self.alpha"),
    ("method-str", lambda: (str.upper, str.lower), "."),
    ("method-builtin-self", lambda: ({"a": 1}.get, {"a": 2}.get), ".self['a']"),
    (
        "partial-argument",
        lambda: (functools.partial(named, 1), functools.partial(named, 2)),
        "[0]",
    ),
    (
        "partial-keyword",
        lambda: (functools.partial(named, scale=1), functools.partial(named, scale=2)),
        ".scale",
    ),
    (
        "partial-function",
        lambda: (functools.partial(named), functools.partial(wrapped)),
        ".func",
    ),
    ("lambda", lambda: two_lambdas, "."),
    ("lambda-argument-name", lambda: ((lambda a: a), (lambda b: b)), "."),
    ("lambda-constant-type", lambda: ((lambda a: a + 1), (lambda a: a + 1.0)), "."),
    ("lambda-default", lambda: ((lambda a, k=1: k), (lambda a, k=2: k)), ".defaults.k"),
    ("lambda-closure", lambda: (nested_lambda(1), nested_lambda(2)), ".closure.x"),
    ("lambda-inner", lambda: ((lambda: lambda: 1), (lambda: lambda: 2)), "."),
    ("lambda-string", lambda: ((lambda: "a"), (lambda: "b")), "."),
    ("lambda-fstring", lambda: ((lambda x: f"{x}a"), (lambda x: f"{x}b")), "."),
    ("lambda-to-function", lambda: ((lambda x: x), named), "."),
    ("closure-value", lambda: (make_line(1.0), make_line(2.0)), ".closure.slope"),
    ("closure-body", lambda: (make_line(1.0, 1.0), make_line_other(1.0, 1.0)), "."),
    ("closure-default", lambda: (make_default([1]), make_default([2])), ".defaults.y[0]"),
    ("closure-state", lambda: (make_counter(), _counted(make_counter())), ".closure.total"),
    ("lambda-global", lambda: _with_global(), ".globals.gain"),
    ("module", lambda: (math, operator), "."),
    ("schema-inside-set", lambda: ({Point(1.0)}, {Point(1.0, 5.0)}), "{}"),
)


def _counted(counter):
    counter()
    return counter


def _with_global():
    code = (lambda x: x * gain).__code__  # noqa: F821
    return tuple(types.FunctionType(code, {**globals(), "gain": gain}) for gain in (1.0, 2.0))


EQUAL = {
    "dataclass-again": lambda: (Noise(0.1, []), Noise()),
    "dataclass-grown": lambda: (noise_of(GROWN, sigma=1.0), noise_of(GROWN_MORE, sigma=1.0)),
    "dataclass-shrunk": lambda: (noise_of(GROWN_MORE, sigma=1.0), noise_of(GROWN, sigma=1.0)),
    "cached-property": lambda: (Cached(3), use_cache(Cached(3))),
    "cached-function": lambda: (cached, call_cached()),
    "closure-again": lambda: (make_line(1.0, 2.0), make_line(1.0, 2.0)),
    "closure-comments": lambda: (make_line(1.0, 2.0), make_line_commented(1.0, 2.0)),
    "lambda-layout": lambda: (
        (lambda x: x + 1),
        (
            lambda x: (  # a comment
                x + 1
            )
        ),
    ),
    "lambda-quotes": lambda: ((lambda: "a'b"), (lambda: """a'b""")),
    "method-again": lambda: (Plain(1.0).run, Plain(1.0).run),
    "partial-keywords": lambda: (
        functools.partial(named, a=1, b=2),
        functools.partial(named, b=2, a=1),
    ),
    "own-description-hidden": lambda: (Own(1, 2), Own(1, 3)),
    "flag-order": lambda: (Perm.R | Perm.W, Perm.W | Perm.R),
    "flag-alias": lambda: (Perm.RW, Perm.R | Perm.W),
    "self-reference": lambda: (Linked(1), Linked(1)),
    "pydantic-given-default": lambda: (Config(lr=1.0), Config(lr=1.0, layers=[64, 64])),
    "attrs-factory": lambda: (Solver("tv"), Solver("tv", options={})),
    "slots-order": lambda: (SlotsAndDict(1, 2), SlotsAndDict(1, 2)),
}


def _main_class():
    cls = type("Script", (), {"__module__": "__main__"})
    return cls()


def _main_function():
    function = make_line(1.0)
    function.__module__ = "__main__"
    return function


def _sourceless():
    space = {"__name__": __name__}
    exec("def made(x):\n    return x\n", space)
    return space["made"]


class Stepper:
    def __iter__(self):
        return self

    def __next__(self):
        return 1


class Guarded:
    def __init__(self):
        self.options = {"pool": threading.Lock()}


REFUSED = _pairs(
    ("main-class-instance", _main_class, "."),
    ("main-class", lambda: type(_main_class()), "."),
    ("main-function", _main_function, "."),
    ("sourceless", _sourceless, "."),
    ("sourceless-lambda", lambda: eval("lambda x: x"), "."),
    ("user-iterator", Stepper, "."),
    ("lock-in-plain", Guarded, ".options['pool']"),
    ("lock-in-dataclass", lambda: Nested(threading.Lock(), {}), ".noise"),
    ("lock-in-closure", lambda: make_line(threading.Lock()), ".closure.slope"),
    ("iterator-in-partial", lambda: functools.partial(named, iter([])), "[0]"),
    ("iterator-in-method", lambda: Plain(iter([])).run, ".self.alpha"),
    ("object-in-set", lambda: {object()}, "{}"),
    ("object-as-key", lambda: {object(): 1}, "[key]"),
)
