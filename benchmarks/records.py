"""What the record of a trial costs: its environment, and watching which functions run.

Prints ratios against a baseline of the same run: the environment against listing the installed
distributions with :mod:`importlib.metadata`, a watched call against a plain one.
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
from typing import TYPE_CHECKING

from pytest_mitosis.identity.executed import Recorder
from pytest_mitosis.run.environment import collect_environment

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 10
CALLS = 100_000


def work(x: float) -> float:
    """Do next to nothing, as the functions do whose calls would be dear to watch."""
    return x * 0.5


def call_often() -> None:
    """Call the same function again and again."""
    for _ in range(CALLS):
        work(1.5)


def list_distributions() -> list[str]:
    """Name and version of everything installed, by the standard library."""
    found = importlib.metadata.distributions()
    return [f"{one.metadata['Name']}=={one.version}" for one in found]


def best(action: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print the table."""
    rows = [("environment", best(collect_environment), best(list_distributions))]
    if sys.version_info >= (3, 12):
        plain = best(call_often)
        recorder = Recorder()
        recorder.start()
        rows.append((f"{CALLS} watched calls", best(call_often), plain))
        recorder.stop()
    print(f"{'best of ' + str(REPEATS):<24}{'ms':>10}{'baseline':>10}{'ratio':>8}")
    for name, ours, baseline in rows:
        print(f"{name:<24}{ours * 1e3:>10.2f}{baseline * 1e3:>10.2f}{ours / baseline:>8.2f}")


if __name__ == "__main__":
    main()
