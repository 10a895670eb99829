"""The script for sbatch and the words for ends, which need no Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mitosis.identity.code import installed_versions
from pytest_mitosis.model import PlanError, Status
from pytest_mitosis.plan.resources import Request
from pytest_mitosis.plan.sites import Site, read_sites
from pytest_mitosis.run.cluster.checks import other_environment
from pytest_mitosis.run.cluster.ends import end_of, stopped
from pytest_mitosis.run.cluster.node import own_gpus, why_stopped
from pytest_mitosis.run.cluster.scheduler import Queued, SchedulerError
from pytest_mitosis.run.cluster.watching import Watching
from pytest_mitosis.run.slurm.commands import Facts
from pytest_mitosis.run.slurm.script import Array, read_limit
from pytest_mitosis.store.batches import is_cancelled, make_batch, place_of, say_cancelled


def options(
    site: Site,
    request: Request,
    trials: int = 100,
    throttle: int | None = None,
    at_once: int = 1,
):
    folder = Path("/trials/.batches/mitosis-a")
    text = Array(folder, trials, request, throttle, "/py", at_once).text(site)
    return [one.removeprefix("#SBATCH ") for one in text.splitlines() if one.startswith("#SBATCH")]


def test_needs_and_site_become_slurms_own_options():
    site = Site("gpu", options={"partition": "a100", "qos": "long"}, flags=("--exclude=n17",))
    found = options(site, Request(4, 1, 8 * 1024**3, 3600.0), throttle=8)
    assert {"--array=0-99%8", "--cpus-per-task=4", "--gres=gpu:1", "--mem=8192M"} <= {*found}
    # The trial's own hour, what Python's start may take, and the warning.
    assert {"--time=63", "--signal=B:USR1@60"} <= {*found}
    assert found[-3:] == ["--partition=a100", "--qos=long", "--exclude=n17"]


def test_trials_of_one_job_have_a_line_each_and_their_time_adds_up():
    site = Site("short", per_job=7)
    found = options(site, Request(timeout=60.0), trials=20)
    assert "--array=0-2" in found
    assert "--time=10" in found


def test_trials_of_one_job_that_run_at_once_ask_for_what_all_of_them_need():
    site = Site("short", per_job=10, at_once=4)
    request = Request(2, 1, 100 * 1024**2, 60.0)
    found = options(site, request, trials=20, throttle=9, at_once=4)
    # Three rounds of a minute each, two jobs of four are at most nine at once.
    assert {"--array=0-1%2", "--cpus-per-task=8", "--gres=gpu:4", "--mem=400M"} <= {*found}
    assert "--time=6" in found
    assert "--cpus-per-task=4" in options(site, Request(), at_once=4)


def test_trials_of_one_job_see_a_gpu_of_their_own(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,4,5")
    assert [own_gpus(slot, 2)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["0,1", "4,5"]
    assert own_gpus(0, 1) == {}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert own_gpus(1, 2) == {}


def test_warning_leaves_most_of_a_short_limit_to_the_trial():
    assert "--signal=B:USR1@15" in options(Site("s", options={"time": "1"}), Request())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 1800), ("2:30", 150), ("1:00:05", 3605), ("1-12", 129600), ("UNLIMITED", None)],
)
def test_limits_are_read_as_slurm_does(text, seconds):
    assert read_limit(text) == seconds


@pytest.mark.parametrize(
    ("facts", "began", "status", "kind", "words"),
    [
        (
            Facts("OUT_OF_MEMORY", "OutOfMemory", "0:125", "n1"),
            True,
            Status.CRASHED,
            "OutOfMemory",
            "its Slurm job 7_3 was killed: out of memory on n1 (OUT_OF_MEMORY, OutOfMemory)",
        ),
        (
            Facts("FAILED", "NonZeroExitCode", "127:0", "n2"),
            False,
            Status.CRASHED,
            "NotStarted",
            "its Slurm job 7_3 failed on n2 with exit code 127, before Python started there "
            "(FAILED, NonZeroExitCode)",
        ),
        (
            Facts("NODE_FAIL", "", "0:0", "n1"),
            True,
            Status.INTERRUPTED,
            "NodeFail",
            "its Slurm job 7_3 was lost with its node on n1 (NODE_FAIL)",
        ),
        (
            Facts("TIMEOUT", "TimeLimit", "0:15", "n1"),
            True,
            Status.TIMEOUT,
            "TimeLimit",
            "its Slurm job 7_3 reached its time limit on n1 (TIMEOUT, TimeLimit)",
        ),
        (
            Facts(),
            True,
            Status.INTERRUPTED,
            "Forgotten",
            "Slurm knows nothing of its job 7_3 any more",
        ),
    ],
)
def test_ends_have_words_of_their_own(tmp_path, facts, began, status, kind, words):
    found, failure = end_of("7_3", facts, tmp_path / "none.log", began=began)
    assert (found, failure.type, failure.message) == (status, kind, words)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"gpu": {"partitions": "a"}},
            "[x].gpu has an unknown key 'partitions'; there are kind, flags, setup",
        ),
        ({"kernel": {}}, "[x]: kernel is the name of a launcher there is; choose another"),
        ({"gpu": {"kind": "pbs"}}, "[x].gpu kind is 'pbs'; it can be slurm"),
        ({"gpu": {"setup": "module"}}, "[x].gpu setup has to be a list of lines, not 'module'"),
        (
            {"gpu": {"per-job": 2, "at-once": 4}},
            "[x].gpu at-once is 4, and a job has 2 of the trials; set per-job to 4 or more",
        ),
        ({"gpu": {"partition": ""}}, "[x].gpu partition is empty; leave it out"),
    ],
)
def test_malformed_site_is_one_sentence(table, message):
    with pytest.raises(PlanError) as found:
        read_sites(table, "[x]")
    assert message in str(found.value)


def test_environment_of_a_node_has_to_be_that_of_the_session():
    here = dict(installed_versions())
    assert other_environment(here) is None
    failure = other_environment({**here, "numpy": "0.1", "nonesuch": "2.0"})
    assert failure is not None
    assert failure.type == "OtherEnvironment"
    assert f"numpy 0.1 is {here['numpy']}; nonesuch 2.0 is not installed" in failure.message


REMARK = (
    "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO PREEMPTION ***\n"
)


@pytest.fixture
def held(tmp_path):
    """A trial's folder and the batch that has it."""
    folder = tmp_path / "one/default/1-2k638xwz"
    folder.mkdir(parents=True)
    return folder, make_batch(tmp_path, {folder: {}}, {})


