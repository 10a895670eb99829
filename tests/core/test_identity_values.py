"""The front door: paths, facets, hooks, files, summaries, notes."""

import dataclasses
import os
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import scipy.interpolate
from identity_cases import classes

from pytest_mitosis.identity import Description, Leaf, Undescribable, compare, describe, file


def texts(value, facet="value"):
    return {leaf.path: leaf.text for leaf in describe(value).leaves if leaf.facet == facet}


def test_leaves_are_those_of_the_design():
    leaves = describe(classes.Grid((64, 32), 0.5)).leaves
    assert leaves[:5] == (
        Leaf(".", "value", "dataclass identity_cases.classes:Grid"),
        Leaf(".shape", "value", "tuple"),
        Leaf(".shape[0]", "value", "int 64"),
        Leaf(".shape[1]", "value", "int 32"),
        Leaf(".spacing", "value", "float 0.5"),
    )
    assert leaves[5].facet == "code"
    assert leaves[5].text.startswith("identity_cases.classes:Grid source sha256:")


def test_paths_tell_attributes_items_and_keys_apart():
    value = {"key": classes.Plain(1, [{"x": (1, 2)}]), 3: {"s"}}
    assert "['key'].parts[0]['x'][1]" in texts(value)
    assert "[3]{str 's'}" in texts(value)


def test_no_two_places_share_a_path():
    value = {"a": {"b": 1}, "a']['b": 2, "a.b": {}, 1: 1, "1": 1, (1,): 1, ("1",): 1, "(1,)": 1}
    paths = [leaf.path for leaf in describe(value).leaves]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize(
    ("value", "summary"),
    [
        (0.1, "float 0.1"),
        ("tv", "str 'tv'"),
        ([1, 2, 3], "list of 3"),
        ({}, "dict of 0"),
        ({"a": [1], "b": 2}, "dict of 2"),
        (np.zeros(20_000), "ndarray f8 (20000,)"),
        (np.float32(0.5), "np.float32 0.5"),
        (classes.Grid((1, 2), 0.5), "Grid(shape=tuple, spacing=0.5)"),
        (classes.Color.RED, "enum identity_cases.classes:Color.RED = int 1"),
        (len, "builtin function builtins:len"),
        (classes.named, "function identity_cases.classes:named"),
        (pd.DataFrame({"a": [1, 2]}), "DataFrame rows=2"),
        ("x" * 500, "str '" + "x" * 52 + "..."),
    ],
)
def test_summary_is_one_short_line(value, summary):
    assert describe(value).summary == summary


def test_installed_things_are_named_by_distribution_and_public_path():
    from sklearn.linear_model import Ridge

    assert texts(Ridge)["."] == "class scikit-learn:linear_model.Ridge"
    assert texts(pd.DataFrame)["."] == "class pandas:DataFrame"
    assert texts(scipy.interpolate.CubicSpline)["."] == "class scipy:interpolate.CubicSpline"
    assert texts(np.linalg.norm)["."] == "function numpy:linalg.norm"


def test_internal_state_of_a_package_is_flagged():
    value = scipy.interpolate.RegularGridInterpolator([[0.0, 1.0]], [1.0, 2.0])
    notes = [leaf.text for leaf in describe({"f": value}).leaves if leaf.facet == "note"]
    assert f"locked by internal state of scipy {scipy.__version__}" in notes


def test_hook_replaces_what_it_knows():
    def hook(value):
        return {"unlocked": value.gain} if isinstance(value, classes.Callable) else None

    description = describe([classes.Callable(2.0)], hooks=[hook])
    assert Leaf("[0]['unlocked']", "value", "float 2.0") in description.leaves
    assert description.leaves[1].text == "described identity_cases.classes:Callable"


def test_first_hook_with_an_answer_wins():
    hooks = [lambda value: None, lambda value: "first", lambda value: "second"]
    assert describe(classes.Stateless(), hooks=hooks).leaves[1].text == "str 'first'"


def test_hook_may_return_the_value_itself():
    assert describe(classes.Point(1.0), hooks=[lambda value: value]) == describe(classes.Point(1.0))


def test_hook_may_return_another_of_the_same_type():
    def simplify(value):
        return classes.Plain(1.0) if isinstance(value, classes.Plain) else None

    description = describe(classes.Plain(2.0, [1]), hooks=[simplify])
    assert Leaf(".alpha", "value", "float 1.0") in description.leaves


def test_failing_hook_is_a_refusal_not_a_traceback():
    def broken(value):
        raise KeyError("gain")

    with pytest.raises(Undescribable, match=r"could not be described by .*broken.*KeyError"):
        describe({"solver": classes.Stateless()}, hooks=[broken])


def test_hook_can_describe_what_is_refused():
    hook = lambda value: "a lock" if hasattr(value, "acquire") else None  # noqa: E731
    assert describe({"lock": threading.Lock()}, hooks=[hook]).digest


def test_describe_method_of_the_type_is_asked_not_one_on_the_instance():
    value = classes.Stateless()
    value.__dict__["__describe__"] = lambda: "fooled"
    with pytest.raises(AssertionError):
        assert describe(value).leaves[1].text == "str 'fooled'"


