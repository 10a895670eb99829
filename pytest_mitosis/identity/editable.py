"""Where installed distributions came from, read from the folders that pip leaves behind.

Must not know repositories beyond finding their root. Used in any process; ``importlib.metadata``
would take a hundred times as long.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from pytest_mitosis.identity.location import find_root

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class Installed:
    """One installed distribution: name as written, version, and its PEP 610 record if any."""

    name: str
    version: str
    folder: Path
    origin: dict[str, Any] | None = None

    @cached_property
    def site(self) -> str:
        """The folder it is installed in."""
        return os.path.dirname(self.folder) or "."  # noqa: PTH120  asked of each in every trial

    @property
    def editable_path(self) -> Path | None:
        """The source folder of an editable install (PEP 610 ``dir_info.editable``)."""
        origin = self.origin or {}
        if not origin.get("dir_info", {}).get("editable"):
            return None
        parts = urlsplit(str(origin.get("url", "")))
        return Path(unquote(parts.path)) if parts.scheme == "file" else None

    @property
    def revision(self) -> str:
        """The version, and what else tells its content if it came from no index.

        A commit for a version-controlled origin; for a copy of a local folder, whose version
        rarely moves, a digest of the list of its files.
        """
        origin = self.origin or {}
        if isinstance(vcs := origin.get("vcs_info"), dict):
            return f"{self.version} at {str(vcs.get('commit_id'))[:12]}"
        if self.editable_path is None and str(origin.get("url", "")).startswith("file:"):
            try:
                record = (self.folder / "RECORD").read_bytes()
            except OSError:
                return self.version
            return f"{self.version} with files {hashlib.sha256(record).hexdigest()[:12]}"
        return self.version


class Place(NamedTuple):
    """A folder of the import path as it is now; what is installed in equal ones is the same."""

    path: str
    mtime_ns: int
    inode: int
    device: int


def installed(search: Sequence[str] | None = None) -> tuple[Installed, ...]:
    """Return every distribution on `search` (else ``sys.path``), of each name the first.

    A project's own ``.egg-info`` in the current folder gives way to the record of its install.
    """
    found: dict[str, Installed] = {}
    for place in places(search):
        for key, one in installed_in(place):
            if key not in found or (one.origin and found[key].folder.suffix == ".egg-info"):
                found[key] = one
    return tuple(found.values())


def places(search: Sequence[str] | None = None) -> tuple[Place, ...]:
    """Look at the folders of `search`, else of ``sys.path``."""
    found = []
    for path in dict.fromkeys(sys.path if search is None else search):
        try:
            stat = os.stat(path or ".")  # noqa: PTH116  asked for several times in each trial
        except OSError:
            continue
        found.append(Place(path, stat.st_mtime_ns, stat.st_ino, stat.st_dev))
    return tuple(found)


def installed_in(place: Place) -> tuple[tuple[str, Installed], ...]:
    """Return the distributions of a folder by normalised name; read again after an install.

    A folder that changed this moment may change again without another time of change, so what is
    found there is not remembered.
    """
    is_settled = time.time_ns() - place.mtime_ns > SETTLED_NS
    return _remembered(place) if is_settled else _read(place)


def _read(place: Place) -> tuple[tuple[str, Installed], ...]:
    folder = place.path or "."
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ()
    found = [one for name in names if (one := _from_folder(folder, name)) is not None]
    return tuple((normalized(one.name), one) for one in found)


_remembered = lru_cache(maxsize=256)(_read)


def _from_folder(place: str, entry: str) -> Installed | None:
    stem, dot, kind = entry.rpartition(".")
    # A name with `~` in front is what pip left of an interrupted upgrade.
    if not dot or kind not in ("dist-info", "egg-info", "egg-link") or not stem[:1].isalnum():
        return None
    name, _, version = stem.partition("-")
    folder = Path(place, entry)
    if kind == "egg-link":
        # `setup.py develop`, before PEP 660; its first line is the source folder.
        source = _first_line(folder)
        origin = {"url": Path(source).as_uri(), "dir_info": {"editable": True}}
        return Installed(name, version, folder, origin) if source.startswith("/") else None
    if kind == "egg-info" or not version:
        version = (version or _metadata_version(folder)).partition("-py")[0]
        return Installed(name, version, folder)
    return Installed(name, version, folder, _direct_url(os.path.join(place, entry)))  # noqa: PTH118


def _direct_url(folder: str) -> dict[str, Any] | None:
    try:
        with open(folder + "/direct_url.json", "rb") as stream:  # noqa: PTH123  hundreds of them
            record = json.load(stream)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""


def _metadata_version(folder: Path) -> str:
    for name in ("METADATA", "PKG-INFO"):
        try:
            text = (folder / name if folder.is_dir() else folder).read_text("utf-8", "replace")
        except OSError:
            continue
        for line in text.partition("\n\n")[0].splitlines():
            if line.startswith("Version:"):
                return line.partition(":")[2].strip()
    return ""


def normalized(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    text = name.lower().replace("_", "-").replace(".", "-")
    while "--" in text:
        text = text.replace("--", "-")
    return text


def editable_repositories(besides: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return the roots of other repositories whose code runs through editable installs.

    Left out are those in `besides` (the project itself) and the repository of this package: it
    runs experiments, it is no part of them.
    """
    known = {os.path.realpath(path) for path in besides}
    if (own := find_root(Path(__file__))) is not None:
        known.add(os.path.realpath(own))
    roots: list[Path] = []
    for distribution in installed():
        source = distribution.editable_path
        root = find_root(source) if source is not None else None
        if root is not None and os.path.realpath(root) not in known:
            known.add(os.path.realpath(root))
            roots.append(root)
    return tuple(roots)


def strip_credentials(url: str) -> str:
    """Return an address without user, password or query: those hold tokens.

    The user of an ssh address stays (``git@host``): without it nobody can fetch, and it opens
    nothing. ``${TOKEN}`` placeholders of PEP 610 go as well.
    """
    if "://" not in url:
        return url
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    user = userinfo.partition(":")[0]
    keeps_user = at and user and parts.scheme.endswith("ssh")
    return urlunsplit((parts.scheme, f"{user}@{host}" if keeps_user else host, parts.path, "", ""))
