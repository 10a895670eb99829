"""What watching random generators costs: hot loops that draw numbers, and what runs only once.

Each round runs every case in two new interpreters, with and without the watch, in turns. Cases
that draw report the time of the loop alone; ``start`` is the watch itself, from before numpy is
imported to the end of one step.

    python benchmarks/randomness.py --rounds 7
"""

import argparse
import subprocess
import sys

from timing import note

LOOPS = {
    "rng.random()": "x = rng.random()",
    "rng.normal(0.0, 1.0)": "x = rng.normal(0.0, 1.0)",
    "random.random()": "x = random.random()",
    "random.gauss(0.0, 1.0)": "x = random.gauss(0.0, 1.0)",
    "np.random.rand()": "x = np.random.rand()",
    "np.random.default_rng(1)": "x = np.random.default_rng(1)",
    "np.random.RandomState(1)": "x = np.random.RandomState(1)",
    "random.Random(1)": "x = random.Random(1)",
}
SLOW = {"np.random.default_rng(1)", "np.random.RandomState(1)", "random.Random(1)"}
CHILD = """
import random, sys, time
from pathlib import Path
from pytest_mitosis.identity.executed import Recorder
from pytest_mitosis.run.watch import Watch

recorder, watch = Recorder(), Watch(0, Path("/"), has_seed=True)
recorder.start()
began = time.process_time()
if {watched}:
    watch.start()
{imports}
import numpy as np
rng = np.random.default_rng(0)

def loop():
    for _ in range({count}):
        {line}

loop_began = time.process_time()
loop()
ended = time.process_time()
if {watched}:
    watch.look("step")
    watch.stop()
print(ended - loop_began, time.process_time() - began)
"""


def main() -> None:
    """Time all cases and print the least of each, as noise only adds, and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--draws", type=int, default=1_000_000)
    options = parser.parse_args()
    cases = {
        name: (line, "", options.draws // (20 if name in SLOW else 1), 0)
        for name, line in LOOPS.items()
    }
    cases["start, import numpy"] = ("pass", "", 1, 1)
    cases["start, import sklearn, fit"] = ("forest()", FOREST, 1, 1)
    times: dict[tuple[str, bool], list[float]] = {}
    for turn in range(options.rounds):
        for name, (line, imports, count, which) in cases.items():
            for watched in (True, False) if turn % 2 else (False, True):
                source = CHILD.format(watched=watched, imports=imports, count=count, line=line)
                times.setdefault((name, watched), []).append(measure(source)[which])
        note(f"round {turn + 1} of {options.rounds}")
    print(f"{'':<28}  without (s)  watched (s)  ratio")
    for name in cases:
        off, on = (min(times[name, watched]) for watched in (False, True))
        print(f"{name:<28}  {off:11.3f}  {on:11.3f}  {on / off:5.2f}")


FOREST = """
from sklearn.datasets import make_blobs
from sklearn.ensemble import RandomForestClassifier
def forest(): RandomForestClassifier(20).fit(*make_blobs(300))
"""


def measure(source: str) -> list[float]:
    """Run in a new interpreter and read the seconds it prints."""
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    return [float(text) for text in done.stdout.split()]


if __name__ == "__main__":
    main()
