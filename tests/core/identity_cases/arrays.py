"""numpy arrays, scalars, dtypes and generators."""

import copy
import pickle
import tempfile

import numpy as np

from identity_cases.plain import _pairs

GRID = np.linspace(0.0, 1.0, 12).reshape(3, 4)
RECORD = np.dtype([("x", "f8"), ("n", "i4"), ("tag", "U3")])
ALIGNED = np.dtype([("x", "f8"), ("n", "i4"), ("tag", "U3")], align=True)


class Tagged(np.ndarray):
    """An array with an attribute of its own."""

    def __new__(cls, values, unit="m"):
        made = np.asarray(values).view(cls)
        made.unit = unit
        return made

    def __array_finalize__(self, source):
        self.unit = getattr(source, "unit", "m")


def _records(dtype=RECORD):
    return np.array([(0.5, 1, "abc"), (1.5, 2, "d")], dtype)


def _payload():
    bits = np.array([0x7FF8000000000001, 0xFFF8000000000000], "u8")
    return bits.view("f8")


def _big(change=None):
    array = np.arange(20_000, dtype="f8")
    if change is not None:
        array[change] += 0.5
    return array


def _mapped():
    array = np.memmap(tempfile.NamedTemporaryFile(), dtype="f8", shape=(3, 4), mode="w+")
    array[:] = GRID
    return array


def _seen(array):
    assert array.fill_value is not None  # looking stores the default in the array
    return array


def _square(x):
    return x * x


def _vectorized(used=False):
    made = np.vectorize(_square, otypes=[float])
    if used:
        made([1.0, 2.0])
    return made


def _spawned():
    generator = np.random.default_rng(1)
    generator.bit_generator.seed_seq.spawn(2)
    return generator


def _drawn(seed, count):
    generator = np.random.default_rng(seed)
    generator.random(count)
    return generator


LOCKABLE = {
    "f8": lambda: GRID,
    "f4": lambda: np.array([0.1, 0.2], "f4"),
    "f2": lambda: np.array([0.1, 0.2], "f2"),
    "longdouble": lambda: np.array([0.1, 0.2], np.longdouble),
    "i8": lambda: np.arange(5),
    "u1": lambda: np.arange(200, dtype="u1"),
    "bool": lambda: np.array([True, False]),
    "complex": lambda: np.array([1 + 2j, complex(0.0, -0.0)]),
    "nan": lambda: np.array([np.nan, 1.0, -np.inf]),
    "big": _big,
    "big-nan": lambda: _big(5) * np.where(np.arange(20_000) == 7, np.nan, 1.0),
    "zero-d": lambda: np.array(3.5),
    "empty": lambda: np.empty((0, 3)),
    "unicode": lambda: np.array(["tv", "Grüße"]),
    "byte-strings": lambda: np.array([b"tv", b"l1"]),
    "datetime": lambda: np.array(["2026-05-01", "NaT"], "M8[ns]"),
    "timedelta": lambda: np.array([1, 2], "m8[s]"),
    "structured": _records,
    "structured-nested": lambda: np.zeros(
        2, [("p", [("x", "f4"), ("y", "f4")]), ("m", "i2", (2,))]
    ),
    "void": lambda: np.array([b"abc"], "V3"),
    "objects": lambda: np.array([1, "a", None, [2]], dtype=object),
    "objects-2d": lambda: np.array([[1, 2.0], ["a", None]], dtype=object),
    "objects-many": lambda: np.array([f"name {i}" for i in range(3000)], dtype=object),
    "masked": lambda: np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
    "masked-structured": lambda: np.ma.array(_records(), mask=[(1, 0, 0), (0, 0, 1)]),
    "recarray": lambda: _records().view(np.recarray),
    "matrix": lambda: np.asmatrix(GRID) if hasattr(np, "asmatrix") else GRID,
    "subclass": lambda: Tagged([1.0, 2.0], "km"),
    "memmap": _mapped,
    "scalar-f8": lambda: np.float64(0.1),
    "scalar-f4": lambda: np.float32(0.1),
    "scalar-longdouble": lambda: np.longdouble("0.1"),
    "scalar-i4": lambda: np.int32(-3),
    "scalar-bool": lambda: np.bool_(True),
    "scalar-complex": lambda: np.complex64(1 - 2j),
    "scalar-str": lambda: np.str_("tv"),
    "scalar-bytes": lambda: np.bytes_(b"tv"),
    "scalar-datetime": lambda: np.datetime64("2026-05-01T12:00", "m"),
    "scalar-timedelta": lambda: np.timedelta64(5, "D"),
    "scalar-void": lambda: _records()[0],
    "scalar-key": lambda: {np.int64(1): "a", np.float64(0.5): "b"},
    "dtype": lambda: np.dtype("f4"),
    "dtype-record": lambda: RECORD,
    "dtype-class": lambda: np.float32,
    "ufunc": lambda: np.sin,
    "function": lambda: np.linalg.norm,
    "vectorize": _vectorized,
    "poly1d": lambda: np.poly1d([1.0, 2.0, 3.0]),
    "polynomial": lambda: np.polynomial.Polynomial([1.0, 2.0], domain=[-2, 2]),
    "generator": lambda: np.random.default_rng(0),
    "generator-drawn": lambda: _drawn(0, 7),
    "generator-mt": lambda: np.random.Generator(np.random.MT19937(3)),
    "randomstate": lambda: np.random.RandomState(5),
    "randomstate-global": lambda: np.random.mtrand._rand,
    "seedsequence": lambda: np.random.SeedSequence([1, 2], spawn_key=(3,)),
    "index-trick": lambda: np.s_[1:3, ..., None],
    "newaxis": lambda: np.newaxis,
    "in-dict": lambda: {"mask": np.ones(4), "weights": [np.zeros(2), np.float64(1.0)]},
    "dtype-map": lambda: {"a": np.dtype("i4"), "b": float},
}

