"""The end of a session of trials only: nothing is looked for where nothing can be.

Runs in every pytest process that was asked for experiments.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from pytest_mitosis.collection import spec_of
from pytest_mitosis.launching import launcher_name
from pytest_mitosis.run.launchers import INLINE

if TYPE_CHECKING:
    from pytest_mitosis.session import ExperimentSession


class Ending:
    """Spares pytest a search that takes a tenth of a second."""

    def __init__(self, session: ExperimentSession) -> None:
        self.session = session
        self._is_alone = False
        self._is_spared = False
        # Undone after all else: what runs pytest in its own process goes on.
        session.config.add_cleanup(self._undo)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Emitted once items are selected."""
        self._is_alone = all(spec_of(item) is not None for item in session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """Emitted at the end, before pytest looks for objects of tests that hold each other.

        Where no test and no experiment ran in this process there are only imported modules to look
        through, twice.
        """
        self._is_spared = self._is_alone and launcher_name(self.session) != INLINE
        if self._is_spared:
            gc.freeze()

    def _undo(self) -> None:
        if self._is_spared:
            gc.unfreeze()
