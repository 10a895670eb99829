"""A place of its own to run recorded trials again: their commit, and an environment built anew.

The commit is checked out as a git worktree, so that the user's files are left alone. Environments
are made by uv where it is installed, else by venv and pip. Every step says what it does; one that
fails is a sentence with what to do.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mitosis.identity.editable import installed, normalized
from pytest_mitosis.identity.gitcommand import GitError, run_git
from pytest_mitosis.identity.pins import how_to_fetch
from pytest_mitosis.identity.submodules import fill, submodules_of
from pytest_mitosis.model import ReproduceError
from pytest_mitosis.read.lockfile import name_of, read_lockfile, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

OWN = "pytest-mitosis"
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_ADDOPTS", "UV_PROJECT_ENVIRONMENT")
SHOWN_LINES = 15
WIDEST = 300
BY_HAND = "or build an environment by hand and run in it with --here"
_NO_LIBRARY = re.compile(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file")
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_NO_PACKAGE = re.compile(
    r"(?:No matching distribution found for|Because there is no version of)\s+(\S+)"
    r"|Because\s+(\S+)\s+was\s+not\s+found\s+in\s+the\s+package\s+registry"
)
_NO_INDEX = re.compile(
    r"error sending request|NewConnectionError|name resolution|dns error|Connection refused"
)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What an environment was made of.

    Attributes
    ----------
    python : str
        Its version; empty if it was not recorded.
    lines : tuple of str
        As pip takes them.
    missing : tuple of str
        What cannot be had from an index: local and editable installs, as sentences.
    is_complete : bool
        Whether these are all packages, not only those the trial used.
    """

    python: str
    lines: tuple[str, ...]
    missing: tuple[str, ...] = ()
    is_complete: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A folder with the code at a commit, an environment, and the trials that are run there.

    ``home`` is the project's folder in the repository, ``interpreter`` makes the environment, in
    place of one of the recorded version, ``instead`` are requirements in place of those of the same
    names.
    """

    folder: Path
    repository: Path
    tell: Callable[[str], None]
    home: str = "."
    interpreter: str = ""
    instead: tuple[str, ...] = ()

    @property
    def code(self) -> Path:
        """The worktree."""
        return self.folder / "code"

    @property
    def project(self) -> Path:
        """The project in the worktree."""
        return self.code / self.home

    @property
    def trials(self) -> Path:
        """The store of what runs here."""
        return self.folder / "trials"

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return self.folder / "venv" / "bin" / "python"

    @contextlib.contextmanager
    def checked_out(self, commit: str, *, keep: bool) -> Iterator[None]:
        """The code at ``commit``, with submodules; removed afterwards unless ``keep``.

        Raises
        ------
        ReproduceError
            If the commit or a submodule is not to be had.
        """
        self.tell(f"check out {commit[:12]} in {self.code}")
        try:
            run_git(self.repository, "cat-file", "-e", f"{commit}^{{commit}}")
        except GitError:
            raise ReproduceError(
                f"commit {commit[:12]} is not in {self.repository}; a rebase may have removed it: "
                f"fetch it ({how_to_fetch(commit)}), or name another with --at"
            ) from None
        run_git(self.repository, "worktree", "add", "--quiet", "--detach", str(self.code), commit)
        try:
            self._fill_submodules()
            yield
        finally:
            if not keep:
                with contextlib.suppress(GitError):
                    run_git(self.repository, "worktree", "remove", "--force", str(self.code))

    def _fill_submodules(self) -> None:
        for one in submodules_of(self.code, "HEAD"):
            self.tell(f"get submodule {one}")
            fill(self.code, self.repository, one)

    def build(self, wanted: Requirements) -> None:
        """Make the environment.

        Raises
        ------
        ReproduceError
            If the Python version or a package is not to be had.
        """
        uv = shutil.which("uv")
        self._make(wanted.python, uv)
        install = [uv, "pip", "install", "--quiet", "--python", str(self.python)] if uv else []
        install = install or [str(self.python), "-m", "pip", "install", "--quiet"]
        file = self.folder / "requirements.txt"
        locked = read_lockfile(self.project, uv, _call)
        if isinstance(locked, str):
            if locked:
                self.tell(locked)
            lines, source = wanted.lines, "the versions recorded"
        else:
            lines, source = locked.lines, f"{locked.file} of the commit"
        lines = tuple(replace(lines, self.instead))
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        is_complete = wanted.is_complete or not isinstance(locked, str)
        told = f", but {', '.join(self.instead)}" if self.instead else ""
        self.tell(f"install {len(lines)} packages, by {source}{told}")
        if is_complete:
            pins = self.folder / "constraints.txt"  # neither folders nor addresses can be in there
            pins.write_text("".join(f"{one}\n" for one in lines if "==" in one), encoding="utf-8")
            self._install([*install, "--no-deps", "-r", str(file)])
            self._install([*install, *_own(), "-c", str(pins)])
        else:
            self._install([*install, *_own(), "-r", str(file)])
        if self._is_package():
            self._install([*install, "--no-deps", "-e", str(self.project)])
        given = {name_of(one) for one in self.instead}
        for sentence in wanted.missing if isinstance(locked, str) else ():  # a lock file has them
            if name_of(sentence) not in given:
                command = f"--with '{name_of(sentence)} @ ADDRESS'"
                self.tell(f"not installed: {sentence}; {command} installs it")

    def run(self, nodes: Sequence[str], *, here: bool) -> None:
        """Run trials by their node ids; ``here`` takes the interpreter that runs this.

        Raises
        ------
        ReproduceError
            If none can be run.
        """
        python = sys.executable if here else str(self.python)
        trials = "1 trial" if len(nodes) == 1 else f"{len(nodes)} trials"
        self.tell(f"run {trials}")
        options = ["-q", "--exp-reuse", "never", "--trials-folder", str(self.trials)]
        command = [python, "-m", "pytest", "-p", "mitosis", *nodes, *options]
        variables = _environment()
        if here:  # comes before a project that is installed in place, which is the user's
            places = [str(self.project), str(self.project / "src")]
            variables["PYTHONPATH"] = os.pathsep.join(places)
        done = subprocess.run(
            command, cwd=self.code, env=variables, capture_output=True, text=True, check=False
        )
        (self.folder / "output.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode not in {0, 1}:
            raise ReproduceError(f"the trials could not be run:\n{_tail(done.stdout, done.stderr)}")

    def _make(self, version: str, uv: str | None) -> None:
        short = ".".join(version.split(".")[:2])
        target = str(self.python.parent.parent)
        named = self.interpreter or f"Python {version or platform.python_version()}"
        self.tell(f"make an environment with {named}")
        found = self.interpreter or _find_python(version, short)
        if uv:
            is_this = found == sys.executable
            wanted = (found,) if is_this or self.interpreter else (version, short, found)
            for one in filter(None, dict.fromkeys(wanted)):
                if not _call([uv, "venv", "--quiet", "--python", one, target])[0]:
                    return
        if found is None or uv:
            raise ReproduceError(
                f"Python {version} is not available here: install it"
                f"{f' (uv python install {short})' if uv else ', or uv to fetch it'}, or name an "
                "interpreter with --python"
            )
        failed, output = _call([found, "-m", "venv", target])
        if failed:
            raise ReproduceError(f"no environment can be made by {found} -m venv: {output}")

    def _install(self, command: Sequence[str]) -> None:
        failed, output = _call(command)
        if not failed:
            return
        if _NO_INDEX.search(output):
            told = (
                f"the package index cannot be reached: look at the network and the proxy, {BY_HAND}"
            )
        elif gone := _NO_PACKAGE.search(output):
            what = (gone[1] or gone[2]).rstrip(".,;")
            name = re.split(r"[=<>!~\[]", what)[0]
            told = (
                f"{what} is not to be had, it may have been withdrawn or come from another index: "
                f"take another version with --with {name}==VERSION, {BY_HAND}"
            )
        else:
            told = (
                "the packages cannot be installed: take another version of what failed with --with "
                f"NAME==VERSION, {BY_HAND}"
            )
        raise ReproduceError(f"{told}:\n{_tail(output)}")

    def _is_package(self) -> bool:
        """Whether the project itself can be installed."""
        file = self.project / "pyproject.toml"
        text = file.read_text("utf-8", "replace") if file.is_file() else ""
        return "[build-system]" in text or (self.project / "setup.py").is_file()


def _own() -> list[str]:
    """What installs this package, from where it was installed here."""
    for one in installed():
        if normalized(one.name) == OWN:
            path = one.editable_path
            return ["-e", str(path)] if path is not None else [f"{OWN}=={one.version}"]
    return [OWN]


def _find_python(version: str, short: str) -> str | None:
    """An interpreter with that version, else with that minor version."""
    if not version or version == platform.python_version():
        return sys.executable
    found = shutil.which(f"python{short}")
    if found is None and short == ".".join(platform.python_version_tuple()[:2]):
        found = sys.executable
    return found


def _call(command: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    return done.returncode, done.stdout if not done.returncode else done.stdout + done.stderr


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in HIDDEN}


def _tail(*texts: str) -> str:
    """The last lines, none over-long: pip lists all versions there are, the newest last."""
    text = "\n".join(texts)
    lines = [one for one in text.splitlines() if one.strip() and not one.startswith("WARNING: ")]
    lines = [_shortened(one) for one in lines[-SHOWN_LINES:]]
    if missing := _NO_LIBRARY.search(text):
        lines.append(f"the system lacks {missing[1]}: install the package of your system with it")
    if missing := _NO_MODULE.search(text):
        lines.append(
            f"{missing[1]} is in no package that was installed: give the package it is in with "
            f"--with 'PACKAGE==VERSION' or --with 'PACKAGE @ ADDRESS', {BY_HAND}"
        )
    return "\n".join(f"  {line}" for line in lines)


def _shortened(line: str) -> str:
    half = WIDEST // 2
    return line if len(line) <= WIDEST else f"{line[:half]} … {line[-half:]}"