CHANGES = _pairs(
    ("element", lambda: (GRID, GRID + np.eye(3, 4) * 1e-12), "[:]"),
    ("last-bit", lambda: (np.array([0.1]), np.array([np.nextafter(0.1, 1)])), "[:]"),
    ("dtype", lambda: (np.zeros(3), np.zeros(3, "f4")), "."),
    ("dtype-sign", lambda: (np.zeros(3, "i4"), np.zeros(3, "u4")), "."),
    ("dtype-int", lambda: (np.zeros(3, "i4"), np.zeros(3, "i8")), "."),
    ("dtype-bool", lambda: (np.zeros(3, bool), np.zeros(3, "u1")), "."),
    ("shape", lambda: (np.zeros((2, 3)), np.zeros((3, 2))), "."),
    ("shape-column", lambda: (np.zeros(3), np.zeros((3, 1))), "."),
    ("shape-empty", lambda: (np.empty((0, 3)), np.empty((3, 0))), "."),
    ("shape-zero-d", lambda: (np.array(1.0), np.array([1.0])), "."),
    ("transposed", lambda: (GRID[:3, :3], GRID[:3, :3].T), "[:]"),
    ("reversed", lambda: (np.arange(4), np.arange(4)[::-1]), "[:]"),
    ("zero-sign", lambda: (np.array([0.0]), np.array([-0.0])), "[:]"),
    ("nan-position", lambda: (np.array([np.nan, 0]), np.array([0, np.nan])), "[:]"),
    ("big-middle", lambda: (_big(), _big(9000)), "[:]"),
    ("big-last", lambda: (_big(), _big(19_999)), "[:]"),
    ("to-list", lambda: (np.array([1.0]), [1.0]), "."),
    ("zero-d-to-scalar", lambda: (np.array(1.0), np.float64(1.0)), "."),
    ("unicode", lambda: (np.array(["ab"]), np.array(["ac"])), "[:]"),
    ("unicode-width", lambda: (np.array(["ab"], "U2"), np.array(["ab"], "U3")), "."),
    ("unicode-to-bytes", lambda: (np.array(["ab"]), np.array([b"ab"])), "."),
    ("datetime", lambda: (np.array(["2026"], "M8[D]"), np.array(["2027"], "M8[D]")), "[:]"),
    ("datetime-unit", lambda: (np.array([0], "M8[D]"), np.array([0], "M8[s]")), "."),
    ("datetime-nat", lambda: (np.array(["2026"], "M8[D]"), np.array(["NaT"], "M8[D]")), "[:]"),
    ("structured-value", lambda: (_records(), _bumped(_records())), ".n[:]"),
    (
        "structured-name",
        lambda: (np.zeros(1, [("a", "f8")]), np.zeros(1, [("b", "f8")])),
        ".",
    ),
    ("object-element", lambda: (_objects(1), _objects(2)), "[1]"),
    ("object-element-type", lambda: (_objects(1), _objects(1.0)), "[1]"),
    ("object-2d", lambda: (_objects(1).reshape(1, 2), _objects(2).reshape(1, 2)), "[0, 1]"),
    ("object-many", lambda: (_names(3000, "a"), _names(3000, "b")), "[:]"),
    ("object-split", lambda: (_names(3000, "ab"), _names(3000, "ab", shift=True)), "[:]"),
    ("masked-data", lambda: (np.ma.array([1.0, 2]), np.ma.array([1.0, 3])), "[:]"),
    (
        "masked-mask",
        lambda: (np.ma.array([1.0, 2], mask=[0, 0]), np.ma.array([1.0, 2], mask=[0, 1])),
        ".mask[:]",
    ),
    (
        "masked-fill",
        lambda: (np.ma.array([1.0]), np.ma.array([1.0], fill_value=-9.0)),
        ".fill_value[:]",
    ),
    ("masked-to-array", lambda: (np.ma.array([1.0]), np.array([1.0])), "."),
    ("subclass-attribute", lambda: (Tagged([1.0], "m"), Tagged([1.0], "km")), ".unit"),
    ("subclass-value", lambda: (Tagged([1.0]), Tagged([2.0])), "[:]"),
    ("subclass-to-array", lambda: (Tagged([1.0]), np.array([1.0])), "."),
    ("scalar-value", lambda: (np.float32(0.1), np.float32(0.2)), "."),
    ("scalar-to-python", lambda: (np.float64(0.1), 0.1), "."),
    ("scalar-width", lambda: (np.float32(0.5), np.float64(0.5)), "."),
    ("scalar-int-width", lambda: (np.int32(1), np.int64(1)), "."),
    ("scalar-bool", lambda: (np.bool_(True), True), "."),
    ("scalar-longdouble", lambda: (np.longdouble(1), np.nextafter(np.longdouble(1), 2)), "."),
    ("scalar-datetime-unit", lambda: (np.datetime64(0, "D"), np.datetime64(0, "s")), "."),
    ("scalar-str-to-str", lambda: (np.str_("a"), "a"), "."),
    ("dtype-value", lambda: (np.dtype("f4"), np.dtype("f8")), "."),
    ("dtype-order", lambda: (np.dtype("<f4"), np.dtype(">f4")), "."),
    ("dtype-to-class", lambda: (np.dtype("f4"), np.float32), "."),
    ("ufunc", lambda: (np.sin, np.cos), "."),
    ("function-module", lambda: (np.linalg.norm, np.linalg.inv), "."),
    ("poly1d", lambda: (np.poly1d([1.0, 2]), np.poly1d([1.0, 3])), ".coeffs[:]"),
    (
        "polynomial-domain",
        lambda: (
            np.polynomial.Polynomial([1.0, 2.0], domain=[-1, 1]),
            np.polynomial.Polynomial([1.0, 2.0], domain=[-2, 2]),
        ),
        ".domain[0]",
    ),
    (
        "generator-seed",
        lambda: (np.random.default_rng(0), np.random.default_rng(1)),
        ".bit_generator.state['state']['state']",
    ),
    (
        "generator-drawn",
        lambda: (np.random.default_rng(0), _drawn(0, 1)),
        ".bit_generator.state['state']['state']",
    ),
    (
        "generator-kind",
        lambda: (
            np.random.Generator(np.random.PCG64(0)),
            np.random.Generator(np.random.MT19937(0)),
        ),
        ".bit_generator",
    ),
    (
        "generator-spawned",
        lambda: (np.random.default_rng(1), _spawned()),
        ".bit_generator.spawned",
    ),
    (
        "randomstate-seed",
        lambda: (np.random.RandomState(0), np.random.RandomState(1)),
        ".state['state']['key'][:]",
    ),
    (
        "seedsequence",
        lambda: (np.random.SeedSequence(1), np.random.SeedSequence(2)),
        ".entropy",
    ),
    ("in-dict", lambda: ({"a": np.ones(3)}, {"a": np.zeros(3)}), "['a'][:]"),
    ("in-list-to-array", lambda: ([1, 2], np.array([1, 2])), "."),
)


