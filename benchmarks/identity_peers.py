"""What other hashes of values do on the cases of the identity tests, beside `describe`.

Each case is hashed in two fresh processes with different hash seeds. A *false alarm* is one value
with two hashes: in the two processes, or for an equal rebuild. A *miss* is a change that leaves the
hash as it was. Writes the table into ``docs/explanation/identity.md``.

    pip install joblib cloudpickle dask deepdiff
    python benchmarks/identity_peers.py
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "identity.md"
BEGIN, END = "<!-- begin: written by benchmarks/identity_peers.py -->\n", "<!-- end -->\n"
SECONDS = 5
PEERS = {
    "pytest-mitosis": "pytest-mitosis",
    "joblib.hash": "joblib",
    "cloudpickle, sha256": "cloudpickle",
    "dask tokenize": "dask",
    "deepdiff DeepHash": "deepdiff",
}


class TooSlowError(Exception):
    """A hash took longer than it may."""


def hasher(peer: str) -> Callable[[Any], str]:
    """The function of a library that gives a value's hash."""
    if peer == "joblib.hash":
        import joblib

        return joblib.hash
    if peer == "cloudpickle, sha256":
        import cloudpickle

        return lambda value: hashlib.sha256(cloudpickle.dumps(value)).hexdigest()
    if peer == "dask tokenize":
        from dask.base import tokenize

        return tokenize
    if peer == "deepdiff DeepHash":
        from deepdiff import DeepHash

        return lambda value: str(DeepHash(value)[value])
    from pytest_mitosis.identity import describe

    return lambda value: describe(value).digest


def pair(function: Callable[[Any], str], make: Callable[[], Any], *, compares: bool) -> list[str]:
    """The hashes of two values made together; of ours, what a lock compares decides."""
    old, new = (bounded(function, lambda n=n: make()[n]) for n in (0, 1))
    if not compares or old != new or old.startswith("error: "):
        return [old, new]
    from pytest_mitosis.identity import compare, describe

    one, other = make()
    changes = compare(describe(one), describe(other))
    return [old, new if all(change.severity != "error" for change in changes) else f"{new}, seen"]


def hash_all(peer: str) -> dict[str, list[str]]:
    """Every case's hashes in this process: one for a value, two for a change and a rebuild."""
    sys.path.insert(0, str(ROOT / "tests" / "core"))
    from identity_cases import report

    function = hasher(peer)
    found: dict[str, list[str]] = {}
    for name, make in report.cases("LOCKABLE").items():
        found[f"value {name}"] = [bounded(function, make)]
    ours = peer == "pytest-mitosis"
    for name, (make, _) in report.cases("CHANGES").items():
        found[f"change {name}"] = pair(function, make, compares=ours)
    for name, make in report.cases("EQUAL").items():
        found[f"rebuild {name}"] = pair(function, make, compares=ours)
    return found


def bounded(function: Callable[[Any], str], make: Callable[[], Any]) -> str:
    """The hash of a value that is made here, or why there is none."""

    def stop(*_: object) -> None:
        raise TooSlowError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        return str(function(make()))
    except Exception as error:
        return f"error: {type(error).__name__}"
    finally:
        signal.alarm(0)


def judge(one: dict[str, list[str]], other: dict[str, list[str]]) -> Counter[str]:
    """Count what went wrong; a case that gave no hash counts as that alone."""
    found: Counter[str] = Counter()
    for name, here in one.items():
        kind, there = name.partition(" ")[0], other[name]
        found[f"{kind}s"] += 1
        if any(text.startswith("error: ") for text in (*here, *there)):
            found["no hash"] += 1
        elif kind == "value":
            found["other in another process"] += here != there
        elif kind == "change":
            found["missed"] += here[0] == here[1]
        else:
            found["other for a rebuild"] += here[0] != here[1]
    return found


def hash_apart(peer: str, seed: str) -> dict[str, list[str]]:
    """Have a fresh process hash everything."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "hashes.json")
        subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), peer, str(file)],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        told: dict[str, list[str]] = json.loads(file.read_text())
    return told


def table(counts: dict[str, Counter[str]]) -> str:
    """The table, with versions and date."""
    first = next(iter(counts.values()))
    head = (
        "",
        "other in another process",
        "other for an equal rebuild",
        "missed changes",
        "no hash",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for peer, found in counts.items():
        cells = (
            f"{peer} {version(PEERS[peer])}",
            f"{found['other in another process']} of {found['values']}",
            f"{found['other for a rebuild']} of {found['rebuilds']}",
            f"{found['missed']} of {found['changes']}",
            f"{found['no hash']} of {sum(found[k] for k in ('values', 'rebuilds', 'changes'))}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    libraries = ", ".join(f"{n} {version(n)}" for n in ("numpy", "pandas", "scikit-learn", "scipy"))
    where = f"Python {platform.python_version()}, {libraries}"
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    total = sum(first[kind] for kind in ("values", "rebuilds", "changes"))
    return "\n".join([*lines, "", f"{total} cases, {where}; {when}.", ""])


def main() -> None:
    """Hash everything twice with each library and write the table."""
    counts = {}
    for peer in PEERS:
        counts[peer] = judge(hash_apart(peer, "1"), hash_apart(peer, "2"))
        print(peer, dict(counts[peer]), flush=True)
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(counts)}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if len(sys.argv) == 3:
        with contextlib.redirect_stdout(None):
            Path(sys.argv[2]).write_text(json.dumps(hash_all(sys.argv[1])))
    else:
        main()
