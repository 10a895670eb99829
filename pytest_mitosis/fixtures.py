"""Guards and values of a trial, as fixtures: a conftest replaces one by defining its name.

Registered only in sessions that run experiments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_mitosis.session import session_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_mitosis.model import TrialSpec


@pytest.fixture(scope="session")
def clean_tree(pytestconfig: pytest.Config) -> None:
    """Refuse to run unless all code is committed.

    Once per session, before any trial starts: every changed or untracked file of the project's
    repository counts, and of the repositories behind editable installs, except below the trials
    folder and what ``clean-ignore`` in ``[tool.mitosis]`` lists. Drafts do not ask for it.

    Override it in a conftest to set other rules::

        @pytest.fixture(scope="session")
        def clean_tree():
            ...
    """
    session_of(pytestconfig).runner.require_clean_tree()


@pytest.fixture
def variant_lock(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lock each variant name of the trial to its value, or refuse if it had another one.

    The first trial with a name creates the lock; of two sessions that lock one name at the same
    time one wins, and the other one compares. A lock stays only if the trial's own process found
    the same value under the name. Drafts do not ask for it.
    """
    runner = session_of(request.config).runner
    runner.lock_variants(request.node)
    yield
    runner.settle_locks(request.node)


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> TrialSpec:
    """The spec of the trial: its experiment, its bindings, its seed."""
    spec: TrialSpec = request.param
    return spec


@pytest.fixture
def trial_dir(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of the trial, claimed for it before it starts."""
    runner = session_of(request.config).runner
    yield runner.orders.claim(request.node).folder
    runner.orders.release_unused(request.node)


@pytest.fixture
def checkpoint_dir(trial_dir: Path) -> Path:
    """A folder of the trial for what its experiment goes on from after it was stopped.

    With ``--exp-resume`` a trial that was interrupted finds there what it left.
    """
    from pytest_mitosis.store.attempts import CHECKPOINTS

    folder = trial_dir / CHECKPOINTS
    folder.mkdir(exist_ok=True)
    return folder
