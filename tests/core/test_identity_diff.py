"""What ``compare`` reports and how ``render_changes`` shows it."""

import dataclasses
import importlib
import linecache
import re
import sys

import numpy as np
import pandas as pd
from identity_cases import classes

from pytest_mitosis.identity import Description, compare, describe, render_changes


@dataclasses.dataclass
class Spec:
    sigma: float
    mask: object = None


def rendered(old, new):
    return render_changes(compare(describe(old), describe(new)))


def test_changed_block_is_the_one_of_the_design():
    mask = np.ones(20_000)
    other = mask.copy()
    other[9000] = 0.0
    lines = rendered(Spec(0.1, mask), Spec(0.2, other)).splitlines()
    assert lines[0] == "  .sigma    float 0.1 -> float 0.2"
    assert lines[1].startswith("  .mask[:]  min=1.0 mean=1 -> min=0.0 mean=0.99995; ")
    assert lines[1].endswith("differs in elements 8192..16383")


def test_unchanged_has_no_changes():
    assert compare(describe(Spec(0.1)), describe(Spec(0.1))) == []
    assert render_changes([]) == ""


def test_few_numbers_are_shown_one_by_one():
    text = rendered(np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.25, 0.3]))
    assert text == "  [:]  [1] 0.2 -> 0.25"


def test_neighbouring_blocks_are_one_range():
    old = np.zeros(50_000)
    new = old.copy()
    new[10_000:30_000] = 1.0
    assert "differs in elements 8192..32767" in rendered(old, new)


def test_last_range_ends_at_the_last_element():
    old = np.zeros(20_000)
    new = old.copy()
    new[-1] = 1.0
    assert "differs in elements 16384..19999" in rendered(old, new)


def test_many_changes_are_cut_with_their_number():
    lines = rendered(list(range(100)), list(range(1, 101))).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "  and 80 more"


def test_errors_come_before_notes():
    old = describe(classes.noise_of(classes.GROWN, sigma=1.0))
    new = describe(classes.noise_of(classes.GROWN_MORE, sigma=2.0))
    changes = compare(old, new)
    assert [(change.path, change.severity) for change in changes] == [
        (".sigma", "error"),
        (".mode", "note"),
    ]
    assert "note" in render_changes(changes).splitlines()[-1]


def test_new_field_at_its_default_is_a_note_and_keeps_the_digest():
    old = describe(classes.noise_of(classes.GROWN, sigma=1.0))
    new = describe(classes.noise_of(classes.GROWN_MORE, sigma=1.0))
    assert old.digest == new.digest
    assert [(change.facet, change.severity) for change in compare(old, new)] == [("schema", "note")]


def test_moved_default_is_an_error_though_the_digest_stays():
    old = describe(classes.noise_of(classes.GROWN_MORE, sigma=1.0))
    new = describe(classes.noise_of(classes.GROWN_OTHER, sigma=1.0))
    assert [(change.path, change.severity) for change in compare(old, new)] == [(".mode", "error")]


def test_value_kept_while_its_default_moved_is_no_change():
    old = describe(classes.noise_of(classes.GROWN_MORE, sigma=1.0, mode="slow"))
    new = describe(classes.noise_of(classes.GROWN_OTHER, sigma=1.0, mode="slow"))
    assert compare(old, new) == []


def test_changed_source_of_a_named_function_is_a_note(tmp_path, monkeypatch):
    descriptions = []
    for index, body in enumerate(("x + 1", "x + 2")):
        folder = tmp_path / str(index)
        folder.mkdir()
        (folder / "exps_moved.py").write_text(f"def fit(x):\n    return {body}\n")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(__import__("sys").modules, "exps_moved", raising=False)
        descriptions.append(describe(__import__("exps_moved").fit))
    changes = compare(*descriptions)
    assert descriptions[0].digest == descriptions[1].digest
    assert [(change.facet, change.severity) for change in changes] == [("code", "note")]
    assert "source of exps_moved:fit changed" in render_changes(changes)


def test_replaced_container_is_one_change_not_one_per_element():
    changes = compare(describe({"a": [1, 2, 3]}), describe({"a": 5}))
    assert [change.path for change in changes] == ["['a']"]


def test_absent_sides_are_said():
    assert rendered({"a": 1}, {"a": 1, "b": 2}) == "  ['b']  (absent) -> int 2"
    assert rendered({"a": 1, "b": 2}, {"a": 1}) == "  ['b']  int 2 -> (absent)"


def test_frame_change_names_column():
    old = pd.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]})
    text = rendered(old, old.assign(y=["a", "c"]))
    assert text == "  ['y'][:]  [1] 'b' -> 'c'"


