"""Leases: parts of one machine, never given twice, taken back from the dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.resources import Request, join_requests, read_jobs, read_request
from pytest_mitosis.run.machine import Machine, read_machine, thread_variables
from pytest_mitosis.store.leases import Leases, Share

MACHINE = Share(cpus=4, gpus=("0", "1"), memory=8 * 1024**3)


def test_lease_is_of_all_that_is_asked_for_or_of_nothing(tmp_path):
    leases = Leases(tmp_path)
    first = leases.try_take("a", MACHINE, Request(cpus=3, gpus=1, memory=1024**3))
    assert first is not None
    assert first.share.gpus == ("0",)
    assert leases.try_take("b", MACHINE, Request(cpus=2)) is None
    assert leases.try_take("b", MACHINE, Request(cpus=1, gpus=2)) is None
    assert leases.try_take("b", MACHINE, Request(memory=8 * 1024**3)) is None
    second = leases.try_take("b", MACHINE, Request(cpus=1, gpus=1))
    assert second is not None
    assert second.share.gpus == ("1",)
    leases.release(first)
    leases.release(second)
    assert leases.try_take("c", MACHINE, Request(cpus=4, gpus=2)) is not None


def test_jobs_that_a_scheduler_keeps_apart_do_not_wait_for_each_other(tmp_path):
    leases = Leases(tmp_path)
    one = Share(cpus=2, processors=frozenset({0, 1}))
    other = Share(cpus=2, processors=frozenset({2, 3}))
    assert leases.try_take("a", one, Request(cpus=2)) is not None
    assert leases.try_take("b", one, Request(cpus=1)) is None
    assert leases.try_take("c", other, Request(cpus=2)) is not None


HOLDER = """
    import sys, time
    from pathlib import Path
    from pytest_mitosis.plan.resources import Request
    from pytest_mitosis.store.leases import Leases, Share
    assert Leases(Path(sys.argv[1])).try_take("held", Share(cpus=2), Request(cpus=2))
    print("held", flush=True)
    time.sleep(600)
"""


def test_lease_of_a_killed_process_is_taken_back(tmp_path):
    code = textwrap.dedent(HOLDER)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        leases = Leases(tmp_path)
        assert leases.try_take("mine", Share(cpus=2), Request(cpus=1)) is None
        holder.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet buried
        assert leases.try_take("mine", Share(cpus=2), Request(cpus=2)) is not None
    assert [file.name for file in leases.folder.glob("*.json")] == ["mine.json"]


def test_lease_from_elsewhere_counts_as_long_as_its_heart_beats(tmp_path):
    leases = Leases(tmp_path)
    lease = leases.try_take("far", MACHINE, Request(cpus=4))
    assert lease is not None
    record = json.loads(lease.file.read_text())
    record |= {"pid": 2**31 - 5, "process": {"space": "pid:[1]", "started": "1"}}
    lease.file.write_text(json.dumps(record))
    assert leases.try_take("near", MACHINE, Request(cpus=1)) is None
    leases.held.clear()
    os.utime(lease.file, (1.0, 1.0))
    assert leases.try_take("near", MACHINE, Request(cpus=4)) is not None


MANY = """
    import sys, time
    from pathlib import Path
    from pytest_mitosis.plan.resources import Request
    from pytest_mitosis.store.leases import Leases, Share
    name, store = sys.argv[1], Path(sys.argv[2])
    there_is = Share(cpus=4, gpus=("0", "1", "2"))
    leases = Leases(store)
    wanted = [Request(cpus=3, gpus=1), Request(cpus=1, gpus=2)]  # and the other way round
    for number in range(30):
        request = wanted[(number + int(name)) % 2]
        while (lease := leases.try_take(f"{name}-{number}", there_is, request)) is None:
            time.sleep(0.001)
        owners = [store / f"gpu-{gpu}" for gpu in lease.share.gpus]
        for owner in owners:
            owner.open("x").close()  # fails if it is another's
        for owner in owners:
            owner.unlink()
        leases.release(lease)
"""


def test_many_processes_never_hold_the_same_and_all_come_to_an_end(tmp_path):
    code = textwrap.dedent(MANY)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(number), str(tmp_path)], stderr=subprocess.PIPE
        )
        for number in range(6)
    ]
    told = [one.communicate(timeout=120)[1] for one in running]
    assert [one.returncode for one in running] == [0] * 6, told
    assert not list(tmp_path.rglob("*.json"))


# what is asked for


def test_request_is_read_in_the_units_people_write():
    facts = {"cpus": 4, "gpus": 1, "memory": "1.5G", "timeout": "2h"}
    assert read_request(facts, "fit") == Request(4, 1, 3 * 1024**3 // 2, 7200.0)
    assert read_request({"memory": "512 MiB", "timeout": 90}, "fit").memory == 512 * 1024**2
    assert not read_request({"timeout": "30m"}, "fit")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"cpus": 0}, "fit: cpus has to be a whole number from 1 on, not 0"),
        ({"cpus": True}, "fit: cpus has to be a whole number from 1 on, not True"),
        ({"gpus": "one"}, "fit: gpus has to be a whole number from 0 on, not 'one'"),
        ({"memory": 8}, "fit: memory has to be a text such as '512M' or '8G', not 8"),
        ({"memory": "8"}, "fit: memory has to be a text such as '512M' or '8G', not '8'"),
        (
            {"timeout": "2 weeks"},
            "fit: timeout has to be a number of seconds above 0, or a text such as '30m', '2h' "
            "or '1d', not '2 weeks'",
        ),
    ],
)
def test_malformed_request_is_one_sentence(facts, words):
    with pytest.raises(PlanError) as caught:
        read_request(facts, "fit")
    assert str(caught.value) == words


def test_steps_of_one_process_need_the_most_of_each():
    steps = [Request(4, 0, 1024, 60.0), Request(1, 2, 4096, None)]
    assert join_requests(steps) == Request(4, 2, 4096, 60.0)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(cpus=9), "fit asks for cpus = 9; this machine has 4 usable"),
        (
            Request(gpus=2),
            "fit asks for gpus = 2; this machine has 1 usable; if it has more, say so in "
            "[tool.mitosis.resources]: gpus = N",
        ),
        (Request(memory=3 * 1024**3), "fit asks for 3G of memory; this machine has 2G"),
    ],
)
def test_more_than_the_machine_has_is_refused(request_, words):
    with pytest.raises(PlanError) as caught:
        Machine(4, frozenset(), ("0",), 2 * 1024**3).require(request_, "fit")
    assert str(caught.value) == words


def test_gpus_are_those_this_process_may_see(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-5c3d")
    assert read_machine(8).gpus == ("2", "GPU-5c3d")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert read_machine(8).gpus == ()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert read_machine(2).gpus == ("0", "1")


def test_thread_variables_of_the_user_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = thread_variables(3)
    assert "OMP_NUM_THREADS" not in found
    assert found["MKL_NUM_THREADS"] == "3"
    assert thread_variables(0) == {}


def test_jobs_come_from_the_command_line_or_else_the_table():
    assert read_jobs(None, 3) == 3
    assert read_jobs("2", 3) == 2
    assert read_jobs("auto", 3) == read_jobs(None, "auto") >= 1
