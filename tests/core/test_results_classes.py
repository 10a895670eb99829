"""Recorded classes: rebuilt where they are at hand, opaque where not, imported only with trust."""

from __future__ import annotations

import importlib
import sys
from dataclasses import make_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from test_results_exact import through

from pytest_mitosis.store.results import Opaque, load_result, save_result

EXPERIMENT = """
import dataclasses, enum, typing
import pathlib; pathlib.Path({marker!r}).write_text("imported ")
class Kind(enum.Enum):
    TV = "tv"
@dataclasses.dataclass(frozen=True)
class Fit:
    coef: list
    kind: Kind = Kind.TV
class Split(typing.NamedTuple):
    train: int
"""


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    marker = tmp_path / "marker"
    (tmp_path / "recorded_experiment.py").write_text(EXPERIMENT.format(marker=str(marker)))
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("recorded_experiment")
    save_result({"fit": module.Fit([0.5]), "split": module.Split(3)}, tmp_path, "fit")
    marker.unlink()
    yield module
    sys.modules.pop("recorded_experiment", None)


def test_class_that_is_not_imported_loads_as_opaque(experiment: Any, tmp_path: Path) -> None:
    del sys.modules["recorded_experiment"]
    back = load_result(tmp_path, "fit")
    fit = back["fit"]
    assert isinstance(fit, Opaque)
    assert fit.type_name == "recorded_experiment:Fit"
    assert fit.coef == [0.5]
    assert fit.kind.name == "TV"
    assert fit.kind.value == "tv"
    assert repr(back["split"]) == "Opaque(recorded_experiment:Split: train=3)"
    assert not (tmp_path / "marker").exists()
    with pytest.raises(AttributeError, match="recorded without 'score'; its fields: coef, kind"):
        fit.score
    with pytest.raises(AttributeError):
        fit.coef = 1


def test_opaque_can_be_saved_again(experiment: Any, tmp_path: Path) -> None:
    del sys.modules["recorded_experiment"]
    saved, back = through(load_result(tmp_path, "fit"), tmp_path)
    assert (saved.pickled, saved.unsaved) == ((), ())
    assert back["fit"].type_name == "recorded_experiment:Fit"
    assert back["fit"].coef == [0.5]


def test_imported_class_is_used(experiment: Any, tmp_path: Path) -> None:
    assert load_result(tmp_path, "fit") == {
        "fit": experiment.Fit([0.5]),
        "split": experiment.Split(3),
    }


def test_class_handed_in_is_used(experiment: Any, tmp_path: Path) -> None:
    del sys.modules["recorded_experiment"]
    classes = (experiment.Fit, experiment.Kind, experiment.Split)
    back = load_result(tmp_path, "fit", classes=classes)
    assert back["fit"] == experiment.Fit([0.5])
    assert back["split"] == experiment.Split(3)


def test_trust_imports(experiment: Any, tmp_path: Path) -> None:
    del sys.modules["recorded_experiment"]
    back = load_result(tmp_path, "fit", trust=True)
    assert type(back["fit"]).__module__ == "recorded_experiment"
    assert (tmp_path / "marker").read_text() == "imported "


def test_class_with_other_fields_is_not_the_class(experiment: Any, tmp_path: Path) -> None:
    experiment.Fit = make_dataclass("Fit", ["coef"])
    experiment.Split = int
    experiment.Kind = Enum("Kind", {"TV": "other"})
    back = load_result(tmp_path, "fit")
    assert isinstance(back["fit"], Opaque)
    assert isinstance(back["split"], Opaque)
    assert back["fit"].kind.value == "tv"


def test_lazy_module_is_not_woken(experiment: Any, tmp_path: Path) -> None:
    class Lazy(type(sys)):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError("code ran")

    sys.modules["recorded_experiment"] = Lazy("recorded_experiment")
    assert isinstance(load_result(tmp_path, "fit")["fit"], Opaque)
