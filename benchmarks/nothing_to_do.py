"""What a grid costs in which every trial is done already, against plain tests of the same size.

One trial is run; the others of the grid are copies of its folder under their own seeds, as running
a thousand takes long and says nothing here. The second run of the grid has to reuse them all.

    python benchmarks/nothing_to_do.py --trials 1000 --rounds 5
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import Command, CommandFailedError, interleave, median, table

from pytest_mitosis.identity import describe

EXPERIMENT = """\
import helper

lookup_dict = {"noise": {"low": 0.1}, "solver": {"tv": {"alpha": 0.5, "order": (1, 2)}}}


def exp_grid(noise, solver, *, seed):
    return {"main": helper.scaled(noise) + seed}
"""
HELPER = "def scaled(noise):\n    return 2 * noise\n"
TEST = """\
import pytest


@pytest.mark.parametrize("seed", range({trials}))
def test_grid(seed):
    assert seed >= 0
"""
CHOICE = ("-p", "mitosis", "--exp", "grid", "--variant", "noise=low", "--variant", "solver=tv")
IDENTITY = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")


def main() -> None:
    """Fill a store, run the grid and the tests in turns, print what an item costs."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_projects(root, options.trials)
        fill(options, root / "lab")
        grid = (*CHOICE, "--seeds", f"0-{options.trials - 1}")
        commands = {
            "plain tests": session(options, root / "tests", "-p", "no:mitosis"),
            "experiments, all done": session(options, root / "lab", *grid),
        }
        costs = interleave(commands, options.rounds)
    medians = {name: median(rounds) for name, rounds in costs.items()}
    title = f"{options.trials} items, medians of {options.rounds}"
    print(table(medians, base="plain tests", title=title))
    plain, ours = medians.values()
    over = 1000 * (ours.wall - plain.wall) / options.trials
    cpu = 1000 * (ours.cpu - plain.cpu) / options.trials
    print(f"over plain pytest: {over:.2f} ms wall, {cpu:.2f} ms CPU a trial, start-up included")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter with the plugin")
    parser.add_argument("--trials", type=int, default=1000, help="trials of the grid")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each")
    return parser.parse_args()


def write_projects(root: Path, trials: int) -> None:
    """Write ``tests``, a plain project, and ``lab``, a committed one with the experiment."""
    tests, lab = root / "tests", root / "lab"
    tests.mkdir()
    lab.mkdir()
    (tests / "pytest.ini").write_text("[pytest]\n")
    (tests / "test_grid.py").write_text(TEST.format(trials=trials))
    (lab / "exp_grid.py").write_text(EXPERIMENT)
    (lab / "helper.py").write_text(HELPER)
    (lab / ".gitignore").write_text("trials/\n__pycache__/\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "grid"]):
        subprocess.run(["git", *IDENTITY, *words], cwd=lab, check=True)


def fill(options: argparse.Namespace, lab: Path) -> None:
    """Run the trial of seed 0 and copy it to the other seeds."""
    command = [options.python, "-m", "pytest", "-q", *CHOICE, "--seeds", "0"]
    subprocess.run(command, cwd=lab, check=True, stdout=subprocess.DEVNULL)
    (first,) = (lab / "trials").glob("grid/*/1-*")
    for seed in range(1, options.trials):
        spec = first.parent.name.replace("seed=0", f"seed={seed}")
        trial = f"{seed:08d}"
        folder = first.parent.with_name(spec) / f"1-{trial}"
        shutil.copytree(first, folder)  # with the times of the files
        manifest = json.loads((folder / "trial.json").read_text("utf-8"))
        manifest |= {"id": trial, "spec": spec, "seed": seed}
        for one in manifest["parameters"]:
            if one["name"] == "seed":
                one |= {"variant": str(seed), "digest": describe(seed).digest}
        (folder / "trial.json").write_text(json.dumps(manifest), "utf-8")


def session(options: argparse.Namespace, project: Path, *arguments: str) -> Command:
    """Build a session that insists on passing every item, and on running none of ours."""

    def check(output: str) -> None:
        if f"{options.trials} passed" not in output:
            raise CommandFailedError(f"expected {options.trials} items:\n{output[-3000:]}")
        ran = [one for one in os.listdir(project) if one == "trials"] and sum(
            1 for _ in (project / "trials").glob("grid/*/2-*")
        )
        if ran:
            raise CommandFailedError(f"{ran} trials ran again:\n{output[-3000:]}")

    # Other plugins of this environment are no part of the comparison.
    plugins = ("-p", "no:hypothesispytest", "-p", "no:xdist")
    argv = [options.python, "-m", "pytest", "-q", *plugins, *arguments]
    return Command(argv, cwd=project, check=check)


if __name__ == "__main__":
    main()
