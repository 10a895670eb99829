"""What is to be reproduced: recorded trials with their commit and environment, and the verdicts.

Official trials come from their references, others from the trials folder.
"""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mitosis.model import PlanError, ReproduceError, Status, StoreError
from pytest_mitosis.plan.official import Group, is_declared, read_declaration
from pytest_mitosis.read.sandbox import OWN, Requirements, Sandbox
from pytest_mitosis.read.search import find_trial
from pytest_mitosis.read.verdict import Verdict, judge
from pytest_mitosis.store.folder import iterate_trials
from pytest_mitosis.store.reference import (
    Reference,
    accepted_trial,
    make_reference,
    read_group,
    recorded_environment,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_mitosis.model import Trial
    from pytest_mitosis.plan.config import Project


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded trial: what it gave, where it stood, what it ran in."""

    reference: Reference
    group: Group
    siblings: Sequence[Reference]
    node: str
    commit: str
    requirements: Requirements

    @property
    def label(self) -> str:
        """The trial as people name it."""
        return f"{self.reference.record['experiment']}[{self.reference.record['spec']}]"


def find_recorded(project: Project, name: str) -> list[Recorded]:
    """The trials of an official group, or the one whose id begins with ``name``.

    Raises
    ------
    PlanError
        If there is neither.
    StoreError
        If several trials are meant.
    """
    references: list[tuple[Group, Reference]] = []
    if is_declared(project):
        declaration = read_declaration(project)
        for group in declaration.groups.values():
            references += [(group, one) for one in read_group(declaration.folder, group.name)]
        if name in declaration.groups:
            chosen = [(g, one) for g, one in references if g.name == name]
            if not chosen:
                raise PlanError(f"nothing of {name} is accepted yet, so nothing can be reproduced")
            return [_of_reference(project, g, one, references) for g, one in chosen]
        for group, one in references:
            if str(one.record["trial"]) == name:
                return [_of_reference(project, group, one, references)]
    if not project.trials_folder.is_dir():
        raise PlanError(f"{name} is no official group, and there is no {project.trials_folder}")
    return [_of_trial(project, find_trial(project.trials_folder, name))]


def reproduce(
    project: Project,
    recorded: Sequence[Recorded],
    tell: Callable[[str], None],
    *,
    at: str | None = None,
    here: bool = False,
    keep: Path | None = None,
    python: str = "",
    instead: Sequence[str] = (),
) -> list[tuple[Recorded, Verdict]]:
    """Run recorded trials again and compare; one sandbox for each commit and environment.

    Parameters
    ----------
    at : str, optional
        Another commit than the recorded ones.
    here : bool
        In the environment that runs this, instead of one built anew.
    keep : Path, optional
        A folder to work in, which is kept.
    python : str
        The interpreter to make environments with.
    instead : sequence of str
        Requirements in place of recorded ones of the same names.

    Raises
    ------
    ReproduceError
        If a step of it fails.
    """
    places: dict[tuple[str, Requirements], list[Recorded]] = {}
    for one in recorded:
        places.setdefault((at or one.commit, one.requirements), []).append(one)
    home = project.home.relative_to(project.root)
    found = []
    with tempfile.TemporaryDirectory(prefix="mitosis-") as temporary:
        for number, ((commit, requirements), ours) in enumerate(places.items(), start=1):
            folder = (keep or Path(temporary)).absolute() / str(number)
            folder.mkdir(parents=True, exist_ok=keep is None)
            sandbox = Sandbox(folder, project.root, tell, str(home), python, tuple(instead))
            with sandbox.checked_out(commit, keep=keep is not None):
                if not here:
                    sandbox.build(requirements)
                nodes = [_place(project, sandbox.code, one.node) for one in ours]
                sandbox.run(nodes, here=here)
                found += [(one, _judge(one, sandbox, project.trials_folder)) for one in ours]
    return found


def _judge(one: Recorded, sandbox: Sandbox, store: Path) -> Verdict:
    record = one.reference.record
    trials = [
        trial
        for trial in iterate_trials(sandbox.trials)
        if (trial.manifest["experiment"], trial.manifest["spec"])
        == (record["experiment"], record["spec"])
    ]
    if not trials:
        raise ReproduceError(
            f"{one.label} was not run; pytest said in {sandbox.folder / 'output.txt'}:\n"
            + (sandbox.folder / "output.txt").read_text("utf-8")[-1500:]
        )
    trial = trials[0]
    if trial.status is not Status.DONE:
        failure = trial.manifest.get("failure") or {}
        raise ReproduceError(
            f"{one.label} {trial.status.value}: {failure.get('type')}: {failure.get('message')}"
        )
    environment = recorded_environment(sandbox.trials, trial)
    # The accepted one is in the store at hand, where its spec's folder is that of this one.
    recorded = accepted_trial(
        one.reference, store / trial.folder.parent.relative_to(sandbox.trials)
    )
    return judge(trial, one.reference, one.group, one.siblings, environment, sandbox.code, recorded)


def _of_reference(
    project: Project, group: Group, one: Reference, all_of: Sequence[tuple[Group, Reference]]
) -> Recorded:
    siblings = [other for g, other in all_of if g.name == group.name]
    commit, node = one.record["code"].get("commit"), one.record.get("node")
    if not commit or not node:
        raise ReproduceError(f"{one.file} does not say at which commit and node it was run")
    environment = one.record["environment"]
    wanted = _all_packages(project.trials_folder, environment["digest"], environment["python"])
    return Recorded(one, group, siblings, node, commit, wanted or _used_packages(one))


def _used_packages(one: Reference) -> Requirements:
    """What a reference alone can tell: the packages its trial used."""
    packages = {**one.record["code"]["packages"]}
    python = packages.pop("python", "")
    lines = [f"{name}=={version}" for name, version in packages.items() if " " not in version]
    missing = [f"{name} {version}" for name, version in packages.items() if " " in version]
    return Requirements(python, tuple(lines), tuple(missing))


def _of_trial(project: Project, trial: Trial) -> Recorded:
    m = trial.manifest
    commit = m.get("snapshot") or m.get("commit")
    if trial.status is not Status.DONE:
        raise StoreError(f"trial {trial.id} {trial.status.value}: it gave no result to reproduce")
    if not commit:
        raise ReproduceError(f"trial {trial.id} has no commit, so its code cannot be had")
    node = next((w for w in shlex.split(str(m.get("command"))) if "::" in w), "")
    if not node:
        raise ReproduceError(f"the command of trial {trial.id} names no node: {m.get('command')}")
    environment = recorded_environment(project.trials_folder, trial)
    reference = make_reference(trial, trial.folder, "this trial", "", environment, {})
    python = environment.get("python", {}).get("version", "")
    wanted = _all_packages(project.trials_folder, str(m.get("environment")), python)
    if wanted is None:
        raise ReproduceError(
            f"the environment of trial {trial.id} is not in {project.trials_folder}: build one by "
            "hand and run there with --here"
        )
    return Recorded(reference, Group("this trial", ""), [reference], node, str(commit), wanted)


def _all_packages(store: Path, digest: str, python: str) -> Requirements | None:
    """All of a recorded environment; None if the store does not have it."""
    try:
        text = (store / "environments" / digest / "requirements.txt").read_text("utf-8")
    except OSError:
        return None
    told = [line for line in text.splitlines()[2:] if line]
    others = [line for line in told if OWN not in line.partition("=")[0]]
    lines = [line for line in others if not line.startswith("#")]
    missing = [line.removeprefix("# ") for line in others if line.startswith("#")]
    return Requirements(python, tuple(lines), tuple(missing), is_complete=True)


def _place(project: Project, code: Path, node: str) -> str:
    """A node id as seen from the root of a checkout; node ids begin at pytest's root folder."""
    file, _, rest = node.partition("::")
    home = project.home.relative_to(project.root)
    for place in (Path(file), home / file):
        if (code / place).is_file():
            return f"{place.as_posix()}::{rest}"
    raise ReproduceError(f"{file} is not there at this commit; it was renamed or is newer")
