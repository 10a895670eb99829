"""Official trials in a session: which are planned, and who is registered to vouch for them.

Runs in the pytest process an item belongs to, and in the controller, in every session; so what
compares is imported only where there is something to compare.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_mitosis.model import PlanError, Reuse, TrialSpec
from pytest_mitosis.plan.official import Declaration, Group, read_declaration
from pytest_mitosis.plan.variants import expand, require_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_mitosis.plan.config import Project
    from pytest_mitosis.plan.references import LoadedExperiment
    from pytest_mitosis.reporting import Reporter
    from pytest_mitosis.session import ExperimentSession


@dataclass
class Officials:
    """The official trials of a session.

    ``members`` has the groups of each planned spec, by experiment and id, ``keys`` the keys of
    each group. With ``why`` what the
    trials give is accepted, else it is compared with what was accepted before.
    """

    project: Project
    declaration: Declaration
    groups: list[Group]
    why: str = ""
    members: dict[tuple[str, str], list[Group]] = field(default_factory=dict)
    keys: dict[str, set[str]] = field(default_factory=dict)

    @property
    def reuse(self) -> Reuse:
        """To compare a trial with its reference it is run again; to accept it, if it has to be."""
        return Reuse.SAME_CODE if self.why else Reuse.NEVER

    def expand(self, name: str, loaded: LoadedExperiment) -> list[TrialSpec]:
        """The trial specs of a group.

        Raises
        ------
        PlanError
            If the group names what the experiment does not have.
        """
        group = self.declaration.groups[name]
        try:
            require_targets([loaded], group.request)
            specs = expand(loaded, group.request)
        except PlanError as error:
            raise PlanError(f"official group {name}: {error}") from None
        if group.require_hypothesis and not loaded.hypothesis:
            raise PlanError(
                f"official group {name}: {loaded.name} has no hypothesis, which require-hypothesis "
                'asks for; give it @pytest.mark.experiment(hypothesis="…", check=lambda r: …)'
            )
        self.keys[name] = {spec.key for spec in specs}
        for spec in specs:
            groups = self.members.setdefault((loaded.name, spec.id), [])
            if group not in groups:
                groups.append(group)
        return specs

    def groups_of(self, spec: TrialSpec) -> list[Group]:
        """The groups an item's spec is in."""
        return self.members.get((spec.experiment.name, spec.id), [])

    def label_of(self, spec: TrialSpec) -> str:
        """The names of the groups an item's spec is in."""
        return ", ".join(group.name for group in self.groups_of(spec))


def read_officials(
    config: pytest.Config, project: Project, others: Sequence[str]
) -> Officials | None:
    """The official trials the command line asks for; None if it asks for none.

    ``others`` are experiments that are named in another way.

    Raises
    ------
    PlanError
        If a group is not there or malformed, or official trials are mixed with others.
    """
    if config.getoption("exp_all"):
        _require_alone(config, others)
    asked: list[list[str]] | None = config.getoption("exp_official")
    why = _reason(config, is_official=asked is not None)
    if asked is None:
        return None
    given = [name for name in ("variant", "eval_param", "seeds") if config.getoption(name)]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise PlanError(f"a group says its {option} itself; select in it with -k seed=0")
    if others:
        raise PlanError(
            f"--exp-official runs official trials alone: leave {others[0]} out; "
            "select in them with -k, such as -k seed=0"
        )
    if not why and config.getoption("exp_reuse") not in (None, Reuse.NEVER):
        raise PlanError("official trials are run again to be compared: leave --exp-reuse out")
    declaration = read_declaration(project)
    names = [one for words in asked for word in words for one in word.split(",") if one]
    return Officials(project, declaration, declaration.choose(names), why)


def _require_alone(config: pytest.Config, others: Sequence[str]) -> None:
    """``--exp-all`` looks at names, it runs nothing."""
    if not config.getoption("collectonly"):
        raise PlanError(
            "--exp-all checks the names of all experiments and runs nothing: "
            "pytest --collect-only --exp-all"
        )
    if others or config.getoption("exp_official") is not None:
        raise PlanError("--exp-all looks at all experiments: leave the others out")


def register(session: ExperimentSession, reporter: Reporter) -> None:
    """Register what checks official trials, and what writes ``--exp-md``, if asked for."""
    config = session.config
    if session.vouching is not None:
        config.pluginmanager.register(session.vouching, "mitosis-vouching")
    if config.getoption("exp_all"):
        from pytest_mitosis.rollcall import RollCall

        config.pluginmanager.register(RollCall(session, reporter), "mitosis-rollcall")
    file = config.getoption("exp_md")
    if file and not hasattr(config, "workerinput"):
        from pytest_mitosis.markdown import MarkdownFile

        path = config.invocation_params.dir / file
        config.pluginmanager.register(MarkdownFile(session, reporter, path), "mitosis-markdown")


def _reason(config: pytest.Config, *, is_official: bool) -> str:
    """The reason given with ``--exp-accept``; empty without that option."""
    why: str = (config.getoption("why") or "").strip()
    if not config.getoption("exp_accept"):
        if why:
            raise PlanError("--why is the reason for --exp-accept, which is not given")
        return ""
    if not is_official:
        raise PlanError("--exp-accept is for official trials: --exp-official [GROUP …]")
    if not why:
        raise PlanError('--exp-accept needs a reason for the record: --why "…"')
    if config.getoption("exp_draft"):
        raise PlanError("a draft cannot be accepted: leave --exp-draft or --exp-accept out")
    if config.getoption("exp_reuse") == Reuse.SAME_PARAMS:
        raise PlanError("what another code gave cannot be accepted: leave --exp-reuse out")
    return why
