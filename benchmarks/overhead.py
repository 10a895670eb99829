"""What recording one more trial costs: here with each launcher, and with other tools.

All run the same experiment, which does nothing. Ours and those that can run many at once are run
with one trial and with many; the cost of a further one is the difference, divided by the further
ones, so that the start of the tool is not in it. A bare ``python -c pass`` is the floor of any
process. Tools that the interpreter given by ``--peers-python`` cannot import are left out.

    python benchmarks/overhead.py --rounds 5 --trials 20 --peers-python /path/to/venv/bin/python
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import Command, Cost, interleave, median, note, table
from trial_cost import build, further, has_mitosis, stock, write_project

SCRIPTS = {
    "sacred": """
import sys
from sacred import Experiment
from sacred.observers import FileStorageObserver
store, count = sys.argv[1], int(sys.argv[2])
for x in range(count):
    ex = Experiment(f"noop{x}", save_git_info=False)
    ex.observers.append(FileStorageObserver(store))
    ex.add_config(x=x)
    ex.main(lambda x: x)
    ex.run(options={"--loglevel": "ERROR"})
""",
    "mlflow": """
import os, sys
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
import mlflow
store, count = sys.argv[1], int(sys.argv[2])
mlflow.set_tracking_uri(f"file:{store}/mlruns")
for x in range(count):
    with mlflow.start_run():
        mlflow.log_param("x", x)
        mlflow.log_metric("main", x)
""",
    "experimaestro": """
import sys
from experimaestro import Param, Task, experiment
class Noop(Task):
    x: Param[int]
    def execute(self):
        pass
if __name__ == "__main__":
    store, count = sys.argv[1], int(sys.argv[2])
    with experiment(store, "noop") as xp:
        for x in range(count):
            Noop.C(x=x).submit()
""",
}
"""Each runs and records so many no-op trials; Sacred and MLflow do it in one process for all."""


def main() -> None:
    """Time everything in turns, print medians and ratios."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        write_project(project)
        commands = {"python -c pass": Command([options.python, "-c", "pass"], project)}
        if has_mitosis(options.mitosis_python):
            commands["mitosis, one trial"] = stock(options, project)
        pairs = {}
        for launcher in ("kernel", "process"):
            pairs[f"ours, {launcher}"] = [
                ours(options, project, launcher, trials) for trials in (1, options.trials + 1)
            ]
        for name, script in SCRIPTS.items():
            if is_importable(options.peers_python, name):
                pairs[name] = [
                    peer(options, project, name, script, trials)
                    for trials in (1, options.trials + 1)
                ]
            else:
                note(f"{name} cannot be imported by {options.peers_python}: left out")
        for name, (one, many) in pairs.items():
            commands |= {f"{name}: one": one, f"{name}: many": many}
        costs = interleave(commands, options.rounds)
    print(table(summary(options, pairs, costs), base="python -c pass", title="medians, no-op"))


def summary(
    options: argparse.Namespace, pairs: dict[str, list[Command]], costs: dict[str, list[Cost]]
) -> dict[str, Cost]:
    """What each further trial costs, and what single runs do."""
    medians = {name: median(rounds) for name, rounds in costs.items() if ": " not in name}
    for name in pairs:
        both = zip(costs[f"{name}: one"], costs[f"{name}: many"], strict=True)
        medians[f"{name}, each further trial"] = median(
            [further(one, many, options.trials + 1) for one, many in both]
        )
        medians[f"{name}, first trial"] = median(costs[f"{name}: one"])
    return medians


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter with the plugin")
    parser.add_argument("--mitosis-python", default=sys.executable, help="one with mitosis")
    parser.add_argument("--peers-python", default=sys.executable, help="one with the other tools")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each")
    parser.add_argument("--trials", type=int, default=20, help="further trials of longer runs")
    return parser.parse_args()


def ours(options: argparse.Namespace, project: Path, launcher: str, trials: int) -> Command:
    """Build a run of so many trials, none of them reused."""
    store = project / f"trials-{launcher}-{trials}"
    argv = [options.python, "-m", "pytest", "-p", "mitosis", "--exp", "step"]
    argv += ["--exp-launcher", launcher, "--trials-folder", str(store)]
    argv += [f"--eval-param=x={x}" for x in range(1, trials + 1)]
    return build(project, store, argv, reports=trials)


def peer(
    options: argparse.Namespace, project: Path, name: str, script: str, trials: int
) -> Command:
    """Build so many trials of another tool."""
    store, file = project / f"trials-{name}-{trials}", project.parent / f"noop_{name}.py"
    file.write_text(script)
    return build(
        project, store, [options.peers_python, str(file), str(store), str(trials)], reports=0
    )


def is_importable(python: str, name: str) -> bool:
    """Ask an interpreter whether it has a package."""
    return not subprocess.run([python, "-c", f"import {name}"], capture_output=True).returncode


if __name__ == "__main__":
    main()
