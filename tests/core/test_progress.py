"""How far a trial is: told by its experiment or seen on a tqdm bar, and shown."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import pytest_mitosis
from pytest_mitosis.run import progress
from pytest_mitosis.run.progress import Progress, Reporter, read_progress


def test_progress_is_written_at_most_once_a_second_and_at_the_end(tmp_path):
    reporter = Reporter(tmp_path)
    for i in range(1, 1000):
        reporter.tell(i, 1000, {"loss": 1 / i})
    assert read_progress(tmp_path) == Progress(1.0, 1000.0, {"loss": 1.0})
    reporter.tell(1000, 1000, {"loss": 0.001, "phase": "fine"})
    found = read_progress(tmp_path)
    assert found == Progress(1000.0, 1000.0, {"loss": 0.001, "phase": "fine"})
    assert str(found) == "1000/1000 loss=0.001 phase=fine"
    assert [file.name for file in tmp_path.iterdir()] == ["progress.json"]


@pytest.mark.parametrize("i", [float("nan"), "three", None])
def test_odd_progress_does_no_harm(tmp_path, i):
    (tmp_path / "progress.json").write_text("{")
    assert read_progress(tmp_path) is None
    Reporter(tmp_path / "gone").tell(1, 2, {})
    Reporter(tmp_path).tell(i, 2, {})
    assert read_progress(tmp_path) is None


def test_in_a_plain_process_nothing_happens(monkeypatch):
    monkeypatch.setattr(progress, "_reporters", [])
    assert pytest_mitosis.progress(1, 10, loss=0.5) is None


BAR = """
import sys
from pathlib import Path
from pytest_mitosis.run import progress
progress.begin(Path(sys.argv[1]))
progress.SECONDS_BETWEEN = 0.0
from tqdm.std import tqdm
bar = tqdm(["x"] * 5)
for letter in bar: pass
print(sys.modules["tqdm.std"].__spec__.name, len(sys.meta_path))
"""
TQDM = """
class tqdm:
    def __init__(self, things):
        self.things, self.n, self.total, self.pos = things, 0, len(things), 0
    def __iter__(self):
        for one in self.things:
            yield one
            self.n += 1
            self.refresh()
    def refresh(self): return True
"""


def test_bar_is_seen_without_a_word_of_the_experiment(tmp_path):
    package = tmp_path / "site" / "tqdm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "std.py").write_text(TQDM)
    done = subprocess.run(
        [sys.executable, "-c", BAR, str(tmp_path)],
        env={"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("tqdm.std ")
    assert json.loads((tmp_path / "progress.json").read_text())["i"] == 5
