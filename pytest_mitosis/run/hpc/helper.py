"""``python -m pytest_mitosis.run.hpc.helper``: asks PSI/J one question, in a process of its own.

The question comes as JSON by standard input, the answer goes as JSON to standard output. psij's
own tracking of jobs is not used: it takes a scheduler that does not answer for jobs that failed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from pytest_mitosis.run.hpc.states import read_states, said_in
from pytest_mitosis.store.batches import IDS, TASK, WORK

SECONDS = 50.0
"""How long a command of the scheduler's may take."""


class Unanswered(Exception):  # noqa: N818  told in its words
    """The scheduler refused, or did not answer."""


def main() -> None:
    """Answer the question, and end at once: psij's threads would go on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints
    asked = json.load(sys.stdin)
    answer = {"check": check, "submit": submit, "queue": queue, "cancel": cancel}[asked["ask"]]
    try:
        found = answer(asked)
    except Exception as error:
        found = {"error": " ".join(str(error).split()) or type(error).__name__}
    json.dump(found, answers)
    answers.close()
    sys.stderr.flush()
    os._exit(0)


def check(asked: dict[str, Any]) -> dict[str, Any]:
    """See whether the executor and the scheduler's commands are there."""
    executor = make_executor(asked["executor"])
    if hasattr(executor, "get_status_command"):
        script = Path("job")
        wanted = [executor.get_status_command([]), executor.get_cancel_command("")]
        wanted.append(executor.get_submit_command(None, script))
        lacking = [one[0] for one in wanted if shutil.which(one[0]) is None]
        if lacking:
            raise Unanswered(f"there is no {' and no '.join(lacking)} here")
    return {}


def submit(asked: dict[str, Any]) -> dict[str, Any]:
    """Submit the tasks in their order, and write down the id of each as soon as it has one."""
    import psij

    folder = Path(asked["folder"])
    executor = make_executor(asked["executor"], folder / WORK)
    with (folder / IDS).open("a", encoding="utf-8") as ids:
        for task in range(asked["tasks"]):
            attributes = psij.JobAttributes(**asked["attributes"])
            attributes.custom_attributes = asked["custom"]
            limit = asked["limit"]
            attributes.duration = timedelta(seconds=limit) if limit is not None else None
            spec = psij.JobSpec(
                executable="/bin/bash",
                arguments=[asked["script"], str(task)],
                directory=folder,
                environment=_environment(asked, task),
                resources=psij.ResourceSpecV1(**asked["resources"]),
                attributes=attributes,
            )
            job = psij.Job(spec)
            executor.submit(job)
            ids.write(f"{_id_of(asked['executor'], job)}\n")
            ids.flush()
    return {}


def queue(asked: dict[str, Any]) -> dict[str, Any]:
    """The state of each task that is known, and why."""
    name, tasks = asked["executor"], asked["tasks"]
    if name == "local":
        return {task: _process_state(task, mark) for task, mark in tasks.items()}
    executor = make_executor(name)
    if name == "flux":
        running = {str(one) for one in executor.list()}
        return {task: ("ACTIVE", "") for task in tasks if task in running}
    done = _run(executor.get_status_command(list(tasks)))
    try:
        return read_states(executor, name, done, tasks)
    except Exception as error:
        words = said_in(done) if done.returncode else f"{type(error).__name__}: {error}"
        raise Unanswered(f"{done.args[0]}: {words}") from None


def cancel(asked: dict[str, Any]) -> dict[str, Any]:
    """End tasks; those that are not there any more have ended. Says which were refused, and why."""
    name, refused = asked["executor"], {}
    executor = make_executor(name)
    for task in asked["tasks"]:
        try:
            _cancel(executor, name, task)
        except Exception as error:
            refused[task] = str(error)
    return {"refused": refused}


def _cancel(executor: Any, name: str, task: str) -> None:
    if name == "local":
        _terminate(task)
    elif name == "flux":
        _cancel_in_flux(executor, task)
    else:
        done = _run(executor.get_cancel_command(task))
        if done.returncode and _still_known(executor, name, task):
            raise Unanswered(said_in(done))


def make_executor(name: str, folder: Path | None = None) -> Any:
    """Psij's executor, which keeps its files in ``folder``."""
    import psij

    return psij.JobExecutor.get_instance(
        name, config=psij.JobExecutorConfig(work_directory=folder or Path("psij-unused"))
    )


def _environment(asked: dict[str, Any], task: int) -> dict[str, str] | None:
    """A process on this machine is known by its environment; others by what the script sets."""
    return {TASK: f"{asked['batch']}/{task}"} if asked["executor"] == "local" else None


def _id_of(name: str, job: Any) -> str:
    if name == "local":
        return f"{job.native_id}@{socket.gethostname()}"
    if job.native_id is None:  # Flux says it later
        job.wait(timedelta(seconds=SECONDS), target_states=None)
    return str(job.native_id)


def _process_state(task: str, mark: str) -> tuple[str, str]:
    """Whether a process is still the task's."""
    import psutil

    pid, _, host = task.partition("@")
    if host != socket.gethostname():
        return "ACTIVE", f"on {host}, which cannot be asked from here"
    try:
        process = psutil.Process(int(pid))
        if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(TASK) == mark:
            return "ACTIVE", ""
    except psutil.Error:  # there is none, or it is another user's
        pass
    return "FAILED", "its process is gone"


def _terminate(task: str) -> None:
    """Tell a task's processes to end, as schedulers do; psij would leave them no time to save."""
    import psutil

    pid, _, host = task.partition("@")
    if host != socket.gethostname():
        raise Unanswered(f"{task} can only be cancelled on {host}")
    try:
        process = psutil.Process(int(pid))
        if TASK not in process.environ():
            return
        below = process.children(recursive=True)
    except psutil.Error:
        return
    for one in [*below, process]:
        try:
            one.terminate()
        except psutil.NoSuchProcess:
            continue


def _cancel_in_flux(executor: Any, task: str) -> None:
    import psij

    job = psij.Job()
    executor.attach(job, int(task))
    executor.cancel(job)


def _still_known(executor: Any, name: str, task: str) -> bool:
    """Whether a job that could not be cancelled waits or runs."""
    done = _run(executor.get_status_command([task]))
    try:
        state, _ = read_states(executor, name, done, {task: ""}).get(task, ("", ""))
    except Exception:
        return True
    return state in {"QUEUED", "ACTIVE"}


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise Unanswered(f"there is no {command[0]} here") from None
    except subprocess.TimeoutExpired:
        raise Unanswered(f"{command[0]} did not answer in {SECONDS:g} s") from None


if __name__ == "__main__":
    main()
