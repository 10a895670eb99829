"""Projects whose trials go to a scheduler by way of PSI/J."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from conftest import Project
from slurm.waits import Waits

SITE = """\
[tool.mitosis.launchers.{executor}-by-psij]
kind = "psij"
executor = "{executor}"
poll = 1
node-launcher = "process"
{more}
"""
QUICK = """\
from pytest_mitosis.run.cluster import watching

watching.LAG_SECONDS = 0.5  # there is one machine, and no folder is shared
"""
IGNORED = "trials/\nflags/\nbin/\n__pycache__/\n.pytest_cache/\n"


@pytest.fixture
def psij_site(pytester, monkeypatch):
    """Makes a project that uses one of PSI/J's executors."""
    if importlib.util.find_spec("psij") is None:
        pytest.skip("psij-python is not installed here")
    # Each of its processes would import what they do not need.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:typeguard")
    project = Project(pytester.path, pytester)
    project.write(".gitignore", IGNORED)
    project.write("conftest.py", QUICK)

    def make(executor, more=""):
        project.write("pyproject.toml", SITE.format(executor=executor, more=more))
        return project

    return make


@pytest.fixture
def waits():
    made = []

    def make(project, names, executor):
        made.append(Waits(project, names, f"{executor}-by-psij"))
        return made[-1]

    yield make
    for one in made:
        one.kill()
        one.end(*(file.name.split("-")[1] for file in one.flags.glob("began-*")))


def pytest_collection_modifyitems(config, items):
    """In the worker that has the cluster, which some of them need too."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if item.path.parent == Path(__file__).parent:
                item.add_marker(pytest.mark.xdist_group("slurm"))
