"""Experiments as pytest items.

Everything a notebook needs to read recorded trials is here; running them is pytest's part
(``pytest -p mitosis --exp NAME``). Experiments themselves never import this package.
"""

from __future__ import annotations

__all__ = ["__version__"]
__version__ = "0.1.0"
