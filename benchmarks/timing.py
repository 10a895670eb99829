"""Time commands against each other as whole processes. Knows nothing of what they run.

The machine is assumed to be shared and its speed to drift, so commands take turns: every round
runs each of them once, every other round in reverse order, and medians are compared.

CPU time is that of the process and of all its descendants, those included that outlive it or that
it never waited for (a kernel, a fork server): on Linux this process adopts and reaps them.

Byte code is kept, as it is for users: the first round, which is not counted, compiles it.
"""

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h
ORPHANS_GRACE = 30.0  # seconds that descendants may outlive their command


@dataclass(frozen=True)
class Command:
    """What to run, where, and what to do before each run (not timed)."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    check: Callable[[str], None] = lambda output: None


@dataclass(frozen=True)
class Cost:
    """Seconds that one run took: user and system CPU of all its processes, and wall time."""

    cpu: float
    wall: float


class CommandFailedError(Exception):
    """A timed command did not do what it should, so that its time means nothing."""


def interleave(commands: Mapping[str, Command], rounds: int) -> dict[str, list[Cost]]:
    """Run every command once per round, after one round that is not counted."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        order = list(commands)
        for name in order if turn % 2 else reversed(order):
            cost = run(commands[name])
            if turn:
                costs[name].append(cost)
        note(f"round {turn} of {rounds}" if turn else "warmed up")
    return costs


def run(command: Command) -> Cost:
    """Run one command to the end of its last descendant."""
    adopt_orphans()
    command.prepare()
    with tempfile.TemporaryFile("w+") as output:
        before = cpu_of_children()
        start = time.perf_counter()
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **command.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        status = process.wait()
        wall = time.perf_counter() - start
        reap_orphans()
        cpu = cpu_of_children() - before
        output.seek(0)
        text = output.read()
    if status:
        raise CommandFailedError(f"{' '.join(command.argv)}: exit {status}\n{text[-3000:]}")
    command.check(text)
    return Cost(cpu, wall)


def cpu_of_children() -> float:
    """Sum the CPU seconds of all processes that have been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent ends first. Linux only, elsewhere no-op."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans() -> None:
    """Wait for adopted descendants, so that their CPU time is counted."""
    limit = time.monotonic() + ORPHANS_GRACE
    while time.monotonic() < limit:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            time.sleep(0.01)
    raise CommandFailedError(f"left processes behind that still run after {ORPHANS_GRACE:.0f} s")


def median(costs: Sequence[Cost]) -> Cost:
    """Take the medians of CPU and wall time, each for itself."""
    return Cost(
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.wall for cost in costs),
    )


def table(costs: Mapping[str, Cost], base: str, title: str) -> str:
    """Lay out seconds, and ratios to the row called ``base``."""
    width = max(map(len, (*costs, title)))
    lines = [f"{title:<{width}}   CPU (s)  wall (s)   CPU ratio  wall ratio"]
    for name, cost in costs.items():
        cpu, wall = cost.cpu / costs[base].cpu, cost.wall / costs[base].wall
        lines.append(
            f"{name:<{width}}  {cost.cpu:8.3f}  {cost.wall:8.3f}  {cpu:10.3f}  {wall:10.3f}"
        )
    return "\n".join(lines)


def note(text: str) -> None:
    """Say on standard error how far things are."""
    print(text, file=sys.stderr, flush=True)
