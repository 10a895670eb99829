"""Trials handed over by PSI/J to this machine: as to a cluster, without a scheduler."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from conftest import manifest
from slurm.waits import mitosis

FIT = """
    import os
    lookup_dict = {"noise": {"low": 0.1, "high": 0.5}}
    def exp_fit(noise, seed):
        if noise == 0.5 and seed == 1:
            raise ValueError("no convergence")
        bare = float("MITOSIS_TASK" not in os.environ)
        return {"main": noise + seed, "bare": bare, "set": float(os.environ["SET"])}
"""


def test_grid_runs_by_psij_as_it_does_here(psij_site):
    site = psij_site("local", 'setup = ["export SET=2.5"]')
    site.commit({"exp_fit.py": FIT})
    arguments = ("--exp", "fit", "--variant", "noise=*", "--seeds", "1", "--exp-launcher")
    done = site.run_apart(*arguments, "local-by-psij")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"2 trials submitted to local as job \d+@\S+ … \d+@", done.stdout)
    assert "ValueError: no convergence" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    found = [manifest(one) for one in site.folders()]
    assert sorted(one["status"] for one in found) == ["crashed", "done"]
    for one in found:
        assert one["launcher"] == "local-by-psij"
        assert one["code"]["modules"]
        assert not one["tainted"]
        assert one["submitted"] <= one["started"]
        if one["status"] == "done":
            assert one["metrics"]["set"] == 2.5
            assert one["metrics"]["bare"] == 1.0
    # Nothing is left of what was only needed on the way.
    assert [*site.store.glob(".batches/*"), *site.store.glob(".code/*")] == []
    again = site.run_apart(*arguments, "local-by-psij", "-k", "noise=low")
    assert again.returncode == 0
    assert "submitted to" not in again.stdout
    assert again.stdout.count(" reused") == 1


SLOW = """
setup = ['while [ "$1" = 0 ]; do sleep 0.1; done']
"""


def test_trials_outlive_drivers_and_each_end_is_told(psij_site, waits):
    site = psij_site("local", SLOW)
    grid = waits(site, ("slow", "one", "lost", "dropped", "seen", "watched"), "local")
    grid.start()
    grid.until_begun("one", "lost", "dropped", "seen", "watched")
    grid.kill()
    left = site.run_apart(*grid.arguments, "--exp-launcher", "local-by-psij", "--exp-detach")
    assert left.returncode == 0, left.stdout
    assert "6 skipped" in left.stdout
    assert re.search(r"local has it as job \d+@", left.stdout)
    assert mitosis("ls", "--running", cwd=site.path).count(" s ago") == 5
    session = grid.start()
    grid.end("seen", "watched")
    assert grid.hears(session, "name=", "%]")  # it reports these two, so it watches those before
    os.kill(grid.manifest("lost")["pid"], signal.SIGKILL)
    given = [grid.manifest(name)["id"] for name in ("dropped", "slow")]
    assert mitosis("cancel", *given, cwd=site.path) == "cancelled 2 trials\n"
    grid.end("one")
    out, _ = session.communicate(timeout=60)
    assert session.returncode == 1, out
    assert "submitted to" not in out
    words = dict(re.findall(r"name=(one|lost|dropped|slow)\] ([A-Z]+)", out))
    ends = {"one": "DONE", "lost": "CRASHED", "dropped": "INTERRUPTED", "slow": "INTERRUPTED"}
    assert words == ends
    assert re.search(r"its local job \d+@\S+ failed \(FAILED, its process is gone\)", out)
    assert re.search(r"Cancelled: its local job \d+@\S+ was cancelled$", out, re.MULTILINE)
    assert re.search(r"job \d+@\S+ was cancelled, before Python started there \(CANCELLED\)", out)
    assert len(site.folders()) == 6


FAILING = """
    from pytest_mitosis import schedule
    from pytest_mitosis.run.hpc.scheduler import PsijScheduler

    prepare = PsijScheduler.prepare

    def fails_once(self, folder, site, load):
        if load.request.cpus == 2:
            raise {error}("no such thing")
        prepare(self, folder, site, load)

    schedule.SECOND_CTRL_C_SECONDS = 0.0
    PsijScheduler.prepare = fails_once
"""
TWO = """
    import pytest
    def exp_one(): return {"main": 1.5}
    @pytest.mark.experiment(cpus=2)
    def exp_two(): return {"main": 2.5}
"""


@pytest.mark.parametrize(
    ("error", "code", "status", "told"),
    [
        ("TypeError", 1, "crashed", "TypeError: the launcher failed: no such thing"),
        ("KeyboardInterrupt", 2, "interrupted", "the same command waits for them"),
    ],
)
def test_batch_that_cannot_be_handed_over_ends_and_others_run(psij_site, error, code, status, told):
    site = psij_site("local")
    site.commit({"conftest.py": FAILING.format(error=error), "exp_two.py": TWO})
    to = ("--exp-launcher", "local-by-psij")
    done = site.run_apart("--exp", "one", "--exp", "two", *to, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    assert told in done.stdout
    assert "INTERNALERROR" not in done.stdout
    record = manifest(site.only("two/*"))
    assert record["status"] == status
    assert not (site.only("two/*") / ".queued").exists()
    deadline = time.monotonic() + 60
    while (other := manifest(site.only("one/*")))["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert other["status"] == "done"


def test_trial_whose_id_was_never_written_down_is_not_taken_for_unsubmitted(psij_site, waits):
    site = psij_site("local")
    grid = waits(site, ("known", "only"), "local")
    grid.start()
    grid.until_begun("known", "only")
    grid.kill()
    (batch,) = site.store.glob(".batches/*")
    (batch / "ids.txt").write_text((batch / "ids.txt").read_text().partition("\n")[0] + "\n")
    record = json.loads((batch / "batch.json").read_text())
    (batch / "batch.json").write_text(json.dumps({**record, "job": ""}))
    left = site.run_apart(*grid.arguments, "--exp-launcher", "local-by-psij", "--exp-detach")
    assert left.returncode == 0, left.stdout
    assert "local has it" in left.stdout
    assert cancelled_in_vain(site, "--all") == (
        "ERROR: only 1 of 2 trials were cancelled: it runs, and the id of its job was never "
        "written down\n"
    )
    assert cancelled_in_vain(site, "--all").startswith("ERROR: nothing was cancelled: it runs, and")
    assert grid.manifest("known")["failure"]["type"] == "Cancelled"
    assert grid.manifest("only")["status"] == "running"
    grid.end("only")
    to = ("--exp-launcher", "local-by-psij", "-k", "only")
    again = site.run_apart(*grid.arguments, *to)
    assert again.returncode == 0, again.stdout
    assert "submitted to" not in again.stdout
    assert len(site.folders()) == 2


def cancelled_in_vain(site, *trials):
    """What ``pytest-mitosis cancel`` complains of."""
    command = [sys.executable, "-m", "pytest_mitosis.read.cli", "cancel", *trials]
    done = subprocess.run(command, cwd=site.path, capture_output=True, text=True)
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_time_limit_is_warned_of_where_no_scheduler_does(psij_site, waits):
    site = psij_site("local", 'time = "8s"\nwarn = "3s"')
    grid = waits(site, ("only",), "local")
    session = grid.start()
    grid.until_begun("only")
    out, _ = session.communicate(timeout=60)
    assert session.returncode == 1, out
    assert re.search(r"WallTime: its local job \d+@\S+ comes to its time limit; --exp-resume", out)
    assert grid.manifest("only")["status"] == "timeout"
    assert (site.only("wait/*") / "checkpoints" / "count").read_text() == "1"