def test_remark_that_comes_late_into_the_log_is_waited_for(held, monkeypatch):
    folder, batch = held
    remarks = iter(["", "python: said something\n", REMARK])

    def pause(_seconds):
        with (batch.folder / "0.log").open("a") as log:
            log.write(next(remarks))

    monkeypatch.setattr("pytest_mitosis.run.cluster.node.time.sleep", pause)
    state = why_stopped(folder, batch)
    assert state == "PREEMPTED"
    told = stopped("7", state, is_requeued=True)
    assert (told.type, told.message) == (
        "Preempted",
        "its Slurm job 7 was preempted by a job that goes before it and put back into the queue, "
        "where it continues as the next attempt",
    )


def test_remark_that_never_comes_is_waited_for_a_moment_only(held, monkeypatch):
    monkeypatch.setattr("pytest_mitosis.run.cluster.node.LOG_SECONDS", 0.1)
    assert why_stopped(*held) == ""
    assert stopped("7", "", is_requeued=False).message == "its Slurm job 7 was stopped"


def test_who_cancels_says_so_before_and_takes_it_back_if_refused(held, tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_mitosis.run.cluster.node.LOG_SECONDS", 0.0)
    say_cancelled(tmp_path, place_of(held[0]))
    assert why_stopped(*held) == "CANCELLED"
    say_cancelled(tmp_path, place_of(held[0]), refused=True)
    assert why_stopped(*held) == ""


class Answers:
    """A scheduler that cancels, or does not answer."""

    def __init__(self, fails=""):
        self.fails, self.cancelled = fails, []

    def task_of(self, folder, job, task):
        return f"{job}-{task}"

    def queue(self, places):
        return {task: Queued(task, "RUNNING") for task in places if "gone" not in task}

    def cancel(self, tasks):
        if self.fails:
            raise SchedulerError(self.fails)
        self.cancelled += tasks


@pytest.mark.parametrize("order", [("well", "ill"), ("ill", "well")])
def test_scheduler_that_does_not_answer_keeps_no_other_from_cancelling(
    tmp_path, monkeypatch, order
):
    order = (*order, "gone")
    known = {"well": Answers(), "ill": Answers("down for a while"), "gone": Answers()}
    made = "pytest_mitosis.run.cluster.watching.scheduler_of"
    monkeypatch.setattr(made, lambda record: known[record["executor"]])
    folders = {name: tmp_path / f"one/{name}/1-2k638xwz" for name in order}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        make_batch(tmp_path, {folder: {}}, {"executor": name, "job": name})
    kept = Watching(tmp_path).cancel(folders.values())
    assert kept == {folders["ill"]: "down for a while"}
    assert known["well"].cancelled == ["well-0"]
    noted = {name: is_cancelled(tmp_path, place_of(folder)) for name, folder in folders.items()}
    assert noted == {"well": True, "ill": False, "gone": False}
