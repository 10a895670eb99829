"""What became of a trial that a scheduler ended, in words; pure but for the log it reads.

The states are Slurm's, which others' are translated to; reasons are told as they are, so that they
can be looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_mitosis.model import Failure, Status

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.run.cluster.scheduler import Facts

TAIL = 2000
HOPELESS = (
    "BadConstraints",
    "DependencyNeverSatisfied",
    "InvalidAccount",
    "InvalidQOS",
    "JobHeldAdmin",
    "JobHeldUser",
    "PartitionConfig",
    "PartitionDown",
    "PartitionInactive",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "ReqNodeNotAvail",
    "launch failed requeued held",
)
"""Reasons to wait that do not go away by waiting."""
UNCERTAIN = ("DOWN, DRAINED",)
"""Reasons to wait that may be an operator's, or only other people's jobs."""
_STATES = {
    "CANCELLED": (Status.INTERRUPTED, "Cancelled", "was cancelled"),
    "PREEMPTED": (Status.INTERRUPTED, "Preempted", "was preempted by a job that goes before it"),
    "TIMEOUT": (Status.TIMEOUT, "TimeLimit", "reached its time limit"),
    "DEADLINE": (Status.TIMEOUT, "TimeLimit", "reached its deadline"),
    "NODE_FAIL": (Status.INTERRUPTED, "NodeFail", "was lost with its node"),
    "BOOT_FAIL": (Status.INTERRUPTED, "NodeFail", "was lost: its node did not start"),
    "OUT_OF_MEMORY": (Status.CRASHED, "OutOfMemory", "was killed: out of memory"),
    "FAILED": (Status.CRASHED, "Failed", "failed"),
    "COMPLETED": (Status.CRASHED, "Failed", "ended without a record"),
}
_IN_LOG = (
    ("DUE TO PREEMPTION", "PREEMPTED"),
    ("DUE TO TIME LIMIT", "TIMEOUT"),
    ("DUE TO NODE FAILURE", "NODE_FAIL"),
    ("CANCELLED AT", "CANCELLED"),
    ("oom-kill", "OUT_OF_MEMORY"),
    ("oom_kill", "OUT_OF_MEMORY"),
)


def end_of(
    task: str, facts: Facts, log: Path, *, began: bool, title: str = "Slurm"
) -> tuple[Status, Failure]:
    """What to record of a trial that a scheduler holds no more and that did not record its end.

    ``task`` is the scheduler's id, ``log`` the file of what its task printed beside its trials.
    """
    said = tail(log)
    state = facts.state or state_in(said) or ""
    if not state and not began:
        words = (
            f"its {title} job {task} was cancelled before it began; {title} keeps no record of it"
        )
        return Status.INTERRUPTED, Failure("Cancelled", words, said)
    if not state:
        words = f"{title} knows nothing of its job {task} any more"
        return Status.INTERRUPTED, Failure("Forgotten", words, said)
    status, kind, words = _STATES.get(state, (Status.CRASHED, "Failed", f"ended as {state}"))
    told = f"its {title} job {task} {words}{_where(facts)}"
    if kind == "Failed":
        signal = facts.code.partition(":")[2]
        if signal not in {"", "0"}:
            told += f", killed by signal {signal}"
        elif facts.code:
            told += f" with exit code {facts.code.partition(':')[0]}"
    if not began:
        kind = "NotStarted" if kind == "Failed" else kind
        told += ", before Python started there"
    why = [state, facts.reason if facts.reason != "None" else ""]
    return status, Failure(kind, f"{told} ({', '.join(filter(None, why))})", said)


def outlook(why: str) -> str:
    """What can be said of a reason to wait; empty if it is an ordinary one."""
    if any(reason in why for reason in HOPELESS):
        return "which does not go away by waiting"
    return "which may take long" if any(reason in why for reason in UNCERTAIN) else ""


def stopped(task: str, state: str, *, is_requeued: bool, title: str = "Slurm") -> Failure:
    """Why a running trial was told to stop, as far as its own process finds out."""
    words, kind = f"its {title} job {task} was stopped", "Interrupted"
    if state in _STATES:
        _, kind, what = _STATES[state]
        words = f"its {title} job {task} {what}"
    if is_requeued:
        kind = "Requeued" if state != "PREEMPTED" else kind
        words += " and put back into the queue, where it continues as the next attempt"
    return Failure(kind, words)


def state_in(said: str) -> str:
    """The state that Slurm's last remark in a log stands for; empty if there is none."""
    for line in reversed(said.splitlines()):
        if "slurmstepd" in line or "srun" in line:
            for words, state in _IN_LOG:
                if words in line:
                    return state
    return ""


def tail(log: Path, limit: int = TAIL) -> str:
    """The end of a log; empty if there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - limit))
            return stream.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _where(facts: Facts) -> str:
    return f" on {facts.node}" if facts.node else ""
