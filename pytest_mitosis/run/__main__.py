"""``python -m pytest_mitosis.run JOB.json``: run a job without pytest.

A trial that a session has begun and nobody runs yet is taken up, with all that the session recorded
of it: so a launcher can have it run by a command line. The job of a trial that was run is run again
as a draft, so that nothing recorded is overwritten.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_mitosis.model import Job, JobStep, Kind, MitosisError, Status, StoreError, Trial
from pytest_mitosis.run.elsewhere import STORE_EXIT, is_waiting, take_up
from pytest_mitosis.run.jobs import OWN_FOLDERS
from pytest_mitosis.run.launcher import Order
from pytest_mitosis.run.launchers import make_launcher
from pytest_mitosis.run.loop import run_alone
from pytest_mitosis.run.trial import begin_trial
from pytest_mitosis.store.attempts import CHECKPOINTS
from pytest_mitosis.store.batches import TASK
from pytest_mitosis.store.files import read_json, store_errors
from pytest_mitosis.store.folder import (
    MANIFEST,
    QUEUED,
    claim,
    read_manifest,
    read_trial,
    store_of,
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
        return STORE_EXIT if isinstance(error, StoreError) else 4


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
    recorded = read_trial(folder).manifest if (folder / MANIFEST).exists() else {}
    if (folder / QUEUED).exists():
        raise StoreError(f"{folder} is held by a scheduler; wait for its end, or cancel it")
    with store_errors(store_of(folder)):
        if recorded and is_waiting(folder):
            order, recorded = take_up(folder), {}
        else:
            order = _begin(job, folder, recorded)
        launcher = make_launcher(preload=tuple(read_manifest(order.folder).get("preload", ())))
        with contextlib.closing(launcher):
            trial, _ = run_alone(launcher, order)
    _tell(trial, recorded)
    return 0 if trial.status is Status.DONE else 1


def _begin(job: Job, folder: Path, recorded: dict[str, Any]) -> Order:
    """Begin the trial of a job nobody began, or a draft if one has been recorded."""
    store = store_of(folder)
    if recorded:
        if recorded["status"] == Status.RUNNING:
            raise StoreError(f"{folder} is running now; wait for its end")
        again = claim(store, job.experiment, job.key, draft=True)
        files = str(again.folder / "files")
        cwd = files if job.cwd == str(folder / "files") else job.cwd
        steps = tuple(_moved(step, folder, again.folder) for step in job.steps)
        job = replace(job, trial=again.id, iteration=0, draft=True, cwd=cwd, steps=steps)
        folder = again.folder
    begin_trial(job, folder, {"rerun_of": recorded.get("id"), "commit": None})
    return Order(job, folder, store)


def _tell(trial: Trial, recorded: dict[str, Any]) -> None:
    """Print what became of a trial, beside what is recorded of the one it repeats."""
    manifest = trial.manifest
    print(f"{trial.status.value}: {manifest['experiment']}[{manifest['spec']}] in {trial.folder}")
    for name, value in manifest["metrics"].items():
        before = recorded.get("metrics", {}).get(name)
        print(f"  {name} = {value!r}" + (f" (recorded: {before!r})" if recorded else ""))
    failure = manifest.get("failure")
    if failure:
        print(failure["traceback"] or f"{failure['type']}: {failure['message']}")


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


if __name__ == "__main__":
    sys.exit(main())
