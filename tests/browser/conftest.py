"""A real Chromium for the whole suite, and stores with their sites to look at."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import demo_store

from pytest_mitosis.read.site import build_site

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
WAIT = 20_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for the tests of a module: while it is there, its loop runs in this thread."""
    if sys.version_info < (3, 12):
        pytest.skip("the pages are the same on every Python: looked at with 3.12 and newer only")
    if CHROMIUM is None:
        pytest.skip("there is no chromium; install it with apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class Look:
    """A page in the browser, with what went wrong or was asked for in it."""

    page: Any
    errors: list[str]
    requests: list[str]
    dialogs: list[str]

    def open(self, address: str, ready: str = "#table[data-ready]") -> Any:
        """Load an address afresh and wait until the page is ready."""
        self.page.goto("about:blank")
        self.page.goto(address)
        self.page.wait_for_selector(ready)
        return self.page

    def count(self) -> int:
        """How many trials the table says it shows."""
        return int(self.page.inner_text("#count strong").replace(",", ""))

    def settle(self, action: Callable[[], object]) -> None:
        """Do something and wait until the view has been drawn after it."""
        before = self.page.evaluate("document.documentElement.dataset.settled")
        action()
        self.page.wait_for_function(
            "(before) => document.documentElement.dataset.settled !== before", arg=before
        )
        # The table's rows follow in the next frame.
        self.page.evaluate(
            "() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )

    def ids(self) -> list[str]:
        """The trials at the top of the table, in its order."""
        return self.page.eval_on_selector_all(
            "#table .tabulator-row a.id", "links => links.map(a => a.firstChild.data)"
        )


@pytest.fixture
def look(chromium: Any) -> Iterator[Look]:
    """A fresh page, wide and light; nothing on it may fail or ask the network."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="light")
    context.set_default_timeout(WAIT)
    page = context.new_page()
    seen = Look(page, [], [], [])
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda m: seen.errors.append(m.text) if m.type == "error" else None)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    yield seen
    context.close()
    assert seen.errors == []
    assert seen.dialogs == []
    here = ("file://", "http://127.0.0.1:", "data:", "blob:", "about:")
    assert [url for url in seen.requests if not url.startswith(here)] == []


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 240 trials with its site; read only."""
    project = tmp_path_factory.mktemp("demo") / "wave-paper"
    made = demo_store.make_project(project, 240)
    build_site(made, repository=project)
    return made


@pytest.fixture(scope="session")
def site(store: Path) -> str:
    """The address of that site on the disk."""
    return (store / "index.html").as_uri()


@pytest.fixture(scope="session")
def served(store: Path) -> Iterator[str]:
    """The address of that site as ``python -m http.server`` serves it."""
    handler = functools.partial(QuietHandler, directory=os.fspath(store))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """The standard library's server without its log."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
