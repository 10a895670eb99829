"""Processes that wait for a trial: as many as trials come, none that is dead, none left over."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_mitosis.run.launchers import make_engine
from pytest_mitosis.run.warm import ForkedProcesses

JOB = SimpleNamespace(environment={}, cwd="/")
BUILT = SimpleNamespace(notebook=None)

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


def forks(engine: ForkedProcesses) -> set[int]:
    """The processes that were forked and are there."""
    assert engine._server is not None
    pid = engine._server.result().process.pid
    return {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


@pytest.mark.parametrize("launcher", ["kernel", "process"])
@pytest.mark.parametrize(("trials", "at_once", "warm"), [(7, 3, 3), (2, 3, 2), (0, 3, 0)])
def test_as_many_processes_wait_as_trials_may_begin(tmp_path, launcher, trials, at_once, warm):
    async def seen() -> tuple[int, set[int]]:
        engine = make_engine(launcher)
        engine.expect(trials, at_once)
        async with engine.open(JOB, tmp_path, BUILT) as opened:
            assert engine._filling is not None
            await engine._filling
            there = forks(engine)
            assert opened.process.pid in there
        await engine.close()
        return len(there) - 1, there

    count, there = asyncio.run(seen())
    assert count == warm
    assert not [pid for pid in there if Path(f"/proc/{pid}").exists()]


def test_one_process_waits_from_the_second_trial_on_if_nothing_is_said(tmp_path):
    async def seen() -> list[int]:
        engine, counts = make_engine("process"), []
        for _ in range(3):
            async with engine.open(JOB, tmp_path, BUILT):
                if engine._spare:
                    await asyncio.wait(engine._spare)
                counts.append(len(forks(engine)) - 1)
        await engine.close()
        return counts

    assert asyncio.run(seen()) == [0, 1, 1]


def test_processes_that_wait_are_given_in_turn_and_never_dead(tmp_path):
    async def given() -> tuple[list[int], int]:
        engine = make_engine("process")
        engine.expect(3, 3)
        async with engine.open(JOB, tmp_path, BUILT):
            assert engine._filling is not None
            await engine._filling
        waiting = [task.result() for task in engine._spare]
        os.kill(waiting[0].process.pid, signal.SIGKILL)
        await waiting[0].process.died
        engine.expect(0, 3)
        async with engine.open(JOB, tmp_path, BUILT) as opened:
            taken = opened.process.pid
        await engine.close()
        return [one.process.pid for one in waiting], taken

    waiting, taken = asyncio.run(given())
    assert taken == waiting[1]
