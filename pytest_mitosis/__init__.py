"""Experiments as pytest items.

Everything a notebook needs to read recorded trials is here; running them is pytest's part
(``pytest -p mitosis --exp NAME``). Experiments themselves never import this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_mitosis.read.data import load_trial_data
    from pytest_mitosis.read.figures import figure
    from pytest_mitosis.read.frame import load_trials
    from pytest_mitosis.read.paper import paper_table
    from pytest_mitosis.run.progress import progress

__all__ = ["__version__", "figure", "load_trial_data", "load_trials", "paper_table", "progress"]
__version__ = "0.1.0"

_MODULES = {
    "figure": "read.figures",
    "load_trial_data": "read.data",
    "load_trials": "read.frame",
    "paper_table": "read.paper",
    "progress": "run.progress",
}


def __getattr__(name: str) -> Any:  # Any: any public function
    """Import a function when it is first used: every pytest run imports this package."""
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"pytest_mitosis.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
