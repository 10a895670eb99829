"""A guard with a rule of our own, and a value for an experiment."""

import subprocess

import pytest


@pytest.fixture(scope="session")
def clean_tree(pytestconfig):
    """Refuse uncommitted changes in this folder, except below ``notes/``.

    Replaces the guard of the same name, as any fixture in a conftest replaces a plugin's.
    """
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all", "--", ".", ":(exclude)notes"],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        check=True,
    )
    if status.stdout:
        pytest.fail(f"commit these first (only notes/ may differ):\n{status.stdout}", pytrace=False)


@pytest.fixture(scope="session")
def sample_size():
    """Give every experiment that has an argument of this name as many samples."""
    return 20_000
