"""Where in the project's code a call came from, read off the stack.

Runs in the trial's own process. Knows nothing of what is called.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mitosis.identity.imported import SITE_FOLDERS, installed_places

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import FrameType


@dataclass(frozen=True, slots=True)
class Caller:
    """The project's line that called, and the package it went through, if any.

    ``file`` is absolute, and empty if no line of the project was on the stack. ``is_import`` tells
    that the package was being imported by that line.
    """

    file: str = ""
    line: int = 0
    package: str = ""
    is_import: bool = False


@dataclass
class Callers:
    """Finds callers; remembers which files are the project's.

    As everywhere, those are the project's that are neither standard library nor installed.
    """

    _known: dict[str, str] = field(default_factory=dict)
    _places: tuple[str, ...] = ()

    def find(self, depth: int, passed_over: Collection[str] = ()) -> Caller:
        """The caller of the frame ``depth`` above; frames of files ``passed_over`` do not count."""
        frame: FrameType | None = sys._getframe(depth + 1)
        package, is_import = "", False
        while frame is not None:
            name = frame.f_code.co_filename
            if file := self._project_file(name):
                return Caller(file, frame.f_lineno, package, is_import)
            if name.startswith("<frozen importlib"):
                is_import = True
            elif not package and name not in passed_over:
                package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            frame = frame.f_back
        return Caller(package=package, is_import=is_import)

    def _project_file(self, name: str) -> str:
        """The real path of a file of the project; empty for others."""
        if name not in self._known:
            self._known[name] = self._real_file(name)
        return self._known[name]

    def _real_file(self, name: str) -> str:
        if not name.startswith(os.sep) or not os.path.isfile(name):  # noqa: PTH113
            return ""  # frozen, generated, or a cell of the notebook
        self._places = self._places or installed_places()
        real = os.path.realpath(name)
        is_installed = name.startswith(self._places) or real.startswith(self._places)
        return "" if is_installed or not SITE_FOLDERS.isdisjoint(Path(real).parts) else real
