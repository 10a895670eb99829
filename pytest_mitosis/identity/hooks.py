"""Functions that say what an object is, found again in another process by where they are.

A reference is ``module:function``, or ``/path/to/conftest.py:function`` for what pytest loads from
a file. Must not know pytest: the trial's process has no plugins.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.model import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_mitosis.identity.walk import Hook

HOOK: Final = "pytest_mitosis_describe"


def load_hooks(references: Iterable[str]) -> tuple[Hook, ...]:
    """Import what references lead to, in their order.

    Raises
    ------
    PlanError
        If one cannot be imported.
    """
    return tuple(_load(reference) for reference in references)


def _load(reference: str) -> Hook:
    place, _, name = reference.rpartition(":")
    try:
        module = _module_of_file(place) if place.endswith(".py") else importlib.import_module(place)
        found: Hook = getattr(module, name)
    except Exception as error:
        raise PlanError(
            f"the hook {reference} cannot be loaded in this process: "
            f"{type(error).__name__}: {error}"
        ) from error
    return found


def _module_of_file(file: str) -> Any:
    spec = importlib.util.spec_from_file_location("pytest_mitosis_hooks", file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up; afterwards it must not count as the experiment's import.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


def hooks_on_the_way(top: Path, folder: Path) -> tuple[str, ...]:
    """Return the hooks in the ``conftest.py`` of a folder and of those above it, nearest first."""
    folders = [part for part in (folder, *folder.parents) if part.is_relative_to(top)]
    files = [part / "conftest.py" for part in folders]
    return tuple(f"{file}:{HOOK}" for file in files if file.is_file() and _defines_hook(file))


def _defines_hook(file: Path) -> bool:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(part, ast.FunctionDef) and part.name == HOOK for part in tree.body)
