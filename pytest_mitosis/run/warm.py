"""Processes forked from a server, each warm before its trial comes.

While trials run the processes of the next ones start; they learn of their trials (variables,
folder) with the first request, before anything of the user's is imported. Many may wait, as each
shares all but 2 or 3 MB of its memory with the server. Runs on the launcher's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import shutil
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from pytest_mitosis.run.forks import ForkServer, ForkServerError, PreloadError
from pytest_mitosis.run.process import (
    Engine,
    Opened,
    ProcessFailed,
    TrialProcess,
    drop_if_empty,
    output_of,
)
from pytest_mitosis.run.upcoming import trial_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pytest_mitosis.model import Job
    from pytest_mitosis.run.notebook import TrialNotebook
    from pytest_mitosis.run.outputs import Cells
    from pytest_mitosis.run.upcoming import UpcomingServer

SETTLE_SECONDS = 0.15
"""The time that trials which begin together have for themselves, before others are prepared."""


class Warm(Protocol):
    """A process that can run cells and knows no trial yet."""

    @property
    def process(self) -> TrialProcess:
        """The process."""

    def cells(self, notebook: Any, folder: Path) -> Cells:
        """What drives the cells of a trial in it."""

    async def end(self) -> None:
        """Kill it with all that it started."""


class Kind(Protocol):
    """How processes of one kind are made."""

    async def start(self, server: ForkServer, stray: Path) -> Warm:
        """Fork one and wait until it can run cells; ``stray`` is what it writes before its trial.

        Raises
        ------
        ForkServerError
            If the server is gone.
        ProcessFailed
            If the process dies meanwhile.
        """

    def alone(self) -> Engine:
        """What does the same where there is no fork server."""


class ForkedProcesses:
    """Processes of one kind from a fork server; where there is none, new interpreters.

    The server knows the kind by its ``name``; ``make_kind`` is called with the first trial;
    ``preload`` are modules of others that the server imports for all trials. ``private`` is a
    folder for what processes leave before their trials, removed at the end. ``server`` comes up
    already, and is None where there are no forks.
    """

    def __init__(
        self,
        name: str,
        make_kind: Callable[[], Kind],
        private: Path,
        server: UpcomingServer | None,
        preload: tuple[str, ...] = (),
    ) -> None:
        self.preload = preload
        self._name = name
        self._make_kind = make_kind
        self._private = private
        self._server: asyncio.Task[ForkServer] | None = None
        self._spare: deque[asyncio.Task[Warm]] = deque()
        self._wanted: int | None = None
        self._filling: asyncio.Task[None] | None = None
        self._opened = 0
        self._numbers = itertools.count()
        self._alone: Engine | None = None
        self._spawned = None if server is None else ForkServer(server)

    @functools.cached_property
    def _kind(self) -> Kind:
        return self._make_kind()

    def expect(self, trials: int, at_once: int) -> None:
        """Keep as many processes warm as may be wanted at one time.

        ``trials`` more are to come at most, ``at_once`` of them at a time. If nothing is said, it
        is one that is kept, from the second trial on: a session of one trial needs no other.
        """
        self._wanted = min(trials, at_once)

    @contextlib.asynccontextmanager
    async def open(self, job: Job, folder: Path, built: TrialNotebook) -> AsyncIterator[Opened]:
        """A process for one trial; at the end it is killed with all that it left running."""
        try:
            warm = await self._take()
        except ForkServerError:
            self._alone = self._alone or self._kind.alone()
            async with self._alone.open(job, folder, built) as opened:
                yield opened
            return
        try:
            variables = trial_environment(self._private / "ipython", job.environment)
            begins_with = {"cwd": job.cwd, "environment": variables}
            yield Opened(warm.process, warm.cells(built.notebook, folder), begins_with)
        finally:
            await warm.end()
            drop_if_empty(output_of(folder))

    async def close(self) -> None:
        """End the server, and the processes that wait for a trial."""
        self._wanted = 0
        if self._filling is not None:
            self._filling.cancel()
        while self._spare:
            with contextlib.suppress(ForkServerError, ProcessFailed, PreloadError):
                await (await self._spare.popleft()).end()
        if self._server is not None:
            with contextlib.suppress(ForkServerError, PreloadError):
                await (await self._server).close()
        if self._spawned is not None:
            await self._spawned.close()
        if self._alone is not None:
            await self._alone.close()
        shutil.rmtree(self._private, ignore_errors=True)

    async def _take(self) -> Warm:
        self._opened += 1
        warm = await self._taken() or await self._start()
        if self._wanted is None:
            if self._opened > 1 and not self._spare:
                self._spare.append(asyncio.create_task(self._start()))
        elif self._filling is None or self._filling.done():
            self._filling = asyncio.create_task(self._fill())
        return warm

    async def _taken(self) -> Warm | None:
        """The process that has waited longest; None if none is left."""
        while self._spare:
            with contextlib.suppress(ForkServerError, ProcessFailed):
                warm = await self._spare.popleft()
                if not warm.process.died.done():
                    return warm
                await warm.end()
        return None

    async def _fill(self) -> None:
        """Start what is to wait, one after the other, once the trials that begin have begun."""
        await asyncio.sleep(SETTLE_SECONDS)
        while len(self._spare) < (self._wanted or 0):
            starting = asyncio.create_task(self._start())
            self._spare.append(starting)
            await asyncio.wait({starting})
            if starting.cancelled() or starting.exception():  # told to the trial that takes it
                return

    async def _start(self) -> Warm:
        kind = self._kind  # imports what drives its processes, while the server still comes up
        server = await self._running_server()
        return await kind.start(server, self._private / f"{next(self._numbers)}.output")

    async def _running_server(self) -> ForkServer:
        """The server, started again if it was killed; one attempt at a time."""
        if self._server is not None and self._server.done():
            failed = self._server.exception() is not None
            if not failed and self._server.result().process.poll() is not None:
                await self._server.result().close()
                self._server = None
        if self._server is None:
            self._server = asyncio.create_task(self._new_server())
        return await asyncio.shield(self._server)

    async def _new_server(self) -> ForkServer:
        server, self._spawned = self._spawned, None
        server = server or ForkServer.spawn(self._name, self.preload, self._private)
        await server.ready()
        return server
