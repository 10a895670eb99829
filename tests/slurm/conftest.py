"""A project whose trials go to a real Slurm."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from conftest import Project

from .waits import Waits

SITE = """\
[tool.mitosis.launchers.slurm]
poll = 1
node-launcher = "process"
mem = "100M"
"""
IGNORED = "trials/\nflags/\n__pycache__/\n.pytest_cache/\n"


@pytest.fixture
def site(
    pytester: pytest.Pytester, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    # Each of its processes would import hypothesis for nothing.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    project = Project(pytester.path, pytester)
    project.write(".gitignore", IGNORED)
    project.write("pyproject.toml", SITE)
    yield project
    cluster.empty()


@pytest.fixture
def waits(site):
    made = []

    def make(names):
        made.append(Waits(site, names))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def on_slurm(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return project.run_apart("--exp-launcher", "slurm", *arguments)


def start_what_waits(cluster, count):
    """A requeued task is held for a while by Slurm; the operator lets it start."""

    def pending():
        lines = cluster.run("squeue", "-h", "-r", "-p", "main", "-t", "PD", "-o", "%A").split()
        return lines if len(lines) == count else []

    cluster.until(pending)
    # Of a job that is killed and starts within one second Slurm takes the new credential for the
    # revoked one, and the job for failed.
    time.sleep(1.1)
    for one in pending():
        cluster.run("scontrol", "update", f"jobid={one}", "StartTime=now")


def pytest_collection_modifyitems(config, items):
    """One of xdist's workers has the cluster: several on two cores would wait for each other."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if item.path.parent == Path(__file__).parent:
                item.add_marker(pytest.mark.xdist_group("slurm"))
