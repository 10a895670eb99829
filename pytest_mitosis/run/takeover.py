"""How a process that was there before its trial becomes that trial's.

Runs in the trial's own process.
"""

from __future__ import annotations

import os
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

INLINE_FIGURES = "module://matplotlib_inline.backend_inline"
SET_BY_KERNEL: dict[str, str] = {}
"""Variables that are set as a process starts; one trial runs in a process."""


def rehearse(shell: InteractiveShell) -> None:
    """Have what a shell makes when it is first needed made before the fork; runs no cell."""
    shell.display_formatter.format(None)
    shell.compile.ast_parse(shell.transform_cell("None"))
    tempfile.gettempdir()


def redirect(file: str) -> None:
    """Have what is written past Python's streams go to a file."""
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for number in (1, 2):
        os.dup2(target, number)
    os.close(target)


def take_over(environment: dict[str, str], cwd: str, output: str) -> None:
    """Become the process of one trial: its variables, its folder, its file of printed text."""
    os.chdir(cwd)
    variables = {**environment, **SET_BY_KERNEL}
    if environment.get("MPLBACKEND"):  # the user's choice wins, as in any kernel
        variables["MPLBACKEND"] = environment["MPLBACKEND"]
    before = dict(os.environ)
    for name in before.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables.items() - before.items())
    if any(before.get(name) != variables.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        tempfile.tempdir = None  # found anew
    time.tzset()
    redirect(output)
