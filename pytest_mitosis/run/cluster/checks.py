"""What a node checks: that its environment is the session's, and what the trial imported.

Runs in the process that a scheduler starts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.code import installed_versions
from pytest_mitosis.identity.imported import ImportedFile
from pytest_mitosis.identity.repository import RepositoryState
from pytest_mitosis.identity.verdicts import verdicts
from pytest_mitosis.model import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence


def other_environment(wanted: dict[str, str]) -> Failure | None:
    """What is installed here otherwise than where the trial was submitted; None if all is alike."""
    here = installed_versions()
    differs = [
        f"{name} {version} is {here.get(name, 'not installed')}"
        for name, version in wanted.items()
        if here.get(name) != version
    ]
    if not differs:
        return None
    more = f" and {len(differs) - 3} more" if len(differs) > 3 else ""
    words = (
        f"the environment on {os.uname().nodename} is not that of the session: "
        f"{'; '.join(differs[:3])}{more}; install the same there, or name its Python in "
        "[tool.mitosis.launchers]"
    )
    return Failure("OtherEnvironment", words)


@dataclass(frozen=True, slots=True)
class CodeJudge:
    """Says which imported files taint a trial, by what its batch says of the code."""

    record: dict[str, Any]

    def __call__(self, imported: Sequence[dict[str, Any]]) -> tuple[str, ...]:
        """Sentences on the files that are not what the commit holds."""
        if "states" not in self.record:
            return ()  # a draft vouches for none
        files = [ImportedFile.from_json(one) for one in imported]
        states = [RepositoryState.from_json(one) for one in self.record["states"]]
        copy = str(self.record.get("worktree") or "")
        copied = [one for one in files if copy and one.path.is_relative_to(copy)]
        others = [one for one in files if one not in copied]
        found = verdicts(copied, states)  # checked out after the session began, edited by nobody
        found += verdicts(others, states, since=self.record.get("since"))
        return tuple(str(one) for one in found)
