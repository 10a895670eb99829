"""When a trial's process is ready: it answered, and what it will show is heard."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import Failure
from pytest_mitosis.run.process import ProcessFailed, TrialProcess, explain_death

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from jupyter_client import AsyncKernelClient

STARTUP_SECONDS = 120


async def answered(word: Coroutine[Any, Any, Any], process: TrialProcess, output: Path) -> None:
    """Wait for a process's first word; that it died instead is told at once.

    Raises
    ------
    ProcessFailed
        If it dies, or does not answer in two minutes.
    """
    answer: asyncio.Future[Any] = asyncio.ensure_future(word)
    try:
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait([answer, process.died], timeout=STARTUP_SECONDS, return_when=first)
    finally:
        has_come = answer.done() or not answer.cancel()
    if has_come and not answer.exception():
        return
    if process.died.done():
        raise ProcessFailed(explain_death(process.died.result(), output))
    raise ProcessFailed(Failure("RuntimeError", "the trial's process did not answer"))


async def connect(client: AsyncKernelClient, process: TrialProcess, output: Path) -> None:
    """Wait for a kernel of Jupyter's that answers on all channels.

    Jupyter's own ``wait_for_ready`` ends with 0.2 s of listening to silence. Here the kernel is
    asked who it is until the answer and its echo on the channel of outputs have both come, after
    which no output can be missed.

    Raises
    ------
    ProcessFailed
        If the kernel dies, or does not answer in two minutes.
    """
    client.start_channels(hb=False, stdin=False)
    client.allow_stdin = False
    await answered(_answer(client), process, output)


async def _answer(client: AsyncKernelClient) -> None:
    while True:
        client.kernel_info()
        with contextlib.suppress(queue.Empty):
            await client.get_shell_msg(timeout=1)
            await client.get_iopub_msg(timeout=0.2)
            return
