"""What a trial left, brought to a temporary folder when its own cannot be written.

A full disk takes nothing away from what an experiment has computed. Runs in the process that
records trials.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

RESULTS = "results"


def rescue(folder: Path, rescued: str = "") -> str:
    """Copy a trial's folder elsewhere; ``rescued`` is what its process has brought there already.

    Returns the place, or nothing if there is no other place either.
    """
    if not rescued and not (folder / RESULTS).is_dir():
        return ""
    with contextlib.suppress(OSError):
        place = Path(rescued or tempfile.mkdtemp(prefix=f"mitosis-rescued-{folder.name}-"))
        for path in sorted(folder.rglob("*")):
            target = place / path.relative_to(folder)
            if path.is_file() and not path.is_symlink() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        return str(place)
    return rescued
