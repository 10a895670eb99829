"""The trials folder: where a trial's folder is, how it is claimed, how its manifest is written.

The folder is the truth; there is no database. ``experiment/spec/iteration-id/trial.json``.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import secrets
import shutil
import string
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pytest_mitosis.model import SCHEMA, Argument, Job, Kind, Outcome, Status, StoreError, Trial
from pytest_mitosis.store.artifacts import artifacts, facts_of
from pytest_mitosis.store.crate import CRATE, crate_of
from pytest_mitosis.store.files import read_json, write_bytes, write_json
from pytest_mitosis.store.owners import lives, this_process
from pytest_mitosis.store.turns import (
    claimed_turns,
    give_back,
    take_next_turn,
    take_turn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANIFEST = "trial.json"
JOB = "job.json"
HEARTBEAT = ".heartbeat"
PROGRESS = "progress.json"
QUEUED = ".queued"
"""There while a scheduler holds the trial, see :mod:`pytest_mitosis.store.batches`."""
PAGE = "trial.html"
"""A view of the folder that can be made anew at any time; like the manifest it is no artifact."""
DRAFTS = "drafts"
STEPS = "steps"
ALIASES = "aliases"
RESERVED = {DRAFTS, STEPS, ALIASES, "locks", "leases", "environments", "_site"}
HEARTBEAT_SECONDS = 5.0

RECORDS = frozenset({MANIFEST, HEARTBEAT, QUEUED, PROGRESS, CRATE, PAGE})
_ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: none looks like another
_IN_FOLDER_NAMES = "".join(c for c in string.printable if c.isprintable() and c not in '/\\:*?"<>|')
_LONGEST_NAME = 120
_STATUSES = frozenset(Status)
_FOLDER_OF_TURN = re.compile(r"(\d+)-[0-9a-z]{8}$")


@dataclass(frozen=True, slots=True)
class Claim:
    """A folder that belongs to one trial from now on."""

    folder: Path
    id: str
    iteration: int
    attempt: int = 1


def new_id() -> str:
    """Eight random characters; one million trials share one with a chance of 0.4 in a million."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(8))


def id_of(text: str) -> str:
    """An id that follows from ``text``, for trials that were recorded elsewhere."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return "".join(_ID_LETTERS[byte % len(_ID_LETTERS)] for byte in digest[:8])


def store_of(folder: Path) -> Path:
    """The store that a trial's folder lies in."""
    top = folder.parents[2]
    return top.parent if top.name == DRAFTS else top


@lru_cache(maxsize=4096)
def folder_name(text: str) -> str:
    """``text`` as the name of a folder, shortened with a digest if it is over-long."""
    name = quote(text, safe=_IN_FOLDER_NAMES)
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{name[: _LONGEST_NAME - 13]}~{digest}"


def spec_folder(store: Path, experiment: str, key: str, *, draft: bool) -> Path:
    """The folder that holds all iterations of one trial spec."""
    name = folder_name(experiment)
    top = store / DRAFTS if draft else store
    return top / f"{name}{'~' * (name in RESERVED)}/{folder_name(key)}"


def claim(store: Path, experiment: str, key: str, *, draft: bool) -> Claim:
    """Make the folder of a new trial with the next free iteration; drafts all have iteration 0.

    Of several processes that claim at once each gets a number of its own.
    """
    folder = spec_folder(store, experiment, key, draft=draft)
    folder.mkdir(parents=True, exist_ok=True)
    trial_id = new_id()
    return _folder_of_turn(folder, trial_id, 0 if draft else take_next_turn(folder, trial_id))


def claim_turn(folder: Path, iteration: int) -> Claim | None:
    """Make the folder of a spec's trial with this very iteration; None if it is another's."""
    trial_id = new_id()
    if not take_turn(folder, iteration, trial_id):
        return None
    return _folder_of_turn(folder, trial_id, iteration)


