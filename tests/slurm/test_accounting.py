"""Where Slurm keeps accounts, they explain what its controller has forgotten."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import NEEDED, NEEDED_TO_ACCOUNT, Cluster, missing

from .waits import mitosis


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A real Slurm with slurmdbd and a database of its own."""
    if lacking := missing(NEEDED + NEEDED_TO_ACCOUNT):
        pytest.skip(f"Slurm's accounting is not installed here: no {', '.join(lacking)}")
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        found = Cluster(Path(folder), nodes=1, accounting=True)
        try:
            found.start()
            yield found
        finally:
            found.stop()


def test_end_that_the_controller_forgot_is_explained_by_the_accounts(site, cluster, waits):
    grid = waits(("only",))
    left = site.run_apart(*grid.arguments, "--exp-launcher", "slurm", "--exp-detach")
    assert left.returncode == 0, left.stdout
    grid.until_begun("only")
    task = grid.task("only")
    os.kill(grid.manifest("only")["pid"], signal.SIGKILL)
    account = ("sacct", "-n", "-P", "-X", "-j", task, "-o", "State")
    cluster.until(lambda: cluster.run(*account).strip() == "FAILED")
    cluster.kill_controller()
    cluster.start_controller(knows_jobs=False)
    ask = ("scontrol", "show", "job", task)
    cluster.until(lambda: "Invalid job id" in cluster.run(*ask, check=False))
    mitosis("cancel", grid.manifest("only")["id"], cwd=site.path)
    failure = grid.manifest("only")["failure"]
    assert re.fullmatch(
        rf"its Slurm job {task} failed on n0, killed by signal 9 \(FAILED\)", failure["message"]
    )
