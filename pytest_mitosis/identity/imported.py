"""What a process has imported: files of the project, and distributions.

Must not know trials, syntax or git. Runs in the trial's own process, on ``sys.modules``.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.contents import read_content
from pytest_mitosis.identity.editable import (
    Installed,
    installed,
    installed_in,
    normalized,
    places,
)
from pytest_mitosis.identity.location import find_root

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

# Debuggers and test runners that editors load into the processes they watch.
EDITOR_FOLDERS = re.compile(
    r"/\.(vscode|cursor|windsurf)[^/]*/(.*/)?extensions/|/helpers/(pydev|pycharm)/|/debugpy/"
)
SITE_FOLDERS = frozenset({"site-packages", "dist-packages"})
FILE_LISTS = ("RECORD", "installed-files.txt")
OWN_NAME = "pytest-mitosis"
# What the process that trials are forked from had imported, as far as no project's.
_SETTLED: dict[str, object] = {}
OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120


@dataclass(frozen=True)
class ImportedFile:
    """A file of the project, or of an editable install, as it was when it was read here.

    ``blob`` is git's id of its bytes (clean filters aside); ``root`` is its repository, if any.
    """

    path: Path
    module: str
    blob: str
    sha256: str
    mtime: float
    root: Path | None

    @property
    def place(self) -> str:
        """Its name within its repository, else the absolute one, as posix text."""
        inside = self.path.relative_to(self.root) if self.root is not None else self.path
        return inside.as_posix()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; `from_json` reads it back."""
        return {
            **vars(self),
            "path": str(self.path),
            "root": None if self.root is None else str(self.root),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ImportedFile:
        """Read back what `to_json` wrote; unknown keys of newer versions are passed over."""
        known = {name: data[name] for name in cls.__dataclass_fields__}
        known["path"] = Path(data["path"])
        known["root"] = None if data["root"] is None else Path(data["root"])
        return cls(**known)


def imported_files() -> tuple[ImportedFile, ...]:
    """Read every imported file that is neither standard library, installed, nor of this package."""
    roots: dict[Path, Path | None] = {}
    files = []
    for name, module in sorted(project_paths().items()):
        path = Path(name)
        if (content := read_content(path)) is None:
            continue
        if path.parent not in roots:
            roots[path.parent] = find_root(path.parent)
        root = roots[path.parent]
        files.append(ImportedFile(path, module, content.blob, content.sha256, content.mtime, root))
    return tuple(files)


def project_paths() -> dict[str, str]:
    """Map the real path of each imported project file to its module, without reading it."""
    outside = installed_places()
    found: dict[str, str] = {}
    for name, path in _module_files(name for name, m in _modules() if _SETTLED.get(name) is not m):
        # Most are installed, and following links costs more than the rest together.
        if path.startswith(outside):
            continue
        real = os.path.realpath(path)
        if real.startswith(outside) or not SITE_FOLDERS.isdisjoint(Path(real).parts):
            continue
        if EDITOR_FOLDERS.search(real):
            continue
        file = _existing(real)
        if file is not None:
            found[file] = min(name, found.get(file, name))
    return found


def settle() -> None:
    """Remember which modules are imported now and are no project's.

    Forks of this process then pass them over: to look at a thousand modules takes longer than the
    rest of a small trial, most of it to copy the memory they lie in.
    """
    outside = installed_places()
    for name, module in _modules():
        path = file_of(name)
        if path is None or path.startswith(outside):
            _SETTLED[name] = module


def imported_distributions(
    before: Collection[str] = (), named: Iterable[str] = ()
) -> dict[str, str]:
    """Return name and version of every distribution some imported module belongs to.

    Modules in `before` were loaded for the runner; they count only if their top-level name is
    in `named`, the names the project's own files import.
    """
    wanted = set(named)
    # Editable ones are told by the content of their files; this package runs experiments only.
    distributions = [
        one for one in installed() if one.editable_path is None and normalized(one.name) != OWN_NAME
    ]
    sites = dict.fromkeys(one.site for one in distributions)
    hidden = {name for name in before if name.partition(".")[0] not in wanted}
    files = _top_files(sites, _module_files(name for name, _ in _modules() if name not in hidden))
    return dict(sorted(_owners(files, distributions).items()))


def _modules() -> list[tuple[str, object]]:
    return list(sys.modules.items())


def _module_files(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        path = file_of(name)
        if path is not None and name not in ("__main__", "__mp_main__"):
            yield name, path


def file_of(name: str) -> str | None:
    """Read ``__file__`` without waking a lazy module, which would import it."""
    try:
        attributes = object.__getattribute__(sys.modules.get(name), "__dict__")
    except AttributeError:
        return None
    path = attributes.get("__file__")
    return path if isinstance(path, str) and path.startswith(os.sep) else None


def installed_places() -> tuple[str, ...]:
    """Return the folders whose code is told by name and version instead of content."""
    # `pip install --target`: a folder of the path in which distributions lie.
    targets = (
        os.path.abspath(place.path)  # noqa: PTH100
        for place in places()
        if any(one.folder.suffix == ".dist-info" for _, one in installed_in(place))
    )
    return _with_real_ones(frozenset(targets))


@lru_cache(maxsize=8)
def _with_real_ones(targets: frozenset[str]) -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {paths[kind] for kind in kinds} | {os.path.dirname(os.__file__), OWN_FOLDER}  # noqa: PTH120
    folders |= targets
    folders |= {os.path.realpath(folder) for folder in folders}
    return tuple(folder + os.sep for folder in folders)


def _existing(path: str) -> str | None:
    """Return the file itself, or the archive a module was imported from."""
    while path and path != os.sep:
        if os.path.isfile(path):  # noqa: PTH113
            return path
        path = os.path.dirname(path)  # noqa: PTH120
    return None


def _top_files(sites: Collection[str], loaded: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Map site folders to one file per package loaded from them, relative to the folder.

    One per package and not per module: ``google/protobuf`` and ``google/cloud`` share a top-level
    name but no file.
    """
    shortest: dict[tuple[str, str], str] = {}
    for name, path in loaded:
        site = next((s for s in sites if path.startswith(s + os.sep)), None)
        if site is None:
            continue
        relative = path[len(site) + 1 :].replace(os.sep, "/")
        top = name.partition(".")[0]
        if file_of(top) is None:
            top = ".".join(name.split(".")[:2])
        known = shortest.get((site, top))
        if known is None or len(relative) < len(known):
            shortest[site, top] = relative
    files: dict[str, list[str]] = {}
    for (site, _), relative in shortest.items():
        files.setdefault(site, []).append(relative)
    return files


def _owners(files: Mapping[str, list[str]], distributions: Iterable[Installed]) -> dict[str, str]:
    """Find the distributions whose RECORD lists the files; the namesake is asked first.

    A namesake without a RECORD, as some system packages are, is taken at its name.
    """
    found: dict[str, str] = {}
    for site, relatives in files.items():
        missing = set(relatives)
        here = {normalized(d.name): d for d in distributions if d.site == site}
        for relative in relatives:
            name = normalized(relative.partition("/")[0].partition(".")[0])
            if name in here and (_listed(here[name], {relative}) or not _has_list(here[name])):
                found[name] = here[name].revision
                missing.discard(relative)
        for name, distribution in here.items():
            if not missing:
                break
            if owned := _listed(distribution, missing):
                found[name] = distribution.revision
                missing -= owned
    return found


def _has_list(distribution: Installed) -> bool:
    return any((distribution.folder / record).is_file() for record in FILE_LISTS)


def _listed(distribution: Installed, names: set[str]) -> set[str]:
    for record in FILE_LISTS:
        try:
            content = b"\n" + (distribution.folder / record).read_bytes()
        except OSError:
            continue
        # Looked up as bytes: parsing the lists of two hundred distributions takes far longer.
        return {
            name
            for name in names
            if b"\n" + os.fsencode(name) + b"," in content
            or b"\n../" + os.fsencode(name) in content
        }
    return set()