def _folder_of_turn(folder: Path, trial_id: str, iteration: int) -> Claim:
    own = folder / f"{iteration}-{trial_id}"
    own.mkdir()
    return Claim(own, trial_id, iteration)


def release(claimed: Claim) -> None:
    """Give back a folder whose trial cannot start, and its iteration."""
    shutil.rmtree(claimed.folder, ignore_errors=True)
    if claimed.iteration:
        give_back(claimed.folder.parent, claimed.iteration)


def manifest_of(job: Job, provenance: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a trial that starts now."""
    return {
        "schema": SCHEMA,
        "id": job.trial,
        "experiment": job.experiment,
        "spec": job.key,
        "iteration": job.iteration,
        "status": Status.RUNNING.value,
        "draft": job.draft,
        "hypothesis": job.hypothesis,
        "seed": job.seed if takes_seed(job) else None,
        "steps": [{"name": s.name, "action": s.action, "lookup": s.lookup} for s in job.steps],
        "parameters": [
            _parameter(step.name, argument) for step in job.steps for argument in step.arguments
        ],
        **provenance,
        "started": now(),
        **this_process(),
        "user": user_name(),
        "command": job.command,
    }


def _parameter(step: str, argument: Argument) -> dict[str, Any]:
    return {
        "step": step,
        "name": argument.parameter,
        "kind": argument.kind.value,
        "variant": argument.name,
        "value": argument.summary,
        "digest": argument.digest,
        "tracked": argument.tracked,
        **({"variants": list(argument.variants)} if argument.variants else {}),
        **({"default": argument.default} if argument.default else {}),
    }


def takes_seed(job: Job) -> bool:
    """Whether any step of a job is given the trial's seed, or a stream of it."""
    kinds = {argument.kind for step in job.steps for argument in step.arguments}
    return bool(kinds & {Kind.SEED, Kind.RNG})


def finish(folder: Path, outcome: Outcome, environment: str) -> Trial:
    """Write the final manifest: what the outcome says, and the checksum of every artifact."""
    manifest = read_json(folder / MANIFEST)
    failure = asdict(outcome.failure) if outcome.failure else None
    for step in manifest["steps"]:
        if step["name"] in outcome.reused:
            step["reused"] = outcome.reused[step["name"]]
    manifest |= {
        "status": outcome.status.value,
        "started": outcome.started,
        "finished": outcome.finished,
        "duration_s": outcome.duration_s,
        "cpu_s": outcome.cpu_s,
        "peak_memory_bytes": outcome.peak_memory,
        "environment": environment,
        "metrics": outcome.metrics,
        **({"supported": outcome.supported} if manifest.get("hypothesis") else {}),
        "notes": list(outcome.notes),
        "tainted": list(outcome.tainted),
        "randomness": [asdict(found) for found in outcome.randomness],
        **({"scheduler": outcome.scheduler} if outcome.scheduler else {}),
        **({"code": outcome.code} if outcome.code else {}),
        **({"failure": failure} if failure else {}),
        **_last_progress(folder),
        "proven": outcome.proven,
        **({"unproven": outcome.unproven} if outcome.unproven else {}),
        "artifacts": artifacts(folder, RECORDS),
    }
    write_json(folder / CRATE, crate_of(manifest, MANIFEST))
    manifest["artifacts"][CRATE] = facts_of(folder / CRATE)
    write_json(folder / MANIFEST, manifest)
    (folder / HEARTBEAT).unlink(missing_ok=True)
    (folder / PROGRESS).unlink(missing_ok=True)
    return Trial(folder, manifest)


def _last_progress(folder: Path) -> dict[str, Any]:
    """How far the trial was when it last said so."""
    try:
        return {"progress": read_json(folder / PROGRESS)}
    except StoreError:
        return {}


def save_environment(
    store: Path, record: dict[str, Any], digest: str, text_of: Callable[[dict[str, Any]], str]
) -> None:
    """Keep an environment once for all trials that had it; ``text_of`` gives what pip installs."""
    folder = store / "environments" / digest
    if (folder / "environment.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "requirements.txt", text_of(record).encode("utf-8"))
    write_json(folder / "environment.json", {"schema": SCHEMA, **record})


def read_trial(folder: Path) -> Trial:
    """The trial recorded in ``folder``; a ``running`` one without a living process is ``lost``.

    Raises
    ------
    StoreError
        If its manifest cannot be read.
    """
    return Trial(folder, as_of_now(folder, read_manifest(folder)))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest in ``folder``, as it was written.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    manifest = read_json(f"{folder}/{MANIFEST}")
    if not _is_manifest(manifest):
        raise StoreError(f"{folder / MANIFEST} is no manifest of a trial")
    return manifest


def as_of_now(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """``manifest``, with the status ``lost`` if it says ``running`` and nothing lives any more."""
    if manifest["status"] == Status.RUNNING and _is_lost(folder, manifest):
        return {**manifest, "status": Status.LOST.value}
    return manifest


def is_trial_name(name: str) -> bool:
    """Whether a folder in that of a spec is called as a trial's is: ``3-k2m9xwq1``."""
    return _FOLDER_OF_TURN.match(name) is not None


def iterate_trials(store: Path, *, drafts: bool = False) -> Iterator[Trial]:
    """All readable trials of a store, drafts too if asked for, in no particular order."""
    for folder in iterate_folders(store, drafts=drafts):
        try:
            yield read_trial(folder)
        except StoreError:
            continue  # claimed this moment, or half a trial: not a trial yet


def iterate_folders(store: Path, *, drafts: bool = False, part: str = "") -> Iterator[Path]:
    """Folders of trials, found by their names alone; of those whose key may have ``part``."""
    wanted = folder_name(part)
    tops = [store] + ([store / DRAFTS] if drafts else [])
    for top in tops:
        for experiment in _folders(top):
            if top == store and experiment.name in RESERVED:
                continue
            for spec in _folders(experiment):
                if wanted not in spec.name and "~" not in spec.name:  # one that is over-long
                    continue
                yield from (one for one in _folders(spec) if is_trial_name(one.name))


def count_trials(store: Path) -> int:
    """How many trials but drafts a store has, by the names of their folders."""
    count = 0
    for experiment in _subfolders(store):
        if experiment.name not in RESERVED:
            for spec in _subfolders(experiment):
                count += sum(is_trial_name(one.name) for one in _subfolders(spec))
    return count


def folders_by_turn(folder: Path) -> dict[int, Path | None]:
    """The turns taken in a spec's folder, the last first, and the trial's folder of each if any."""
    # In this order: a trial that begins and ends meanwhile is seen with its folder.
    found: dict[int, Path | None] = dict.fromkeys(claimed_turns(folder))
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return {}
    found |= {int(m[1]): folder / name for name in names if (m := _FOLDER_OF_TURN.match(name))}
    return {number: found[number] for number in sorted(found, reverse=True)}


def now() -> str:
    """The time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def user_name() -> str:
    """Who runs this, as the operating system says."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for the user id
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def _is_manifest(data: dict[str, Any]) -> bool:
    if not all(isinstance(data.get(name), str) for name in ("id", "experiment", "status")):
        return False
    pid = data.get("pid", 0)
    return data["status"] in _STATUSES and type(pid) is int and 0 <= pid < 2**31


def _is_lost(folder: Path, manifest: dict[str, Any]) -> bool:
    try:
        beat = (folder / HEARTBEAT).stat().st_mtime
    except OSError:
        if (folder / QUEUED).exists():
            return False  # not begun: whoever submitted it need not live
        beat = (folder / MANIFEST).stat().st_mtime
    return not lives(manifest, datetime.now(UTC).timestamp() - beat)


def _folders(parent: Path) -> list[Path]:
    return [Path(entry.path) for entry in _subfolders(parent)]


def _subfolders(parent: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(parent) as entries:
            return [e for e in entries if not e.name.startswith(".") and e.is_dir()]
    except OSError:
        return []
