"""Finds experiments by name, by reading TOML and syntax trees; imports nothing to find them."""

from __future__ import annotations

import ast
import importlib.machinery
import os
import sys
from dataclasses import dataclass, field
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mitosis.model import Experiment, PlanError, Step
from pytest_mitosis.plan.names import require_safe, say_what_exists

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_mitosis.plan.config import Project

PREFIX = "exp_"
PRUNED = {"__pycache__", "node_modules", "build", "dist", "site-packages", "venv"}


@dataclass(frozen=True, slots=True)
class ExperimentFile:
    """An ``exp_*.py`` file: the names it defines and imports, or why it cannot be read."""

    path: Path
    defined: tuple[str, ...] = ()
    imported: tuple[str, ...] = ()
    has_lookup: bool = False
    problem: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All ``exp_*`` names a node id of this file may have."""
        return tuple(dict.fromkeys((*self.defined, *self.imported)))


@dataclass
class Index:
    """All experiments of a project; the ``exp_*.py`` files are read when first asked for."""

    project: Project
    places: Sequence[Path] = ()
    _files: list[ExperimentFile] | None = field(default=None, repr=False)

    @property
    def files(self) -> list[ExperimentFile]:
        """The project's ``exp_*.py`` files, or those below ``places`` if any are given."""
        if self._files is None:
            paths = dict.fromkeys(
                path
                for place in self.places or [self.project.home]
                for path in _experiment_files(place, self.project)
            )
            self._files = [read_file(path) for path in paths]
        return self._files

    def names(self) -> list[str]:
        """Every name ``--exp`` takes, without the prefix ``exp_``."""
        declared = [*self.project.experiments, *self.project.steps]
        return list(dict.fromkeys(declared + [_bare(n) for f in self.files for n in f.names]))

    def find(self, name: str) -> Experiment:
        """The experiment called ``name``.

        Raises
        ------
        PlanError
            If there is none, or more than one.
        """
        found = self._candidates(name)
        if len(found) > 1:
            nodes = " and ".join(f"{_relative(e.file)}::{e.node}" for e in found)
            raise PlanError(f"{name} names {len(found)} experiments: {nodes}; give the node id")
        if found:
            return found[0]
        if "+" in name:
            return self._pipeline(name, name.split("+"))
        module = self._module(name)
        if module is not None:
            return module
        raise PlanError(self._unknown(name, "experiment"))

    def find_node(self, file: Path, node: str) -> Experiment:
        """The experiment with the node id ``file::node``.

        Raises
        ------
        PlanError
            If the file has no such experiment.
        """
        if file.suffix == ".py" and file.name.startswith(PREFIX) and node.startswith(PREFIX):
            one = read_file(file)
            if one.problem:
                raise PlanError(one.problem)
            if node not in one.names:
                names = say_what_exists(node, one.names)
                raise PlanError(f"{_relative(file)} has no experiment {node}; {names}")
            return _from_file(one, node)
        declared = self._declared(node)
        return declared[0] if declared else self.find(node)

    def _candidates(self, name: str) -> list[Experiment]:
        found = self._declared(name)
        wanted = {name, PREFIX + name}
        definitions = [(f, n) for f in self.files for n in f.defined if n in wanted]
        imports = [(f, n) for f in self.files for n in f.imported if n in wanted]
        return found + [_from_file(f, n) for f, n in definitions or imports]

    def _declared(self, name: str) -> list[Experiment]:
        file = self.project.config_file
        if file is None:
            return []
        found = []
        if name in self.project.experiments:
            found.append(self._pipeline(name, self.project.experiments[name]))
        if name in self.project.steps:
            found.append(Experiment(name, (self._declared_step(name),), file, name))
        if len(found) > 1:
            raise PlanError(f"{name} is both a step and an experiment in {file.name}; rename one")
        return found

    def _declared_step(self, name: str) -> Step:
        action, lookup = self.project.steps[name]
        return Step(name, action, lookup, str(self.project.home))

    def _pipeline(self, name: str, steps: Sequence[str]) -> Experiment:
        found = [self._step(step, name) for step in steps]
        names = [one.steps[0].name for one in found]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice:
            raise PlanError(f"{name} has the step {twice} twice; a step can run once in a pipeline")
        file = self.project.config_file or found[-1].file
        return Experiment(name, tuple(one.steps[0] for one in found), file, name)

    def _step(self, name: str, pipeline: str) -> Experiment:
        """The experiment of one step that a pipeline names."""
        if name in self.project.steps and self.project.config_file is not None:
            return Experiment(name, (self._declared_step(name),), self.project.config_file, name)
        found = [e for e in self._candidates(name) if len(e.steps) == 1] if name else []
        if len(found) > 1:
            nodes = " and ".join(f"{_relative(e.file)}::{e.node}" for e in found)
            raise PlanError(f"the step {name} of {pipeline} is ambiguous: {nodes}")
        if found:
            return found[0]
        module = self._module(name) if name else None
        if module is not None:
            return module
        raise PlanError(f"{pipeline}: {self._unknown(name, 'step')}")

    def _module(self, name: str) -> Experiment | None:
        """``pkg.mod`` or ``pkg.mod:Class`` with ``run`` and perhaps ``lookup_dict``."""
        module, _, inner = name.partition(":")
        file = locate_module(module, [str(self.project.home), *sys.path])
        if file is None:
            return None
        if not inner and "run" not in _top_level(file):
            return None
        require_safe(name.replace(":", "."), "a module")
        prefix = f"{module}:{inner}." if inner else f"{module}:"
        lookup = "lookup_dict" if inner or "lookup_dict" in _top_level(file) else ""
        step = Step(
            name.replace(":", "."),
            f"{prefix}run",
            f"{prefix}{lookup}" if lookup else "",
            str(self.project.home),
        )
        return Experiment(step.name, (step,), self.project.config_file or file, name)

    def _unknown(self, name: str, what: str) -> str:
        text = f"no {what} named {name!r}; {say_what_exists(name, self.names())}"
        broken = [f.problem for f in self.files if f.problem]
        return "; ".join([text, *broken])


