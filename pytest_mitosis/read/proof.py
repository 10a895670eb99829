"""The value a name has in the code now, and the proof that another process finds the same.

:func:`prove` starts ``python -m pytest_mitosis.read.proof``, which reads from standard input where
the value is and writes what it found to a file. Must not know locks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pytest_mitosis.identity import Description, compare, render_changes
from pytest_mitosis.identity.hooks import hooks_on_the_way, load_hooks
from pytest_mitosis.model import Binding, Kind, LockError, MitosisError, PlanError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.index import Index
from pytest_mitosis.plan.names import SAFE_NAME, say_what_exists
from pytest_mitosis.plan.references import load_experiment
from pytest_mitosis.plan.selection import Request, Selection
from pytest_mitosis.plan.variants import require_targets
from pytest_mitosis.run.jobs import Describer

if TYPE_CHECKING:
    from pytest_mitosis.model import Experiment
    from pytest_mitosis.plan.config import Project
    from pytest_mitosis.plan.references import LoadedExperiment, LoadedStep


@dataclass(frozen=True, slots=True)
class Address:
    """Where a value is: as the command line says it, and from which folder."""

    start: str
    experiment: str
    target: str
    trials_folder: str | None = None

    @property
    def project(self) -> Project:
        """The project the folder lies in."""
        folder = Path(self.trials_folder) if self.trials_folder else None
        return read_project(Path(self.start), folder)


@dataclass(frozen=True, slots=True)
class Found:
    """The value at an address, described in this process."""

    step: str
    parameter: str
    variant: str
    description: Description


def look_up(address: Address) -> Found:
    """Import the experiment and describe the value that is in its lookup dictionary now.

    Raises
    ------
    PlanError
        If there is no such experiment, parameter or variant.
    Undescribable
        If the value has no identity.
    """
    project = address.project
    home = str(project.home)
    if home not in sys.path:  # as when planning trials
        sys.path.insert(0, home)
    one = _read_target(address.target)
    loaded = _load(find_experiment(project, address.experiment))
    require_targets([loaded], Request((one,)))
    step = _step_of(loaded, one)
    variant = one.names[0]
    variants = step.variants(one.parameter)
    if variant not in variants:
        exists = say_what_exists(variant, [str(name) for name in variants])
        raise PlanError(f"{step.name}.{one.parameter} has no variant {variant!r}; {exists}")
    binding = Binding(step.name, one.parameter, Kind.VARIANT, variant, value=variants[variant])
    # As pytest does; the hooks of other plugins are not known here.
    hooks = load_hooks(hooks_on_the_way(project.root, loaded.experiment.file.parent))
    description = Describer(hooks).describe(binding)
    return Found(step.name, one.parameter, variant, description)


def find_experiment(project: Project, name: str) -> Experiment:
    """The experiment or step called ``name``, also as locks call the step of a class.

    Raises
    ------
    PlanError
        If there is none, or more than one.
    """
    index = Index(project)
    file, is_node, node = name.partition("::")
    if is_node:
        return index.find_node(Path(file).resolve(), node)
    try:
        return index.find(name)
    except PlanError:
        module, dot, inner = name.rpartition(".")
        if dot:  # the step of pkg.mod:Class is called pkg.mod.Class
            try:
                return index.find(f"{module}:{inner}")
            except PlanError:
                pass
        raise


def prove(address: Address, found: Found) -> None:
    """Describe the value again in a fresh process with another hash seed, where a trial would run.

    Raises
    ------
    LockError
        If it is another value there; shows what differs.
    """
    again = _describe_apart(address)
    changes = compare(found.description, again)
    errors = [change for change in changes if change.severity == "error"]
    if errors:
        raise LockError(
            f"{found.parameter}={found.variant} is not reproducible: another process found "
            f"another value\n{render_changes(errors)}\n"
            "take out what differs between processes: times, unseeded random numbers, "
            "the order of sets, temporary paths"
        )


def _read_target(text: str) -> Selection:
    label, equals, variant = text.partition("=")
    step, _, parameter = label.rpartition(".")
    if not equals or not parameter.isidentifier() or not SAFE_NAME.fullmatch(variant):
        raise PlanError(f"{text}: write one name as [STEP.]PARAMETER=NAME, such as noise=low")
    return Selection(step, parameter, Kind.VARIANT, (variant,))


def _load(experiment: Experiment) -> LoadedExperiment:
    try:
        return load_experiment(experiment)
    except BaseException as error:
        if type(error).__name__ == "Skipped":  # pytest.importorskip in the user's module
            raise PlanError(f"{experiment.name} skips itself here: {error}") from None
        raise


def _step_of(loaded: LoadedExperiment, one: Selection) -> LoadedStep:
    steps = [s for s in loaded.steps if one.step in ("", s.name) and s.accepts(one.parameter)]
    named = [s for s in steps if one.parameter in s.parameters] or steps
    if len(named) != 1:
        spelled = " or ".join(f"{step.name}.{one.parameter}" for step in named)
        raise PlanError(
            f"{one.parameter} is a parameter of {len(named)} steps of {loaded.name}; "
            f"write {spelled}"
        )
    return named[0]


def _describe_apart(address: Address) -> Description:
    project = address.project
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        question = {"address": asdict(address), "answer": str(answer), "path": _absolute_path()}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pytest_mitosis.read.proof"],
            input=json.dumps(question),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=project.root if project.cwd == "root" else folder,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=False,
        )
        if not answer.exists():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise LockError(
                f"{address.target} could not be proven: its process ended with "
                f"{done.returncode}: {last}"
            )
        said = json.loads(answer.read_text("utf-8"))
    if "problem" in said:
        raise LockError(
            f"{address.target} is not reproducible: another process says: {said['problem']}"
        )
    return Description.from_json(said["description"])


def _absolute_path() -> list[str]:
    return list(dict.fromkeys(str(Path(entry).absolute()) for entry in sys.path))


def _answer() -> None:
    """Runs in the process that proves."""
    question = json.load(sys.stdin)
    sys.path[:] = question["path"]
    said: dict[str, object]
    try:
        said = {"description": look_up(Address(**question["address"])).description.to_json()}
    except MitosisError as error:
        said = {"problem": str(error)}
    Path(question["answer"]).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    _answer()
