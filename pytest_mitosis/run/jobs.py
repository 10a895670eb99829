"""Builds jobs: a trial spec with its descriptions, as JSON that runs anywhere.

Runs in the parent process, where the experiment's values are at hand. None of them is sent: the
job holds the expression that finds each again, and the digest it has to have there.
"""

from __future__ import annotations

import functools
import inspect
import pickle
import site
import sys
import sysconfig
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity import Description, Undescribable, describe
from pytest_mitosis.model import Argument, Binding, Job, JobStep, Kind, PlanError, TrialSpec
from pytest_mitosis.plan.variants import plain_text
from pytest_mitosis.run.randomness import generator_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_mitosis.identity.walk import Hook
    from pytest_mitosis.plan.config import Project
    from pytest_mitosis.plan.references import LoadedExperiment, LoadedStep
    from pytest_mitosis.store.folder import Claim

INPUTS = "inputs"
GLOBALS = ("numpy", "torch")
"""Packages with a global generator, which is seeded if the experiment imports them."""
OWN_FOLDERS = ("trial_dir", "checkpoint_dir")
MOST_VARIANTS = 200
"""Of larger dictionaries only the first names are recorded with each trial."""


@dataclass
class Describer:
    """Describes each value of a session once.

    ``hooks`` say what an object is before we do; ``references`` lead to them from elsewhere.
    """

    hooks: tuple[Hook, ...] = ()
    references: tuple[str, ...] = ()
    _known: dict[tuple[Kind, str, int], tuple[object, Description]] = field(default_factory=dict)

    def describe(self, binding: Binding) -> Description:
        """The description of the value of ``binding``.

        Raises
        ------
        Undescribable
            If the value has no identity; the path begins with the parameter and its variant.
        """
        # Kept with the object itself, so that its id stays its own.
        key = (binding.kind, binding.name, id(binding.value))
        if key not in self._known:
            try:
                found = describe(unwrapped(binding.value), hooks=self.hooks)
            except Undescribable as error:
                name = f"{binding.parameter}={binding.name or 'its default'}"
                path = name if error.path == "." else f"{name}: {error.path}"
                raise Undescribable(path, error.reason, error.remedy) from None
            self._known[key] = (binding.value, found)
        return self._known[key][1]


def unwrapped(entry: Any) -> Any:  # Any: whatever a lookup dictionary holds
    """The value itself of an entry that carries it as ``.vals``, as mitosis' ``Parameter`` does.

    Only a real attribute counts: a data frame with a column of that name is a value.
    """
    return entry.vals if _is_wrapper(entry) else entry


def _is_wrapper(entry: object) -> bool:
    return not isinstance(entry, type) and bool(
        inspect.getattr_static(entry, "vals", inspect) is not inspect
    )


def build_job(
    spec: TrialSpec,
    loaded: LoadedExperiment,
    claim: Claim,
    project: Project,
    describer: Describer,
    fixtures: Mapping[str, object],
    command: str,
    *,
    draft: bool,
    share_steps: bool = False,
) -> Job:
    """The job of one trial; ``fixtures`` holds the values pytest gives to free arguments.

    ``share_steps`` lets it take earlier steps over from other trials, and hand its own to them.

    Raises
    ------
    PlanError
        If the value of a fixture cannot leave this process.
    """
    steps = []
    for step in loaded.steps:
        bound = [b for b in spec.bindings if b.step == step.name]
        arguments = [
            _with_choice(step, _argument(b, describer, fixtures, claim.folder)) for b in bound
        ]
        steps.append(_job_step(step, arguments, project))
    files = claim.folder / "files"
    return Job(
        trial=claim.id,
        experiment=spec.experiment.name,
        key=spec.key,
        iteration=claim.iteration,
        draft=draft,
        seed=spec.seed or 0,
        hypothesis=loaded.hypothesis,
        description=loaded.description,
        root=str(project.root),
        cwd=str(project.root if project.cwd == "root" else files),
        sys_path=tuple(import_path()),
        globals=tuple(name for name in GLOBALS if name in sys.modules),
        timeout=loaded.timeout or project.timeout,
        command=command,
        steps=tuple(steps),
        share_steps=share_steps,
        describe=describer.references,
    )


def import_path() -> list[str]:
    """The entries of ``sys.path`` that a new interpreter of this environment would not have."""
    return list(_import_path(tuple(sys.path)))


@functools.lru_cache(maxsize=4)
def _import_path(entries: tuple[str, ...]) -> tuple[str, ...]:
    standard = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    standard |= {*site.getsitepackages(), site.getusersitepackages(), *_from_pth_files()}
    prefixes = (sys.prefix, sys.base_prefix)
    return tuple(
        dict.fromkeys(
            str(Path(entry).resolve())
            for entry in entries
            if entry not in standard
            and Path(entry).is_dir()
            and not any(_is_below_library(entry, prefix) for prefix in prefixes)
        )
    )


@functools.cache
def _from_pth_files() -> set[str]:
    """Folders that ``.pth`` files of site-packages add at every start of the interpreter."""
    files = [file for place in site.getsitepackages() for file in Path(place).glob("*.pth")]
    lines = [line for file in files for line in file.read_text("utf-8", "replace").splitlines()]
    return {line.strip() for line in lines if line and not line.startswith(("import ", "#"))}


