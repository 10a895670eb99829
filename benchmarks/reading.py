"""What reading a store costs: cold, warm, and after one trial was added.

Makes stores in a temporary folder, each trial in a folder of its own with a manifest as large as a
real one, and times readers in processes of their own. Times are seconds on the clock, the best of
some rounds; a cold reader has no cache of its own yet, but the operating system may have the files
in memory. ``python benchmarks/reading.py 1000 10000 100000``
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROUNDS = 3
LONG_AGO = 30 * 24 * 3600
READERS = {
    "load_trials": "from pytest_mitosis import load_trials; load_trials(trials_folder=STORE)",
    "read_manifests": "from pytest_mitosis.store.catalogue import read_manifests; "
    "read_manifests(STORE)",
    "write_summary": "from pytest_mitosis.store.rows import write_summary; write_summary(STORE)",
}
IMPORTS = (
    "import pandas, time, sys, platformdirs, sqlite3, pathlib; import pytest_mitosis.read.frame; "
    "import pandas as pd; pd.DataFrame({'a': ['x'], 't': ['2026-05-01T08:00:00.000+00:00']})"
    ".assign(t=lambda d: pd.to_datetime(d['t'], utc=True, format='ISO8601')); "
)
LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def manifest(number: int, noise: str, seed: int) -> dict[str, object]:
    """A manifest with what a trial of a small project has."""
    digest = f"{number:064x}"
    distributions = {f"package-{n}": f"{n}.{n % 7}.1" for n in range(20)}
    modules = [
        {
            "module": f"lab.part{n}",
            "place": f"lab/part{n}.py",
            "repository": ".",
            "blob": digest[:40],
            "sha256": digest,
            "skeleton": digest[-20:],
            "bodies": {f"function_{k}": digest[-20:] for k in range(3)},
        }
        for n in range(3)
    ]
    artifacts = ("job.json", "log.txt", "notebook.html", "notebook.ipynb", "results/fit_eval.json")
    parameters = [
        ("noise", "variant", noise, f"Noise(sigma={seed % 10 / 10}, outliers=0.01)"),
        ("solver", "variant", "logistic", "estimator scikit-learn:pipeline.Pipeline"),
        ("seed", "seed", str(seed), f"int {seed}"),
    ]
    return {
        "schema": 1,
        "id": identifier(number),
        "experiment": "fit_eval",
        "spec": f"noise={noise},solver=logistic,seed={seed}",
        "iteration": 1,
        "status": "done",
        "draft": False,
        "hypothesis": "",
        "seed": seed,
        "steps": [{"name": "fit_eval", "action": "lab:fit_eval", "lookup": "lab:lookup_dict"}],
        "parameters": [
            {
                "step": "fit_eval",
                "name": name,
                "kind": kind,
                "variant": variant,
                "value": value,
                "digest": digest,
                "tracked": True,
            }
            for name, kind, variant, value in parameters
        ],
        "version": "0.1.0",
        "commit": digest[:40],
        "started": f"2026-05-{number % 28 + 1:02}T08:{number % 60:02}:26.526+00:00",
        "finished": f"2026-05-{number % 28 + 1:02}T09:{number % 60:02}:26.526+00:00",
        "host": "lab",
        "user": "ada",
        "pid": 4711,
        "command": f"pytest -p mitosis 'exps/exp_fit.py::exp_fit_eval[noise={noise},seed={seed}]'",
        "duration_s": 25.5 + number % 100,
        "cpu_s": 13.1,
        "peak_memory_bytes": 268_427_264,
        "environment": digest[:16],
        "metrics": {name: random.random() for name in ("main", "accuracy", "f1", "log_loss")},
        "notes": [],
        "tainted": [],
        "code": {"schema": 1, "modules": modules, "distributions": distributions},
        "artifacts": {
            name: {"bytes": 358_218, "sha256": digest, "mtime_ns": 1_795_577_934_510_015_168}
            for name in artifacts
        },
    }


def identifier(number: int) -> str:
    """Eight letters as of an id."""
    return "".join(LETTERS[number >> (5 * place) & 31] for place in range(8))


def add_trial(store: Path, number: int, when: float) -> None:
    """One more trial folder, last changed at ``when``."""
    noise = ("low", "medium", "high")[number % 3]
    one = manifest(number, noise, number // 3)
    folder = store / "fit_eval" / str(one["spec"]) / f"1-{one['id']}"
    folder.mkdir(parents=True)
    file = folder / "trial.json"
    file.write_text(json.dumps(one, indent=1), encoding="utf-8")
    for path in (file, folder, folder.parent):
        os.utime(path, (when, when))


def seconds(store: Path, cache: Path, reader: str) -> float:
    """How long a reader takes in a process that has imported everything."""
    source = (
        f"{IMPORTS}STORE = pathlib.Path(sys.argv[1]); begin = time.perf_counter(); "
        f"{READERS[reader]}; print(time.perf_counter() - begin)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, str(store)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


def measure(store: Path, cache: Path, count: int, reader: str) -> list[float]:
    """Cold, warm, and with one trial more, each the best of some rounds."""
    cold, warm, added = [], [], []
    for turn in range(ROUNDS):
        shutil.rmtree(cache, ignore_errors=True)
        cold.append(seconds(store, cache, reader))
        seconds(store, cache, reader)
        warm.append(seconds(store, cache, reader))
        number = count + turn + ROUNDS * list(READERS).index(reader)
        add_trial(store, number, time.time())
        added.append(seconds(store, cache, reader))
    return [min(cold), min(warm), min(added)]


def main(counts: list[int]) -> None:
    """Print the table."""
    header = f"{'trials':>8} {'reader':<16}" + "".join(
        f"{name:>10}" for name in ("cold s", "warm s", "one more s")
    )
    print(header)
    for count in counts:
        with TemporaryDirectory() as folder:
            store, cache = Path(folder, "trials"), Path(folder, "cache")
            for number in range(count):
                add_trial(store, number, time.time() - LONG_AGO)
            time.sleep(11)  # a change of the last seconds is read again in any case
            for reader in READERS:
                times = measure(store, cache, count, reader)
                print(f"{count:>8} {reader:<16}" + "".join(f"{one:>10.3f}" for one in times))


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [1_000, 10_000])
