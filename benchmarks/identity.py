"""What describing costs, as ratios to what cannot be avoided. Prints a table, judges nothing.

``python benchmarks/identity.py``
"""

from __future__ import annotations

import hashlib
import pathlib
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pytest_mitosis.identity import describe

if TYPE_CHECKING:
    from collections.abc import Callable


def best(call: Callable[[], object], repeats: int = 20) -> float:
    """Return the shortest of several runs, in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    """Time three typical values beside their targets."""
    spec = {"noise": 0.1, "solver": "tv", "steps": 200, "path": pathlib.Path("a/b"), "seed": 0}
    array = np.random.default_rng(0).random(1_250_000)
    raw = array.tobytes()
    frame = pd.DataFrame(
        {
            "x": np.random.default_rng(1).random(100_000),
            "n": np.arange(100_000),
            "site": [f"station {i % 997}" for i in range(100_000)],
        }
    )
    objects = [{"name": f"run {i}", "value": i / 7, "ok": True} for i in range(1000)]
    rows = [
        ("spec of 5 parameters", lambda: describe(spec).digest, 0.1),
        ("array of 10 MB", lambda: describe(array).digest, 3 * best(lambda: _sha(raw))),
        ("frame of 100,000 rows", lambda: describe(frame).digest, 50.0),
        ("list of 100,000 floats", lambda: describe(array[:100_000].tolist()).digest, 500.0),
        ("1000 dicts of 3", lambda: describe(objects).digest, 50.0),
    ]
    print(f"{'value':<26}{'ms':>10}{'target ms':>12}{'ratio':>8}")
    for name, call, target in rows:
        taken = best(call)
        print(f"{name:<26}{taken:>10.3f}{target:>12.3f}{taken / target:>8.2f}")


def _sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


if __name__ == "__main__":
    main()
