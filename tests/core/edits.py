"""A project, and edits of it: which of them must make an experiment run again.

`tests/plugin/test_edits.py` tries them through the front door, `benchmarks/edits.py` with other
tools. The folder ``site`` stands for an environment: it is on the path, ignored by git, and holds
an installed distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EXPERIMENT = '''\
"""Fit of a damped oscillation."""

import json
from pathlib import Path

import curves
from helper import centre, simulate, spread

START = Path(__file__).with_name("start.txt")


def exp_fit(noise=0.25):
    """Fit once."""
    print("fitting")
    # where the last one ended
    start = float(START.read_text())
    values = simulate(noise)
    return {"main": curves.smooth(centre(values) / spread(values) + start)}


if __name__ == "__main__":
    Path("result.json").write_text(json.dumps(exp_fit()))
'''
HELPER = '''\
"""Helpers of the fit."""

import functools
import statistics

from numerics import decay

STEPS = 8


def scaled(function):
    """Scale what a function returns."""

    @functools.wraps(function)
    def wrapper(*arguments, factor=2.0):
        return factor * function(*arguments)

    return wrapper


class Oscillator:
    """One without damping."""

    rate = 0.5

    def sample(self, time):
        return self.amplitude() * decay(self.rate, time)

    def amplitude(self):
        return 1.5


class Damped(Oscillator):
    def energy(self):
        return self.amplitude() ** 2


def simulate(noise, length=16):
    # one sample a step
    damped = Damped()
    values = [damped.sample(step / STEPS) for step in range(length)]
    return [value + noise * value**2 for value in values]


def centre(values):
    return statistics.fmean(values)


@scaled
def spread(values):
    return statistics.pstdev(values)


def histogram(values, bins=10):
    """Nothing calls it."""
    width = (max(values) - min(values)) / bins
    return [int(value / width) for value in values]
'''
NUMERICS = '''\
"""Numbers for the helpers."""

import math


def decay(rate, time):
    return math.exp(-rate * time)


def growth(rate, time):
    return math.exp(rate * time)
'''
CURVES = "def smooth(value):\n    return 0.5 * value\n"
METADATA = "Metadata-Version: 2.1\nName: curves\nVersion: {}\n"

MODULES = ("exp_fit.py", "helper.py", "numerics.py")
DATA = "start.txt"
SITE = "site"
FILES = {
    "exp_fit.py": EXPERIMENT,
    "helper.py": HELPER,
    "numerics.py": NUMERICS,
    DATA: "0.125\n",
    "README.md": "# Fits\n\nOf damped oscillations.\n",
    ".gitignore": "/site/\n/trials/\n__pycache__/\n.pytest_cache/\n",
    "site/curves.py": CURVES,
    "site/curves-1.0.dist-info/METADATA": METADATA.format("1.0"),
    "site/curves-1.0.dist-info/RECORD": "curves.py,,\ncurves-1.0.dist-info/METADATA,,\n",
}


@dataclass(frozen=True)
class Change:
    """A text of one file replaced; without `old` a new file, without `new` the file removed."""

    file: str
    old: str = ""
    new: str = ""

    def apply(self, root: Path) -> None:
        path = root / self.file
        if self.old:
            text = path.read_text("utf-8")
            assert text.count(self.old) == 1, f"{self.old!r} is {text.count(self.old)} times there"
            path.write_text(text.replace(self.old, self.new), "utf-8")
        elif self.new:
            assert not path.exists()
            path.parent.mkdir(exist_ok=True)
            path.write_text(self.new, "utf-8")
        else:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()


@dataclass(frozen=True)
class Edit:
    """Changes of the project.

    ``changes_result`` is what an ideal tool would go by. ``reruns`` is what this one does, and
    ``reruns_on_311``, if given, what it does on Python 3.11, where all bodies of imported modules
    count because calls are not seen. ``told`` is part of the reason.
    """

    name: str
    changes: tuple[Change, ...]
    changes_result: bool
    reruns: bool
    told: str = ""
    reruns_on_311: bool | None = None

    def apply(self, root: Path) -> None:
        for change in self.changes:
            change.apply(root)

    def reruns_on(self, version: tuple[int, ...]) -> bool:
        if version < (3, 12) and self.reruns_on_311 is not None:
            return self.reruns_on_311
        return self.reruns


def _kept(name: str, file: str, old: str, new: str) -> Edit:
    return Edit(name, (Change(file, old, new),), changes_result=False, reruns=False)


def _reruns(name: str, file: str, old: str, new: str, told: str) -> Edit:
    return Edit(name, (Change(file, old, new),), changes_result=True, reruns=True, told=told)


REFORMATTED = """\
def simulate(
    noise,
    length = 16,
):
    # one sample a step
    damped = Damped()
    values = [
        damped.sample((step / STEPS)) for step in range(length)
    ]
