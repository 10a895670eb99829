"""Where a repository keeps its files, found without calling git.

Must not know commits or changes. Used in any process: a trial's process learns from it which
repository an imported file belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Location:
    """A working tree, its git folder, and the one it shares with its linked worktrees."""

    root: Path
    git: Path
    common: Path

    @property
    def is_worktree(self) -> bool:
        """Whether this is a tree made by ``git worktree add``."""
        return self.git != self.common

    @property
    def is_shallow(self) -> bool:
        """Whether the history was cut off by ``git clone --depth``."""
        return (self.common / "shallow").is_file()


def find_root(path: Path) -> Path | None:
    """Return the nearest folder at or above `path` that has a ``.git``, folder or file."""
    for folder in (path, *path.parents) if path.is_absolute() else _upwards(path):
        if (folder / ".git").exists():
            return folder
    return None


def _upwards(path: Path) -> tuple[Path, ...]:
    absolute = path.absolute()
    return (absolute, *absolute.parents)


def locate(root: Path) -> Location | None:
    """Read where the ``.git`` of `root` is; None if it points nowhere."""
    git = root / ".git"
    if git.is_file():
        # Worktrees and submodules: a file that says `gitdir: path`.
        text = git.read_text(encoding="utf-8", errors="surrogateescape")
        git = root / text.removeprefix("gitdir:").strip()
    if not git.is_dir():
        return None
    shared = git / "commondir"
    common = git / shared.read_text(encoding="utf-8").strip() if shared.is_file() else git
    return Location(root, git, common)
