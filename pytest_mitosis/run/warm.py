"""Processes forked from a server, each warm before its trial comes.

While one trial runs the process of the next one starts; it learns of its trial (variables, folder)
with the first request, before anything of the user's is imported. Runs on the launcher's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pytest_mitosis.run.forks import ForkServer, ForkServerError, PreloadError
from pytest_mitosis.run.process import (
    Engine,
    Opened,
    ProcessFailed,
    TrialProcess,
    drop_if_empty,
    output_of,
    trial_environment,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pytest_mitosis.model import Job
    from pytest_mitosis.run.notebook import TrialNotebook
    from pytest_mitosis.run.outputs import Cells


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

    async def start(self, server: ForkServer, private: Path) -> Warm:
        """Fork one and wait until it can run cells.

        Raises
        ------
        ForkServerError
            If the server is gone.
        ProcessFailed
            If the process dies meanwhile.
        """

    def alone(self) -> Engine:
        """What does the same where there is no fork server."""

    def close(self) -> None:
        """Free what was shared by all."""


class ForkedProcesses:
    """Processes of one kind from a fork server; where there is none, new interpreters.

    The server begins to come up at once, while this process may still import what drives trials.
    The server knows the kind by its ``name``; ``make_kind`` is called with the first trial;
    ``preload`` are modules of others that the server imports for all trials.
    """

    def __init__(
        self, name: str, make_kind: Callable[[], Kind], preload: tuple[str, ...] = ()
    ) -> None:
        self.preload = preload
        self._name = name
        self._make_kind = make_kind
        # A socket's path has at most 107 characters, so not in the trials folder.
        self._private = Path(tempfile.mkdtemp(prefix="mitosis-"))
        self._server: asyncio.Task[ForkServer] | None = None
        self._next: asyncio.Task[Warm] | None = None
        self._opened = 0
        self._alone: Engine | None = None
        self._spawned: ForkServer | None = None
        with contextlib.suppress(ForkServerError):
            self._spawned = ForkServer.spawn(name, preload, self._private / "ipython")

    @functools.cached_property
    def _kind(self) -> Kind:
        return self._make_kind()

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
        """End the server, and the process that waits for a trial."""
        if self._next is not None:
            with contextlib.suppress(ForkServerError, ProcessFailed, PreloadError):
                await (await self._next).end()
        if self._server is not None:
            with contextlib.suppress(ForkServerError, PreloadError):
                await (await self._server).close()
        if self._spawned is not None:
            await self._spawned.close()
        if self._alone is not None:
            await self._alone.close()
        if self._opened:
            self._kind.close()
        shutil.rmtree(self._private, ignore_errors=True)

    async def _take(self) -> Warm:
        waiting, self._next = self._next, None
        self._opened += 1
        warm = None
        if waiting is not None:
            with contextlib.suppress(ForkServerError, ProcessFailed):
                warm = await waiting
            if warm is not None and warm.process.died.done():
                await warm.end()
                warm = None
        if warm is None:
            warm = await self._start()
        if self._opened > 1 and self._next is None:  # a session of one trial needs no second
            self._next = asyncio.create_task(self._start())
        return warm

    async def _start(self) -> Warm:
        server = await self._running_server()
        return await self._kind.start(server, Path(tempfile.mkdtemp(dir=self._private)))

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
        server = server or ForkServer.spawn(self._name, self.preload, self._private / "ipython")
        await server.ready()
        return server