def test_default_is_schema_and_another_value_is_value():
    facets = {leaf.path: leaf.facet for leaf in describe(classes.Noise(kind="pink")).leaves}
    assert facets[".sigma"] == "schema"
    assert facets[".tags"] == "schema"
    assert facets[".kind"] == "value"


def test_source_of_one_class_is_one_leaf():
    values = [classes.Noise(), classes.Noise(), {"n": classes.Noise()}]
    assert list(texts(values, "code")) == ["[0]"]


def test_file_is_locked_by_content(tmp_path):
    target, twin = tmp_path / "oct.h5", tmp_path / "copy.h5"
    target.write_bytes(b"\x89HDF" * 1000)
    twin.write_bytes(target.read_bytes())
    before = describe(file(target))
    assert compare(before, describe(file(twin))) == []
    target.write_bytes(b"\x89HDF" * 1001)
    assert [change.path for change in compare(before, describe(file(target)))] == ["."]


def test_same_size_rewrite_is_seen(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"one")
    before = describe(file(target))
    target.write_bytes(b"two")
    assert describe(file(target)).digest != before.digest


def test_file_opens_like_a_path(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("0.5")
    locked = file(str(target))
    assert os.fspath(locked) == str(target)
    assert float(np.loadtxt(locked)) == 0.5


def test_relative_file_means_the_same_from_every_folder(tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "data" / "oct.csv").write_text("1,2\n")
    (project / "exps_here.py").write_text(
        "from pytest_mitosis.identity import file\nvalue = file('data/oct.csv')\n"
    )
    monkeypatch.syspath_prepend(project)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "exps_here", raising=False)
    value = __import__("exps_here").value
    assert value.path == project / "data" / "oct.csv"
    assert describe(value).summary.startswith("file 4 bytes sha256:")


def test_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(Undescribable, match=r"\['oct'\] .*gone.h5.* cannot be read"):
        describe({"oct": file(tmp_path / "gone.h5")})


def test_folder_is_locked_file_by_file(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("b")
    (tmp_path / "a.txt").write_text("a")
    before = describe(file(tmp_path))
    (tmp_path / "sub" / "b.txt").write_text("c")
    assert [change.path for change in compare(before, describe(file(tmp_path)))] == [
        "['sub/b.txt']"
    ]


def test_bare_path_is_its_text_only(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("a")
    before = describe(target)
    target.write_text("b")
    assert describe(target) == before


def test_tampered_record_is_noticed():
    data = describe([1, 2]).to_json()
    data["leaves"][1][2] = "int 9"
    with pytest.raises(ValueError, match="digest"):
        Description.from_json(data)


def test_code_and_notes_do_not_count():
    leaves = describe(classes.Grid((1, 2), 0.1)).leaves
    bare = tuple(leaf for leaf in leaves if leaf.facet not in ("code", "note"))
    assert Description(bare).digest == Description(leaves).digest


def test_user_code_never_runs():
    loud = classes.loud(classes.Plain(1.0))
    assert texts({"x": [loud, classes.Tracked(a=1)]})["['x'][0].value.alpha"] == "float 1.0"


def test_caches_in_a_value_do_not_count():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    before = describe(frame)
    assert frame.loc[1, "a"] == 2
    assert frame.groupby("b").sum().shape == (2, 1)
    assert describe(frame) == before


def test_refusal_inside_a_set_names_the_set():
    with pytest.raises(Undescribable) as caught:
        describe({"tags": frozenset({("a", threading.Lock())})})
    assert caught.value.path == "['tags']{}[1]"


def test_object_that_cannot_be_read_is_a_refusal_not_a_traceback():
    broken = pd.DataFrame({"a": [1]})
    broken.__dict__.clear()
    with pytest.raises(Undescribable, match="pandas:DataFrame and could not be read") as caught:
        describe({"frame": broken})
    assert caught.value.path == "['frame']"


def test_refusal_survives_pickling():
    import pickle

    with pytest.raises(Undescribable) as caught:
        describe([iter([])])
    twin = pickle.loads(pickle.dumps(caught.value))
    assert (twin.path, str(twin)) == ("[0]", str(caught.value))


def test_nothing_scientific_is_imported_by_describing_plain_values():
    import subprocess

    code = (
        "import sys; from pytest_mitosis.identity import describe; describe({'a': [1, {2.5}]});"
        "names = ('numpy', 'pandas', 'torch', 'attr', 'pytest', '_pytest');"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_dataclass_with_unreadable_default_is_still_described():
    @dataclasses.dataclass
    class Odd:
        start: object = dataclasses.field(default_factory=lambda: 1 / 0)

    assert texts(Odd(3))[".start"] == "int 3"


def test_project_module_named_like_one_of_the_standard_library_is_the_projects(
    tmp_path, monkeypatch
):
    (tmp_path / "this").mkdir()
    (tmp_path / "this" / "models.py").write_text("class Net:\n    pass\n")
    (tmp_path / "this" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "this", raising=False)
    net = __import__("this.models").models.Net
    assert texts(net())["."] == "object this.models:Net"
    assert texts(net(), "code")["."].startswith("this.models:Net source sha256:")


def test_depth_that_is_too_deep_does_not_depend_on_who_asks():
    value = []
    for _ in range(900):
        value = [value]

    def ask(frames):
        return ask(frames - 1) if frames else describe(value).digest

    assert ask(0) == ask(500)
