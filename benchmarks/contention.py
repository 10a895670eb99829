"""Sessions started at once on one grid: each trial has to be executed exactly once, in every round.

In every other round a session that is at work on a trial is killed (SIGKILL); that trial may then
be executed by another, and nothing else twice. Ends at the first round that goes wrong.

    python benchmarks/contention.py --sessions 8 --trials 40 --rounds 20
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

EXPERIMENT = """\
import os

lookup_dict = {"noise": {f"n{i}": i / 10 for i in range(8)}}


def exp_grid(noise, seed):
    runs = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(runs, f"{noise} {seed}\\n".encode())
    return {"main": noise + seed}
"""
IDENTITY = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")


def main() -> None:
    """Run the rounds and say how long each took."""
    options = parse()
    rng = random.Random(options.seed)
    for number in range(1, options.rounds + 1):
        kills = number % 2 == 0
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            told = play(options, Path(folder), rng.randrange(1, options.trials) if kills else 0)
            seconds = time.perf_counter() - start
        print(f"round {number}: {told}, {seconds:.1f} s", flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter with the plugin")
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--trials", type=int, default=40, help="a multiple of 8")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--launcher", default="kernel")
    return parser.parse_args()


def play(options: argparse.Namespace, root: Path, kills_at: int) -> str:
    """One round on a store of its own; says what happened, raises if it was not right."""
    lab, runs = root / "lab", root / "runs.txt"
    lab.mkdir()
    (lab / "exp_grid.py").write_text(EXPERIMENT)
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "grid"]):
        subprocess.run(["git", *IDENTITY, *words], cwd=lab, check=True)
    grid = ["--exp", "grid", "--variant", "noise=*", "--seeds", f"0-{options.trials // 8 - 1}"]
    command = [options.python, "-m", "pytest", "-q", "-p", "mitosis", *grid]
    command += ["--exp-launcher", options.launcher, "-p", "no:hypothesispytest"]
    sessions = [
        subprocess.Popen(
            command,
            cwd=lab,
            env={**os.environ, "RUNS": str(runs)},
            stdout=(root / f"session{number}.txt").open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for number in range(options.sessions)
    ]
    killed = kill_at_work(lab, runs, kills_at, sessions) if kills_at else 0
    codes = {session.pid: session.wait() for session in sessions}
    check_codes(codes, root, killed)
    return judge(options, lab, runs)


def kill_at_work(lab: Path, runs: Path, after: int, sessions: list[subprocess.Popen]) -> int:
    """Kill the first session found at work on a trial once so many were executed; its process."""
    pids = {session.pid for session in sessions}
    while True:
        time.sleep(0.005)
        if not runs.exists() or len(runs.read_text().splitlines()) < after:
            continue
        newest = sorted((lab / "trials").glob("grid/*/*/trial.json"), key=os.path.getmtime)[-10:]
        for file in newest:
            record = json.loads(file.read_text())
            if record["status"] == "running" and record["pid"] in pids:
                os.killpg(record["pid"], signal.SIGKILL)
                return record["pid"]


def check_codes(codes: dict[int, int], root: Path, killed: int) -> None:
    """Every session but a killed one has to end well."""
    for number, (pid, code) in enumerate(codes.items()):
        if code and not (pid == killed and code == -signal.SIGKILL):
            text = (root / f"session{number}.txt").read_text()
            raise SystemExit(f"session {number} ended with {code}:\n{text[-3000:]}")


def judge(options: argparse.Namespace, lab: Path, runs: Path) -> str:
    """Each trial done once; executed more than once only if a killed session was at it."""
    executed = Counter(runs.read_text().splitlines())
    status: Counter[str] = Counter()
    per_spec: Counter[str] = Counter()
    unfinished: Counter[str] = Counter()
    for file in (lab / "trials").glob("grid/*/*/trial.json"):
        record = json.loads(file.read_text())
        status[record["status"]] += 1
        target = per_spec if record["status"] == "done" else unfinished
        target[record["spec"]] += 1
    wrong = [spec for spec, count in per_spec.items() if count != 1]
    if wrong or len(per_spec) != options.trials or len(executed) != options.trials:
        raise SystemExit(f"done: {dict(per_spec)}\nexecuted: {dict(executed)}")
    twice = sum(executed.values()) - options.trials
    if twice > sum(unfinished.values()):
        raise SystemExit(
            f"{twice} executed again, unfinished: {dict(unfinished)}, {dict(executed)}"
        )
    return f"{dict(status)}, {twice} executed again"


if __name__ == "__main__":
    main()
