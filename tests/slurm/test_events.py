"""What happens to trials on a cluster, provoked on a real one: each end is told in its own words.

Trials say by files that they began and wait for files to end, so no test waits for a time.
"""

from __future__ import annotations

import os
import re
import signal

from conftest import manifest

from .conftest import SITE, start_what_waits
from .waits import mitosis

VAST = """
    import pytest
    @pytest.mark.experiment(cpus=64)
    def exp_vast():
        return {"main": 1.5}
    @pytest.mark.experiment(gpus=9)
    def exp_vaster():
        return {"main": 1.5}
"""
NAMES = ("cancelled", "killed", "requeued", "warned", "done")


def test_each_end_is_told_in_its_own_words(site, cluster, waits):
    grid = waits(NAMES)
    session = grid.start()
    grid.until_begun(*NAMES)
    tasks = {name: grid.task(name) for name in NAMES}
    cluster.run("scancel", tasks["cancelled"])
    os.kill(grid.manifest("killed")["pid"], signal.SIGKILL)
    cluster.run("scontrol", "requeue", tasks["requeued"])
    cluster.run("scancel", "--batch", "--signal=USR1", tasks["warned"])
    start_what_waits(cluster, 2)
    grid.until_begun("requeued", "warned", counts=(1,))
    grid.end("requeued", "warned", "done")
    out, _ = session.communicate(timeout=60)
    assert session.returncode == 1, out
    words = dict(re.findall(r"name=(\w+)\] ([A-Z]+)", out))
    assert words == {
        "cancelled": "INTERRUPTED",
        "killed": "CRASHED",
        "requeued": "DONE",
        "warned": "DONE",
        "done": "DONE",
    }
    assert f"Cancelled: its Slurm job {tasks['cancelled']} was cancelled" in out
    assert re.search(
        rf"its Slurm job {tasks['killed']} failed on n\d, killed by signal 9 "
        r"\(FAILED, JobLaunchFailure\)",
        out,
    )
    # What a trial saved when it was stopped is what its next attempt goes on from.
    assert grid.manifest("done")["metrics"]["main"] == 0.5
    for name, before in (("requeued", "interrupted"), ("warned", "timeout")):
        found = grid.manifest(name)
        assert found["metrics"]["main"] == 1.5
        assert found["attempt"] == 2
        assert [one["status"] for one in found["attempts"]] == [before]
    assert grid.failure_before("requeued")["type"] == "Requeued"
    assert grid.failure_before("warned")["type"] == "WallTime"


def test_trials_outlive_drivers_and_nodes_and_are_submitted_once(site, cluster, waits):
    grid = waits(("one", "two"))
    left = grid.start()
    grid.start()
    grid.until_begun("one", "two")
    left.send_signal(signal.SIGINT)
    out, _ = left.communicate(timeout=60)
    assert left.returncode == 2
    assert "2 trials go on at the cluster; the same command waits for them" in out
    grid.kill()
    assert len(site.folders()) == 2
    # A job that goes before them takes both nodes; what they recorded is not their end.
    cluster.run("sbatch", "-p", "urgent", "-N", "2", "--exclusive", "-o", "/dev/null", "--wrap=:")
    cluster.until(
        lambda: grid.manifest("one")["status"] == grid.manifest("two")["status"] != "running"
    )
    assert grid.manifest("one")["failure"]["type"] == "Preempted"
    second = [grid.start(), grid.start()]
    start_what_waits(cluster, 2)
    grid.until_begun("one", "two", counts=(1,))
    node = grid.node("one")
    lost = [one for one in ("one", "two") if grid.node(one) == node]
    for one in lost:
        (grid.flags / f"began-{one}-1").unlink()
    cluster.kill_node(int(node.removeprefix("n")))
    cluster.run("scontrol", "update", f"nodename={node}", "state=DOWN", "reason=fire")
    start_what_waits(cluster, len(lost))
    grid.until_begun(*lost, counts=(1, 2))
    cluster.start_node(int(node.removeprefix("n")))
    cluster.run("scontrol", "update", f"nodename={node}", "state=RESUME", check=False)
    grid.end("one", "two")
    for driver in second:
        out, _ = driver.communicate(timeout=60)
        assert driver.returncode == 0, out
        assert "submitted to Slurm" not in out
        assert "2 passed" in out
    assert len(site.folders()) == 2
    assert grid.manifest("one")["attempt"] == 3
    assert cluster.waiting() == 0


