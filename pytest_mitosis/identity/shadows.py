"""New files that would be imported instead of what a trial imported.

A list of the files a trial read cannot show that another one now comes first: a `helpers.py` put
beside the experiment, a `random.py` at the root. So the places where the import system looked in
vain are kept as well. Must not know trials, syntax or git. `vain_places` runs in the trial's own
process, `shadowing` anywhere.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pytest_mitosis.identity.imported import file_of, installed_places

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What the import system tries for a name, in its order; extension modules aside.
INIT = "/__init__"
FORMS = (f"{INIT}.py", ".py")


def vain_places(root: str, names: Iterable[str], files: Iterable[str]) -> tuple[str, ...]:
    """Return where in the project these top-level names were looked for before they were found.

    And the same for `files`, the real paths of the project's own that were imported.
    As posix text relative to `root`, without suffix. Only folders of the project count: what is
    installed is told by its version. A package comes before a module of its name in its folder.
    """
    installed = installed_places()
    folders = [os.path.realpath(place) for place in sys.path if place.startswith(os.sep)]
    found: dict[str, None] = {}
    for name in sorted(set(names) - set(sys.builtin_module_names)):
        home = _home(name)
        for folder in dict.fromkeys(folders):
            if folder == home:
                break
            inside = folder == root or folder.startswith(root + os.sep)
            if inside and not (folder + os.sep).startswith(installed):
                found[_place(root, f"{folder}/{name}")] = None
    for path in files:
        stem, suffix = os.path.splitext(path)  # noqa: PTH122
        if suffix == ".py" and path.startswith(root + os.sep) and not stem.endswith(INIT):
            found[_place(root, stem + INIT)] = None
    return tuple(place for place in found if _form(root, place) is None)


def shadowing(root: str, places: Sequence[str]) -> list[str]:
    """Return the files that stand at such places now."""
    forms = ((place, _form(root, place)) for place in places)
    return [place + form for place, form in forms if form is not None]


def _place(root: str, stem: str) -> str:
    return os.path.relpath(stem, root).replace(os.sep, "/")


def _form(root: str, place: str) -> str | None:
    stem = f"{root}/{place}"
    return next((form for form in FORMS if os.path.isfile(stem + form)), None)  # noqa: PTH113


def _home(name: str) -> str | None:
    """Return the folder of the path that a loaded top-level module was found in."""
    path = file_of(name)
    if path is None:
        return None
    folder, base = os.path.split(os.path.realpath(path))
    return os.path.dirname(folder) if base.startswith("__init__.") else folder  # noqa: PTH120
