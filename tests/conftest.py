"""A git project to run experiments in, for tests through the front door."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# pytester forgets what an inner run imported, and neither C extensions nor modules whose package
# stays imported can be imported twice.
import git  # noqa: F401
import hypothesis  # noqa: F401
import IPython  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import nbclient  # noqa: F401
import nbconvert  # noqa: F401
import nbformat
import numpy  # noqa: F401
import pandas  # noqa: F401
import pytest
from cluster import Cluster, missing

import pytest_mitosis.fixtures
import pytest_mitosis.reporting
import pytest_mitosis.run.kernels
import pytest_mitosis.run.loop
import pytest_mitosis.run.shells
import pytest_mitosis.run.warm
import pytest_mitosis.runner  # noqa: F401
from pytest_mitosis.run.html import render_page

pytest_plugins = ["pytester"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell does to what it runs in the background; what tests start would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _fresh_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Git without the developer's configuration, matplotlib with its fonts found once."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text("[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("GIT_CONFIG_GLOBAL", str(config))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    patch.setenv("MPLCONFIGDIR", str(tmp_path_factory.mktemp("matplotlib")))
    patch.setenv("COLUMNS", "120")
    # Projects of tests commit all their files, and edit some twice within a second.
    patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    patch.setattr(sys, "dont_write_bytecode", True)
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    for name in ("PYTEST_ADDOPTS", "CI", "BUILD_NUMBER"):  # pytest prints more in CI
        patch.delenv(name, raising=False)
    _import_what_pages_need(tmp_path_factory.mktemp("page"))
    yield
    patch.undo()


def _import_what_pages_need(folder: Path) -> None:
    """Render one page, so that no inner run imports the lexers and templates anew."""
    cells = [nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_code_cell("x = 1")]
    render_page(nbformat.v4.new_notebook(cells=cells), folder, "warm")


class Project:
    """A git repository with experiments, and pytest to run them."""

    def __init__(self, path: Path, pytester: pytest.Pytester | None = None) -> None:
        self.path = path
        self.pytester = pytester
        if not (path / ".git").exists():
            self.git("init", "-q")

    def copy_to(self, path: Path) -> Project:
        """The same project with its trials elsewhere, for tests that add to it."""
        shutil.copytree(self.path, path, dirs_exist_ok=True)
        return Project(path)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    def commit(self, files: dict[str, str] | None = None) -> str:
        """Write files, commit everything, return the commit."""
        for name, text in (files or {}).items():
            self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "work")
        return self.git("rev-parse", "HEAD")

    def run(self, *arguments: str) -> pytest.RunResult:
        """``pytest -p mitosis …`` in this process."""
        assert self.pytester is not None
        return self.pytester.runpytest_inprocess("-p", "mitosis", *arguments)

    def run_apart(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """``pytest -p mitosis …`` in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "mitosis", *arguments],
            **{"cwd": self.path, "capture_output": True, "text": True, "timeout": 300, **options},
        )

    @property
    def store(self) -> Path:
        return self.path / "trials"

    def folders(self, pattern: str = "*/*") -> list[Path]:
        """Folders of trials, by start."""
        found = [file.parent for file in self.store.glob(f"{pattern}/*/trial.json")]
        return sorted(found, key=lambda folder: str(manifest(folder)["started"]))

    def only(self, pattern: str = "*/*") -> Path:
        (folder,) = self.folders(pattern)
        return folder


def manifest(folder: Path) -> dict[str, Any]:
    """The content of ``trial.json``."""
    read: dict[str, Any] = json.loads((folder / "trial.json").read_text("utf-8"))
    return read


def notebook(folder: Path) -> dict[str, Any]:
    """The content of ``notebook.ipynb``."""
    read: dict[str, Any] = json.loads((folder / "notebook.ipynb").read_text("utf-8"))
    return read


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester.path, pytester)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real Slurm of two nodes with four processors each, real or not, for the whole session."""
    if lacking := missing():
        pytest.skip(f"Slurm is not installed here: no {', '.join(lacking)}")
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:  # sockets want short names
        found = Cluster(Path(folder))
        try:
            found.start()
            yield found
        finally:
            found.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def tool(monkeypatch, capsys):
    """Call ``pytest-mitosis``; gives exit code, output, and what it said of mistakes."""
    from pytest_mitosis.read import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["pytest-mitosis", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run
