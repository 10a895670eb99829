"""Frozen claims: an archive that a reviewer opens from disk, years later, without installing.

Its entries stand in the order of their names: the claims as a page and as text, the references,
the trials as a trials folder with its site, the code of each commit, and the history as a bundle.
"""

from __future__ import annotations

import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mitosis.identity.pins import bundle, is_shallow, pin, pin_name, push_command, tree_of
from pytest_mitosis.model import Kind, TreeError, Trial
from pytest_mitosis.read.archive import add_folder, add_trials, new_archive
from pytest_mitosis.read.readme import Readme, write_html, write_markdown
from pytest_mitosis.store.cachefile import cache_path
from pytest_mitosis.store.files import store_errors
from pytest_mitosis.store.folder import ALIASES, PAGE
from pytest_mitosis.store.locks import Name, lock_file, revisions
from pytest_mitosis.store.reference import mark_official

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Sequence

    from pytest_mitosis.plan.config import Project
    from pytest_mitosis.read.claims import Claim

BUNDLE = "code.bundle"
_EPOCH = (1980, 1, 1)


@dataclass(frozen=True, slots=True)
class Frozen:
    """Claims to be frozen, and where to: what is pinned, and what goes into the archive.

    ``has_history`` is whether the repository's history is part of it.
    """

    project: Project
    claims: Sequence[Claim]
    path: Path
    has_history: bool = True

    @property
    def trials(self) -> list[Trial]:
        """All trials once, in the order of their folders."""
        found = {one.folder: one for claim in self.claims for one in claim.trials}
        return [found[folder] for folder in sorted(found)]

    @property
    def commits(self) -> list[str]:
        """The commits they ran."""
        return list(dict.fromkeys(one for claim in self.claims for one in claim.commits))

    @property
    def pins(self) -> list[str]:
        """The refs that keep these commits."""
        return [pin_name(one) for one in self.commits]

    @property
    def push(self) -> str:
        """The command that sends the pins to others."""
        return push_command(self.project.root)

    def require_history(self) -> None:
        """Refuse to bundle half a history.

        Raises
        ------
        TreeError
            If the repository is a shallow clone.
        """
        if self.has_history and is_shallow(self.project.root):
            raise TreeError(
                f"{self.project.root} is a shallow clone, so its history is not whole: git fetch "
                "--unshallow, or leave the history out with --no-history"
            )

    def write(self) -> None:
        """Pin the commits, mark the trials official, and write the archive."""
        pin(self.project.root, self.commits)
        with store_errors(self.project.trials_folder):
            for claim in self.claims:
                for trial in claim.trials:
                    _mark(trial, claim.group.name)
        with store_errors(self.path.parent), new_archive(self.path) as archive:
            self._fill(archive)

    def _fill(self, archive: zipfile.ZipFile) -> None:
        readme = Readme(self.project, self.claims, self.trials, has_history=self.has_history)
        archive.writestr("README.md", write_markdown(readme))
        for commit in self.commits:
            with tree_of(self.project.root, commit) as tree:
                _add_tree(archive, tree, readme.code_of(commit))
        with tempfile.TemporaryDirectory(prefix="mitosis-") as temporary:
            if self.has_history:
                bundle(self.project.root, Path(temporary, BUNDLE), self.pins)
                archive.write(Path(temporary, BUNDLE), BUNDLE)
            archive.writestr("index.html", write_html(readme))
            for claim in self.claims:
                for one in claim.references:
                    archive.write(one.file, f"official/{claim.group.name}/{one.file.name}")
            self._add_store(archive, Path(temporary, "trials"))

    def _add_store(self, archive: zipfile.ZipFile, stage: Path) -> None:
        """A trials folder with these trials alone, and the site that is made of it."""
        from pytest_mitosis.read.site import build_site  # here: templates

        store = self.project.trials_folder.absolute()
        add_trials(archive, self.trials, store, "trials/")
        for place, lock in self._locks().items():
            archive.write(lock, f"trials/locks/{place}")
            _link(stage / "locks" / place, lock)
        for trial in self.trials:
            _link(stage / trial.folder.absolute().relative_to(store), trial.folder)
            digest = str(trial.manifest.get("environment") or "")
            _link(stage / "environments" / digest, store / "environments" / digest)
        _link(stage / ALIASES, store / ALIASES)
        root, names = self.project.root, ", ".join(one.group.name for one in self.claims)
        page = build_site(stage, repository=root, title=f"{root.name}: {names}").page
        cache_path(stage).unlink(missing_ok=True)
        archive.write(page, f"trials/{page.name}")
        add_folder(archive, stage / "_site", "trials/_site")

    def _locks(self) -> dict[str, Path]:
        """The locks of all names these trials ran with, by their place below the locks."""
        folder = self.project.locks_folder
        names = {
            Name(one["step"], one["name"], one["variant"])
            for trial in self.trials
            for one in trial.manifest["parameters"]
            if one["kind"] == Kind.VARIANT and one["tracked"]
        }
        files = sorted(file for name in names for file in revisions(lock_file(folder, name)))
        return {file.relative_to(folder).as_posix(): file for file in files}


def _mark(trial: Trial, group: str) -> None:
    """Have a trial say that it is official, on its page too."""
    from pytest_mitosis.read.site.page import write_page  # here: templates

    marked = mark_official(trial, group)
    if marked is not trial or not (trial.folder / PAGE).exists():
        write_page(marked)


def _link(link: Path, target: Path) -> None:
    if target.exists() and not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target.absolute())


def _add_tree(archive: zipfile.ZipFile, tree: tarfile.TarFile, top: str) -> None:
    """The files of a commit; a link stays one, a submodule is an empty folder."""
    for member in tree:
        entry = zipfile.ZipInfo(f"{top}/{member.name}", (*_EPOCH, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        if member.issym():
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, member.linkname)
        elif member.isfile():
            entry.external_attr = (stat.S_IFREG | member.mode) << 16
            content = tree.extractfile(member)
            archive.writestr(entry, content.read() if content else b"")
