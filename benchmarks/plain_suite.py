"""What the plugin costs those who do not use it: plain ``pytest`` with it and without it.

Times a generated suite with the plugin installed, with ``-p no:mitosis``, and the latter once more
as a control: how far its ratio is from 1 is how far a ratio can be trusted.

    python benchmarks/plain_suite.py --rounds 20
"""

import argparse
import sys
import tempfile
from pathlib import Path

from timing import Command, CommandFailedError, interleave, median, table

TESTS_PER_FILE = 50


def main() -> None:
    """Generate the suite, time it, print medians and ratios."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder)
        write_suite(suite, options.tests)
        without = pytest_command(options, suite, "-p", "no:mitosis")
        commands = {
            "without the plugin": without,
            "control: without, again": without,
            "with the plugin": pytest_command(options, suite),
        }
        costs = interleave(commands, options.rounds)
    medians = {name: median(rounds) for name, rounds in costs.items()}
    title = f"pytest on {options.tests} tests, medians of {options.rounds}"
    print(table(medians, base="without the plugin", title=title))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter with the plugin")
    parser.add_argument("--tests", type=int, default=1000, help="tests in the suite")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each")
    return parser.parse_args()


def write_suite(suite: Path, tests: int) -> None:
    """Write small tests, some with a fixture, ``TESTS_PER_FILE`` to a file."""
    (suite / "pytest.ini").write_text("[pytest]\n")
    for start in range(0, tests, TESTS_PER_FILE):
        lines = ["import pytest", "", "@pytest.fixture", "def one():", "    return 1", ""]
        for number in range(start, min(start + TESTS_PER_FILE, tests)):
            argument = "one" if number % 2 else ""
            lines += [f"def test_{number}({argument}):", f"    assert {number} + 1 > {number}"]
        (suite / f"test_{start}.py").write_text("\n".join(lines) + "\n")


def pytest_command(options: argparse.Namespace, suite: Path, *arguments: str) -> Command:
    """Build a run of the suite that insists on every test having passed."""

    def check(output: str) -> None:
        if f"{options.tests} passed" not in output:
            raise CommandFailedError(f"expected {options.tests} passed:\n{output[-3000:]}")

    return Command([options.python, "-m", "pytest", "-q", *arguments], cwd=suite, check=check)


if __name__ == "__main__":
    main()
