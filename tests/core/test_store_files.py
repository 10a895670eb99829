"""No reader of the store ever sees half of a file, and no two writers make one file."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from factories import ROOMY, put
from hypothesis import given
from hypothesis import strategies as st

from pytest_mitosis.model import StoreError
from pytest_mitosis.store.files import (
    create_json,
    dump,
    read_json,
    store_errors,
    write_bytes,
    write_json,
)

MANIFEST = {"id": "k2m9xwq1", "status": "done", "metrics": {"main": 0.0103, "f1": 0.98}}


def refused(function, *arguments) -> str:
    with pytest.raises(StoreError) as caught:
        function(*arguments)
    return str(caught.value)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# writing


def test_written_json_is_read_back_and_nothing_is_left_beside(tmp_path):
    file = tmp_path / "trial.json"
    write_json(file, {"status": "running"})
    write_json(file, MANIFEST)
    assert read_json(file) == MANIFEST
    assert names(tmp_path) == ["trial.json"]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_failing_write_leaves_the_old_file_and_nothing_beside(tmp_path, monkeypatch, function):
    file = tmp_path / "trial.json"
    write_json(file, MANIFEST)

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match="No space left on device"):
        write_json(file, {"status": "crashed"})
    monkeypatch.undo()
    assert read_json(file) == MANIFEST
    assert names(tmp_path) == ["trial.json"]


def test_what_is_no_json_fails_before_the_file_is_touched(tmp_path):
    file = tmp_path / "trial.json"
    write_json(file, MANIFEST)
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(file, {"solver": object()})
    assert read_json(file) == MANIFEST
    assert names(tmp_path) == ["trial.json"]


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    order = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: order.append(os.fstat(descriptor).st_size))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(Path(b).name), replace(a, b)))
    write_bytes(tmp_path / "notebook.ipynb", b"x" * 9000)
    assert order == [9000, "notebook.ipynb"]


def test_file_is_replaced_and_never_written_over(tmp_path):
    file = tmp_path / "trial.json"
    write_json(file, {"status": "running"})
    with file.open() as reader:
        write_json(file, MANIFEST)
        assert json.load(reader) == {"status": "running"}


# creating


def test_created_file_is_complete_and_a_second_one_is_refused(tmp_path):
    file = tmp_path / "low.json"
    assert create_json(file, {"value": "float 0.1"})
    assert not create_json(file, {"value": "float 0.2"})
    assert read_json(file) == {"value": "float 0.1"}
    assert names(tmp_path) == ["low.json"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS])
def test_creation_is_exclusive_where_links_are_not_to_be_had(tmp_path, monkeypatch, code):
    def no_links(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_links)
    file = tmp_path / "low.json"
    assert create_json(file, {"value": "float 0.1"})
    assert not create_json(file, {"value": "float 0.2"})
    assert read_json(file) == {"value": "float 0.1"}
    assert names(tmp_path) == ["low.json"]


def test_creation_that_fails_is_an_error_and_no_answer(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left on device"):
        create_json(tmp_path / "low.json", {"value": "float 0.1"})
    assert names(tmp_path) == []


def test_exclusive_creation_on_a_full_disk_leaves_no_half_of_a_file(tmp_path, monkeypatch):
    def no_links(*arguments):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def full(descriptor):
        if next(syncs):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    syncs = iter([False, True])
    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        create_json(tmp_path / "low.json", {"value": "float 0.1"})
    assert names(tmp_path) == []


RACE = """
import json, multiprocessing, os, sys
from pathlib import Path
from pytest_mitosis.store import files

def no_links(*arguments):
    raise OSError(1, "Operation not permitted")

def race(number, folder, barrier, rounds):
    if os.environ.get("NO_LINKS"):
        os.link = no_links
    won = []
    for one in range(rounds):
        barrier.wait()
        if files.create_json(folder / f"{one}.json", {"winner": number}):
            won.append(one)
    (folder / f"won-{number}").write_text(json.dumps(won))

if __name__ == "__main__":
    folder, count, rounds = Path(sys.argv[1]), 8, 12
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count)
    racers = [context.Process(target=race, args=(n, folder, barrier, rounds)) for n in range(count)]
    for one in racers:
        one.start()
    for one in racers:
        one.join()
    sys.exit(max(one.exitcode for one in racers))
