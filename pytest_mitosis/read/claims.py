"""Claims: official groups with the trials they stand on, all of them at hand and whole.

What is missing is said before anything is made of the rest. Reads the store and the repository.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mitosis.identity.gitcommand import run_git
from pytest_mitosis.identity.pins import has_commit, how_to_fetch
from pytest_mitosis.model import PlanError, ReproduceError, Status, StoreError, TreeError, Trial
from pytest_mitosis.plan.official import read_declaration
from pytest_mitosis.read.verdict_text import accept_command
from pytest_mitosis.store.check import check_trial
from pytest_mitosis.store.files import dump
from pytest_mitosis.store.folder import iterate_folders, read_trial
from pytest_mitosis.store.reference import read_group
from pytest_mitosis.table import verdict_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_mitosis.plan.config import Project
    from pytest_mitosis.plan.official import Group
    from pytest_mitosis.store.reference import Reference

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A group, and each of its references with the trial that gave it."""

    group: Group
    references: tuple[Reference, ...]
    trials: tuple[Trial, ...]

    @property
    def title(self) -> str:
        """``fig3: Error over noise``."""
        return f"{self.group.name}: {self.group.title}" if self.group.title else self.group.name

    @property
    def command(self) -> str:
        """What runs its trials again and compares them."""
        return f"pytest -p mitosis --exp-official {self.group.name}"

    @property
    def commits(self) -> list[str]:
        """The commits its trials ran, the first of them first."""
        started = sorted(self.references, key=lambda one: str(one.record.get("started")))
        return list(dict.fromkeys(str(one.record["code"]["commit"]) for one in started))

    @property
    def hypotheses(self) -> dict[str, str]:
        """Each hypothesis with how many trials support it."""
        found: dict[str, Counter[str]] = {}
        for one in self.references:
            if text := one.record.get("hypothesis"):
                word = verdict_on(one.record.get("supported"))
                found.setdefault(str(text), Counter())[word] += 1
        return {
            text: ", ".join(f"{word} by {n}" for word, n in counts.items())
            for text, counts in found.items()
        }

    def total(self, field: str) -> float:
        """The sum of a number of all trials' manifests, such as ``duration_s``."""
        return float(sum(one.manifest.get(field) or 0.0 for one in self.trials))

    @property
    def size(self) -> int:
        """Bytes of the trials' files."""
        files = (f for one in self.trials for f in one.folder.rglob("*") if f.is_file())
        return sum(file.stat().st_size for file in files)


def read_claims(project: Project, names: Sequence[str]) -> list[Claim]:
    """The groups called so, all without names.

    Raises
    ------
    PlanError
        If there is no such group, or nothing of it was accepted.
    TreeError
        If references are not committed.
    ReproduceError
        If a commit is not in the repository.
    StoreError
        If a trial is not in the trials folder, or not as it was recorded.
    """
    declaration = read_declaration(project)
    groups = declaration.choose(names)
    by_group = {one.name: read_group(declaration.folder, one.name) for one in groups}
    for name, references in by_group.items():
        if not references:
            raise PlanError(f"nothing of {name} is accepted yet: {accept_command(name)}")
    accepted = [one for references in by_group.values() for one in references]
    _require_commits(project, accepted)
    _require_committed(project, [declaration.folder / one.name for one in groups])
    folders = _folders(project.trials_folder, accepted)
    return [_claim(project, group, by_group[group.name], folders) for group in groups]


def _claim(
    project: Project, group: Group, references: Sequence[Reference], folders: dict[str, Path]
) -> Claim:
    trials = [_trial(one, folders[str(one.record["trial"])], project.root) for one in references]
    return Claim(group, tuple(references), tuple(trials))


def _require_commits(project: Project, references: Sequence[Reference]) -> None:
    if not project.is_repository:
        raise TreeError(f"{project.root} is not a git repository, so there are no commits to keep")
    found: dict[str, Reference] = {}
    for one in references:
        commit = one.record["code"].get("commit")
        if not commit:
            raise ReproduceError(f"{_place(one, project.root)} does not say which commit it ran")
        found.setdefault(str(commit), one)
    for commit, one in found.items():
        if not has_commit(project.root, commit):
            raise ReproduceError(
                f"commit {commit[:12]}, which {_place(one, project.root)} names, is not in "
                f"{project.root}: fetch it ({how_to_fetch(commit)}), or run the group again and "
                f"accept it anew: {accept_command(one.record['group'])}"
            )


def _require_committed(project: Project, folders: Iterable[Path]) -> None:
    """A clone has to hold the references that an archive holds."""
    places = [str(one.relative_to(project.root)) for one in folders]
    options = ("--porcelain", "--untracked-files=all", "-z", "--")
    said = run_git(project.root, "status", *options, *places).decode("utf-8", "replace")
    changed = [one[3:] for one in said.split("\0") if one]
    if changed:
        seen_from_here = [os.path.relpath(project.root / one) for one in places]
        raise TreeError(
            f"{_listed(changed)} {'is' if len(changed) == 1 else 'are'} not committed: "
            f"git add {' '.join(seen_from_here)} && git commit"
        )


def _folders(store: Path, references: Iterable[Reference]) -> dict[str, Path]:
    found = {one.name.partition("-")[2]: one for one in iterate_folders(store)}
    missing = [one for one in references if str(one.record["trial"]) not in found]
    if missing:
        names = _listed([f"{one.record['trial']} of {one.record['group']}" for one in missing])
        raise StoreError(
            f"{names} {'is' if len(missing) == 1 else 'are'} accepted but not in {store}: take "
            "over the trials folder that has them (pytest-mitosis merge OTHER), or run the group "
            "again and accept it anew: " + accept_command(missing[0].record["group"])
        )
    return found


def _trial(reference: Reference, folder: Path, root: Path) -> Trial:
    trial = read_trial(folder)
    place = _place(reference, root)
    if trial.status is not Status.DONE:
        raise StoreError(f"trial {trial.id} is {trial.status.value}, though {place} vouches for it")
    if dump(trial.manifest.get("metrics", {})) != dump(reference.metrics):
        raise StoreError(
            f"the metrics of trial {trial.id} are not those that {place} has: one of the two was "
            "edited; restore the reference with git, or the trial from a copy"
        )
    damage = [one for one in check_trial(trial, str(folder)) if one.is_damage]
    if damage:
        raise StoreError(
            f"{damage[0].place}: {damage[0].text}; pytest-mitosis verify lists what else is not as "
            "it was recorded"
        )
    return trial


def _place(reference: Reference, root: Path) -> str:
    return reference.file.relative_to(root).as_posix()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
