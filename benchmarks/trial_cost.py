"""What a trial costs beyond the experiment itself, here and in the tool ``mitosis``.

Both run the same experiment, which does nothing, in the same git project, each in processes of
their own. Ours is also run with several trials at once, since only the first of them pays for the
start of pytest: the cost of a further trial is the difference, divided by the further trials.

``mitosis`` is taken from the interpreter given by ``--mitosis-python``, and left out if it cannot
be imported there. Each run begins with an empty trials folder.

    python benchmarks/trial_cost.py --rounds 10 --mitosis-python /path/to/venv/bin/python
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from timing import Command, CommandFailedError, Cost, interleave, median, note, table

PYPROJECT = """\
[tool.mitosis]
trials-folder = "trials"

[tool.mitosis.steps]
step = ["noop:run", "noop:lookup_dict"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""

NOOP = '''\
"""An experiment that does nothing."""

lookup_dict = {"x": {"one": 1}}


def run(x):
    """Return what was given."""
    return {"main": x}
'''

STOCK = "mitosis, one trial"
ONE = "ours, one trial"
FURTHER = "ours, each further trial"


def main() -> None:
    """Set up the project, time both tools, print medians and ratios."""
    options = parse()
    many = f"ours, {options.trials} trials in one run"
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        write_project(project)
        commands = {}
        if has_mitosis(options.mitosis_python):
            commands[STOCK] = stock(options, project)
        else:
            note(f"mitosis cannot be imported by {options.mitosis_python}: left out")
        if not options.only_mitosis:
            commands[ONE] = ours(options, project, trials=1)
            commands[many] = ours(options, project, trials=options.trials)
        if not commands:
            sys.exit("nothing to time")
        costs = interleave(commands, options.rounds)
    medians = {name: median(rounds) for name, rounds in costs.items()}
    if many in costs:
        medians[FURTHER] = median(
            [
                further(one, all_, options.trials)
                for one, all_ in zip(costs[ONE], costs[many], strict=True)
            ]
        )
    title = f"no-op trials, medians of {options.rounds}"
    print(table(medians, base=next(iter(medians)), title=title))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter with the plugin")
    parser.add_argument("--mitosis-python", default=sys.executable, help="one with mitosis")
    parser.add_argument("--only-mitosis", action="store_true", help="time the other tool alone")
    parser.add_argument("--rounds", type=int, default=10, help="runs of each")
    parser.add_argument("--trials", type=int, default=11, help="trials in ours' longer run")
    options = parser.parse_args()
    if options.trials < 2:
        parser.error("--trials must be 2 or more: further trials are what is measured")
    return options


def write_project(project: Path, body: str = "    return") -> None:
    """Write and commit a project with one experiment; ``body`` ends before what it returns."""
    project.mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / "noop.py").write_text(NOOP.replace("    return", body))
    (project / ".gitignore").write_text("trials*/\n__pycache__/\n.pytest_cache/\n")
    identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "no-op"]):
        subprocess.run(["git", *identity, *words], cwd=project, check=True)


def has_mitosis(python: str) -> bool:
    """Ask the interpreter whether it can import mitosis."""
    return not subprocess.run([python, "-c", "import mitosis"], capture_output=True).returncode


def stock(options: argparse.Namespace, project: Path) -> Command:
    """Build one trial with mitosis."""
    store = project / "trials-mitosis"
    argv = [options.mitosis_python, "-m", "mitosis", "step", "-e", "step.x=1", "-F", str(store)]
    return build(project, store, argv, reports=0)


def ours(options: argparse.Namespace, project: Path, trials: int) -> Command:
    """Build a run of so many trials, all of which have to be done and none reused."""
    store = project / f"trials-{trials}"
    argv = [options.python, "-m", "pytest", "-p", "mitosis", "--exp", "step"]
    argv += ["--trials-folder", str(store)]
    for x in range(1, trials + 1):
        argv += ["--eval-param", f"x={x}"]
    return build(project, store, argv, reports=trials)


def build(project: Path, store: Path, argv: list[str], reports: int) -> Command:
    """Put a command into the project, with the store it writes to."""

    def check(output: str) -> None:
        if reports and f"{reports} passed" not in output:
            raise CommandFailedError(f"expected {reports} passed:\n{output[-3000:]}")
        if not any(store.iterdir()):
            raise CommandFailedError(f"no trial in {store}:\n{output[-3000:]}")

    path = os.pathsep.join(filter(None, [str(project), os.environ.get("PYTHONPATH")]))
    return Command(argv, project, {"PYTHONPATH": path}, partial(empty, store), check)


def empty(store: Path) -> None:
    """Make the folder exist and hold nothing."""
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir()


def further(one: Cost, many: Cost, trials: int) -> Cost:
    """Share the difference of a run with many trials and a run with one among the further ones."""
    share = trials - 1
    return Cost((many.cpu - one.cpu) / share, (many.wall - one.wall) / share)


if __name__ == "__main__":
    main()
