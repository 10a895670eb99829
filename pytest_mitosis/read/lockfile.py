"""The lock file a commit has, as requirements that pip takes: ``pylock.toml`` or ``uv.lock``.

Must not know what they are installed for. A lock file that cannot be read is told, and left out.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.editable import normalized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

PYLOCK = "pylock.toml"
UVLOCK = "uv.lock"
_LOCAL = re.compile(r"(-e |--editable )?(?:file://)?(\.{1,2}/\S*|\.)")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Locked:
    """The lines of a lock file, and its name."""

    file: str
    lines: tuple[str, ...]


def read_lockfile(
    project: Path, uv: str | None, call: Callable[[Sequence[str]], tuple[int, str]]
) -> Locked | str:
    """What the lock file of a project asks for; else why there is nothing, empty without a file.

    ``call`` runs a command and gives its exit code and what it printed.
    """
    if (project / PYLOCK).is_file():
        try:
            found = tomllib.loads((project / PYLOCK).read_text("utf-8"))
            return Locked(PYLOCK, tuple(_pylock(found.get("packages", ()), project)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{PYLOCK} of the commit cannot be read, so it is left out: {error}"
    if not (project / UVLOCK).is_file():
        return ""
    if uv is None:
        return f"{UVLOCK} of the commit is left out, since uv is not installed here"
    command = [uv, "export", "--frozen", "--quiet", "--no-hashes", "--no-emit-project"]
    failed, output = call([*command, "--all-extras", "--project", str(project)])
    if failed:
        return f"{UVLOCK} of the commit cannot be read, so it is left out: {output.strip()}"
    lines = (line.partition(" #")[0].strip() for line in output.splitlines())
    told = [_placed(line, project) for line in lines if line and not line.startswith("#")]
    return Locked(UVLOCK, tuple(told))


def replace(lines: Iterable[str], instead: Sequence[str]) -> list[str]:
    """Requirements, with those of the same name taken from ``instead``."""
    names = {name_of(one) for one in instead}
    return [*(line for line in lines if name_of(line) not in names), *instead]


def name_of(line: str) -> str:
    """The package a requirement asks for, as all its spellings are written; empty of a folder."""
    match = _NAME.match(line)
    return normalized(match[0]) if match else ""


def _pylock(packages: Iterable[dict[str, Any]], project: Path) -> Iterable[str]:
    """PEP 751: one line a package; the project itself is left out."""
    for one in packages:
        marker = f" ; {one['marker']}" if one.get("marker") else ""
        if "directory" in one:
            place = (project / one["directory"]["path"]).resolve()
            if place != project.resolve():
                yield f"{'-e ' if one['directory'].get('editable') else ''}{place}"
        elif "vcs" in one:
            where = one["vcs"].get("url") or (project / one["vcs"]["path"]).as_uri()
            commit = one["vcs"]["commit-id"]
            yield f"{one['name']} @ {one['vcs']['type']}+{where}@{commit}{marker}"
        elif "archive" in one:
            where = one["archive"].get("url") or (project / one["archive"]["path"]).as_uri()
            yield f"{one['name']} @ {where}{marker}"
        else:
            yield f"{one['name']}=={one['version']}{marker}"


def _placed(line: str, project: Path) -> str:
    """A local package by its place in the checkout."""
    match = _LOCAL.match(line)
    if match is None:
        return line
    return f"{match[1] or ''}{(project / match[2]).resolve()}{line[match.end() :]}"
