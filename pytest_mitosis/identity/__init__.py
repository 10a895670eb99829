"""Is it still the same? Descriptions of values that can be locked, compared and shown.

Values become leaves (:func:`describe`), leaves a digest, two descriptions a list of changes.
Must not know trials, stores or pytest.
"""

from __future__ import annotations

from pytest_mitosis.identity.canonical import describe
from pytest_mitosis.identity.description import Description, Leaf
from pytest_mitosis.identity.diff import Change, compare, render_changes
from pytest_mitosis.identity.files import file
from pytest_mitosis.model import Undescribable

__all__ = [
    "Change",
    "Description",
    "Leaf",
    "Undescribable",
    "compare",
    "describe",
    "file",
    "render_changes",
]
