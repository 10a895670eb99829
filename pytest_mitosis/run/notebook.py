"""The notebook of a trial: the cells a person would have written, which run again in Jupyter.

Pure text to notebook; knows neither kernels nor the store.
"""

from __future__ import annotations

import json
import keyword
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Job, JobStep, Kind
from pytest_mitosis.run.randomness import numpy_seed, torch_seed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_ADDRESS_OR_MARKUP = re.compile(
    r"(?P<address>https?://[\w./~%?=+-]*[\w/])|(?P<markup>[\\`*_{}\[\]<>()#|$~])"
)
_PER_STEP = ("parameters", "result")
_TAKEN = ("np", "pickle", "random", "sys", "torch", "Path", *_PER_STEP)
SETUP_CELL = 1
"""Where the notebook's first code cell is."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a step's things are called in the notebook."""

    action: str
    lookup: str
    parameters: str
    result: str


@dataclass(frozen=True, slots=True)
class TrialNotebook:
    """A notebook, and which of its cells load and which run each step, by position."""

    notebook: Any  # nbformat has no types
    names: tuple[Names, ...]
    load_cells: tuple[int, ...]
    run_cells: tuple[int, ...]


def build_notebook(job: Job, facts: Iterable[tuple[str, str]] = ()) -> TrialNotebook:
    """The unexecuted notebook of ``job``; ``facts`` are shown under its title."""
    from nbformat import from_dict

    writer = _Writer(job)
    cells = [_cell("markdown", _title(job, facts)), _cell("code", setup_source(job))]
    load_cells, run_cells = [], []
    for step in job.steps:
        load_cells.append(len(cells))
        cells.append(_cell("code", writer.load(step)))
    for index, step in enumerate(job.steps):
        if len(job.steps) > 1:
            cells.append(_cell("markdown", f"## {_markdown(step.name)}"))
        run_cells.append(len(cells))
        cells.append(_cell("code", writer.call(index, with_data=bool(step.data))))
    cells.append(_cell("code", result_source(writer.names[-1], "main")))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # stable, so that two trials' notebooks compare
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    # As it is, since nbformat's own makers check each cell against a schema, for each trial.
    notebook = from_dict(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}
    )
    return TrialNotebook(notebook, tuple(writer.names), tuple(load_cells), tuple(run_cells))


def _cell(kind: str, source: str) -> dict[str, Any]:
    own: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source, **own}


def call_source(notebook: TrialNotebook, job: Job, index: int, *, with_data: bool) -> str:
    """The source that calls step ``index``, with or without the data of the step before it."""
    return _call(job.steps[index], notebook.names, index, with_data=with_data)


def result_source(names: Names, key: str) -> str:
    """The source that shows one entry of a result."""
    return f'{names.result}["{key}"]'


@dataclass
class _Writer:
    """Writes the steps' cells, keeping names apart that two steps would share."""

    job: Job
    names: list[Names] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stems = _stems([step.name for step in self.job.steps])
        own = [f"{stem}_{what}" for stem in self.stems for what in ("lookup", *_PER_STEP)]
        self.taken = dict.fromkeys((*_TAKEN, *own), "this notebook")

    def load(self, step: JobStep) -> str:
        """The cell that imports a step and binds its parameters."""
        stem = self.stems[len(self.names)]
        lone = len(self.job.steps) == 1
        lines: list[str] = []
        action = self._import(step.action, stem, lines)
        uses_lookup = any(a.kind is Kind.VARIANT for a in step.arguments)
        lookup = "lookup_dict"
        if uses_lookup and step.lookup:
            lookup = self._import(step.lookup, stem, lines)
        lines = _sorted_imports(lines)
        if uses_lookup and not step.lookup:
            lookup = "lookup_dict" if lone else f"{stem}_lookup"
            lines += ["", *_lookup_of_mark(lookup, action)]
        parameters = "parameters" if lone else f"{stem}_parameters"
        entries = [
            f'    "{one.parameter}": {_value(one.kind, one.source, lookup)},'
            for one in step.arguments
            if one.source
        ]
        lines += ["", f"{parameters} = {{", *entries, "}"] if entries else []
        result = "result" if lone else f"{stem}_result"
        self.names.append(Names(action, lookup, parameters, result))
        return "\n".join(lines)

    def call(self, index: int, *, with_data: bool) -> str:
        """The cell that runs a step."""
        return _call(self.job.steps[index], tuple(self.names), index, with_data=with_data)

    def _import(self, reference: str, stem: str, lines: list[str]) -> str:
        """Add the import for a reference; return the expression that names its object."""
        module, _, qualname = reference.partition(":")
        first, dot, rest = qualname.partition(".")
        name = first
        while self.taken.get(name, module) != module:
            name = f"{stem}_{name}"
        self.taken[name] = module
        alias = "" if name == first else f" as {name}"
        lines.append(f"from {module} import {first}{alias}")
        return f"{name}{dot}{rest}"