def test_detached_trials_run_the_checked_code_and_are_found_again(site, cluster, waits):
    grid = waits(("kept", "dropped"))
    held = ("--exp-launcher", "held")
    site.write("pyproject.toml", SITE.replace(".slurm]", ".held]") + 'flags = ["--hold"]\n')
    site.commit()
    grid.end("kept")
    done = site.run_apart(*grid.arguments, *held, "--exp-detach")
    assert done.returncode == 0, done.stdout
    assert "2 skipped" in done.stdout
    job = re.search(r"Slurm has it as job (\d+)_0", done.stdout)[1]
    site.write("exp_wait.py", "def exp_wait(name): raise ValueError('edited')")
    assert f"{job}_0 PENDING (JobHeldUser)" in mitosis("ls", "--running", cwd=site.path)
    dropped = grid.manifest("dropped")["id"]
    assert mitosis("cancel", dropped, cwd=site.path) == "cancelled 1 trial\n"
    assert grid.manifest("dropped")["status"] == "interrupted"
    assert "was cancelled" in grid.manifest("dropped")["failure"]["message"]
    cluster.run("scontrol", "release", job)
    site.git("checkout", "-q", "exp_wait.py")
    again = site.run_apart(*grid.arguments, *held, "-k", "kept")
    assert again.returncode == 0, again.stdout
    assert "submitted to Slurm" not in again.stdout
    found = grid.manifest("kept")
    assert found["tainted"] == []
    assert found["submitted"] < found["started"]


def test_second_ctrl_c_cancels_and_what_was_saved_is_continued(site, waits):
    grid = waits(("only",))
    session = grid.start()
    grid.until_begun("only")
    session.send_signal(signal.SIGINT)
    assert grid.hears(session, "1 trial goes on at the cluster; press Ctrl-C again to cancel")
    session.send_signal(signal.SIGINT)
    out, _ = session.communicate(timeout=60)
    assert session.returncode == 2
    assert "1 trial was interrupted; what they left is kept" in out
    assert grid.manifest("only")["failure"]["type"] == "Cancelled"
    grid.end("only")
    again = site.run_apart(*grid.arguments, "--exp-launcher", "slurm", "--exp-resume")
    assert again.returncode == 0, again.stdout
    assert grid.manifest("only")["attempt"] == 2
    assert grid.manifest("only")["metrics"]["main"] == 1.5


def test_generated_script_is_submitted_by_hand_and_what_cannot_be_is_told(site, cluster, waits):
    site.write("exp_vast.py", VAST)
    grid = waits(("only",))
    grid.end("only")
    written = site.run_apart(*grid.arguments, "--exp-launcher", "slurm", "--exp-generate")
    assert written.returncode == 0, written.stdout
    script = re.search(r"1 trial written; submit with: sbatch (\S+)", written.stdout)[1]
    assert cluster.waiting() == 0
    assert grid.statuses() == ["running"]
    session = grid.start("--exp", "vast", "--exp", "vaster")
    cluster.until(lambda: cluster.waiting() == 1)
    cluster.run("sbatch", script)
    cluster.until(lambda: "done" in grid.statuses())
    mitosis("cancel", manifest(site.only("vast/*"))["id"], cwd=site.path)
    out, _ = session.communicate(timeout=60)
    assert "exp_wait[name=only] DONE" in out
    assert "1 trial in Slurm's queue: PENDING (PartitionConfig), which does not go away" in out
    assert re.search(r"its Slurm job \d+_0 was cancelled before it began", out)
    assert (
        "NotSubmitted: Slurm did not take it: sbatch: Batch job submission failed: "
        "Requested node configuration is not available" in out
    )
