"""A grid on a real Slurm whose processors are fake: how long it takes, and what the driver costs.

    python benchmarks/slurm.py [--trials 100] [--seconds 1] [--cpus 8] [--per-job 50] [--at-once 4]

The ideal time is that of trials which are nothing but their own seconds. The machine's real
processors carry Python's start for each job, so ``--per-job`` and ``--at-once`` decide with many
short trials.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from cluster import Cluster, missing

EXPERIMENT = """
import time
import pytest


@pytest.mark.experiment(cpus=1, memory="50M")
def exp_wait(seed):
    time.sleep({seconds})
    return {{"main": seed + 0.5}}
"""
SITE = """
[tool.mitosis.launchers.slurm]
per-job = {per_job}
at-once = {at_once}
node-launcher = "{node_launcher}"
"""


def make_project(folder: Path, options: argparse.Namespace) -> None:
    """A committed project with one experiment."""
    (folder / "exp_wait.py").write_text(EXPERIMENT.format(seconds=options.seconds))
    (folder / "pyproject.toml").write_text(
        SITE.format(
            per_job=options.per_job,
            at_once=options.at_once,
            node_launcher=options.node_launcher,
        )
    )
    (folder / ".gitignore").write_text("trials/\n__pycache__/\n.pytest_cache/\n")
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "grid"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


def count_calls(folder: Path) -> dict[str, str]:
    """Variables under which Slurm's commands are counted, one file a command, one line a call."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("sbatch", "squeue", "scontrol", "scancel", "sacct"):
        file = tools / name
        file.write_text(f'#!/bin/bash\necho >> {folder}/{name}.calls\nexec /usr/bin/{name} "$@"\n')
        file.chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def run_session(folder: Path, seeds: str, variables: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of one session, the driver's alone."""
    command = [sys.executable, "-m", "pytest", "-p", "mitosis", "-q", "--exp", "wait"]
    command += ["--seeds", seeds, "--exp-launcher", "slurm"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(folder: Path, options: argparse.Namespace, variables: dict[str, str]) -> dict[str, object]:
    """Run the grid and say what it cost; a session of one trial says what starting pytest costs."""
    run_session(folder, str(options.trials), variables)  # compiles what is not yet compiled
    _, alone = run_session(folder, str(options.trials + 1), variables)
    wall, spent = run_session(folder, f"0-{options.trials - 1}", variables)
    ideal = math.ceil(options.trials / options.cpus) * options.seconds
    return {
        "trials": options.trials,
        "ideal_s": ideal,
        "allowed_s": round(1.5 * ideal + 5, 1),
        "wall_s": round(wall, 1),
        "driver_cpu_s": round(spent, 2),
        "driver_cpu_ms_per_trial": round(1000 * (spent - alone) / (options.trials - 1), 1),
    }


def main() -> None:
    """Start the cluster, run, print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--cpus", type=int, default=8)
    parser.add_argument("--per-job", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--node-launcher", default="process", choices=["kernel", "process"])
    options = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"Slurm is not installed here: no {', '.join(lacking)}")
    with tempfile.TemporaryDirectory(prefix="slurm-") as base, tempfile.TemporaryDirectory() as own:
        cluster = Cluster(Path(base), nodes=2, cpus=options.cpus // 2)
        try:
            cluster.start()
            make_project(Path(own), options)
            counted = tempfile.mkdtemp(dir=base)
            variables = {**os.environ, **cluster.environment, **count_calls(Path(counted))}
            variables["PYTHONDONTWRITEBYTECODE"] = ""  # compiled code is kept, as for users
            found = run(Path(own), options, variables)
            calls = {f.stem: f.read_text().count("\n") for f in Path(counted).glob("*.calls")}
            print(json.dumps({**found, "calls": calls}, indent=1))
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