def test_comparison_works_on_recorded_descriptions():
    from pytest_mitosis.identity import Description

    old = Description.from_json(describe(np.zeros(9)).to_json())
    assert compare(old, describe(np.zeros(9))) == []
    assert [change.path for change in compare(old, describe(np.ones(9)))] == ["[:]"]


# sources


def value_of(tmp_path, monkeypatch, name, text):
    """The object ``value`` of a module with this source."""
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return importlib.import_module(name).value


def test_changed_lambda_shows_its_old_and_its_new_source(tmp_path, monkeypatch):
    old = value_of(tmp_path, monkeypatch, "lambda_old", "value = {'f': lambda x: x + 1}  # one")
    new = value_of(tmp_path, monkeypatch, "lambda_new", "value = {'f': lambda x: x + 2}  # two")
    assert rendered(old, new).splitlines() == [
        "  ['f']  source of this lambda changed",
        "      -lambda x: x + 1",
        "      +lambda x: x + 2",
    ]


LOCAL = """
def make():
    def gain(x):
        '''%s'''
        low = 0.5  # a remark
        high = 2.5
        rest = x - low
        more = rest * %s
        return more + high
    return gain
value = make()
"""


def test_changed_local_function_shows_the_lines_that_differ_and_no_remarks(tmp_path, monkeypatch):
    old = value_of(tmp_path, monkeypatch, "local_old", LOCAL % ("Old", "1.5"))
    new = value_of(tmp_path, monkeypatch, "local_new", LOCAL % ("New", "1.25"))
    assert rendered(old, new).splitlines() == [
        "  .  source of this local function changed",
        "           rest = x - low",
        "      -    more = rest * 1.5",
        "      +    more = rest * 1.25",
        "           return more + high",
    ]


def test_source_of_a_named_function_is_shown_below_its_note(tmp_path, monkeypatch):
    text = "def value(x):\n    return x * %s\n"
    old = describe(value_of(tmp_path, monkeypatch, "named_gain", text % 2))
    del sys.modules["named_gain"]
    linecache.clearcache()
    new = describe(value_of(tmp_path, monkeypatch, "named_gain", text % 2.25))
    changes = compare(old, new)
    assert [(change.facet, change.severity) for change in changes] == [("code", "note")]
    assert render_changes(changes).splitlines() == [
        "  .  source of named_gain:value changed (note)",
        "       def value(x):",
        "      -    return x * 2",
        "      +    return x * 2.25",
    ]
    assert len(render_changes(changes, sources=False).splitlines()) == 1


def test_source_is_no_part_of_the_identity_and_need_not_be_recorded():
    value = describe(lambda x: x + 1)
    bare = Description(tuple(leaf for leaf in value.leaves if leaf.facet != "note"))
    assert bare.digest == value.digest
    assert compare(bare, value) == compare(value, bare) == []
    (change,) = compare(bare, describe(lambda x: x + 2))
    assert change.source == ()
    assert "..." in render_changes([change])


def test_long_sources_are_cut(tmp_path, monkeypatch):
    text = "def make():\n    def gain(x):\n%s        return x\n    return gain\nvalue = make()\n"
    lines = ["".join(f"        x += {n}.{d}\n" for n in range(900)) for d in (25, 75)]
    old = value_of(tmp_path, monkeypatch, "long_old", text % lines[0])
    new = value_of(tmp_path, monkeypatch, "long_new", text % lines[1])
    for value in (old, new):
        assert all(len(leaf.text) < 5000 for leaf in describe(value).leaves)
    shown = rendered(old, new).splitlines()
    assert len(shown) == 18
    assert re.fullmatch(r" +and \d+ more lines", shown[-1])


def test_digests_are_shown_by_their_beginnings():
    assert re.fullmatch(
        r"  \.  bytes of 9000 bytes sha256:\w{12}\.\.\. -> "
        r"bytes of 9000 bytes sha256:\w{12}\.\.\.",
        rendered(b"a" * 9000, b"b" * 9000),
    )


def test_new_attribute_is_an_error_also_where_the_class_was_edited(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = "class Edited:\n    def __init__(self):\n        self.sigma = 1.0\n"
    (tmp_path / "edited_class.py").write_text(source)
    module = importlib.import_module("edited_class")
    old = describe(module.Edited())
    (tmp_path / "edited_class.py").write_text(source + "        self.mode = 'fast'\n")
    linecache.clearcache()
    monkeypatch.delitem(sys.modules, "edited_class")
    importlib.invalidate_caches()
    new = describe(importlib.import_module("edited_class").Edited())
    monkeypatch.delitem(sys.modules, "edited_class")
    found = {(change.path, change.severity) for change in compare(old, new)}
    assert found == {(".mode", "error"), (".", "note")}
