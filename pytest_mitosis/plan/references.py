"""Turns references into callables, lookup dictionaries and signatures, in the parent process.

This is the only place where the parent imports code of the user's. The trial's process imports
it afresh; nothing loaded here is sent there.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from keyword import iskeyword
from pathlib import Path
from typing import Any

from pytest_mitosis.model import Experiment, PlanError, Step
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.plan.resources import Request, read_request, read_seconds

SEED = "seed"
RNG = "rng"
DATA = "data"


@dataclass(frozen=True, slots=True)
class LoadedStep:
    """A step with its live objects.

    Attributes
    ----------
    parameters : tuple of str
        In signature order, without the one that takes the previous step's data.
    defaults : mapping
        Parameter to default.
    takes_any : bool
        Whether the callable has ``**kwargs``.
    data : str
        The parameter for the previous step's data, ``*`` for by position, empty for none.
    mark_lookup : bool
        Whether the lookup dictionary was given by ``@pytest.mark.experiment(lookup=…)``.
    reuse : bool
        Whether trials may share what it returns; ``@pytest.mark.experiment(reuse=False)``.
    """

    step: Step
    action: Callable[..., Any]
    lookup: Mapping[str, Mapping[str, Any]]
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    takes_any: bool = False
    data: str = ""
    data_optional: bool = False
    mark_lookup: bool = False
    reuse: bool = True

    @property
    def name(self) -> str:
        """The step's name."""
        return self.step.name

    def accepts(self, parameter: str) -> bool:
        """Whether the callable can be given ``parameter`` by keyword."""
        return parameter in self.parameters or (self.takes_any and parameter != self.data)

    def variants(self, parameter: str) -> Mapping[str, Any]:
        """The variants of ``parameter`` (empty without an entry in the lookup dictionary).

        Raises
        ------
        PlanError
            If the entry is no mapping.
        """
        try:
            entry = self.lookup[parameter]
        except KeyError:
            return {}
        if not isinstance(entry, Mapping):
            raise PlanError(
                f"{self.name}.{parameter}: its entry in the lookup dictionary has to be a mapping "
                f"of variant names to values, not {type(entry).__name__}"
            )
        return entry


@dataclass(frozen=True, slots=True)
class LoadedExperiment:
    """An experiment with its steps loaded, its marks, hypothesis, description and time-out.

    ``requests`` is what each step asks of the machine.
    """

    experiment: Experiment
    steps: tuple[LoadedStep, ...]
    hypothesis: str = ""
    description: str = ""
    timeout: float | None = None
    requests: tuple[Request, ...] = ()

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment.name


def load_experiment(experiment: Experiment) -> LoadedExperiment:
    """Import the steps of ``experiment`` and read their signatures and lookup dictionaries.

    Raises
    ------
    PlanError
        If a reference does not import or is not what it should be; carries their traceback.
    """
    steps = tuple(
        _load_step(step, takes_data=index > 0) for index, step in enumerate(experiment.steps)
    )
    facts: dict[str, Any] = {}
    for step in steps:
        facts |= mark_facts(step.action)
    _require_check(facts, experiment.name)
    last = steps[-1].action
    return LoadedExperiment(
        experiment,
        steps,
        str(facts.get("hypothesis") or ""),
        inspect.cleandoc(last.__doc__) if isinstance(last.__doc__, str) else "",
        read_seconds(facts.get("timeout"), f"{experiment.name}: timeout"),
        tuple(read_request(mark_facts(step.action), step.name) for step in steps),
    )


def _require_check(facts: Mapping[str, Any], name: str) -> None:
    check = facts.get("check")
    if check is None:
        return
    if not callable(check):
        raise PlanError(f"{name}: check has to be a function of the result, not {check!r}")
    if not facts.get("hypothesis"):
        raise PlanError(f'{name}: check has no hypothesis to support; give hypothesis="…" too')


def resolve(reference: str, path: str, what: str) -> Any:  # Any: whatever the user's module holds
    """The object that ``package.module:attribute.attribute`` names.

    Raises
    ------
    PlanError
        If the module does not import or has no such attribute.
    """
    module_name, _, qualname = reference.partition(":")
    if not all(map(_is_name, [*module_name.split("."), *qualname.split(".")])):
        raise PlanError(f"{what} is {reference!r}; it has to be package.module:name")
    found: Any = _import(module_name, path, what)
    for attribute in qualname.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            exists = [n for n in dir(found) if not n.startswith("_")]
            raise PlanError(
                f"{what}: {reference} does not exist: no {attribute!r} in "
                f"{getattr(found, '__name__', type(found).__name__)}; "
                f"{say_what_exists(attribute, exists)}"
            ) from None
    return found


def _is_name(text: str) -> bool:
    return text.isidentifier() and not iskeyword(text)


