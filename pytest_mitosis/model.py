"""The nouns everyone shares: experiments, trial specs, jobs, outcomes, trials, and our errors.

Frozen data without behaviour beyond naming and JSON. Imported by all rooms, imports none of them.
"""

from __future__ import annotations


class MitosisError(Exception):
    """Base of every error this package raises on purpose; the text is one sentence for the user.

    ::

        MitosisError
        ├── PlanError        a name, an option or a table is wrong            exit 4
        ├── Undescribable    a value has no identity that can be locked
        ├── TreeError        the code is not at a clean commit                exit 10
        ├── LockError        a name changed its value                         exit 11
        ├── StoreError       the trials folder cannot be written or read      exit 13
        └── ResultError      a result cannot be stored or loaded
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
