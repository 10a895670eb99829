"""Experiments as pytest items: ordinary ``pytest.Function``s, parametrized by their trials.

Runs in every process that collects. What a trial is was planned by the session; here it gets a
node, marks and keywords, so that fixtures, ``skip``, ``-k``, ``-m``, ``--lf`` work as ever.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import sys
import types
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mitosis.launching import require_launcher, warm_up
from pytest_mitosis.model import Kind, MitosisError, Reuse, TrialSpec, Undescribable
from pytest_mitosis.plan.ids import format_part, join_parts
from pytest_mitosis.plan.variants import plain_text
from pytest_mitosis.session import WORKER_INPUT, ExperimentSession, Planned
from pytest_mitosis.store.files import exists
from pytest_mitosis.store.folder import spec_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

TRIAL = "trial"
GUARDS = ("clean_tree", "variant_lock")
PLANNED = pytest.StashKey[Planned]()


class Collection:
    """Plans before collecting, then hands the planned trials to pytest."""

    def __init__(self, session: ExperimentSession) -> None:
        self.session = session
        self.schedules = False
        """Whether several trials run at once."""

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Emitted before collecting, under xdist in the controller too: wrong names end here."""
        try:
            self.session.plan()
            require_launcher(self.session)
        except MitosisError as error:
            raise pytest.UsageError(str(error)) from None
        self.session.config.args[:] = self.session.arguments()
        return (yield)

    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        """Emitted for each file; answers for ``pyproject.toml`` with planned experiments."""
        return self._collector(file_path, parent) if file_path.suffix != ".py" else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> pytest.Module | None:
        """Emitted for each Python file; ours stands in for pytest's own module."""
        return self._collector(module_path, parent)

    def _collector(self, path: Path, parent: pytest.Collector) -> ExperimentsFile | None:
        planned = self.session.planned.get(path)
        if planned is None:
            return None
        return ExperimentsFile.from_parent(parent, path=path, planned=planned)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Emitted for each collected function; an experiment's parameter is its trial."""
        planned = planned_of(metafunc.definition)
        if planned is not None and planned.loaded is not None:
            metafunc.parametrize(
                TRIAL,
                [pytest.param(s, id=s.id, marks=_variant_marks(s)) for s in planned.specs],
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Emitted after collection; adds ``:noise:low:`` for ``-k noise=low``."""
        for item in items:
            spec = spec_of(item)
            if spec is None:
                continue
            item.extra_keyword_matches.update(_keywords(spec))
            missing = _missing_fixture(item, spec)
            if missing and not hasattr(item.config, "workerinput"):
                raise pytest.UsageError(missing)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Emitted once items are selected; if one is sure to run, what runs it comes up."""
        options = session.config.option
        is_only_looked_at = options.collectonly or options.setuponly or options.setupplan
        if not is_only_looked_at and any(map(self._is_new, session.items)):
            warm_up(self.session)
        if self.schedules:
            # After it: what is imported now is imported while trials' processes come up.
            from pytest_mitosis.schedule import Schedule

            session.config.pluginmanager.register(Schedule(self.session), "mitosis-schedule")

    def _is_new(self, item: pytest.Item) -> bool:
        spec = spec_of(item)
        if spec is None or not isinstance(item, pytest.Function):
            return False
        if self.session.draft or self.session.reuse is Reuse.NEVER:
            return True
        store, name = self.session.project.trials_folder, spec.experiment.name
        return not exists(spec_folder(store, name, key_of(item, spec), draft=False))

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Emitted to run a function; a trial runs in a process of its own."""
        spec = spec_of(pyfuncitem)
        if spec is None:
            return None
        planned = planned_of(pyfuncitem)
        assert planned is not None
        self.session.runner.run(pyfuncitem, planned)
        return True

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # Any: a class of xdist's
        """Emitted by xdist in the controller for each worker it starts."""
        known = {
            "nodes": [asdict(one) for one in self.session.nodes],
            "others": self.session.other_arguments,
        }
        node.workerinput[WORKER_INPUT] = json.dumps(known)


class ExperimentsFile(pytest.Module):
    """A file with planned experiments: ``exp_*.py``, or ``pyproject.toml`` for declared ones."""

    def __init__(self, *, planned: dict[str, Planned], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.planned = planned

    def _getobj(self) -> types.ModuleType:
        """A module with one function per experiment, and the fixtures of the experiments' module.

        pytest calls it for the node's object (private; its override is tested on every pytest).
        """
        module = types.ModuleType(self.path.stem)
        for planned in self.planned.values():
            if planned.loaded is None:
                assert planned.skipped is not None
                raise planned.skipped
            if self.path.suffix == ".py":
                home = planned.experiment.steps[-1].action.partition(":")[0]
                vars(module).update(vars(sys.modules[home]))
        for name, planned in self.planned.items():
            setattr(module, name, _function_of(planned))
        return module

    def istestfunction(self, obj: object, name: str) -> bool:
        """Only what was planned; test functions beside experiments stay uncollected."""
        return name in self.planned

    def istestclass(self, obj: object, name: str) -> bool:
        """Classes beside experiments stay uncollected."""
        return False


def planned_of(item: pytest.Item) -> Planned | None:
    """The planned experiment an item belongs to."""
    if not isinstance(item.parent, ExperimentsFile) or not isinstance(item, pytest.Function):
        return None
    return item.parent.planned.get(item.originalname)


def spec_of(item: pytest.Item) -> TrialSpec | None:
    """The trial spec an item stands for; None for other tests."""
    callspec = getattr(item, "callspec", None)
    spec = callspec.params.get(TRIAL) if callspec is not None else None
    return spec if isinstance(spec, TrialSpec) else None


def key_of(item: pytest.Function, spec: TrialSpec) -> str:
    """The spec's key, with the values of the user's own ``parametrize``."""
    extra = [
        format_part(name, value if isinstance(value, str) else plain_text(value) or _digest(value))
        for name, value in sorted(item.callspec.params.items())
        if name != "trial"
    ]
    return join_parts(([spec.key] if spec.key != "default" else []) + extra)


def _digest(value: object) -> str:
    """A short name for a value without one."""
    from pytest_mitosis.identity import describe

    try:
        return describe(value).digest[:12]
    except Undescribable:
        return type(value).__name__


def rewrite_keywords(expression: str) -> str:
    """``noise=low`` as ``:noise:low:``, which ``-k`` can read and which matches exactly."""
    return re.sub(r"([\w.+-]+)=([\w.+-]+)", r":\1:\2:", expression)


def _function_of(planned: Planned) -> Callable[..., None]:
    """A function that looks like the experiment and takes the fixtures it needs."""
    assert planned.loaded is not None
    names = dict.fromkeys(
        b.parameter for spec in planned.specs for b in spec.bindings if b.kind is Kind.FIXTURE
    )

    def run(**fixtures: object) -> None:
        raise AssertionError("a trial runs in a process of its own")

    functools.update_wrapper(run, planned.loaded.steps[-1].action, updated=())
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.Signature([inspect.Parameter(name, keyword_only) for name in names])
    run.__signature__ = signature  # type: ignore[attr-defined]
    marks = [mark for step in planned.loaded.steps for mark in _marks(step.action)]
    guards = () if planned.is_draft else GUARDS
    # Set, not applied as decorator: pytest takes a lambda's wrapper for an argument of the mark.
    run.pytestmark = [*marks, pytest.mark.usefixtures(*guards, TRIAL).mark]  # type: ignore[attr-defined]
    return run


def _marks(action: object) -> list[pytest.Mark]:
    marks = getattr(action, "pytestmark", [])
    listed = marks if isinstance(marks, list) else [marks]
    return [mark.mark if isinstance(mark, pytest.MarkDecorator) else mark for mark in listed]


def _variant_marks(spec: TrialSpec) -> list[pytest.MarkDecorator]:
    """One mark per step, for ``-m "variant(noise='low')"``."""
    steps: dict[str, dict[str, str]] = {}
    for binding in spec.bindings:
        if binding.kind in {Kind.VARIANT, Kind.LITERAL}:
            steps.setdefault(binding.step, {})[binding.parameter] = binding.name
    seed = {} if spec.seed is None else {"seed": spec.seed}
    names = [step.name for step in spec.experiment.steps]
    return [pytest.mark.variant(**{"step": name, **seed, **steps.get(name, {})}) for name in names]


def _keywords(spec: TrialSpec) -> Iterable[str]:
    for binding in spec.bindings:
        if binding.kind in {Kind.VARIANT, Kind.LITERAL}:
            yield f":{binding.parameter}:{binding.name}:"
            yield f":{binding.step}.{binding.parameter}:{binding.name}:"
    if spec.seed is not None:
        yield f":seed:{spec.seed}:"


def _missing_fixture(item: pytest.Item, spec: TrialSpec) -> str:
    """A sentence if an argument has neither a value nor a fixture of its name."""
    # Private, but the only place where pytest says which fixtures an item found.
    found = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    for binding in spec.bindings:
        if binding.kind is Kind.FIXTURE and binding.parameter not in found:
            name = f"{binding.step}.{binding.parameter}"
            return (
                f"{name} needs a value: give --eval-param {binding.parameter}=…, an entry in the "
                f"lookup dictionary, or a pytest fixture named {binding.parameter!r}"
            )
    return ""
