"""Trials of the tool mitosis become trials of this store: copied, and what is unknown said.

The other folder is only read. Each trial is put together beside its place and moved there in one
step, under an id that follows from what it was, so that an import can be repeated.
"""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import SCHEMA, Failure, Kind, Outcome, Status
from pytest_mitosis.plan.ids import format_part, join_parts
from pytest_mitosis.store.files import write_json
from pytest_mitosis.store.folder import (
    MANIFEST,
    finish,
    id_of,
    iterate_folders,
    now,
    save_environment,
    spec_folder,
)
from pytest_mitosis.store.turns import take_next_turn

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_mitosis.read.legacy import OldParameter, OldTrial

PAGE = "notebook.html"
_NOTE = "imported from mitosis; what it did not record is unknown"
# The pages of that tool load and run scripts; a page of a trial does neither.
_POLICY = (
    b'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    b"img-src data:; font-src data:; style-src 'unsafe-inline'\">"
)
_HEAD = re.compile(rb"<head[^>]*>", re.IGNORECASE)
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)=='?([^'\s]+)'?$", re.MULTILINE)


def adopt(store: Path, trials: tuple[OldTrial, ...], source: Path) -> tuple[list[Path], int]:
    """Import trials; the new folders, and how many were here already.

    Raises
    ------
    OSError
        If the store cannot be written.
    """
    here = {folder.name.partition("-")[2] for folder in iterate_folders(store, drafts=True)}
    added: list[Path] = []
    known = 0
    for trial in sorted(trials, key=lambda one: (one.started or "", one.iteration)):
        if new_id_of(trial) in here:
            known += 1
        else:
            added.append(_adopt_one(store, trial, source))
            here.add(new_id_of(trial))
    return added, known


def new_id_of(trial: OldTrial) -> str:
    """The id of an imported trial: the same whenever it is imported, on any machine."""
    facts = [trial.experiment, trial.variant, str(trial.iteration), trial.hex, str(trial.commit)]
    return id_of("\0".join(facts))


def _adopt_one(store: Path, trial: OldTrial, source: Path) -> Path:
    spec = _spec(trial)
    parent = spec_folder(store, trial.experiment, spec, draft=trial.is_debug)
    parent.mkdir(parents=True, exist_ok=True)
    name = new_id_of(trial)
    beside = parent / f".{name}.importing"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    original = _copy_files(trial, beside)
    number = 0 if trial.is_debug else take_next_turn(parent, name)
    environment = _save_environment(store, trial)
    record = _manifest(trial, name, spec, number) | {
        "imported": {
            "from": "mitosis",
            "when": now(),
            "folder": str(source),
            "hex": trial.hex,
            "variant": trial.variant,
            "iteration": trial.iteration,
            "database": trial.database,
            "cpu_time_of_parent": trial.cpu_time,
            "page_sha256": original,
        }
    }
    write_json(beside / MANIFEST, record)
    ended = finish(beside, _outcome(trial), environment)
    # What is unknown is no zero.
    unknown = {"duration_s": None, "finished": None, "started": trial.started}
    write_json(beside / MANIFEST, {**ended.manifest, **unknown})
    target = parent / f"{number}-{name}"
    beside.rename(target)
    return target


def _manifest(trial: OldTrial, name: str, spec: str, number: int) -> dict[str, Any]:
    steps = [
        {"name": step, "action": trial.references.get(step, "unknown"), "lookup": ""}
        for step in trial.steps
    ]
    return {
        "schema": SCHEMA,
        "id": name,
        "experiment": trial.experiment,
        "spec": spec,
        "iteration": number,
        "status": Status.DONE.value,
        "draft": trial.is_debug,
        "hypothesis": "",
        "seed": _seed(trial),
        "steps": steps,
        "parameters": [_parameter(one) for one in trial.parameters],
        "version": None,
        "commit": trial.commit,
        "repositories": [],
        "code_problem": "imported from mitosis: only the commit was recorded",
        "started": trial.started,
        "host": None,
        "user": None,
        "pid": 0,
        "command": _command(trial),
    }