def _bumped(records):
    records["n"][1] = 7
    return records


def _objects(second):
    made = np.empty(2, object)
    made[:] = ["a", second]
    return made


def _names(count, tail, shift=False):
    names = [f"n{i}" for i in range(count)]
    names[-2:] = [tail[:1], tail[1:] + "x"] if shift else [tail, "x"]
    return np.array(names, dtype=object)


def _reseeded():
    made = np.random.default_rng(99)
    made.bit_generator.state = np.random.default_rng(0).bit_generator.state
    return made


EQUAL = {
    "order": lambda: (GRID, np.asfortranarray(GRID)),
    "byte-order": lambda: (GRID, GRID.astype(">f8")),
    "byte-order-record": lambda: (
        _records(),
        _records().astype(_records().dtype.newbyteorder(">")),
    ),
    "view": lambda: (np.arange(10)[::2], np.array([0, 2, 4, 6, 8])),
    "broadcast": lambda: (np.broadcast_to(1.0, (3, 4)), np.ones((3, 4))),
    "negative-stride": lambda: (np.arange(4)[::-1], np.array([3, 2, 1, 0])),
    "read-only": lambda: (GRID, np.broadcast_to(GRID, GRID.shape)),
    "nan-payload": lambda: (_payload(), np.array([np.nan, np.nan])),
    "nan-complex": lambda: (np.array([complex(1, np.nan)]), np.array([complex(1, -np.nan)])),
    "aligned": lambda: (_records(), _records(ALIGNED)),
    "memmap": lambda: (_mapped(), GRID),
    "pickled": lambda: (GRID, pickle.loads(pickle.dumps(GRID))),
    "mask-spelling": lambda: (np.ma.array([1.0, 2]), np.ma.array([1.0, 2], mask=[0, 0])),
    "masked-under": lambda: (
        np.ma.array([1.0, 2], mask=[0, 1]),
        np.ma.array([1.0, 9], mask=[0, 1]),
    ),
    "masked-fill-seen": lambda: (np.ma.array([1.0, 2]), _seen(np.ma.array([1.0, 2]))),
    "generator-again": lambda: (np.random.default_rng(0), np.random.default_rng(0)),
    "generator-state-set": lambda: (np.random.default_rng(0), _reseeded()),
    "generator-pickled": lambda: (
        np.random.default_rng(4),
        pickle.loads(pickle.dumps(np.random.default_rng(4))),
    ),
    "randomstate-copied": lambda: (
        np.random.RandomState(3),
        copy.deepcopy(np.random.RandomState(3)),
    ),
    "vectorize-used": lambda: (_vectorized(), _vectorized(used=True)),
    "intp": lambda: (np.zeros(2, np.intp), np.zeros(2, "i8")),
    "longlong": lambda: (np.zeros(2, np.longlong), np.zeros(2, "i8")),
    "objects-order": lambda: (
        np.array([[1, "a"], ["b", 2]], dtype=object),
        np.asfortranarray(np.array([[1, "a"], ["b", 2]], dtype=object)),
    ),
}

REFUSED = _pairs(
    ("flatiter", lambda: GRID.flat, "."),
    ("nditer", lambda: np.nditer(GRID), "."),
    ("ndenumerate", lambda: np.ndenumerate(GRID), "."),
    ("frompyfunc", lambda: np.frompyfunc(_square, 1, 1), "."),
    ("object-lock", lambda: np.array([1, iter([])], dtype=object), "[1]"),
    ("object-array", lambda: np.array([object()]), "[0]"),
)