def read_file(path: Path) -> ExperimentFile:
    """What an ``exp_*.py`` file defines, from its syntax tree."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = f" line {error.lineno}" if isinstance(error, SyntaxError) else ""
        return ExperimentFile(path, problem=f"{_relative(path)}{line} does not parse: {error}")
    except OSError as error:
        return ExperimentFile(path, problem=f"{_relative(path)} cannot be read: {error.strerror}")
    defined: set[str] = set()
    imported: set[str] = set()
    for name, is_import in _bound_names(tree.body):
        (imported if is_import else defined).add(name)
    return ExperimentFile(
        path,
        tuple(n for n in _in_order(tree.body) if n in defined and n.startswith(PREFIX)),
        tuple(n for n in _in_order(tree.body) if n in imported and n.startswith(PREFIX)),
        "lookup_dict" in defined | imported,
    )


def module_name(file: Path) -> tuple[Path, str]:
    """The folder to put on ``sys.path`` and the module name under which ``file`` imports."""
    folder, parts = file.parent, [file.stem]
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def locate_module(name: str, path: Sequence[str]) -> Path | None:
    """The source file of module ``name``, found without importing it or its parents."""
    places: Sequence[str] | None = path
    spec = None
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for index in range(len(parts)):
        dotted = ".".join(parts[: index + 1])
        spec = importlib.machinery.PathFinder.find_spec(dotted, places) or _ask_finders(
            dotted, places
        )
        if spec is None:
            return None
        places = spec.submodule_search_locations
    origin = spec.origin if spec else None
    return Path(origin) if origin and origin.endswith(".py") else None


def _ask_finders(name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:  # editable installs put finders of their own here
        spec = finder.find_spec(name, path) if hasattr(finder, "find_spec") else None
        if spec is not None:
            return spec
    return None


def _from_file(file: ExperimentFile, function: str) -> Experiment:
    folder, module = module_name(file.path)
    name = _bare(function)
    require_safe(name, f"an experiment in {_relative(file.path)}")
    if not all(part.isidentifier() and not iskeyword(part) for part in module.split(".")):
        raise PlanError(
            f"{_relative(file.path)} cannot be imported: {module!r} is no Python name; rename it"
        )
    lookup = f"{module}:lookup_dict" if file.has_lookup else ""
    step = Step(name, f"{module}:{function}", lookup, str(folder))
    return Experiment(name, (step,), file.path, function)


def _experiment_files(place: Path, project: Project) -> Iterator[Path]:
    if place.is_file():
        if place.name.startswith(PREFIX) and place.suffix == ".py":
            yield place
        return
    for folder, folders, files in os.walk(place):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if name not in PRUNED
            and not name.startswith(".")
            and here / name not in project.own_folders
            and not (here / name / "pyvenv.cfg").exists()
        )
        yield from (
            here / name
            for name in sorted(files)
            if name.startswith(PREFIX) and name.endswith(".py")
        )


def _top_level(file: Path) -> set[str]:
    try:
        return {name for name, _ in _bound_names(ast.parse(file.read_bytes()).body)}
    except (SyntaxError, ValueError, OSError):
        return set()


def _in_order(body: Sequence[ast.stmt]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in _bound_names(body)))


def _bound_names(body: Sequence[ast.stmt]) -> Iterator[tuple[str, bool]]:
    """Names bound at the top of a module, and whether by an import."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, False
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from ((n.id, False) for n in ast.walk(target) if isinstance(n, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                yield name, False
            case ast.ImportFrom(names=aliases):
                yield from ((alias.asname or alias.name, True) for alias in aliases)
            case ast.If(body=inner, orelse=other):
                yield from _bound_names([*inner, *other])
            case ast.Try(body=inner, handlers=handlers, orelse=other, finalbody=final):
                caught = [statement for handler in handlers for statement in handler.body]
                yield from _bound_names([*inner, *caught, *other, *final])
            case ast.With(body=inner):
                yield from _bound_names(inner)
            case _:
                pass


def _bare(name: str) -> str:
    return name.removeprefix(PREFIX)


def _relative(file: Path) -> str:
    return os.path.relpath(file)
