"""Experiments as pytest items.

Everything a notebook needs to read recorded trials is here; running them is pytest's part
(``pytest -p mitosis --exp NAME``). Experiments themselves never import this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_mitosis.read.frame import load_trial_data, load_trials
    from pytest_mitosis.run.progress import progress

__all__ = ["__version__", "load_trial_data", "load_trials", "progress"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # Any: any public function
    """Import what reads trials when it is first used: every pytest run imports this package."""
    if name in {"load_trial_data", "load_trials"}:
        from pytest_mitosis.read import frame

        return getattr(frame, name)
    if name == "progress":
        from pytest_mitosis.run.progress import progress

        return progress
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
