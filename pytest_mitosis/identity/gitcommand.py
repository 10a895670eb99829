"""One call of git, and what its failures mean in words; the only module that imports GitPython.

Must not know what is asked of git or why. Runs in the pytest process and in the command line
tool; the trial's own process never calls git.

GitPython is used for starting git only: its object layer imports for a tenth of a second, runs
programs named in a repository's configuration, and dies at import where git is missing.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from typing import TYPE_CHECKING

from pytest_mitosis.model import TreeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Reading a repository must not start programs that its configuration names (a file watcher,
# hooks), nor refresh the index of a tree someone else is working in.
SAFE_OPTIONS = (
    "--no-optional-locks",
    "--literal-pathspecs",
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.safecrlf=false",
)

# Set by git for its hooks: pytest started from one would ask every repository about that one.
LOCAL_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)

NO_GIT = (
    "git was not found on PATH, so the commit of the code cannot be recorded. "
    "Install git, or run with --exp-draft"
)


class GitError(TreeError):
    """Git ended with an error; ``status`` and ``stderr`` are what it said."""

    def __init__(self, sentence: str, status: int, stderr: str) -> None:
        self.status, self.stderr = status, stderr
        super().__init__(sentence)

    def __reduce__(self) -> tuple[type[GitError], tuple[str, int, str]]:
        return type(self), (str(self), self.status, self.stderr)


def run_git(
    root: Path, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
) -> bytes:
    """Return what ``git -C root arguments`` prints, as bytes: file names need not be UTF-8.

    Raises
    ------
    TreeError
        In words, when git is missing; its subclass `GitError` when git refuses.
    """
    status, stdout, stderr = _execute(root, arguments, stdin, env or {})
    if status:
        raise GitError(_sentence(root, arguments, stderr), status, stderr)
    return stdout


def _execute(
    root: Path, arguments: Sequence[str], stdin: bytes | None, env: Mapping[str, str]
) -> tuple[int, bytes, str]:
    if shutil.which(os.environ.get("GIT_PYTHON_GIT_EXECUTABLE") or "git") is None:
        raise TreeError(NO_GIT)
    try:
        from git.cmd import Git  # here: a quarter of a second
        from git.exc import GitCommandNotFound
    except ImportError as error:
        raise TreeError(NO_GIT) from error
    # A `.git` that git finds invalid must not make it answer for the repository further up.
    environment = {"GIT_CEILING_DIRECTORIES": os.path.realpath(root.parent), **env}
    # `-C` because GitPython silently falls back to the process's folder if `root` is unreadable.
    command = [*_without_local_variables(env), str(Git.GIT_PYTHON_GIT_EXECUTABLE or "git")]
    command += [*SAFE_OPTIONS, "-C", str(root), *arguments]
    with tempfile.TemporaryFile() as source:
        source.write(stdin or b"")
        source.seek(0)
        try:
            status, stdout, stderr = Git(str(root)).execute(
                command,
                istream=source,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                env=environment,
            )
        except GitCommandNotFound as error:
            raise TreeError(NO_GIT) from error
    return status, stdout if isinstance(stdout, bytes) else stdout.encode(), str(stderr)


def _without_local_variables(env: Mapping[str, str]) -> list[str]:
    """Return a prefix that hides git's own variables; GitPython can add variables, not remove."""
    present = [name for name in LOCAL_VARIABLES if name in os.environ and name not in env]
    return ["env", *(part for name in present for part in ("-u", name))] if present else []


def _sentence(root: Path, arguments: Sequence[str], stderr: str) -> str:
    if "dubious ownership" in stderr or "unsafe repository" in stderr:
        return (
            f"{root} belongs to another user, so git refuses to read it. If you trust it: "
            f"git config --global --add safe.directory {shlex.quote(str(root))}"
        )
    if "must be run in a work tree" in stderr:
        return f"{root} is a bare repository: it has no working files to run. Use a clone of it"
    if "not a git repository" in stderr:
        return f"{root} has a .git that git does not accept: it is not a git repository"
    verb = next((word for word in arguments if not word.startswith("-")), "call")
    lines = [line for line in stderr.splitlines() if line.strip()]
    return f"git {verb} failed in {root}: {lines[-1].strip() if lines else 'without a message'}"
