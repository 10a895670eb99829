"""Imported files that no commit vouches for, in real repositories."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from pytest_mitosis.identity.contents import read_content
from pytest_mitosis.identity.imported import ImportedFile
from pytest_mitosis.identity.location import find_root
from pytest_mitosis.identity.repository import read_state
from pytest_mitosis.identity.verdicts import Verdict, verdicts

if TYPE_CHECKING:
    from pathlib import Path

LONG_AGO = 1_000_000_000.0


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    made = tmp_path / "project"
    made.mkdir()
    git(made, "init", "--quiet")
    put(made / "fit.py", "alpha = 0.5\n")
    put(made / "exps/naïve ε.py", "beta = 1.25\n")
    put(made / ".gitignore", "generated.py\n")
    commit(made)
    return made


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", root, *arguments], check=True, capture_output=True)


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "work")


def put(path: Path, text: str, mtime: float = LONG_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    os.utime(path, (mtime, mtime))
    return path


def file(path: Path) -> ImportedFile:
    content = read_content(path)
    assert content is not None
    module = path.stem
    root = find_root(path.parent)
    return ImportedFile(path, module, content.blob, content.sha256, content.mtime, root)


def words(*paths: Path, **options: object) -> dict[str, str]:
    told = json.dumps([file(path).to_json() for path in paths])
    files = [ImportedFile.from_json(one) for one in json.loads(told)]
    found = verdicts(files, **options)  # type: ignore[arg-type]
    return {verdict.path.name: verdict.word for verdict in found}


def test_committed_files_have_no_verdict(root):
    assert words(root / "fit.py", root / "exps/naïve ε.py", since=LONG_AGO) == {}


def test_untracked_ignored_and_modified_files_are_told_apart(root):
    new = put(root / "new.py", "gamma = 2.5\n")
    generated = put(root / "generated.py", "delta = 3.5\n")
    modified = put(root / "fit.py", "alpha = 0.25\n")
    assert words(new, generated, modified, root / "exps/naïve ε.py") == {
        "new.py": "untracked",
        "generated.py": "ignored",
        "fit.py": "modified",
    }


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_edits_hidden_from_git_are_found(root, flag):
    git(root, "update-index", flag, "fit.py", "exps/naïve ε.py")
    put(root / "fit.py", "alpha = 0.25\n")
    state = read_state(root)
    assert state.is_clean
    assert words(root / "fit.py", root / "exps/naïve ε.py", states=[state]) == {"fit.py": "hidden"}


def test_file_edited_and_committed_while_running_is_found(root):
    state = read_state(root)
    put(root / "fit.py", "alpha = 0.25\n", mtime=LONG_AGO + 60)
    commit(root)
    assert words(root / "fit.py", states=[state], since=LONG_AGO + 30) == {"fit.py": "edited"}
    # Without a time the commit the run began with still tells.
    assert words(root / "fit.py", states=[state]) == {"fit.py": "modified"}


def test_files_outside_any_repository_are_found(root, tmp_path):
    loose = put(tmp_path / "loose/lib.py", "x = 1.5\n")
    assert words(loose, since=LONG_AGO - 30) == {"lib.py": "outside"}


def test_files_of_several_repositories_are_compared_with_their_own(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    put(other / "lib.py", "x = 1.5\n")
    assert words(other / "lib.py", root / "fit.py") == {"lib.py": "untracked"}
    commit(other)
    states = [read_state(root), read_state(other)]
    assert words(other / "lib.py", root / "fit.py", states=states) == {}


def test_line_ends_that_git_converts_are_no_change(root):
    git(root, "config", "core.autocrlf", "true")
    put(root / "crlf.py", "a = 1.5\r\nb = 2.5\r\n")
    commit(root)
    assert words(root / "crlf.py") == {}


def test_repository_without_commits_vouches_for_nothing(tmp_path):
    git(tmp_path, "init", "--quiet")
    path = put(tmp_path / "fit.py", "x = 1.5\n")
    assert words(path, states=[read_state(tmp_path)]) == {"fit.py": "untracked"}


def test_verdicts_read_as_sentences(root):
    assert str(Verdict(root / "a\nb.py", "ignored")) == (
        f"{root}/a\\nb.py is git-ignored, so no commit has it"
    )
