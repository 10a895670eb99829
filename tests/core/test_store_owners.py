"""Whether the owner of something in the store lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mitosis.store.owners import LOST_AFTER_SECONDS, lives, this_process

SLEEPER = (sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()")
LONG_AGO = 10 * LOST_AFTER_SECONDS


@pytest.fixture
def other():
    """A living process, and what it would say of itself."""
    with subprocess.Popen(SLEEPER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        own = this_process()
        yield (
            process,
            {
                **own,
                "pid": process.pid,
                "process": {**own["process"], "started": stat.rpartition(")")[2].split()[19]},
            },
        )
        process.kill()


def test_living_process_lives_however_long_it_was_silent(other):
    assert lives(this_process(), LONG_AGO)
    assert lives(other[1], LONG_AGO)


def test_fork_of_a_process_is_an_owner_of_its_own():
    own = this_process()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, json.dumps(this_process()).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as file:
        forked = json.loads(file.read())
    os.waitpid(pid, 0)
    assert forked["pid"] == pid
    assert int(forked["process"]["started"]) >= int(own["process"]["started"])
    assert not lives(forked, 0.0)


def test_process_that_ended_does_not_live_though_nobody_waited_for_it(other):
    process, owner = other
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not lives(owner, 0.0)
    process.wait()
    assert not lives(owner, 0.0)


def test_later_process_of_the_same_number_is_another_one():
    owner = this_process()
    owner["process"] = {**owner["process"], "started": "1"}
    assert not lives(owner, 0.0)


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "node-17.cluster"}, {"process": {"space": "pid:[1]", "started": "1"}}],
    ids=["machine", "container"],
)
def test_owner_elsewhere_is_told_by_its_heartbeat(elsewhere):
    owner = {**this_process(), **elsewhere, "pid": 2**31 - 5}
    assert lives(owner, LOST_AFTER_SECONDS - 1)
    assert not lives(owner, LOST_AFTER_SECONDS + 1)


def test_record_without_a_process_needs_both_its_number_and_a_heartbeat():
    owner = this_process()
    del owner["process"]
    assert lives(owner, 0.0)
    assert not lives(owner, LONG_AGO)
    assert not lives({**owner, "pid": 2**31 - 5}, 0.0)


@pytest.mark.parametrize("pid", [None, "many", 0, -1, 2**80])
def test_damaged_number_belongs_to_nobody(pid):
    assert not lives({**this_process(), "pid": pid}, 0.0)
