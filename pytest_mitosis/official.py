"""Official trials in a session: which are planned, what is vouched for, what became of it.

Runs in the pytest process an item belongs to, and in the controller. What is compared and how is
the business of :mod:`pytest_mitosis.read.verdict`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_mitosis.model import PlanError, TrialSpec
from pytest_mitosis.plan.official import Declaration, Group, read_declaration
from pytest_mitosis.plan.variants import expand, require_targets
from pytest_mitosis.store.reuse import Reuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_mitosis.plan.config import Project
    from pytest_mitosis.plan.references import LoadedExperiment


@dataclass
class Officials:
    """The official trials of a session.

    ``members`` has the groups of each planned spec, by experiment and id.
    """

    project: Project
    declaration: Declaration
    groups: list[Group]
    members: dict[tuple[str, str], list[Group]] = field(default_factory=dict)

    @property
    def reuse(self) -> Reuse:
        """To compare a trial with its reference it is run again."""
        return Reuse.NEVER

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
        for spec in specs:
            groups = self.members.setdefault((loaded.name, spec.id), [])
            if group not in groups:
                groups.append(group)
        return specs

    def groups_of(self, spec: TrialSpec) -> list[Group]:
        """The groups an item's spec is in."""
        return self.members.get((spec.experiment.name, spec.id), [])


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
    asked: list[list[str]] | None = config.getoption("exp_official")
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
    if config.getoption("exp_reuse") not in (None, Reuse.NEVER):
        raise PlanError("official trials are run again to be compared: leave --exp-reuse out")
    declaration = read_declaration(project)
    names = [one for words in asked for word in words for one in word.split(",") if one]
    return Officials(project, declaration, declaration.choose(names))
