"""What several trials at once take beyond the experiment: whole sessions, from a cold start.

The experiment sleeps, so that nothing but the sessions themselves keeps the machine busy. The
floor is one process that sleeps as long as the last of the trials has to wait.

    python benchmarks/at_once.py --rounds 5 --trials 8 --jobs 4 --python /path/to/venv/bin/python

Plugins that other packages bring are a part of pytest's start and end: an environment with nothing
but this package shows what is its own.
"""

import argparse
import math
import sys
import tempfile
from pathlib import Path

from timing import Command, interleave, median, table
from trial_cost import build, write_project

FLOOR = "python that sleeps"


def main() -> None:
    """Time everything in turns, print medians and ratios."""
    options = parse()
    seconds = options.seconds * math.ceil(options.trials / options.jobs)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        sleeping = f"    import time\n\n    time.sleep({options.seconds})\n    return"
        write_project(project, sleeping)
        sleep = ["-c", f"import time; time.sleep({seconds})"]
        commands = {FLOOR: Command([options.python, *sleep], project)}
        for launcher in ("process", "kernel"):
            commands[f"ours, {launcher}"] = ours(options, project, launcher)
        costs = interleave(commands, options.rounds)
    title = f"{options.trials} trials of {options.seconds:g} s, {options.jobs} at once"
    medians = {name: median(rounds) for name, rounds in costs.items()}
    print(table(medians, base=FLOOR, title=title))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter with the plugin")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each")
    parser.add_argument("--trials", type=int, default=8, help="trials of a session")
    parser.add_argument("--jobs", type=int, default=4, help="trials at once")
    parser.add_argument("--seconds", type=float, default=1.0, help="what a trial sleeps")
    return parser.parse_args()


def ours(options: argparse.Namespace, project: Path, launcher: str) -> Command:
    """Build a session of all trials, none of them reused."""
    store = project / f"trials-{launcher}"
    argv = [options.python, "-m", "pytest", "-p", "mitosis", "--exp", "step"]
    argv += ["--exp-launcher", launcher, "--exp-jobs", str(options.jobs)]
    argv += ["--trials-folder", str(store)]
    argv += [f"--eval-param=x={x}" for x in range(options.trials)]
    return build(project, store, argv, reports=options.trials)


if __name__ == "__main__":
    main()