"""
OUTSIDE = "helper.py: code outside functions changed"
EDITS = (
    _kept("README", "README.md", "Of damped", "Fits of damped"),
    _kept("comment in the experiment", "exp_fit.py", "# where the last", "# there the last"),
    _kept("docstring of the experiment", "exp_fit.py", '"""Fit once."""', '"""Fit it once."""'),
    _kept("comment in a helper", "helper.py", "# one sample a step", "# 16 samples"),
    _kept("docstring of a helper", "helper.py", '"""Scale what', '"""Multiply what'),
    _kept(
        "layout of a helper",
        "helper.py",
        HELPER[HELPER.index("def simulate") : HELPER.index("    return [value + noise")],
        REFORMATTED,
    ),
    Edit(
        "function that nothing calls",
        (Change("helper.py", "int(value / width)", "round(value / width)"),),
        changes_result=False,
        reruns=False,
        told="helper.py: histogram changed",
        reruns_on_311=True,
    ),
    Edit(
        "new function that nothing calls",
        (
            Change(
                "helper.py",
                "\n\ndef centre",
                "\n\ndef median(values):\n    return 0\n\n\ndef centre",
            ),
        ),
        changes_result=False,
        reruns=True,  # it could hide a name that something does use
        told=OUTSIDE,
    ),
    Edit(
        "local variable renamed",
        (
            Change("helper.py", "damped = Damped()", "source = Damped()"),
            Change("helper.py", "[damped.sample", "[source.sample"),
        ),
        changes_result=False,
        reruns=True,
        told="helper.py: simulate changed",
    ),
    _reruns("body of the experiment", "exp_fit.py", "+ start)", "- start)", "exp_fit changed"),
    _reruns("default of the experiment", "exp_fit.py", "noise=0.25", "noise=0.5", ""),
    _reruns("body of a helper", "helper.py", "value**2", "value**3", "simulate changed"),
    _reruns("helper of a helper", "numerics.py", "exp(-rate", "exp(-2 * rate", "decay changed"),
    _reruns("constant", "helper.py", "STEPS = 8", "STEPS = 16", OUTSIDE),
    _reruns("default of a helper", "helper.py", "length=16", "length=32", OUTSIDE),
    _reruns("what a decorator does", "helper.py", "factor * f", "factor + f", "scaled changed"),
    _reruns("decorator added", "helper.py", "def centre", "@scaled\ndef centre", OUTSIDE),
    _reruns("class attribute", "helper.py", "rate = 0.5", "rate = 0.75", OUTSIDE),
    _reruns(
        "method that overrides an inherited one",
        "helper.py",
        "(Oscillator):\n",
        "(Oscillator):\n    def amplitude(self):\n        return 2.5\n\n",
        OUTSIDE,
    ),
    _reruns(
        "new package that hides a module",
        "numerics/__init__.py",
        "",
        "def decay(rate, time):\n    return 1 / (1 + rate * time)\n",
        "numerics/__init__.py: is new and would be imported",
    ),
    _reruns(
        "new module that hides an installed one",
        "curves.py",
        "",
        "def smooth(value):\n    return 0.25 * value\n",
        "curves.py: is new and would be imported",
    ),
    Edit(
        "package upgraded",
        (
            Change("site/curves.py", "0.5 * value", "0.75 * value"),
            Change("site/curves-1.0.dist-info/METADATA"),
            Change("site/curves-1.0.dist-info/RECORD"),
            Change("site/curves-1.1.dist-info/METADATA", "", METADATA.format("1.1")),
            Change("site/curves-1.1.dist-info/RECORD", "", "curves.py,,\n"),
        ),
        changes_result=True,
        reruns=True,
        told="curves 1.0 -> 1.1",
    ),
    Edit(
        "data file that the code opens",
        (Change(DATA, "0.125", "0.375"),),
        changes_result=True,
        reruns=False,  # only code is looked at; a value `file(...)` is what this is for
    ),
)


def write_project(root: Path) -> None:
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
