"""Extension points, each with the process it runs in and an example.

Guards are not here: ``clean_tree`` and ``variant_lock`` are fixtures, which a conftest overrides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.hookspec
def pytest_mitosis_provenance(config: pytest.Config, record: dict[str, Any]) -> None:
    """Emitted before a trial starts, in the pytest process that runs it (an xdist worker, say).

    ``record`` is what the manifest will say of the code and the session; add JSON to it.

    ::

        def pytest_mitosis_provenance(config, record):
            record["campaign"] = "beam time 2026-05"
    """


@pytest.hookspec
def pytest_mitosis_trial_finished(
    config: pytest.Config, folder: Path, manifest: dict[str, Any]
) -> None:
    """Emitted after a trial is recorded, in the pytest process that ran it.

    ``manifest`` is the content of ``trial.json``; the folder is complete and stays as it is.

    ::

        def pytest_mitosis_trial_finished(config, folder, manifest):
            if manifest["status"] == "crashed":
                notify(f"{manifest['experiment']} {manifest['id']} crashed: {folder}")
    """
