"""What a scheduler's status command printed, read by psij's executors, with what they stumble over.

psij 0.9.11 stumbles over Slurm's reasons that it does not know or that have blanks, be they another
job's, over LSF's jobs that were killed, and over any command that also names jobs it has forgotten.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Collection

UNKNOWN = re.compile(r"unknown job|not found|invalid job|no matching job", re.IGNORECASE)
"""What schedulers say of jobs that ended long ago."""
LSF_REASONS = ("EXIT_REASON", "KILL_REASON", "SUSPEND_REASON")
KNOWN_REASON = "NonZeroExitCode"
WORDS = (
    (r"time ?limit|wall ?time|RUNLIMIT", "TIMEOUT"),
    (r"memory|MEMLIMIT|\boom", "OUT_OF_MEMORY"),
    (r"preempt", "PREEMPTED"),
    (r"node ?(down|fail)|host ?(down|fail)", "NODE_FAIL"),
    (r"TERM_OWNER|TERM_ADMIN|cancel|deleted", "CANCELLED"),
)
"""Why jobs failed, as schedulers put it."""


def read_states(
    executor: Any, name: str, done: subprocess.CompletedProcess[str], tasks: Collection[str]
) -> dict[str, tuple[str, str]]:
    """The states of ``tasks`` and why, by id, in psij's words or Slurm's; without the unknown."""
    if done.returncode and not done.stdout.strip():
        if UNKNOWN.search(done.stderr):
            return {}
        raise ValueError(said_in(done))
    text, reasons = readable(name, done.stdout, tasks)
    found = {}
    for task, status in executor.parse_status_output(0, text).items():
        if task in tasks:
            why = str(reasons.get(task, status.message) or "")
            found[task] = (state_of(status.state.name, why), why)
    return found


def readable(name: str, text: str, tasks: Collection[str]) -> tuple[str, dict[str, str]]:
    """The output without what psij cannot read, and the reasons that stood there, by task."""
    if name == "slurm":
        return _slurm(text, tasks)
    if name == "lsf":
        return _lsf(text)
    report = json.loads(text)
    jobs = {task: one for task, one in report.get("Jobs", {}).items() if task in tasks}
    return json.dumps({**report, "Jobs": jobs}), {}


def state_of(state: str, why: str) -> str:
    """Psij's state; of a job that failed or was ended, what became of it in Slurm's words."""
    if state == "CANCELED":
        return "CANCELLED"
    if state == "FAILED":
        return next((one for words, one in WORDS if re.search(words, why, re.IGNORECASE)), state)
    return "QUEUED" if state == "NEW" else state


def said_in(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of what a command complained of."""
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {done.returncode}"


def _slurm(text: str, tasks: Collection[str]) -> tuple[str, dict[str, str]]:
    head, *rows = text.splitlines() or [""]
    kept, reasons = [head], {}
    for row in rows:
        task, state, *words = row.split()
        if task in tasks:
            kept.append(f"{task} {state} {KNOWN_REASON}")
            reasons[task] = "" if words == ["None"] else " ".join(words)
    return "\n".join(kept) + "\n", reasons


def _lsf(text: str) -> tuple[str, dict[str, str]]:
    report, reasons = json.loads(text), {}
    for entry in report["RECORDS"]:
        if "ERROR" in entry:
            continue
        told = [entry.get(one) for one in LSF_REASONS]
        reasons[entry["JOBID"]] = next((one for one in told if one), "")
        entry |= dict.fromkeys(LSF_REASONS, "")
    return json.dumps(report), reasons
