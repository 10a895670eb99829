"""The case matrix: what can be locked, what must be seen, what is the same, what is refused."""

import asyncio
import copy
import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from identity_cases import report

from pytest_mitosis.identity import Description, Undescribable, compare, describe

pytestmark = pytest.mark.filterwarnings(
    "ignore:the matrix subclass:PendingDeprecationWarning", "ignore::ResourceWarning"
)

LOCKABLE = report.cases("LOCKABLE")
CHANGES = report.cases("CHANGES")
EQUAL = report.cases("EQUAL")
REFUSED = report.cases("REFUSED")
TABLE = Path(report.__file__).with_name("digests.json")


def errors(old, new):
    return [
        change for change in compare(describe(old), describe(new)) if change.severity == "error"
    ]


def test_matrix_is_as_large_as_promised():
    sizes = [len(table) for table in (LOCKABLE, CHANGES, EQUAL, REFUSED)]
    assert all(size >= least for size, least in zip(sizes, (150, 200, 40, 20), strict=True)), sizes


@pytest.mark.parametrize("name", LOCKABLE)
def test_value_has_one_identity(name):
    value = LOCKABLE[name]()
    first, again, rebuilt = describe(value), describe(value), describe(LOCKABLE[name]())
    assert again == first, "describing must not change the value"
    assert rebuilt.digest == first.digest
    assert compare(first, rebuilt) == []
    assert Description.from_json(json.loads(json.dumps(first.to_json()))) == first
    assert first.leaves[0].path == "."
    assert 0 < len(first.summary) <= 60
    for leaf in first.leaves:
        assert f"{leaf.path}{leaf.text}".isascii()
        assert f"{leaf.path}{leaf.text}".isprintable()


@pytest.mark.parametrize("name", CHANGES)
def test_change_is_seen_and_its_place_named(name):
    make, path = CHANGES[name]
    old, new = make()
    for before, after in ((old, new), (new, old)):
        paths = [change.path for change in errors(before, after)]
        assert paths
        if before is old:
            assert any(found == path or (path == "{}" and found[0] == "{") for found in paths), (
                paths
            )
    moved_default = name.endswith("default-moved")
    assert (describe(old).digest != describe(new).digest) is not moved_default


@pytest.mark.parametrize("name", EQUAL)
def test_rebuild_is_the_same(name):
    old, new = EQUAL[name]()
    assert errors(old, new) == []
    assert describe(old).digest == describe(new).digest


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_names_culprit_reason_and_remedy(name):
    make, path = REFUSED[name]
    value = make()
    try:
        with pytest.raises(Undescribable) as caught:
            describe(value)
    finally:
        release(value)
    assert caught.value.path == path
    assert caught.value.reason
    assert caught.value.remedy.endswith((".", ")"))
    assert str(caught.value).startswith(path)


def release(value):
    if isinstance(value, subprocess.Popen):
        value.wait(timeout=30)
    elif isinstance(value, tempfile.TemporaryDirectory):
        value.cleanup()
    elif isinstance(
        value, (io.IOBase, socket.socket, sqlite3.Connection, asyncio.AbstractEventLoop)
    ):
        value.close()
    elif isinstance(value, tempfile._TemporaryFileWrapper):
        value.close()


@pytest.mark.parametrize("name", LOCKABLE)
def test_deep_copy_is_the_same(name):
    if name in ("classes/function-random", "arrays/randomstate-global"):
        pytest.skip("a copy of the global generator is not the global generator")
    if name == "odd/masked-function":
        pytest.skip("in numpy 1 this is an object, and a copy is not the one its name leads to")
    value = LOCKABLE[name]()
    try:
        twin = copy.deepcopy(value)
    except (TypeError, NotImplementedError, RuntimeError, AttributeError):
        pytest.skip("deepcopy does not copy this")
    if name.startswith("odd/free-") and not hasattr(twin, "note"):
        pytest.skip("deepcopy loses attributes of this")
    if type(twin) is not type(value):
        pytest.skip("deepcopy gives another type")
    assert errors(value, twin) == []


def run_report(python, seed, folder):
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "tests" / "core")])
    done = subprocess.run(
        [python, "-m", "identity_cases.report"],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def differences(left, right):
    return sorted(name for name in left.keys() & right.keys() if left[name] != right[name])


def test_fresh_processes_agree_whatever_hash_seed_and_folder(tmp_path):
    first = run_report(sys.executable, "1", tmp_path)
    second = run_report(sys.executable, "4242", Path(__file__).parent)
    assert len(first) == len(LOCKABLE) + 2 * len(CHANGES)
    assert differences(first, second) == []
    assert (
        differences(first, {name: describe(make()).digest for name, make in LOCKABLE.items()}) == []
    )


def test_digests_are_those_of_every_supported_interpreter():
    table = json.loads(TABLE.read_text(encoding="ascii"))
    here = {name: describe(make()).digest[:16] for name, make in LOCKABLE.items()}
    assert differences(table, here) == []
    assert [name for name in here if name not in table] == []


def test_other_interpreters_agree(tmp_path):
    """``IDENTITY_PYTHONS=/venvs/a/bin/python:/venvs/b/bin/python`` compares them all."""
    others = [path for path in os.environ.get("IDENTITY_PYTHONS", "").split(os.pathsep) if path]
    if not others:
        pytest.skip("set IDENTITY_PYTHONS to compare interpreters")
    here = run_report(sys.executable, "0", tmp_path)
    for python in others:
        there = run_report(python, "7", tmp_path)
        assert len(here.keys() & there.keys()) > 500
        assert differences(here, there) == [], python
