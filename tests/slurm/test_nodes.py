"""What nodes do to trials, provoked on a real Slurm: GPUs, drains, full disks, other packages."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from conftest import manifest

from .conftest import SITE, start_what_waits

GPU = """
    import os, time, pytest
    from pathlib import Path

    @pytest.mark.experiment(cpus=1, gpus=1)
    def exp_gpu(seed):
        Path({flags!r}, str(seed)).touch()
        deadline = time.monotonic() + 60
        while not all(Path({flags!r}, one).exists() for one in "01"):
            assert time.monotonic() < deadline, "the two do not run at once"
            time.sleep(0.02)
        return {{"main": float(os.environ["CUDA_VISIBLE_DEVICES"])}}
"""
SITES = """
[tool.mitosis.launchers.pair]
per-job = 2
at-once = 2
node-launcher = "process"
[tool.mitosis.launchers.other]
node-launcher = "process"
setup = ["export PYTHONPATH={place}"]
"""
BIG = """
    import numpy as np
    def exp_big():
        return {"main": 1.5, "data": np.linspace(0.0, 1.0, 2_000_000)}
"""


def test_gpus_are_shared_out_and_other_packages_are_refused(site):
    flags, place = site.path / "flags", site.path / "flags" / "packages"
    (place / "pandas-0.1.dist-info").mkdir(parents=True)
    (place / "pandas-0.1.dist-info" / "METADATA").write_text("Name: pandas\nVersion: 0.1\n")
    site.write("pyproject.toml", SITES.format(place=place))
    site.commit({"exp_gpu.py": GPU.format(flags=str(flags))})
    paired = site.run_apart("--exp", "gpu", "--seeds", "0-1", "--exp-launcher", "pair")
    assert paired.returncode == 0, paired.stdout
    found = [manifest(one) for one in site.folders()]
    assert {one["metrics"]["main"] for one in found} == {0.0, 1.0}
    assert len({one["scheduler"]["SLURM_JOB_ID"] for one in found}) == 1
    for one in found:
        (record,) = (site.store / "environments").glob(f"{one['environment']}/environment.json")
        assert f'"CUDA_VISIBLE_DEVICES": "{one["metrics"]["main"]:.0f}"' in record.read_text()
    other = site.run_apart("--exp", "gpu", "--seeds", "2", "--exp-launcher", "other")
    assert other.returncode == 1, other.stdout
    assert re.search(r"OtherEnvironment: the environment on \S+ is not that", other.stdout)
    assert re.search(r"pandas [\d.]+ is 0\.1", other.stdout)
    assert not (flags / "2").exists()


def test_drained_nodes_and_a_dead_controller_are_waited_for(site, cluster, waits, monkeypatch):
    # Slurm's own commands ask for ten seconds before they say that nobody answers.
    impatient = Path(shutil.copy(cluster.base / "slurm.conf", cluster.base / "impatient.conf"))
    with impatient.open("a") as file:
        file.write("MessageTimeout=2\n")
    monkeypatch.setenv("SLURM_CONF", str(impatient))
    grid = waits(("one", "two"))
    session = grid.start("--exp-jobs", "1")
    grid.until_begun("one")
    cluster.run("scontrol", "update", "nodename=n[0-1]", "state=DRAIN", "reason=cleaning")
    try:
        grid.end("one")
        waiting = "1 trial in Slurm's queue: PENDING (Nodes required for job are DOWN, DRAINED"
        assert grid.hears(session, waiting, "which may take long")
    finally:
        cluster.run("scontrol", "update", "nodename=n[0-1]", "state=RESUME")
    grid.until_begun("two")
    cluster.kill_controller()
    try:
        assert grid.hears(session, "Unable to contact slurm controller", "jobs run on")
        refused = site.run_apart(*grid.arguments, "--exp-launcher", "slurm")
        assert refused.returncode == 4
        assert refused.stderr.startswith("ERROR: Slurm does not answer, so nothing was submitted")
        grid.end("two")
        out, _ = session.communicate(timeout=60)
    finally:
        grid.end("two")
        cluster.recover()
    assert session.returncode == 0, out
    assert "2 passed" in out
    assert {*grid.statuses()} == {"done"}


def test_time_limit_of_a_job_with_several_trials_leaves_none_behind(site, cluster, waits):
    site.write("pyproject.toml", SITE + "per-job = 3\n")
    grid = waits(("one", "two", "three"))
    session = grid.start()
    grid.end("one")
    grid.until_begun("two")
    task = grid.task("two")
    cluster.run("scancel", "--batch", "--signal=USR1", task)
    start_what_waits(cluster, 1)
    grid.until_begun("two", counts=(1,))
    assert not (grid.flags / "began-three-0").exists()
    grid.end("two", "three")
    out, _ = session.communicate(timeout=60)
    assert session.returncode == 0, out
    assert [grid.manifest(one).get("attempt", 1) for one in ("one", "two", "three")] == [1, 2, 1]
    assert {grid.task(one) for one in ("one", "two", "three")} == {task}


def test_full_disk_of_the_trials_folder_is_told(site, small_disk):
    site.commit({"exp_big.py": BIG})
    store = small_disk / "trials"
    arguments = ("--exp", "big", "--exp-launcher", "slurm", "--trials-folder", str(store))
    done = site.run_apart(*arguments)
    assert done.returncode != 0
    assert "No space left on device" in done.stdout
    assert "INTERNALERROR" not in done.stdout
    (record,) = store.glob("big/*/*/trial.json")
    assert manifest(record.parent)["status"] == "crashed"
    assert not [*store.glob("big/*/*/.queued")]