def _call(step: JobStep, names: tuple[Names, ...], index: int, *, with_data: bool) -> str:
    own = names[index]
    arguments = []
    if with_data:
        data = f'{names[index - 1].result}["data"]'
        arguments.append(data if step.data == "*" else f"{step.data}={data}")
    if any(one.source for one in step.arguments):
        arguments.append(f"**{own.parameters}")
    return f"{own.result} = {own.action}({', '.join(arguments)})"


def _value(kind: Kind, source: str, lookup: str) -> str:
    return f"{lookup}{source}" if kind is Kind.VARIANT else source


def _lookup_of_mark(name: str, action: str) -> list[str]:
    return [
        f"{name} = next(",
        '    mark.kwargs["lookup"]',
        f"    for mark in {action}.pytestmark",
        '    if mark.name == "experiment" and "lookup" in mark.kwargs',
        ")",
    ]


def _sorted_imports(lines: list[str]) -> list[str]:
    """One ``from x import a, b`` per module."""
    by_module: dict[str, list[str]] = {}
    for line in lines:
        module, _, names = line.removeprefix("from ").partition(" import ")
        by_module.setdefault(module, []).append(names)
    return [
        f"from {module} import {', '.join(sorted(set(names)))}"
        for module, names in sorted(by_module.items())
    ]


def setup_source(job: Job, seeded: Collection[str] = ()) -> str:
    """The source of the first cell: import path, and seeds of the global generators.

    ``seeded`` names those, beside the ones the job names, that were seeded at their import.
    """
    sources = "\n".join(a.source for s in job.steps for a in s.arguments)
    needs = {"random", "sys"} if job.sys_path else {"random"}
    needs |= {"pickle"} if "pickle." in sources else set()
    lines = [f"import {name}" for name in sorted(needs)]
    if "Path(" in sources:
        lines.append("from pathlib import Path")
    names = {*job.globals, *seeded}
    numpy = "numpy" in names or "np." in sources
    torch = "torch" in names
    if numpy or torch:
        lines.append("")
    if numpy:
        lines.append("import numpy as np")
    if torch:
        lines.append("import torch")
    lines.append("")
    if job.sys_path:
        lines.append(f"sys.path[:0] = {json.dumps(job.sys_path)}")
    lines.append(f"random.seed({job.seed})")
    if numpy:
        lines.append(f"np.random.seed({numpy_seed(job.seed)})")
    if torch:
        lines.append(f"torch.manual_seed({torch_seed(job.seed)})")
    return "\n".join(lines)


def _title(job: Job, facts: Iterable[tuple[str, str]]) -> str:
    number = "draft" if job.draft else f"trial {job.iteration}"
    lines = [f"# {_markdown(job.experiment)}", ""]
    if job.hypothesis:
        lines += [f"**Hypothesis:** {_markdown(job.hypothesis)}", ""]
    if job.description:
        lines += [_markdown(job.description.split("\n\n")[0]), ""]
    lines += [f"| {number} | {job.trial} |", "|---|---|"]
    rows = [*facts, *_parameter_rows(job)]
    lines += [f"| {_markdown(name)} | {_markdown(value)} |" for name, value in rows]
    return "\n".join(lines)


def _parameter_rows(job: Job) -> list[tuple[str, str]]:
    rows = []
    for step in job.steps:
        for one in step.arguments:
            label = f"{step.name}.{one.parameter}" if len(job.steps) > 1 else one.parameter
            if one.kind is Kind.VARIANT:
                rows.append((label, f"{one.name}: {one.summary}"))
            elif one.kind is Kind.RNG:
                rows.append((label, f"stream {step.name}/{one.parameter} of seed {one.name}"))
            else:
                rows.append((label, one.summary or one.name))
    return rows


def _markdown(text: str) -> str:
    """``text`` so that a notebook shows it as it is: no markup, no table cells, no HTML."""
    flat = re.sub(r"\s*\n\s*", " ", text.strip().replace("``", "`")).replace("&", "&amp;")
    flat = _ADDRESS_OR_MARKUP.sub(lambda m: m["address"] or f"\\{m['markup']}", flat)
    return re.sub(r"^(\d*)([-+.])", r"\1\\\2", flat)  # neither a list nor its number


def _stems(names: Iterable[str]) -> list[str]:
    """An identifier for each step, no two alike: ``a.b`` and ``a_b`` are different steps."""
    stems: list[str] = []
    for name in names:
        stem = _identifier(name)
        while stem in stems:
            stem += "_"
        stems.append(stem)
    return stems


def _identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name)
    if not text[:1].isidentifier() or keyword.iskeyword(text):
        text = f"step_{text}"
    return text
