"""What must hold for every value: equal ones agree, changed ones do not, nothing is touched."""

import copy
import pickle

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identity_cases.classes import Callable, Grid, Noise, Point

from pytest_mitosis.identity import Description, compare, describe

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

keys = st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.none(), st.floats(-5, 5))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=12),
    st.binary(max_size=12),
    st.decimals(allow_nan=False),
    st.datetimes(),
    st.timedeltas(),
)
arrays = st.lists(st.floats(), max_size=6).map(lambda part: np.array(part, "f8"))


def containers(parts):
    return st.one_of(
        st.lists(parts, max_size=4),
        st.tuples(parts, parts),
        st.dictionaries(keys, parts, max_size=4),
        st.builds(Noise, parts),
        st.builds(Point, parts, parts),
        st.builds(Callable, parts),
        st.builds(Grid, st.tuples(parts), parts),
    )


values = st.recursive(st.one_of(scalars, arrays), containers, max_leaves=12)


def errors(old, new):
    return [part.path for part in compare(old, new) if part.severity == "error"]


@QUICK
@given(values)
def test_copies_agree_and_describing_touches_nothing(value):
    before = pickle.dumps(value)
    description = describe(value)
    assert pickle.dumps(value) == before
    assert describe(copy.deepcopy(value)) == description
    assert describe(pickle.loads(before)) == description
    assert Description.from_json(description.to_json()) == description


@QUICK
@given(values, scalars, st.data())
def test_a_change_anywhere_is_seen_and_named(value, other, data):
    wrapped = {"spec": [value, 1.5], "rest": {"x": value}}
    place = data.draw(st.sampled_from(["spec", "element", "rest", "new"]))
    changed = copy.deepcopy(wrapped)
    if place == "spec":
        changed["spec"][0], path = other, "['spec'][0]"
    elif place == "element":
        changed["spec"][1], path = other, "['spec'][1]"
    elif place == "rest":
        changed["rest"]["x"], path = other, "['rest']['x']"
    else:
        changed["rest"]["y"], path = other, "['rest']['y']"
    old, new = describe(wrapped), describe(changed)
    same = describe(other).digest == describe(1.5 if place == "element" else value).digest
    if same and place != "new":
        assert errors(old, new) == []
        return
    assert old.digest != new.digest
    assert errors(old, new)
    assert all(found.startswith(path) for found in errors(old, new))


near = st.sampled_from(
    [
        *(0, 0.0, -0.0, False, 1, 1.0, True, 0.1, None, "", "0", "white", b""),
        *([], (), {}, {0: []}, [[]], ((),)),
        *(np.zeros(0), np.zeros(1), np.ones(1), np.float64(1.0), Noise(), Point(0, 0)),
    ]
)
alike = st.recursive(near, containers, max_leaves=4)


@QUICK
@given(alike, alike)
def test_the_comparison_has_errors_exactly_if_the_digests_differ(left, right):
    old, new = describe(left), describe(right)
    assert bool(errors(old, new)) is (old.digest != new.digest)
    assert bool(errors(new, old)) is (old.digest != new.digest)


@QUICK
@given(scalars, scalars)
def test_scalars_agree_exactly_if_type_and_text_do(left, right):
    same = type(left) is type(right) and (left == right or (left != left and right != right))
    same = same and repr(left).replace("-nan", "nan") == repr(right).replace("-nan", "nan")
    if same:
        assert describe(left).digest == describe(right).digest
    elif repr(left) != repr(right) and not (left != left and right != right):
        assert describe(left).digest != describe(right).digest


@QUICK
@given(st.dictionaries(keys, scalars, max_size=6), st.randoms())
def test_order_of_a_dict_does_not_count(value, random):
    items = list(value.items())
    random.shuffle(items)
    assert describe(dict(items)) == describe(value)


@QUICK
@given(
    st.lists(st.one_of(st.integers(), st.text(), st.tuples(st.text(), st.integers())), unique=True)
)
def test_order_of_a_set_does_not_count(members):
    backwards: set[object] = set()
    for member in members[::-1]:
        backwards.add(member)
    assert describe(set(members)) == describe(backwards)


@QUICK
@given(st.lists(scalars, min_size=2, max_size=6), st.data())
def test_order_of_a_list_counts(members, data):
    first, second = data.draw(st.permutations(range(len(members))))[:2]
    swapped = list(members)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    same = describe(members[first]).digest == describe(members[second]).digest
    assert (describe(members).digest == describe(swapped).digest) is same


@QUICK
@given(
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=40), st.integers(0, 39), st.floats()
)
def test_one_element_of_an_array_counts_whatever_the_layout(numbers, index, other):
    array = np.array(numbers)
    assert describe(array[::-1][::-1]) == describe(array)
    assert describe(array.astype(">f8")) == describe(array)
    changed = array.copy()
    changed[index % len(array)] = other
    same = changed.tobytes() == array.tobytes()
    assert (describe(changed).digest == describe(array).digest) is same


@QUICK
@given(st.lists(st.one_of(st.none(), st.text(max_size=6)), min_size=1, max_size=8))
def test_text_columns_agree_as_objects_and_as_text(cells):
    column = pd.Series(cells, dtype=object)
    assert describe(column).digest == describe(column.astype(object).copy()).digest
    if any(cell is not None for cell in cells) and not any(
        "\x00" in (cell or "") for cell in cells
    ):
        assert describe(column).digest == describe(pd.Series(cells)).digest


@QUICK
@given(st.lists(st.text(max_size=3), min_size=2, max_size=6))
def test_where_one_text_ends_and_the_next_begins_counts(cells):
    joined = [cells[0] + cells[1], "", *cells[2:]]
    same = joined == cells
    assert (describe(pd.Series(cells)).digest == describe(pd.Series(joined)).digest) is same
