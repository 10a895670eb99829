"""Launchers whose trials are driven by one loop in one thread, any number at a time.

Runs in the process that starts trials; must not know pytest. Of signals it knows that SIGTERM and
SIGHUP mean what Ctrl-C does: stop in order.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pytest_mitosis.run.attempt import GRACE_SECONDS, Attempt
from pytest_mitosis.run.trial import record
from pytest_mitosis.run.warm import SETTLE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import FrameType

    from pytest_mitosis.model import Outcome, Trial
    from pytest_mitosis.run.launcher import Handle, Launcher, Order
    from pytest_mitosis.run.process import Engine

TURN_SECONDS = 0.05
"""How long a trial that ended waits to be recorded while the next one takes its place."""
STOPPING = ("SIGTERM", "SIGHUP")


@dataclass(eq=False)
class LoopHandle:
    """A trial on its way through the loop."""

    order: Order
    future: concurrent.futures.Future[tuple[Trial, Outcome]]
    attempt: Attempt

    def is_done(self) -> bool:
        """Whether the trial has ended and is recorded."""
        return self.future.done()

    def is_gone(self) -> bool:
        """Whether the trial's process has ended; the trial may still have to be recorded."""
        return self.attempt.gone.done() or self.is_done()

    def result(self) -> tuple[Trial, Outcome]:
        """The recorded trial and what its job left; waits for the end."""
        return self.future.result()


class LoopLauncher:
    """Runs trials in processes of an engine; all that are submitted run at once."""

    def __init__(self, engine: Engine, grace: float = GRACE_SECONDS) -> None:
        self.grace = grace
        self._engine = engine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._handles: set[LoopHandle] = set()
        self._signals = contextlib.ExitStack()
        self._is_closed = False
        self._settle = 0.0
        self._turn = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, order: Order) -> LoopHandle:
        """Start a trial and return at once."""
        loop = self._running_loop()
        attempt = Attempt(order, self._engine, self.grace, self._settle)
        future = asyncio.run_coroutine_threadsafe(self._run(order, attempt), loop)
        handle = LoopHandle(order, future, attempt)
        self._handles.add(handle)
        future.add_done_callback(lambda _: self._handles.discard(handle))
        return handle

    async def _run(self, order: Order, attempt: Attempt) -> tuple[Trial, Outcome]:
        return await record(order, attempt, lambda: asyncio.sleep(self._turn))

    def expect(self, trials: int, at_once: int, *, ahead: bool) -> None:
        """Say that ``trials`` more may come, ``at_once`` of them at a time, if the engine cares.

        ``ahead`` are those that take the place of one that is gone and not yet recorded.
        """
        expect = getattr(self._engine, "expect", None)
        if expect is not None:
            self._settle = SETTLE_SECONDS if at_once > 1 else 0.0
            self._turn = TURN_SECONDS if at_once > 1 and trials and ahead else 0.0
            self._running_loop().call_soon_threadsafe(expect, trials, at_once)

    def wait(self, handles: Collection[Handle], timeout: float | None = None) -> list[Handle]:
        """Those of ``handles`` that are done; waits up to ``timeout`` seconds for the first.

        None, and earlier, if a process ends meanwhile: another trial may have its place.
        """
        ours = [one for one in handles if isinstance(one, LoopHandle)]
        futures: list[concurrent.futures.Future[Any]] = [one.future for one in ours]
        futures += [one.attempt.gone for one in ours if not one.is_gone()]
        first = concurrent.futures.FIRST_COMPLETED
        concurrent.futures.wait(futures, timeout=timeout, return_when=first)
        return [one for one in handles if one.is_done()]

    def cancel(self, handle: Handle) -> None:
        """End a trial as interrupted, in order; returns at once, the handle becomes done."""
        if self._loop is not None and isinstance(handle, LoopHandle) and not handle.is_done():
            self._loop.call_soon_threadsafe(handle.attempt.stop)

    def close(self) -> None:
        """Free what the launcher holds; trials still under way are cancelled and waited for."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._loop is None or self._thread is None:
            asyncio.run(self._engine.close())
            return
        under_way = list(self._handles)
        for handle in under_way:
            self.cancel(handle)
        concurrent.futures.wait([one.future for one in under_way])
        asyncio.run_coroutine_threadsafe(self._engine.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None
        self._signals.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            # Must not keep the interpreter from ending; `close` ends it in order.
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="mitosis-launcher", daemon=True
            )
            self._thread.start()
            self._signals.enter_context(stop_signals())
        return self._loop


def run_alone(launcher: Launcher, order: Order) -> tuple[Trial, Outcome]:
    """Run one order and wait for its end; Ctrl-C and SIGTERM end it as interrupted."""
    handle = launcher.submit(order)
    while True:
        try:
            launcher.wait([handle])
            return handle.result()
        except KeyboardInterrupt:  # may come twice: from the terminal, and from who started this
            launcher.cancel(handle)


@contextlib.contextmanager
def stop_signals() -> Any:
    """Have SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [n for name in STOPPING if (n := getattr(signal, name, None)) is not None]
    # One that is ignored (nohup) stays ignored, one that another part handles stays handled.
    before = {n: signal.getsignal(n) for n in numbers}
    ours = [n for n, handler in before.items() if handler is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
