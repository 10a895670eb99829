"""What happens in a trial's process when it is to stop, or its driver is gone.

SIGTERM becomes ``KeyboardInterrupt`` in the cell that runs, so that ``finally`` and ``except`` of
the experiment may save what it has; the driver kills what is still there after a moment. Runs in
the trial's own process; one trial runs in a process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

GRACE_SECONDS = 5.0


@dataclass
class Stopping:
    """Whether a cell of the experiment's runs, and whether anybody still waits for it."""

    runs: bool = False
    shielded: bool = False
    orphaned: bool = False

    def listen(self) -> None:
        """Take SIGTERM, unless the experiment's code already does."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._stop)

    def before_cell(self, *_: object) -> None:
        """Called before each cell."""
        self.runs = True

    def after_cell(self, *_: object) -> None:
        """Called after each cell."""
        self.runs = False
        if self.orphaned:
            end_group()

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Saving is not interrupted halfway."""
        self.shielded = True
        try:
            yield
        finally:
            self.shielded = False

    def watch(self, wait: Callable[[], None]) -> None:
        """End this process some time after ``wait`` returned: its driver is gone then."""

        def end() -> None:
            wait()
            self.orphaned = True
            if not self.runs:
                end_group()
            os.killpg(0, signal.SIGTERM)
            time.sleep(GRACE_SECONDS)
            end_group()

        threading.Thread(target=end, name="mitosis-life", daemon=True).start()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self.runs and not self.shielded:
            raise KeyboardInterrupt


STOPPING = Stopping()


def end_group(*_: Any) -> None:
    """Kill this process and all that it started, at once."""
    os.killpg(0, signal.SIGKILL)
