"""How far a trial is: what its experiment says, or a tqdm bar shows, in ``progress.json``.

Runs in the trial's own process; in any other one it does nothing. The file is written at most once
a second and in one step, and readers elsewhere (the terminal, ``pytest-mitosis ls --running``) look
at it. Imports nothing that an experiment did not import.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_mitosis.store.folder import PROGRESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from pathlib import Path

SECONDS_BETWEEN = 1.0
TQDM = "tqdm.std"
LONGEST_TEXT = 40


@dataclass(frozen=True, slots=True)
class Progress:
    """Step ``i`` of ``n`` (None if it is not known how many), with the last metrics."""

    i: float
    n: float | None = None
    metrics: dict[str, float | str] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """Between 0 and 1, if it is known."""
        return min(self.i / self.n, 1.0) if self.n else None

    def __str__(self) -> str:
        steps = f"{self.i:g}" if self.n is None else f"{self.i:g}/{self.n:g}"
        numbers = [
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.metrics.items()
        ]
        words = " ".join([steps, *numbers])
        return "".join(one if one.isprintable() else " " for one in words)


@dataclass
class Reporter:
    """Writes the progress of the trial this process runs."""

    folder: Path
    written: float = -1e9
    is_told: bool = False  # the experiment speaks for itself, so no bar does

    def tell(self, i: float, n: float | None, metrics: dict[str, Any]) -> None:
        """What the experiment itself says."""
        self.is_told = True
        self._write(i, n, metrics)

    def see(self, bar: Any) -> None:  # Any: tqdm's class
        """What the outermost bar shows."""
        if not self.is_told and not getattr(bar, "pos", 0):
            self._write(bar.n, bar.total, {})

    def _write(self, i: float, n: float | None, metrics: dict[str, Any]) -> None:
        moment = time.monotonic()
        beside = self.folder / f".{PROGRESS}.{os.getpid()}"
        # Nothing ends for want of a progress line: an odd number, a full disk.
        with contextlib.suppress(OSError, ValueError, TypeError):
            if moment - self.written < SECONDS_BETWEEN and (n is None or i < n):
                return
            self.written = moment
            record = {
                "i": float(i),
                "n": _plain(n),
                "metrics": _texts(metrics),
                "time": time.time(),
            }
            beside.write_text(json.dumps(record, allow_nan=False), encoding="utf-8")
            beside.replace(self.folder / PROGRESS)


_reporters: list[Reporter] = []  # one trial runs in a process


def progress(i: float, n: float | None = None, **metrics: Any) -> None:
    """Say that step ``i`` of ``n`` is done, with numbers worth seeing meanwhile.

    Only what is shown while a trial runs comes from it. In a plain process nothing happens.
    """
    if _reporters:
        _reporters[-1].tell(i, n, metrics)


def begin(folder: Path) -> None:
    """Report for the trial in ``folder`` from now on, and watch for tqdm."""
    _reporters[:] = [Reporter(folder)]
    if TQDM in sys.modules:
        _watch(sys.modules[TQDM])
    else:
        sys.meta_path.insert(0, _Finder())


def read_progress(folder: Path) -> Progress | None:
    """How far the trial in ``folder`` is, if it ever said."""
    try:
        record = json.loads((folder / PROGRESS).read_bytes())
        n = record["n"]
        return Progress(float(record["i"]), None if n is None else float(n), record["metrics"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


class _Finder:
    """Sees tqdm being imported, once, and leaves the import itself to all others."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != TQDM:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_watch(module: Any) -> None:
                execute(module)
                _watch(module)

            with contextlib.suppress(AttributeError):
                spec.loader.exec_module = execute_and_watch  # type: ignore[method-assign]
        return spec


def _watch(module: Any) -> None:
    """Have every bar that draws itself report as well."""
    kind = getattr(module, "tqdm", None)
    refresh: Callable[..., Any] | None = getattr(kind, "refresh", None)
    if kind is None or refresh is None:
        return

    def refresh_and_report(bar: Any, *arguments: Any, **options: Any) -> Any:
        found = refresh(bar, *arguments, **options)
        with contextlib.suppress(Exception):
            if _reporters:
                _reporters[-1].see(bar)
        return found

    kind.refresh = refresh_and_report


def _plain(value: Any) -> float | None:
    return None if value is None else float(value)


def _texts(metrics: dict[str, Any]) -> dict[str, float | str]:
    shown: dict[str, float | str] = {}
    for name, value in list(metrics.items())[:8]:
        try:
            shown[name] = value[:LONGEST_TEXT] if isinstance(value, str) else float(value)
        except (TypeError, ValueError):
            shown[name] = str(value)[:LONGEST_TEXT]
    return shown
