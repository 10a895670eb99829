"""Files of a result: their names, what a changed one does, and that reading runs no code."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_results_exact import same, through

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.results import Pickled, Unsaved, load_result, save_result

COEF = np.linspace(0, 1, 100)


class Model:
    """A class with no safe form."""

    def __init__(self, coef: Any) -> None:
        self.coef = coef

    def __eq__(self, other: object) -> bool:
        return type(other) is Model and same(self.coef, other.coef)


class Refuses:
    def __reduce__(self) -> Any:
        raise RuntimeError(f"not this one at 0x7f0011223344 {'x' * 500}")

    def __repr__(self) -> str:
        raise AssertionError("never asked")


class Mode(Enum):
    FAST = 1


@dataclass
class Fit:
    coef: Any
    mode: Any = None


def document(folder: Path) -> Any:
    return json.loads((folder / "fit.json").read_text())


def rewrite(folder: Path, change: Any) -> None:
    content = document(folder)
    change(content["value"])
    (folder / "fit.json").write_text(json.dumps(content))


# --- what is written ------------------------------------------------------------------------------


def test_files_are_named_after_the_path(tmp_path: Path) -> None:
    value = {"data": COEF, "fit": {"coef": COEF}, "all": [COEF, (COEF,)], "model": Model(1)}
    saved = save_result(value, tmp_path, "fit_eval")
    assert [file.name for file in saved.files] == [
        "fit_eval.data.npy",
        "fit_eval.fit.coef.npy",
        "fit_eval.all.0.npy",
        "fit_eval.all.1.0.npy",
        "fit_eval.model.pickle",
        "fit_eval.json",
    ]


def test_listed_files_are_the_files(tmp_path: Path) -> None:
    saved = save_result({"a": COEF, "b": b"x" * 9999, "m": Model(COEF)}, tmp_path, "fit")
    assert {file.name for file in saved.files} == {path.name for path in tmp_path.iterdir()}
    for file in saved.files:
        content = (tmp_path / file.name).read_bytes()
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_difficult_names_are_safe_and_apart(tmp_path: Path) -> None:
    keys = ["../../etc/passwd", "a/b", "a-b", "A-B", "a b", "größe", "x" * 300, "", ".", "a\0b",
            "CON", "x" * 300 + "y", "\ud800", "~", "a.b"]  # fmt: skip
    value = {key: COEF * number for number, key in enumerate(keys)} | {"a": {"b": COEF + 1}}
    saved, back = through(value, tmp_path)
    names = [file.name.casefold() for file in saved.files]
    assert len(set(names)) == len(keys) + 2
    assert all(len(name) <= 140 for name in names)
    assert {path.name for path in tmp_path.iterdir()} == {file.name for file in saved.files}
    assert same(back, value)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a\0", ".hidden", "x" * 201, "a\n"])
def test_name_of_a_result_is_checked(name: str, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="cannot name a result"):
        save_result(1, tmp_path, name)
    with pytest.raises(ResultError, match="cannot name a result"):
        load_result(tmp_path, name)


def test_other_stem_for_the_sidecars(tmp_path: Path) -> None:
    saved = save_result({"data": COEF}, tmp_path, "fit", stem_files="step1")
    assert [file.name for file in saved.files] == ["step1.data.npy", "fit.json"]
    assert same(load_result(tmp_path, "fit"), {"data": COEF})


def test_full_disk_is_said_and_leaves_nothing_half(monkeypatch: Any, tmp_path: Path) -> None:
    save_result({"main": 1}, tmp_path, "fit")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        save_result({"main": 2, "data": COEF}, tmp_path, "fit")
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == ["fit.json"]
    assert load_result(tmp_path, "fit") == {"main": 1}


def test_missing_folder_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save_result({"main": COEF}, tmp_path / "gone", "fit")


# --- what has no safe form ------------------------------------------------------------------------


def test_pickle_is_apart_marked_and_opened_only_with_trust(tmp_path: Path) -> None:
    value = {"main": 0.5, "data": {"models": [Model(COEF)]}}
    saved = save_result(value, tmp_path, "fit")
    name = f"{__name__}:Model"
    assert saved.pickled == ((".data.models[0]", name, "fit.data.models.0.pickle"),)
    assert saved.is_complete
    part = load_result(tmp_path, "fit")["data"]["models"][0]
    assert part.type_name == name
    assert isinstance(part, Pickled)
    for use in (lambda: part.predict, lambda: part(), lambda: part[0], lambda: list(part)):
        with pytest.raises(ResultError, match=r"\.data\.models\[0\].*load with trust=True"):
            use()
    assert not hasattr(part, "predict")
    assert load_result(tmp_path, "fit", trust=True) == value


class Nowhere:
    __module__ = None  # type: ignore[assignment]


def test_class_of_no_module_costs_only_itself(tmp_path: Path) -> None:
    saved, back = through({"main": 0.5, "odd": Nowhere()}, tmp_path)
    assert [part.path for part in saved.pickled + saved.unsaved] == [".odd"]
    assert back["main"] == 0.5


def test_long_names_that_begin_alike_stay_apart(tmp_path: Path) -> None:
    first, second = "step-" * 30 + "a", "step-" * 30 + "b"
    save_result({"x" * 99: COEF}, tmp_path, first)
    save_result({"x" * 99: -COEF}, tmp_path, second)
    assert same(load_result(tmp_path, first), {"x" * 99: COEF})
    assert same(load_result(tmp_path, second), {"x" * 99: -COEF})


def test_only_the_part_is_pickled(tmp_path: Path) -> None:
    back = through({"fit": Fit(COEF, mode=Model(1))}, tmp_path)[1]
    assert same(back["fit"].coef, COEF)
    assert isinstance(back["fit"].mode, Pickled)


def test_what_pickle_refuses_is_left_out_and_the_rest_kept(tmp_path: Path) -> None:
    value = {
        "main": 0.5,
        "lock": threading.Lock(),
        "rows": (row for row in "abc"),
        "key": lambda row: row,
        "bad": [1, Refuses()],
        "data": COEF,
    }
    saved, back = through(value, tmp_path)
    assert not saved.is_complete
    assert [part.path for part in saved.unsaved] == [".lock", ".rows", ".key", ".bad[1]"]
    assert [part.type for part in saved.unsaved][:3] == ["_thread:lock", "generator", "function"]
    assert "cannot pickle" in saved.unsaved[0].reason
    assert "0x7f" not in saved.unsaved[3].reason
    assert len(saved.unsaved[3].reason) < 300
    assert isinstance(back["rows"], Unsaved)
    assert "generator" in str(back["rows"])
    assert (back["main"], back["bad"][0]) == (0.5, 1)
    assert same(back["data"], COEF)


def test_object_in_a_cycle_is_pickled_whole(tmp_path: Path) -> None:
    model = Model(None)
    model.coef = {"model": model}
    saved, back = through([model], tmp_path, trust=True)
    assert len(saved.pickled) == 1
    assert back[0].coef["model"] is back[0]


def test_pickle_that_does_not_load_says_so(monkeypatch: Any, tmp_path: Path) -> None:
    save_result({"model": Model(1)}, tmp_path, "fit")
    monkeypatch.delattr(sys.modules[__name__], "Model")
    back = load_result(tmp_path, "fit", trust=True)
    with pytest.raises(ResultError, match=r"\.model .*AttributeError.*trial's environment"):
        back["model"].predict(COEF)


# --- changed files --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["data.npy", "raw.bin", "model.pickle"])
def test_changed_sidecar_is_refused(suffix: str, tmp_path: Path) -> None:
    save_result({"data": COEF, "raw": b"x" * 9999, "model": Model(1)}, tmp_path, "fit")
    path = tmp_path / f"fit.{suffix}"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ResultError, match=rf"fit\.{suffix}.*sha256 differs.*re-run the trial"):
        load_result(tmp_path, "fit", trust=True)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"fit\.json is missing"):
        load_result(tmp_path, "fit")
    save_result({"data": COEF}, tmp_path, "fit")
    (tmp_path / "fit.data.npy").unlink()
    with pytest.raises(ResultError, match=r"fit\.data\.npy is missing; copy it"):
        load_result(tmp_path, "fit")


OUTSIDE = ["../secret.npy", "/etc/passwd", "a/../../secret.npy", "..", "", "a\\b", None, 3, "a\0b"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_file_outside_the_folder(name: object, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    save_result({"data": COEF}, folder, "fit")
    (folder / "fit.data.npy").rename(tmp_path / "secret.npy")
    rewrite(folder, lambda value: value["data"].update(file=name))
    with pytest.raises(ResultError, match="outside its folder"):
        load_result(folder, "fit")


@pytest.mark.parametrize("victim", ["fit.data.npy", "fit.json"])
def test_links_are_not_followed(victim: str, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    save_result({"data": COEF}, folder, "fit")
    (folder / victim).rename(tmp_path / "elsewhere")
    (folder / victim).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultError, match=victim):
        load_result(folder, "fit")


def test_device_or_pipe_is_not_read(tmp_path: Path) -> None:
    save_result({"data": COEF}, tmp_path, "fit")
    (tmp_path / "fit.data.npy").unlink()
    os.mkfifo(tmp_path / "fit.data.npy")
    with pytest.raises(ResultError, match="not a regular file"):
        load_result(tmp_path, "fit")


def test_pickled_objects_in_an_array_file_are_refused(tmp_path: Path) -> None:
    save_result({"data": COEF}, tmp_path, "fit")
    np.save(tmp_path / "fit.data.npy", np.array([Model(1)], dtype=object), allow_pickle=True)
    digest = hashlib.sha256((tmp_path / "fit.data.npy").read_bytes()).hexdigest()
    rewrite(tmp_path, lambda value: value["data"].update(sha256=digest))
    with pytest.raises(ResultError, match="Object arrays cannot be loaded"):
        load_result(tmp_path, "fit")


DAMAGED = [
    "", "null", "[]", "{}", '{"schema": 1}', '{"schema": "1", "value": 1}', '{"value": 1}',
    '{"schema": true, "value": 1}', '{"schema": 1, "value": NaN}', '{"schema": 1, "value": 1',
    '{"schema": 1, "value": {"$": "tuple"}}', '{"schema": 1, "value": {"$": "part", "number": 0}}',
    '{"schema": 1, "value": {"$": "set", "items": [[1]]}}', '{"schema": 1, "value": {"$": []}}',
    '{"schema": 1, "value": {"$": "set", "items": [1, 1]}}', '{"schema": 1, "value": {"$": "no"}}',
    '{"schema": 1, "value": {"$": "type", "name": "eval"}}', "[" * 100_000,
    '{"schema": 1, "value": {"$": "enum", "class": 3, "name": "x"}}',
    '{"schema": 1, "value": {"$": "values", "kind": "os"}}', '{"schema": 1, "value": {"$": null}}',
    '{"schema": 1, "value": {"$": "Pattern", "pattern": "(", "flags": 0}}',
    '{"schema": 1, "value": {"$": "float", "value": "nan", "bits": "00"}}',
    '{"schema": 1, "value": {"$": "ZoneInfo", "key": "../../etc/passwd"}}',
    '{"schema": 1, "value": {"$": "Decimal", "value": "x"}}', "\udcff",
    '{"schema": 1, "value": {"$": "sparse", "class": "load_npz", "shape": []}}',
    '{"schema": 1, "value": {"$": "ndarray", "dtype": "O", "shape": [9], "values": [1]}}',
]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_json_is_one_clear_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "fit.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ResultError):
        load_result(tmp_path, "fit")


def test_newer_schema_says_update(tmp_path: Path) -> None:
    (tmp_path / "fit.json").write_text('{"schema": 2, "value": 1}')
    with pytest.raises(ResultError, match=r"schema 2.*update pytest-mitosis"):
        load_result(tmp_path, "fit")


def test_saving_imports_no_library(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from pytest_mitosis.store.results import *; "
        f"folder = pathlib.Path({str(tmp_path)!r}); "
        "save_result({'main': .5, 'data': [1, {2, 3}, object()]}, folder, 'fit'); "
        "metrics_of({'main': .5}); load_result(folder, 'fit'); "
        "print({'numpy', 'pandas', 'scipy', 'pyarrow', 'pytest'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_sparse_arrays_come_back(tmp_path: Path) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.zeros((20, 30))
    dense[3, 4], dense[5, 6] = 0.1, -0.0
    for kind in ("csr", "csc", "coo", "bsr", "dia"):
        for form in ("array", "matrix"):
            value = getattr(sparse, f"{kind}_{form}")(dense)
            saved, back = through(value, tmp_path)
            assert saved.pickled == ()
            assert type(back) is type(value)
            assert back.dtype == value.dtype
            assert same(back.toarray(), value.toarray())
