"""What the browser of trials costs: to build, to refresh after one more trial, to load, to filter.

``python benchmarks/site.py [TRIALS …]``, 1,000 and 10,000 and 100,000 if not said. Needs chromium
for the last two, and ``pip install -e '.[test]'``.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
import demo_store

from pytest_mitosis.read.site import build_site

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = 1000
SETTLING = 11.0
"""Seconds until readers trust the times of files; a store's are older but for the last few."""
SIZES = (1_000, 10_000, 100_000)
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
FILTER = """() => new Promise((done) => {
  const start = performance.now();
  document.querySelector('[data-facet="status"][data-value="done"]').click();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0));
})"""
SEARCH = """() => new Promise((done) => {
  const box = document.getElementById("search"), start = performance.now();
  box.value = "kalman";
  box.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0));
})"""


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def add_one(store: Path) -> None:
    """One more trial, the newest."""
    plan = next(demo_store.plans(1, [demo_store.Version("1" * 40, ())], random.Random(1)))
    later = plan.started + timedelta(days=900)
    demo_store.add_trial(store, replace(plan, started=later), "", random.Random(1))


def look(page: Path) -> list[float]:
    """Seconds to load, to filter and to search in Chromium; the last two after the first time."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(ARGUMENTS)
        )
        tab = browser.new_page(viewport={"width": 1400, "height": 900})
        tab.goto("about:blank")

        def load() -> None:
            tab.goto(page.as_uri())
            tab.wait_for_selector("#table[data-ready]")

        times = [seconds(load)]
        tab.wait_for_timeout(1500)
        times += [tab.evaluate(script) / 1000 for script in (FILTER, SEARCH)]
        browser.close()
    return times


def main() -> None:
    """Print the table."""
    sizes = [int(text) for text in sys.argv[1:]] or SIZES
    print(f"{'trials':>8}{'build':>9}{'one more':>10}{'load':>8}{'filter':>8}{'search':>8}  (s)")
    with tempfile.TemporaryDirectory() as folder:
        base = demo_store.make_project(Path(folder, "base"), BASE)
        for size in sizes:
            store = Path(folder, str(size), "trials")
            store.mkdir(parents=True)
            demo_store.multiply(base, store, max(1, round(size / BASE)))
            time.sleep(SETTLING)
            times = [seconds(lambda store=store: build_site(store))]
            add_one(store)
            times.append(seconds(lambda store=store: build_site(store)))
            times += look(store / "index.html")
            shown = "".join(f"{t:>{w}.2f}" for t, w in zip(times, (9, 10, 8, 8, 8), strict=True))
            print(f"{size:>8}{shown}", flush=True)


if __name__ == "__main__":
    main()
