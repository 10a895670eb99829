"""Any nested value comes back exactly, and saving it again gives the same files."""

from __future__ import annotations

import collections
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_results_exact import same

from pytest_mitosis.store.results import load_result, safe_text, save_result

TEXT = st.text(st.characters(codec=None), max_size=8)  # surrogates too
KEYS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.binary(max_size=8),
    st.complex_numbers(), st.dates(), st.datetimes(), st.decimals(allow_nan=False),
    st.fractions(), st.uuids(),
    st.times(), st.timedeltas(), st.datetimes(timezones=st.timezones()),
)  # fmt: skip
DTYPES = st.one_of(
    hnp.scalar_dtypes().filter(lambda dtype: "generic" not in dtype.name and dtype.str[1:] not in
                               ("M8", "m8")),
    hnp.array_dtypes(max_size=3, allow_subarrays=True),
)  # fmt: skip
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, min_side=0, max_side=9))
LEAVES = st.one_of(KEYS, st.decimals(), ARRAYS, ARRAYS.map(np.asfortranarray))


def containers(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inside, max_size=4),
        st.lists(inside, max_size=4).map(tuple),
        st.dictionaries(TEXT | st.sampled_from(["$", "items"]), inside, max_size=4),
        st.dictionaries(KEYS | st.tuples(KEYS, KEYS), inside, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.sets(st.tuples(KEYS), max_size=4),
        st.dictionaries(TEXT, inside, max_size=3).map(collections.OrderedDict),
        st.builds(collections.deque, st.lists(inside, max_size=3), st.none() | st.just(9)),
    )


VALUES = st.recursive(LEAVES, containers, max_leaves=12)
CELLS = st.lists(st.none() | TEXT.filter(str.isprintable), min_size=3, max_size=3)
COLUMNS = st.one_of(
    st.lists(st.floats(), min_size=3, max_size=3).map(lambda v: pd.Series(v)),
    st.lists(st.integers(-9, 9) | st.none(), min_size=3, max_size=3).map(
        lambda v: pd.Series(v, dtype="Int16")),
    CELLS.map(lambda v: pd.Series(v, dtype="string")),
    CELLS.map(lambda v: pd.Series(v)),
    CELLS.map(lambda v: pd.Series(v, dtype="category")),
    st.lists(KEYS | st.lists(KEYS, max_size=2), min_size=3, max_size=3).map(
        lambda v: pd.Series(v, dtype=object)),
)  # fmt: skip
often = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def round_trip(value: object) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        saved = save_result(value, folder, "fit")
        assert (saved.pickled, saved.unsaved) == ((), ())
        back = load_result(folder, "fit")
        assert same(back, value)
        assert save_result(back, folder, "again").files[-1].sha256 == saved.files[-1].sha256 or (
            len(saved.files) > 1  # names of sidecars are in the JSON
        )


@often
@given(VALUES)
def test_any_nested_value_comes_back(value: object) -> None:
    round_trip(value)


@often
@given(st.lists(COLUMNS, max_size=4), st.booleans())
def test_any_table_comes_back(columns: list[Any], tall: bool) -> None:
    table = pd.DataFrame(dict(enumerate(columns))).rename(columns=str)
    round_trip(pd.concat([table] * 30) if tall else table)


@often
@given(VALUES)
def test_safe_text_never_fails(value: object) -> None:
    assert safe_text(value, 50).encode().__len__() <= 200
    assert len(safe_text(value, 50)) <= 50
