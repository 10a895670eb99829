"""Guards and values of a trial, as fixtures: a conftest replaces one by defining its name.

Registered only in sessions that run experiments.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_mitosis.model import TrialSpec
    from pytest_mitosis.session import ExperimentSession


def session_fixtures(session: ExperimentSession) -> ModuleType:
    """The fixtures that are set up once in ``session``; in a module, as methods cannot be."""
    module = ModuleType(__name__)

    @pytest.fixture(scope="session")
    def clean_tree() -> None:
        """Refuse to run unless all code is committed.

        Once per session, before any trial starts: every changed or untracked file of the project's
        repository counts, and of the repositories behind editable installs, except below the
        trials folder and what ``clean-ignore`` in ``[tool.mitosis]`` lists. Drafts do not ask for
        it.

        Override it in a conftest to set other rules::

            @pytest.fixture(scope="session")
            def clean_tree():
                ...
        """
        session.runner.require_clean_tree()

    vars(module)["clean_tree"] = clean_tree
    return module


class Fixtures:
    """The fixtures of each item of ``session``.

    They know the session and the item that runs, so none asks for ``request``: pytest makes a new
    one for each fixture of each item, which costs more than all locks of an item that is done.
    """

    def __init__(self, session: ExperimentSession) -> None:
        self.session = session
        self.item: pytest.Function

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Emitted before an item's fixtures are set up."""
        if isinstance(item, pytest.Function):
            self.item = item

    @pytest.fixture
    def variant_lock(self) -> Iterator[None]:
        """Lock each variant name of the trial to its value, or refuse if it had another one.

        The first trial with a name creates the lock; of two sessions that lock one name at the
        same time one wins, and the other one compares. A new lock stays only if the process of a
        trial found the same value under the name. Drafts do not ask for it.
        """
        item, runner = self.item, self.session.runner
        runner.lock_variants(item)
        yield
        runner.settle_locks(item)

    @pytest.fixture
    def trial(self) -> TrialSpec:
        """The spec of the trial: its experiment, its bindings, its seed.

        Experiments are parametrized by it, which gives it its value.
        """
        raise AssertionError("only experiments have a trial")

    @pytest.fixture
    def trial_dir(self) -> Iterator[Path]:
        """The folder of the trial, claimed for it before it starts."""
        item, orders = self.item, self.session.runner.orders
        yield orders.claim(item).folder
        orders.release_unused(item)

    @pytest.fixture
    def checkpoint_dir(self, trial_dir: Path) -> Path:
        """A folder of the trial for what its experiment goes on from after it was stopped.

        With ``--exp-resume`` a trial that was interrupted finds there what it left.
        """
        from pytest_mitosis.store.attempts import CHECKPOINTS

        folder = trial_dir / CHECKPOINTS
        folder.mkdir(exist_ok=True)
        return folder
