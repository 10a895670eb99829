"""Trials handed over by PSI/J to a real Slurm, as the one scheduler that can be started here."""

from __future__ import annotations

import os
import re
import signal

from slurm.waits import mitosis

NAMES = ("queued", "done", "cancelled", "killed", "seen", "watched")


def test_trials_outlive_drivers_and_each_end_is_told(psij_site, waits, cluster, monkeypatch):
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    site = psij_site("slurm", 'custom = { "slurm.comment" = "walks" }')
    try:
        grid = waits(site, NAMES, "slurm")
        cluster.run("scontrol", "update", "partitionname=main", "state=DOWN")
        first = grid.start()
        assert grid.hears(first, "6 trials submitted to Slurm as job")
        (ids,) = site.store.glob(".batches/*/ids.txt")
        queued = ids.read_text().split()[0]
        cluster.run("scontrol", "hold", queued)
        cluster.run("scontrol", "update", "partitionname=main", "state=UP")
        grid.until_begun(*NAMES[1:])
        grid.kill()
        # Somebody's job with a reason of several words, over which psij's own tracking hangs.
        cluster.run("scontrol", "update", "nodename=n1", "state=DRAIN", "reason=cleaning")
        cluster.run("sbatch", "-w", "n1", "-o", "/dev/null", "--wrap=:")
        cluster.until(lambda: "ReqNodeNotAvail, " in cluster.run("squeue", "-h", "-o", "%r"))
        session = grid.start()
        grid.end("seen", "watched")
        assert grid.hears(session, "name=", "%]")  # it reports these, so it watches those before
        jobs = {name: grid.manifest(name)["scheduler"]["SLURM_JOB_ID"] for name in NAMES[1:]}
        assert "walks" in cluster.run("scontrol", "show", "job", jobs["done"])
        given = [grid.manifest(name)["id"] for name in ("cancelled", "queued")]
        assert mitosis("cancel", *given, cwd=site.path) == "cancelled 2 trials\n"
        os.kill(grid.manifest("killed")["pid"], signal.SIGKILL)
        grid.end("done")
        out, _ = session.communicate(timeout=60)
    finally:
        cluster.run("scontrol", "update", "partitionname=main", "state=UP")
        cluster.run("scontrol", "update", "nodename=n1", "state=RESUME", check=False)
        cluster.empty()
    assert session.returncode == 1, out
    assert "submitted to" not in out
    words = dict(re.findall(r"name=(queued|done|cancelled|killed)\] ([A-Z]+)", out))
    ends = {"done": "DONE", "cancelled": "INTERRUPTED", "queued": "INTERRUPTED"}
    assert words == {**ends, "killed": "CRASHED"}
    assert f"Cancelled: its Slurm job {jobs['cancelled']} was cancelled\n" in out
    assert f"job {queued} was cancelled, before Python started there (CANCELLED, " in out
    assert re.search(rf"its Slurm job {jobs['killed']} failed, killed by signal 9 \(FAILED\)", out)
    assert len(site.folders()) == 6
