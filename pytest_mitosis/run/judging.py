"""Who judges the code of a trial: by the state of the repositories when a session looked at them.

Runs in the process that records the trial: the session's, or the one a launcher elsewhere started.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pytest_mitosis.identity.imported import ImportedFile
from pytest_mitosis.identity.repository import RepositoryState
from pytest_mitosis.identity.verdicts import verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class CodeJudge:
    """Says which imported files taint a trial.

    ``since`` is when the session began (epoch seconds), ``worktree`` a copy of the checked commit.
    """

    states: tuple[RepositoryState, ...]
    since: float | None = None
    worktree: str = ""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The judge of ``states``, ``since`` and ``worktree`` as they were written down."""
        states = tuple(RepositoryState.from_json(one) for one in record["states"])
        return cls(states, record.get("since"), str(record.get("worktree") or ""))

    def __call__(self, imported: Sequence[dict[str, Any]]) -> tuple[str, ...]:
        """Sentences on the files that are not what the commit holds."""
        files = [ImportedFile.from_json(one) for one in imported]
        copy = self.worktree
        copied = [one for one in files if copy and one.path.is_relative_to(copy)]
        others = [one for one in files if one not in copied]
        found = verdicts(copied, self.states) if copied else []  # made later, edited by nobody
        found += verdicts(others, self.states, since=self.since)
        return tuple(str(one) for one in found)
