"""Figures know their trials, and are otherwise what they were."""

from __future__ import annotations

import json

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import pytest
from PIL import Image
from stores import add_trial, variant

import pytest_mitosis
from pytest_mitosis import load_trials
from pytest_mitosis.model import ResultError, StoreError
from pytest_mitosis.read.figures import explain


@pytest.fixture
def store(tmp_path):
    for minute, name in enumerate(["k2m9xwq1", "7f3k2qaa"]):
        add_trial(
            tmp_path / "trials",
            name,
            [variant("noise", "low")],
            minute=minute,
            iteration=minute + 1,
        )
    return tmp_path / "trials"


def saved(tmp_path, kind):
    drawn, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0.0, 1.0], [0.25, 1e-3])
    axes.set_title("Lärm < 3 & mehr")
    drawn.savefig(tmp_path / f"fig.{kind}")
    plt.close(drawn)
    return tmp_path / f"fig.{kind}"


@pytest.mark.parametrize("kind", ["png", "pdf", "svg", "jpg"])
def test_figure_tells_its_trials(store, tmp_path, kind):
    path = saved(tmp_path, kind)
    bare = path.read_bytes()
    assert (
        pytest_mitosis.figure(path, load_trials(trials_folder=store), trials_folder=store) == path
    )
    found = explain(path)
    assert found.trials == ("k2m9xwq1", "7f3k2qaa")
    assert found.is_same is True
    assert found.source == ("sidecar" if kind == "jpg" else "figure")
    facts = found.record["trials"][0]
    assert (facts["experiment"], facts["spec"], facts["commit"][:7]) == (
        "fit_eval",
        "noise=low",
        "3f2a91c",
    )
    sidecar = path.with_name(f"{path.name}.trials.json")
    assert json.loads(sidecar.read_text()) == found.record
    sidecar.unlink()
    if kind == "jpg":
        assert path.read_bytes() == bare
    else:
        assert explain(path).trials == found.trials


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_stamping_again_replaces_and_the_image_stays(store, tmp_path, kind):
    path = saved(tmp_path, kind)
    before = path.read_bytes()
    pytest_mitosis.figure(path, "k2m9", trials_folder=store)
    first = len(path.read_bytes())
    pytest_mitosis.figure(path, ["7f3k2qaa"], trials_folder=store)
    assert explain(path).trials == ("7f3k2qaa",)
    assert len(path.read_bytes()) == first
    assert path.read_bytes().count(b"7f3k2qaa") == 1
    assert first > len(before)


def test_stamped_files_are_still_what_they_were(store, tmp_path):
    png = saved(tmp_path, "png")
    before = Image.open(png).tobytes()
    pytest_mitosis.figure(png, "k2m9", trials_folder=store)
    with Image.open(png) as image:
        assert image.tobytes() == before
        assert "k2m9xwq1" in image.text["pytest-mitosis"]
    pdf = saved(tmp_path, "pdf")
    xref = pdf.read_bytes().rsplit(b"startxref", 1)[1].split()[0]
    pytest_mitosis.figure(pdf, "k2m9", trials_folder=store)
    content = pdf.read_bytes()
    assert content.rsplit(b"startxref", 1)[1].split() == [xref, b"%%EOF"]
    assert content[int(xref) :].startswith(b"xref")
    from xml.dom import minidom

    svg = saved(tmp_path, "svg")
    pytest_mitosis.figure(svg, "k2m9", trials_folder=store)
    assert minidom.parse(str(svg)).documentElement.tagName == "svg"


def test_changed_figure_is_told(store, tmp_path):
    path = saved(tmp_path, "svg")
    pytest_mitosis.figure(path, "k2m9", trials_folder=store)
    path.write_text(path.read_text().replace("Lärm", "Rausch"))
    assert explain(path).is_same is False


def test_what_cannot_be_stamped_or_told_is_said(store, tmp_path):
    with pytest.raises(ResultError, match="save the figure first"):
        pytest_mitosis.figure(tmp_path / "none.png", "k2m9", trials_folder=store)
    path = saved(tmp_path, "png")
    with pytest.raises(ResultError, match="does not say which trials it was made of"):
        explain(path)
    with pytest.raises(StoreError, match="no trial in"):
        pytest_mitosis.figure(path, ["nope"], trials_folder=store)
    with pytest.raises(ResultError, match="a figure of no trials"):
        pytest_mitosis.figure(path, [], trials_folder=store)
    wrong = path.rename(tmp_path / "fig.pdf")
    with pytest.raises(ResultError, match=r"is no PDF; there is \.png"):
        pytest_mitosis.figure(wrong, "k2m9", trials_folder=store)
    (tmp_path / "a.svg").write_text('<svg><metadata id="pytest-mitosis">{"tr</metadata>\n</svg>')
    with pytest.raises(ResultError, match="is damaged"):
        explain(tmp_path / "a.svg")