def _import(name: str, path: str, what: str) -> Any:  # Any: modules have any attributes
    if path and path not in sys.path:
        sys.path.insert(0, path)
        importlib.invalidate_caches()
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise PlanError(
            f"{what}: {name} does not import: {type(error).__name__}: {error}{_their_frames(error)}"
        ) from None
    _require_same_file(module, name, path, what)
    return module


def _require_same_file(module: Any, name: str, path: str, what: str) -> None:
    """Two ``exp_fit.py`` in different folders are one module name: never run the other one."""
    expected = Path(path, *name.split(".")).with_suffix(".py")
    actual = getattr(module, "__file__", None)
    if path and actual and expected.is_file() and Path(actual).resolve() != expected.resolve():
        raise PlanError(
            f"{what}: {name} was imported from {actual}, not from {expected}; two files have the "
            "same module name: rename one, or put an __init__.py beside each"
        )


def _their_frames(error: BaseException) -> str:
    """The traceback without importlib's frames and ours; empty if nothing of theirs ran."""
    ours = str(Path(__file__).parent.parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen", ours))
        and f"{os.sep}importlib{os.sep}" not in frame.filename
    ]
    if not frames:
        return ""
    return "\n" + "".join(traceback.format_list(frames)).rstrip()


def _load_step(step: Step, *, takes_data: bool) -> LoadedStep:
    what = f"the step {step.name}"
    action = resolve(step.action, step.path, what)
    if not callable(action):
        raise PlanError(f"{what}: {step.action} is not callable ({type(action).__name__})")
    if inspect.iscoroutinefunction(action) or inspect.isgeneratorfunction(action):
        raise PlanError(f"{what}: {step.action} has to be a plain function that returns a dict")
    facts = mark_facts(action)
    lookup = facts["lookup"] if "lookup" in facts else _load_lookup(step, what)
    if not isinstance(lookup, Mapping):
        raise PlanError(
            f"{what}: its lookup dictionary has to map parameters to variants; "
            f"{'lookup=' if 'lookup' in facts else step.lookup} does not ({type(lookup).__name__})"
        )
    loaded = _with_signature(step, action, lookup, takes_data)
    reuse = facts.get("reuse", True) is not False
    return replace(loaded, mark_lookup="lookup" in facts, reuse=reuse)


def _load_lookup(step: Step, what: str) -> Any:
    return resolve(step.lookup, step.path, what) if step.lookup else {}


def _with_signature(
    step: Step,
    action: Callable[..., Any],
    lookup: Mapping[str, Any],
    takes_data: bool,
) -> LoadedStep:
    try:
        signature = inspect.signature(action)
    except (ValueError, TypeError):  # builtins without a text signature take what they take
        return LoadedStep(step, action, lookup, (), takes_any=True, data="*" if takes_data else "")
    known = signature.parameters.values()
    named = [p for p in known if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    data = _data_parameter(step, list(known)) if takes_data else None
    others = [p for p in named if p is not data]
    for parameter in others:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise PlanError(
                f"the step {step.name}: its parameter {parameter.name!r} can only be given by "
                f"position; leave the '/' out of {step.action}"
            )
    by_position = data is not None and data.kind in (data.POSITIONAL_ONLY, data.VAR_POSITIONAL)
    return LoadedStep(
        step=step,
        action=action,
        lookup=lookup,
        parameters=tuple(p.name for p in others),
        defaults={p.name: p.default for p in others if p.default is not p.empty},
        takes_any=any(p.kind is p.VAR_KEYWORD for p in known),
        data="" if data is None else "*" if by_position else _keyword_of(data),
        data_optional=data is not None
        and (
            data.kind in (data.VAR_POSITIONAL, data.VAR_KEYWORD) or data.default is not data.empty
        ),
    )


def _data_parameter(step: Step, known: list[inspect.Parameter]) -> inspect.Parameter:
    """The parameter for the previous step's data: ``data``, else the first positional one."""
    kinds = inspect.Parameter
    for wanted in (
        [p for p in known if p.name == DATA and p.kind is not kinds.VAR_POSITIONAL],
        [p for p in known if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)],
        [p for p in known if p.kind is kinds.VAR_POSITIONAL],
        [p for p in known if p.kind is kinds.VAR_KEYWORD],
    ):
        if wanted:
            return wanted[0]
    raise PlanError(
        f"the step {step.name} takes nothing from the step before it; "
        f"give {step.action} a parameter 'data'"
    )


def _keyword_of(data: inspect.Parameter) -> str:
    return DATA if data.kind is data.VAR_KEYWORD else data.name


def mark_facts(action: Callable[..., Any]) -> dict[str, Any]:
    """Keyword arguments of ``@pytest.mark.experiment``, the closest to the function winning."""
    facts: dict[str, Any] = {}
    marks = getattr(action, "pytestmark", ())
    for mark in marks if isinstance(marks, list | tuple) else [marks]:
        if getattr(mark, "name", "") == "experiment":
            facts = {**mark.kwargs, **facts}
    return facts