"""


@pytest.mark.parametrize("links", ["", "1"], ids=["links", "no-links"])
def test_of_many_processes_one_creates_a_file(tmp_path, links):
    script = put(tmp_path / "race.py", RACE)
    folder = tmp_path / "locks"
    folder.mkdir()
    environment = {**os.environ, "NO_LINKS": links}
    subprocess.run(
        [sys.executable, script, folder], env=environment, check=True, timeout=60, cwd=tmp_path
    )
    winners = {}
    for number in range(8):
        for one in json.loads((folder / f"won-{number}").read_text()):
            assert one not in winners, "two processes created one file"
            winners[one] = number
    assert winners == {one: read_json(folder / f"{one}.json")["winner"] for one in range(12)}
    assert not [name for name in names(folder) if name.startswith(".")]


# JSON


def test_numbers_that_json_lacks_survive_as_strict_json(tmp_path):
    file = tmp_path / "trial.json"
    metrics = {"main": math.nan, "best": -math.inf, "all": [math.inf, 0.5, (1, math.nan)]}
    write_json(file, {"metrics": metrics})

    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")

    json.loads(file.read_text("utf-8"), parse_constant=no_constant)
    back = read_json(file)["metrics"]
    assert math.isnan(back["main"])
    assert back["best"] == -math.inf
    assert back["all"][:2] == [math.inf, 0.5]
    assert math.isnan(back["all"][2][1])


def test_lone_surrogate_of_a_file_name_can_be_written(tmp_path):
    name = os.fsdecode(b"figures/caf\xe9.png")
    write_json(tmp_path / "trial.json", {"artifacts": {name: {"of": name}}})
    shown = "figures/caf\\udce9.png"
    assert read_json(tmp_path / "trial.json") == {"artifacts": {shown: {"of": shown}}}


def test_unicode_is_readable_in_the_file(tmp_path):
    write_json(tmp_path / "trial.json", {"hypothesis": "σ → 0, naïve 数据"})
    assert "σ → 0, naïve 数据" in (tmp_path / "trial.json").read_text("utf-8")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@ROOMY
@given(st.dictionaries(st.text(max_size=8).filter(lambda k: k != "float"), JSON_VALUES))
def test_any_json_object_survives(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.json"
    write_json(file, data)
    assert repr(read_json(file)) == repr(data)
    assert dump(data).endswith("}\n")


def test_text_that_reads_like_our_mark_for_nan_stays_a_text(tmp_path):
    metrics = {"metrics": {"float": "nan"}}
    write_json(tmp_path / "trial.json", metrics)
    assert read_json(tmp_path / "trial.json") == metrics


# reading what is damaged


def test_missing_file_is_one_sentence(tmp_path):
    file = tmp_path / "trial.json"
    assert refused(read_json, file) == f"{file} cannot be read: No such file or directory"
    assert refused(read_json, tmp_path) == f"{tmp_path} cannot be read: Is a directory"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"status": "runn', b"\x00" * 64, b"{'status': 'done'}", b'{"a": 1} {"b": 2}'],
)
def test_damaged_file_is_one_sentence(tmp_path, content):
    file = tmp_path / "trial.json"
    file.write_bytes(content)
    assert re.fullmatch(re.escape(f"{file} is no valid JSON: ") + ".+", refused(read_json, file))


def test_file_in_another_encoding_is_one_sentence(tmp_path):
    file = tmp_path / "trial.json"
    file.write_bytes('{"user": "Zoë"}'.encode("latin-1"))
    assert refused(read_json, file).startswith(f"{file} is no valid JSON: 'utf-8' codec can't")


@pytest.mark.parametrize("text", ["[]", "null", "3", '"done"', '{"$float": "nan"}'])
def test_file_without_an_object_is_one_sentence(tmp_path, text):
    file = put(tmp_path / "trial.json", text)
    assert refused(read_json, file) == f"{file} is no JSON object"


# what the operating system says


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/data/trials/fit"), None),
        (OSError(errno.ENOSPC, "No space left on device"), None),
        (OSError("the share went away"), "the share went away"),
    ],
)
def test_store_that_cannot_be_written_is_one_sentence(error, reason):
    store = Path("/data/trials")
    with pytest.raises(StoreError) as caught, store_errors(store):
        raise error
    assert str(caught.value) == (
        f"the trials folder /data/trials cannot be written: {reason or error.strerror} "
        f"({error.filename or store}); "
        "free space or permissions, or give another with --trials-folder"
    )
    assert caught.value.__cause__ is error


def test_errors_of_others_pass_through():
    with pytest.raises(KeyError), store_errors(Path("/data/trials")):
        raise KeyError("main")


def test_read_only_folder_is_one_sentence(tmp_path):
    if os.geteuid() == 0:
        print("not tried: root writes to read-only folders")
        pytest.skip("root writes to read-only folders")
    store = tmp_path / "trials"
    store.mkdir(mode=0o500)
    with pytest.raises(StoreError) as caught, store_errors(store):
        write_json(store / "trial.json", MANIFEST)
    assert str(caught.value).startswith(
        f"the trials folder {store} cannot be written: Permission denied ("
    )
