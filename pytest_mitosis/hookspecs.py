"""Extension points, each with the process it runs in and an example.

Guards are not here: ``clean_tree`` and ``variant_lock`` are fixtures, which a conftest overrides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.run.launcher import Launcher


@pytest.hookspec
def pytest_mitosis_provenance(config: pytest.Config, record: dict[str, Any]) -> None:
    """Emitted before a trial starts, in the pytest process that runs it (an xdist worker, say).

    ``record`` is what the manifest will say of the code and the session; add JSON to it.

    ::

        def pytest_mitosis_provenance(config, record):
            record["campaign"] = "beam time 2026-05"
    """


@pytest.hookspec(firstresult=True)
def pytest_mitosis_describe(value: object) -> object:
    """Called for objects in the values of variants: return what to lock instead, or None.

    Runs in the pytest process and again in each trial's own process, which loads the module or
    ``conftest.py`` it is in, without pytest. So it has to be a function of a module, and its answer
    one of the value alone. The first answer that is not None is described in place of the object.
    Plain numbers and texts are not asked about.

    ::

        def pytest_mitosis_describe(value):
            if isinstance(value, Camera):
                return {"model": value.model, "gain": value.gain}  # not its open connection
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


@pytest.hookspec(firstresult=True)
def pytest_mitosis_launcher(config: pytest.Config, name: str) -> Launcher | None:
    """Emitted once, before trials are collected, for an ``--exp-launcher`` that is not built in.

    Return an object with the methods of :class:`pytest_mitosis.run.launcher.Launcher`, or None if
    the name is not yours. It is closed when the session ends.

    ::

        def pytest_mitosis_launcher(config, name):
            if name == "container":
                return ContainerLauncher(image="lab/analysis:2026-05")

    A launcher may have trials run by a command line, ``python -m pytest_mitosis.run JOB.json``, and
    read them back with :func:`pytest_mitosis.run.elsewhere.outcome_of`.
    """
