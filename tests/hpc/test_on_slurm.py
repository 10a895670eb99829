"""Trials handed over by PSI/J to a real Slurm, as the one scheduler that can be started here."""

from __future__ import annotations

import os
import re
import signal

NAMES = ("done", "cancelled", "killed", "seen", "watched")


def test_trials_outlive_drivers_and_each_end_is_told(psij_site, waits, cluster, monkeypatch):
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    site = psij_site("slurm", 'custom = { "slurm.comment" = "walks" }')
    # psij's own reader stumbles over the reason of this one, which is not ours.
    cluster.run("sbatch", "--hold", "-o", "/dev/null", "--wrap=:")
    try:
        grid = waits(site, NAMES, "slurm")
        first = grid.start()
        assert grid.hears(first, "5 trials submitted to Slurm as job")
        grid.until_begun(*NAMES)
        grid.kill()
        session = grid.start()
        grid.end("seen", "watched")
        assert grid.hears(session, "name=", "%]")  # it reports these, so it watches those before
        jobs = {name: grid.manifest(name)["scheduler"]["SLURM_JOB_ID"] for name in NAMES}
        assert "walks" in cluster.run("scontrol", "show", "job", jobs["done"])
        cluster.run("scancel", jobs["cancelled"])
        os.kill(grid.manifest("killed")["pid"], signal.SIGKILL)
        grid.end("done")
        out, _ = session.communicate(timeout=60)
    finally:
        cluster.empty()
    assert session.returncode == 1, out
    assert "submitted to" not in out
    words = dict(re.findall(r"name=(done|cancelled|killed)\] ([A-Z]+)", out))
    assert words == {"done": "DONE", "cancelled": "INTERRUPTED", "killed": "CRASHED"}
    assert f"its Slurm job {jobs['cancelled']} was cancelled" in out
    assert f"its Slurm job {jobs['killed']} " in out
    assert len(site.folders()) == 5
