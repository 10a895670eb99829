"""What it costs to collect a large grid of trials, against parametrized tests of the same size.

An experiment with 4 parameters of 10 variants each makes 10,000 trials. The test has the same four
parameters, values and ids, through ``pytest.mark.parametrize`` and without the plugin.

    python benchmarks/collect_grid.py --rounds 5
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import Command, CommandFailedError, interleave, median, table

PARAMETERS = ["alpha", "beta", "gamma", "delta"]

EXPERIMENT = """\
lookup_dict = {lookup}

def exp_grid({arguments}):
    return {{"main": {total}}}
"""

TEST = """\
import pytest

LOOKUP = {lookup}

{marks}
def test_grid({arguments}):
    assert {total} >= 0
"""


def main() -> None:
    """Generate both projects, time their collection, print medians and ratios."""
    options = parse()
    items = options.variants ** len(PARAMETERS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_projects(root, options.variants)
        grid = [word for name in PARAMETERS for word in ("--variant", f"{name}=*")]
        commands = {
            "parametrized test": collect(options, root / "tests", items, "-p", "no:mitosis"),
            "experiment": collect(options, root / "lab", items, "--exp", "grid", *grid),
        }
        costs = interleave(commands, options.rounds)
    medians = {name: median(rounds) for name, rounds in costs.items()}
    title = f"collecting {items} items, medians of {options.rounds}"
    print(table(medians, base="parametrized test", title=title))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter with the plugin")
    parser.add_argument("--variants", type=int, default=10, help="variants of each parameter")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each")
    return parser.parse_args()


def write_projects(root: Path, variants: int) -> None:
    """Write ``tests``, a plain project, and ``lab``, a committed one with the experiment."""
    mark = '@pytest.mark.parametrize("{0}", LOOKUP["{0}"].values(), ids=LOOKUP["{0}"])'
    text = {
        "lookup": {p: {f"{p[0]}{n}": n / 10 for n in range(variants)} for p in PARAMETERS},
        "arguments": ", ".join(PARAMETERS),
        "total": " + ".join(PARAMETERS),
        "marks": "\n".join(map(mark.format, PARAMETERS)),
    }
    tests, lab = root / "tests", root / "lab"
    (lab / "exps").mkdir(parents=True)
    tests.mkdir()
    (tests / "pytest.ini").write_text("[pytest]\n")
    (tests / "test_grid.py").write_text(TEST.format(**text))
    (lab / "pyproject.toml").write_text(
        '[tool.mitosis]\ntrials-folder = "trials"\n\n[tool.pytest.ini_options]\n'
    )
    (lab / "exps" / "exp_grid.py").write_text(EXPERIMENT.format(**text))
    (lab / ".gitignore").write_text("trials/\n__pycache__/\n.pytest_cache/\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "grid"]):
        identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
        subprocess.run(["git", *identity, *words], cwd=lab, check=True)


def collect(options: argparse.Namespace, project: Path, items: int, *arguments: str) -> Command:
    """Build a collection that insists on the right number of items."""

    def check(output: str) -> None:
        found = sum("_grid[" in line for line in output.splitlines())
        if found != items:
            raise CommandFailedError(f"expected {items} items, got {found}:\n{output[-3000:]}")

    argv = [options.python, "-m", "pytest", "--collect-only", "-q", *arguments]
    return Command(argv, cwd=project, check=check)


if __name__ == "__main__":
    main()
