"""Placeholder."""

from __future__ import annotations
from typing import Any

DECODERS: dict[str, Any] = {}


def find_encoder(cls: type) -> Any:
    """Nothing yet."""
    return None
