"""When a kernel is ready: it answered, and what it will show is heard."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Failure
from pytest_mitosis.run.process import ProcessFailed, TrialProcess, explain_death

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_client import AsyncKernelClient

STARTUP_SECONDS = 120


async def connect(client: AsyncKernelClient, process: TrialProcess, output: Path) -> None:
    """Wait for a kernel that answers on all channels.

    Jupyter's own ``wait_for_ready`` ends with 0.2 s of listening to silence. Here the kernel is
    asked who it is until the answer and its echo on the channel of outputs have both come, after
    which no output can be missed. A process that dies meanwhile is told at once.

    Raises
    ------
    ProcessFailed
        If the kernel dies, or does not answer in two minutes.
    """
    client.start_channels(hb=False, stdin=False)
    client.allow_stdin = False
    answer: asyncio.Future[Any] = asyncio.ensure_future(_answer(client))
    await asyncio.wait(
        [answer, process.died], timeout=STARTUP_SECONDS, return_when=asyncio.FIRST_COMPLETED
    )
    if answer.done() and not answer.exception():
        return
    answer.cancel()
    if process.died.done():
        raise ProcessFailed(explain_death(process.died.result(), output))
    raise ProcessFailed(Failure("RuntimeError", "the trial's process did not answer"))


async def _answer(client: AsyncKernelClient) -> None:
    while True:
        client.kernel_info()
        with contextlib.suppress(queue.Empty):
            await client.get_shell_msg(timeout=1)
            await client.get_iopub_msg(timeout=0.2)
            return
