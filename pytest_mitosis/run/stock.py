"""Kernels as Jupyter starts them: a new interpreter for each trial.

What the forked kernels fall back on; the notebook is the same. Runs in the process that started
the trial.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq.asyncio
from jupyter_client import AsyncKernelClient, AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from pytest_mitosis.run import inside
from pytest_mitosis.run.client import KernelCells
from pytest_mitosis.run.process import (
    Opened,
    TrialProcess,
    drop_if_empty,
    output_of,
    watch,
)
from pytest_mitosis.run.ready import connect
from pytest_mitosis.run.upcoming import trial_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_mitosis.model import Job
    from pytest_mitosis.run.notebook import TrialNotebook

# As ``python -m ipykernel_launcher``, but without importing the debugger no trial has a use for,
# which takes a third of a kernel's start; the experiment can import it as ever.
_LAUNCH = """
import sys
sys.path[:1] = [] if sys.path[0] == "" else sys.path[:1]
sys.modules["debugpy"] = None
from ipykernel import debugger, kernelapp
del sys.modules["debugpy"]
kernelapp.launch_new_instance()
"""


class _ThisInterpreter(KernelSpecManager):  # type: ignore[misc]  # traitlets are untyped here
    """Kernels of the running interpreter, whatever ``python3`` means to Jupyter elsewhere."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-c", _LAUNCH, "-f", "{connection_file}"]
        argv += ["--HistoryManager.enabled=False", "--log-level=ERROR"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


class StockKernels:
    """Starts each kernel anew."""

    def __init__(self) -> None:
        self._context = zmq.asyncio.Context()

    @contextlib.asynccontextmanager
    async def open(self, job: Job, folder: Path, built: TrialNotebook) -> AsyncIterator[Opened]:
        """A started kernel that answers; at the end it is killed with all that it left running.

        What the process writes past Jupyter (a fault handler, a C library at start-up) goes to
        ``output.txt`` of the trial.
        """
        # A socket's path has at most 107 characters, so not in the trial's folder.
        private = Path(tempfile.mkdtemp(prefix="mitosis-"))
        manager = self._manager(private)
        process = None
        try:
            with output_of(folder).open("ab") as stray:
                await manager.start_kernel(
                    cwd=job.cwd,
                    env=trial_environment(private / "ipython", job.environment),
                    stdout=stray,
                    stderr=stray,
                )
            popen = manager.provisioner.process
            process = TrialProcess(popen.pid, watch(popen))
            client = manager.client()
            try:
                await connect(client, process, output_of(folder))
                ask = functools.partial(_ask, client)
                yield Opened(process, KernelCells(built.notebook, folder, client, ask))
            finally:
                client.stop_channels()
        finally:
            if process is not None:
                await process.end()
            with contextlib.suppress(Exception):
                await manager.cleanup_resources()
            shutil.rmtree(private, ignore_errors=True)
            drop_if_empty(output_of(folder))

    async def close(self) -> None:
        """Close the sockets."""
        self._context.destroy(linger=0)

    def _manager(self, private: Path) -> AsyncKernelManager:
        return AsyncKernelManager(
            context=self._context,
            kernel_spec_manager=_ThisInterpreter(),
            transport="ipc",
            ip=str(private / "k"),
            connection_file=str(private / "kernel.json"),
        )


async def _ask(client: AsyncKernelClient, **request: Any) -> dict[str, Any]:
    """Have a kernel do something that no cell shows; how it ended, with the answer it left."""
    answer = Path(request["folder"], inside.REPLY)
    answer.unlink(missing_ok=True)
    given = ", ".join(repr(request[name]) for name in ("function", "folder", "arguments"))
    module = "__import__('pytest_mitosis.run.inside', fromlist=['leave'])"
    code = f"{module}.leave({given}, globals())"
    message = client.execute(code, silent=True, store_history=False)
    while True:
        told = await client.get_shell_msg()
        if told["parent_header"].get("msg_id") == message:
            break
    content: dict[str, Any] = told["content"]
    if content["status"] != "ok":
        return {
            "ename": content.get("ename", content["status"]),
            "evalue": content.get("evalue", ""),
        }
    if not answer.exists():
        answer = inside.spare_reply(answer.parent)
    reply = json.loads(answer.read_text(encoding="utf-8"))
    answer.unlink()
    return {"reply": reply}