def _parameter(one: OldParameter) -> dict[str, Any]:
    kind = Kind.LITERAL if one.is_literal else Kind.VARIANT
    return {
        "step": one.step,
        "name": one.name,
        "kind": kind.value,
        "variant": one.variant,
        "value": one.value or "unknown",
        "digest": "",
        "tracked": one.tracked,
    }


def _spec(trial: OldTrial) -> str:
    names = [one.name for one in trial.parameters]
    parts = [
        format_part(
            one.name if names.count(one.name) == 1 else f"{one.step}.{one.name}", one.variant
        )
        for one in trial.parameters
        if one.tracked
    ]
    return join_parts(parts)


def _seed(trial: OldTrial) -> int | None:
    seeds = [one.variant for one in trial.parameters if one.name == "seed"]
    return int(seeds[0]) if len(seeds) == 1 and re.fullmatch(r"-?\d{1,18}", seeds[0]) else None


def _command(trial: OldTrial) -> str:
    words = ["mitosis", *trial.steps]
    for one in trial.parameters:
        untracked = "" if one.tracked else "+"
        option = "-e" if one.is_literal else "-p"
        words += [option, f"{untracked}{one.step}.{one.name}={one.variant}"]
    return " ".join(words)


def _outcome(trial: OldTrial) -> Outcome:
    started = trial.started or "1970-01-01T00:00:00.000+00:00"
    failure = None
    status = Status.DONE
    if trial.main is None and not trial.is_debug:
        status = Status.CRASHED if trial.has_ended else Status.INTERRUPTED
        said = (
            "see its page" if trial.has_ended else "it recorded no end: killed, dead, or not over"
        )
        failure = Failure("unknown", f"mitosis recorded no result; {said}")
    metrics = {} if trial.main is None else _metrics(trial.main)
    return Outcome(status, started, started, 0.0, metrics=metrics, notes=(_NOTE,), failure=failure)


def _metrics(text: str) -> dict[str, float | int | bool | str]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        try:
            value = float(text)  # nan, inf
        except ValueError:
            value = text
    if value is None:
        return {}
    plain = isinstance(value, bool | int | float)
    return {"main": value if plain else text[:200]}


def _copy_files(trial: OldTrial, target: Path) -> str | None:
    """Copy the files under the names they have here; the sha256 of the page as it was."""
    for source in sorted(trial.folder.rglob("*")) if trial.folder else ():
        if source.is_symlink() or not source.is_file():
            continue
        name = source.relative_to(trial.folder).as_posix()  # type: ignore[arg-type]
        copy = target / ("log.txt" if name == "experiment.log" else f"files/{name}")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
    if trial.page is None:
        return None
    content = trial.page.read_bytes()
    head = _HEAD.search(content)
    place = head.end() if head else 0
    (target / PAGE).write_bytes(content[:place] + _POLICY + content[place:])
    return hashlib.sha256(content).hexdigest()


def _save_environment(store: Path, trial: OldTrial) -> str:
    file = trial.folder / "requirements.txt" if trial.folder else None
    if file is None or not file.is_file():
        return ""
    text = file.read_text("utf-8", "replace")
    packages = dict(sorted(_PACKAGE.findall(text)))
    python = re.match(r"#\s*(\d+\.\d+\.\d+\S*)", text)
    record = {
        "python": {"version": python[1] if python else "unknown"},
        "packages": packages,
        "note": "of the interpreter that started mitosis, which may not be the trial's",
    }
    lines = [f"{name}=={version}" for name, version in packages.items()]
    requirements = "\n".join([f"# Python {record['python']['version']}", *lines, ""])  # type: ignore[index]
    digest = hashlib.sha256(f"mitosis\n{requirements}".encode()).hexdigest()[:16]
    save_environment(store, {**record, "digest": digest}, digest, lambda _: requirements)
    return digest
