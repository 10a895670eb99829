"""Trials on a real Slurm: the same items, guards, records and reports as on one machine."""

from __future__ import annotations

import re

from conftest import manifest

from .conftest import on_slurm

FIT = """
    import os, pytest
    lookup_dict = {"noise": {"low": 0.1, "high": 0.5}}
    @pytest.mark.experiment(cpus=2, memory="100M", timeout="10m")
    def exp_fit(noise, seed):
        print("on", os.environ["SLURMD_NODENAME"])
        threads = int(os.environ["OMP_NUM_THREADS"])
        if noise == 0.5 and seed == 1:
            raise ValueError("no convergence")
        return {"main": noise + seed, "threads": threads}
"""


def test_grid_runs_on_slurm_as_it_does_here(site):
    site.commit({"exp_fit.py": FIT})
    arguments = ("--exp", "fit", "--variant", "noise=*", "--seeds", "0-1")
    done = on_slurm(site, *arguments)
    assert done.returncode == 1, done.stdout
    assert "mitosis: 4 trials submitted to Slurm as job " in done.stdout
    assert "ValueError: no convergence" in done.stdout
    assert re.search(r"1 failed, 3 passed", done.stdout)
    found = [manifest(one) for one in site.folders()]
    assert sorted(one["status"] for one in found) == ["crashed", "done", "done", "done"]
    assert {one["metrics"].get("threads") for one in found} == {2, None}
    for one in found:
        assert one["scheduler"]["SLURM_ARRAY_JOB_ID"]
        assert one["launcher"] == "slurm"
        assert one["code"]["modules"]
        assert not one["tainted"]
        assert one["submitted"] <= one["started"]
    assert all((one / "notebook.html").exists() for one in site.folders())
    assert (site.store / "locks" / "fit" / "noise" / "low.json").exists()
    # Nothing is left of what was only needed on the way.
    assert [*site.store.glob(".batches/*"), *site.store.glob(".code/*")] == []
    assert site.git("worktree", "list").count("\n") == 0
    again = on_slurm(site, *arguments, "-k", "not (noise=high and seed=1)")
    assert again.returncode == 0
    assert "submitted to Slurm" not in again.stdout
    assert again.stdout.count(" reused") == 3
