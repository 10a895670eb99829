"""``python -m pytest_mitosis.run JOB.json``: run a job without pytest.

A job whose trial has not ended yet is run in its own folder; the job of a trial that has is run
again as a draft, so that nothing recorded is overwritten.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path

from pytest_mitosis.model import Job, JobStep, Kind, MitosisError, Status, StoreError
from pytest_mitosis.run.jobs import OWN_FOLDERS
from pytest_mitosis.run.launcher import Order
from pytest_mitosis.run.launchers import make_launcher
from pytest_mitosis.run.loop import run_alone
from pytest_mitosis.run.trial import begin_trial
from pytest_mitosis.store.attempts import CHECKPOINTS
from pytest_mitosis.store.batches import TASK
from pytest_mitosis.store.files import read_json, store_errors
from pytest_mitosis.store.folder import (
    DRAFTS,
    HEARTBEAT,
    MANIFEST,
    QUEUED,
    claim,
    read_trial,
)

BATCH_NAME = "mitosis-"
"""How the names of our batches begin, which are their jobs' too."""


def main(arguments: list[str] | None = None) -> int:
    """Run the job and print what became of it; 0 if it ended well, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="python -m pytest_mitosis.run", description=(__doc__ or "").replace("`", "")
    )
    parser.add_argument("job", type=Path, nargs="+", help="the job.json of a trial")
    files = [one.resolve() for one in parser.parse_args(arguments).job]
    try:
        if _is_task(files):
            from pytest_mitosis.run.cluster.node import run_on_node

            return run_on_node([one.parent for one in files])
        return max(_run(one) for one in files)
    except MitosisError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 13 if isinstance(error, StoreError) else 4


def _is_task(files: list[Path]) -> bool:
    """Whether a scheduler runs this for a batch, be it again when some trials have ended."""
    if TASK in os.environ:
        return True
    if "SLURM_JOB_ID" not in os.environ:
        return False
    is_ours = os.environ.get("SLURM_JOB_NAME", "").startswith(BATCH_NAME)
    return is_ours or any((one.parent / QUEUED).exists() for one in files)


def _run(file: Path) -> int:
    try:
        job = Job.from_json(read_json(file))
    except (KeyError, TypeError, ValueError):
        raise StoreError(f"{file} is no job of a trial") from None
    folder = file.parent
    store = _store_of(folder)
    status, recorded = Status.RUNNING, {}
    if (folder / MANIFEST).exists():
        trial = read_trial(folder)
        status, recorded = trial.status, trial.manifest
    if (folder / QUEUED).exists():
        raise StoreError(f"{folder} is held by a scheduler; wait for its end, or cancel it")
    if status is Status.RUNNING and (folder / HEARTBEAT).exists():
        raise StoreError(f"{folder} is running now; wait for its end")
    with store_errors(store):
        if status is not Status.RUNNING:
            again = claim(store, job.experiment, job.key, draft=True)
            files = str(again.folder / "files")
            cwd = files if job.cwd == str(folder / "files") else job.cwd
            steps = tuple(_moved(step, folder, again.folder) for step in job.steps)
            job = replace(job, trial=again.id, iteration=0, draft=True, cwd=cwd, steps=steps)
            folder = again.folder
        provenance = {"rerun_of": recorded.get("id"), "commit": None}
        begin_trial(job, folder, provenance)
        with contextlib.closing(make_launcher()) as launcher:
            trial, _ = run_alone(launcher, Order(job, folder, store))
    print(f"{trial.status.value}: {job.experiment}[{job.key}] in {folder}")
    for name, value in trial.manifest["metrics"].items():
        before = recorded.get("metrics", {}).get(name)
        print(f"  {name} = {value!r}" + (f" (recorded: {before!r})" if recorded else ""))
    failure = trial.manifest.get("failure")
    if failure:
        print(failure["traceback"] or f"{failure['type']}: {failure['message']}")
    return 0 if trial.status is Status.DONE else 1


def _moved(step: JobStep, before: Path, after: Path) -> JobStep:
    """A step whose arguments that are folders of the trial are those of another one."""
    arguments = []
    for one in step.arguments:
        if one.parameter in OWN_FOLDERS and one.kind is Kind.FIXTURE:
            one = replace(one, source=one.source.replace(str(before), str(after)))
            if one.parameter == "checkpoint_dir":
                (after / CHECKPOINTS).mkdir(exist_ok=True)
        arguments.append(one)
    return replace(step, arguments=tuple(arguments))


def _store_of(folder: Path) -> Path:
    """The trials folder a trial's folder lies in."""
    top = folder.parents[2]
    return top.parent if top.name == DRAFTS else top


if __name__ == "__main__":
    sys.exit(main())
