"""Small makers for the tests of planning, storing and writing notebooks."""

from __future__ import annotations

import contextlib
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings

from pytest_mitosis.model import Experiment, Step
from pytest_mitosis.plan.references import LoadedExperiment, load_experiment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MODULE = "labexp_in_memory"


@contextlib.contextmanager
def fresh_imports() -> Iterator[None]:
    """Forget modules and import paths that a test added."""
    path, modules = list(sys.path), dict(sys.modules)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - set(modules):
            if _is_users(sys.modules[name]):
                del sys.modules[name]


def _is_users(module: object) -> bool:
    file = getattr(module, "__file__", None) or ""
    return getattr(module, "__name__", "") == MODULE or "pytest-of-" in file


def put(file: Path, text: str = "") -> Path:
    """Write a file and its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def load(
    *steps: tuple[str, Callable[..., Any], Mapping[str, Any]], name: str = ""
) -> LoadedExperiment:
    """An experiment of ``(step, callable, lookup dictionary)`` that is no file's."""
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    described = []
    for number, (step, action, lookup) in enumerate(steps):
        setattr(module, f"action_{number}", action)
        setattr(module, f"lookup_{number}", lookup)
        described.append(Step(step, f"{MODULE}:action_{number}", f"{MODULE}:lookup_{number}"))
    name = name or "+".join(step for step, _, _ in steps)
    file = Path("/nowhere/pyproject.toml")
    return load_experiment(Experiment(name, tuple(described), file, name))


ROOMY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties on a machine that is busy with something else."""
