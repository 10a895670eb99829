"""The nouns everyone shares: experiments, trial specs, jobs, outcomes, trials, and our errors.

Frozen data without behaviour beyond names and JSON. Imported by all rooms, imports none of them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

NOT_REPRODUCIBLE = "NotReproducible"
"""The type of a failure because a name means another value in the trial's process."""
SCHEMA = 1
"""Version of every JSON file written; readers accept all older ones."""


class Kind(StrEnum):
    """Where the value of a parameter comes from."""

    VARIANT = "variant"
    LITERAL = "literal"
    DEFAULT = "default"
    FIXTURE = "fixture"
    SEED = "seed"
    RNG = "rng"


class Status(StrEnum):
    """What became of a trial; ``lost`` is never written, readers say it of a dead ``running``."""

    RUNNING = "running"
    DONE = "done"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    LOST = "lost"


class Reuse(StrEnum):
    """What counts as already done."""

    SAME_CODE = "same-code"
    SAME_PARAMS = "same-params"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Step:
    """A callable with its lookup dictionary, both by name.

    Attributes
    ----------
    name : str
        The step's name, used as prefix on the command line.
    action, lookup : str
        References ``package.module:object.attribute``; ``lookup`` may be empty.
    path : str
        Folder that has to be on ``sys.path`` for the references to import, or empty.
    """

    name: str
    action: str
    lookup: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named callable, or an ordered list of steps; ``file::node`` is its pytest node."""

    name: str
    steps: tuple[Step, ...]
    file: Path
    node: str


@dataclass(frozen=True, slots=True)
class Binding:
    """One parameter of one step with the name of its value, and the value in this process.

    ``name`` is the variant's name, the literal's text or the seed's number.
    """

    step: str
    parameter: str
    kind: Kind
    name: str = ""
    tracked: bool = True
    value: Any = field(default=None, compare=False, repr=False)  # any object a user may look up


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """An experiment with every parameter and the seed bound; one pytest item is one spec.

    Attributes
    ----------
    id : str
        What stands between the brackets of the node id.
    key : str
        The same without untracked parameters: the identity of the trial among its experiment's.
    """

    experiment: Experiment
    bindings: tuple[Binding, ...]
    seed: int | None
    id: str
    key: str


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a job's step, as JSON knows it.

    ``digest`` is the identity the value had in the parent process (empty if untracked).
    ``source`` is Python: for a variant what follows the lookup dictionary's name, for a default
    nothing, else the expression that gives the value. ``variants`` are the names there are, in the
    dictionary's order, and ``default`` is the text of a default that was not used.
    """

    parameter: str
    kind: Kind
    name: str
    tracked: bool
    digest: str
    summary: str
    source: str
    variants: tuple[str, ...] = ()
    default: str = ""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The argument a dictionary of a job stands for."""
        variants = tuple(data.get("variants", ()))
        return cls(**{**data, "kind": Kind(data["kind"]), "variants": variants})


@dataclass(frozen=True, slots=True)
class JobStep:
    """A step of a job; ``data`` names the parameter for the previous step's data.

    ``data`` is ``*`` if it is passed by position, and empty for a first step.
    ``data_optional`` says whether the step can be called without it, ``reuse`` whether trials may
    share what it returns.
    """

    name: str
    action: str
    lookup: str
    data: str
    data_optional: bool
    arguments: tuple[Argument, ...]
    reuse: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """A trial spec as JSON: enough to run it in another process or machine without pytest.

    ``environment`` holds variables that are set for the trial's process alone.
    """

    trial: str
    experiment: str
    key: str
    iteration: int
    draft: bool
    seed: int
    hypothesis: str
    description: str
    root: str
    cwd: str
    sys_path: tuple[str, ...]
    globals: tuple[str, ...]
    timeout: float | None
    command: str
    steps: tuple[JobStep, ...]
    share_steps: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    describe: tuple[str, ...] = ()
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Plain builtins, ready for :func:`json.dumps`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The job a dictionary from :meth:`to_json` stands for."""
        steps = tuple(
            JobStep(
                **{
                    **step,
                    "arguments": tuple(Argument.from_json(one) for one in step["arguments"]),
                }
            )
            for step in data["steps"]
        )
        return cls(
            **{
                **data,
                "steps": steps,
                "sys_path": tuple(data["sys_path"]),
                "globals": tuple(data["globals"]),
                "describe": tuple(data.get("describe", ())),
            }
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial did not end well: the exception's type and message, and the user's frames."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Random numbers of a trial that did not come from its own streams.

    Attributes
    ----------
    kind : str
        ``global`` (a seeded global generator was used), ``reseeded`` (the experiment seeded one
        itself) or ``unseeded`` (the operating system gave the seed: not reproducible).
    step : str
        Empty if it happened while the experiment was imported.
    file, line
        The project's line, relative to its root if below it; empty and 0 if it is not known.
    text : str
        All of it as a sentence.
    """

    kind: str
    step: str
    generator: str
    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job left behind; without it the process died.

    Attributes
    ----------
    metrics : dict
        Flat names to numbers or short texts, ``main`` first.
    supported : bool or None
        Whether the result supports the hypothesis; None if there is none, or it was not checked.
    environment : dict
        What :mod:`pytest_mitosis.run.environment` collected in the trial's process.
    proven : bool
        Whether the trial's process found the parent's value under every name.
    unproven : dict
        ``step.parameter`` to what the trial's process found in place of the parent's value.
    scheduler : dict
        Ids a scheduler such as Slurm gave the trial's process.
    code : dict
        The code identity of :mod:`pytest_mitosis.identity.code`.
    files : tuple of dict
        The project files the trial's process imported, with their git blob ids.
    tainted : tuple of str
        Imported files that are not what the recorded commit holds.
    reused : dict
        Name of a step to the trial that ran it, where this one took it over.
    randomness : tuple of Finding
        What was found of global and unseeded random generators.
    notes : tuple of str
        Sentences worth a warning: a mutated parameter, pickled parts of a result.
    duration_s, cpu_s : float
        Wall and processor time in seconds; ``peak_memory`` in bytes.
    error : BaseException
        The experiment's exception itself, where it ran in this process.
    """

    status: Status
    started: str
    finished: str
    duration_s: float
    cpu_s: float | None = None
    peak_memory: int | None = None
    metrics: dict[str, float | int | bool | str] = field(default_factory=dict)
    supported: bool | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, str] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)
    files: tuple[dict[str, Any], ...] = ()
    tainted: tuple[str, ...] = ()
    reused: dict[str, dict[str, Any]] = field(default_factory=dict)
    randomness: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    failure: Failure | None = None
    proven: bool = False
    unproven: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Trial:
    """One recorded run of a spec: its folder and the manifest found there."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        """The random id of eight characters."""
        return str(self.manifest["id"])

    @property
    def status(self) -> Status:
        """The recorded status."""
        return Status(self.manifest["status"])


class MitosisError(Exception):
    """Base of every error this package raises on purpose; the text is one sentence for the user.

    ::

        MitosisError
        ├── PlanError        a name, an option or a table is wrong            exit 4
        ├── Undescribable    a value has no identity that can be locked
        ├── TreeError        the code is not at a clean commit                exit 10
        ├── LockError        a name changed its value                         exit 11
        ├── StoreError       the trials folder cannot be written or read      exit 13
        ├── ResultError      a result cannot be stored or loaded
        └── ReproduceError   a recorded trial cannot be run again           exit 1
    """


class PlanError(MitosisError):
    """A name, an option or a table is wrong; says what exists and what to do."""


class Undescribable(MitosisError):  # noqa: N818  the noun of the design
    """A value has no identity that can be locked.

    Attributes
    ----------
    path : str
        Where in the value the culprit is, such as ``.solver.lock``; ``.`` is the value itself.
    reason : str
        What was found there.
    remedy : str
        What to do instead.
    """

    def __init__(self, path: str, reason: str, remedy: str) -> None:
        self.path, self.reason, self.remedy = path, reason, remedy
        super().__init__(path, reason, remedy)

    def __str__(self) -> str:
        return f"{self.path} {self.reason}. {self.remedy}"


class TreeError(MitosisError):
    """The code is not at a clean commit; lists the files that matter."""


class LockError(MitosisError):
    """A variant name changed its value since it was locked; shows what changed."""


class StoreError(MitosisError):
    """The trials folder cannot be written or read."""


class ResultError(MitosisError):
    """A result cannot be stored, or a stored result cannot be loaded."""


class ReproduceError(MitosisError):
    """A recorded trial cannot be run again as it was; says at which step, and what to do."""