def editable_folders(root: Path) -> list[str]:
    """Folders below ``root`` that editable installs put on the path of every interpreter."""
    found = [Path(text) for text in sorted(_from_pth_files())]
    return [str(one) for one in found if one.is_relative_to(root) and one.is_dir()]


def _is_below_library(entry: str, prefix: str) -> bool:
    return Path(entry).is_relative_to(Path(prefix, "lib")) or entry == str(Path(prefix, "bin"))


def _job_step(step: LoadedStep, arguments: Iterable[Argument], project: Project) -> JobStep:
    return JobStep(
        name=step.name,
        action=step.step.action,
        lookup="" if step.mark_lookup else step.step.lookup,
        data=step.data,
        data_optional=step.data_optional,
        arguments=tuple(arguments),
        reuse=step.reuse and project.reuse.get(step.name, True),
    )


def _argument(
    binding: Binding, describer: Describer, fixtures: Mapping[str, object], folder: Path
) -> Argument:
    digest, summary = "", ""
    if _is_own_folder(binding):
        binding = replace(binding, tracked=False)
    if binding.kind is Kind.FIXTURE:
        value = fixtures[binding.parameter]
        source = _portable_source(binding.parameter, value, folder)
        binding = replace(binding, name=plain_text(value), value=value)
    else:
        source = _source(binding)
    if binding.kind is not Kind.RNG:
        digest, summary = _described(binding, describer)
    return Argument(
        parameter=binding.parameter,
        kind=binding.kind,
        name=binding.name,
        tracked=binding.tracked,
        digest=digest if binding.tracked else "",
        summary=summary,
        source=source,
    )


def _with_choice(step: LoadedStep, argument: Argument) -> Argument:
    """Say what else the argument could have been, for tables of trials."""
    names: tuple[str, ...] = ()
    if argument.kind is Kind.VARIANT:
        names = tuple(str(name) for name in step.variants(argument.parameter))
    default = ""
    if argument.kind is not Kind.DEFAULT and argument.parameter in step.defaults:
        default = plain_text(step.defaults[argument.parameter])
    return replace(argument, variants=names[:MOST_VARIANTS], default=default)


def argument_identities(
    spec: TrialSpec, describer: Describer, fixtures: Mapping[str, object]
) -> list[tuple[Binding, str]]:
    """The tracked arguments of a spec with the digests that its job would have."""
    found = []
    for binding in spec.bindings:
        if not binding.tracked or _is_own_folder(binding):
            continue
        if binding.kind is Kind.FIXTURE:
            value = fixtures[binding.parameter]
            binding = replace(binding, name=plain_text(value), value=value)
        digest = "" if binding.kind is Kind.RNG else _described(binding, describer)[0]
        found.append((binding, digest))
    return found


def _is_own_folder(binding: Binding) -> bool:
    """Whether an argument is a folder of the trial itself, which is another one each time."""
    return binding.kind is Kind.FIXTURE and binding.parameter in OWN_FOLDERS


def _described(binding: Binding, describer: Describer) -> tuple[str, str]:
    """Digest and summary; empty for what may stay without an identity (only variants may not)."""
    try:
        if binding.kind is Kind.FIXTURE:
            description = describe(binding.value, hooks=describer.hooks)
        else:
            description = describer.describe(binding)
    except Undescribable:
        if binding.kind is Kind.VARIANT and binding.tracked:
            raise
        return "", type(binding.value).__name__
    return description.digest, description.summary


def _source(binding: Binding) -> str:
    match binding.kind:
        case Kind.VARIANT:
            wrapped = ".vals" if _is_wrapper(binding.value) else ""
            return f'["{binding.parameter}"]["{binding.name}"]{wrapped}'
        case Kind.RNG:
            return generator_source(int(binding.name), binding.step, binding.parameter)
        case Kind.SEED | Kind.LITERAL:
            return binding.name
        case _:
            return ""


def _portable_source(name: str, value: object, folder: Path) -> str:
    """Python source that gives the value of a fixture in another process."""
    if _is_plain(value):
        return _plain_source(value)
    if isinstance(value, Path):
        return f"Path({str(value)!r})"
    try:
        content = pickle.dumps(value)
        pickle.loads(content)  # noqa: S301  what this process pickled a line ago
    except Exception as error:
        raise PlanError(
            f"the fixture {name!r} gives a {type(value).__module__}.{type(value).__qualname__}, "
            f"which cannot leave this process ({type(error).__name__}: {error}); "
            "let the fixture give a path or plain data"
        ) from None
    file = folder / INPUTS / f"{name}.pickle"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return f"pickle.loads(Path({str(file)!r}).read_bytes())"


def _is_plain(value: object) -> bool:
    if value is None or type(value) in {bool, int, float, str}:
        return True
    return type(value) in {list, tuple} and all(_is_plain(one) for one in value)  # type: ignore[attr-defined]


def _plain_source(value: object) -> str:
    if isinstance(value, float) and repr(value) in {"nan", "inf", "-inf"}:
        return f'float("{value!r}")'
    if isinstance(value, list):
        return f"[{', '.join(_plain_source(one) for one in value)}]"
    if isinstance(value, tuple):
        inner = ", ".join(_plain_source(one) for one in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return ascii(value)
