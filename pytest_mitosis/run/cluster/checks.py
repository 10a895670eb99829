"""What a node checks before it runs a trial: that its environment is the session's.

Runs in the process that a scheduler starts.
"""

from __future__ import annotations

import os

from pytest_mitosis.identity.code import installed_versions
from pytest_mitosis.model import Failure


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
