"""Code identity: the code a trial depended on, and what of it is different now.

Kept per imported module: the skeleton and the bodies of the functions that ran; per imported
distribution: the version. A comment, a reformatting or a function never reached changes nothing.
Must not know trials, stores or git. `code_identity` runs in the trial's own process,
`compare_code` wherever recorded trials are looked at.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_mitosis.identity.contents import read_content
from pytest_mitosis.identity.editable import installed, normalized
from pytest_mitosis.identity.imported import (
    ImportedFile,
    imported_distributions,
    imported_files,
    installed_places,
)
from pytest_mitosis.identity.shadows import shadowing, vain_places

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_mitosis.identity.contents import FileContent
    from pytest_mitosis.identity.executed import CalledFunction, Recorder
    from pytest_mitosis.identity.skeleton import ModuleSyntax

SCHEMA = 1
PYTHON = "python"
NOT_RECORDED = "calls were not recorded"
OUTSIDE_FUNCTIONS = "code outside functions changed (imports, constants, classes or signatures)"


@dataclass(frozen=True)
class ModuleCode:
    """What a trial depended on in one imported file.

    ``place`` is relative to ``repository``; that is ``.`` for the project's own, else an absolute
    path, empty outside any. ``skeleton`` is empty for what is no Python source; ``bodies`` has the
    digests of the functions that count, by key.
    """

    module: str
    place: str
    repository: str
    blob: str
    sha256: str
    skeleton: str = ""
    bodies: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What must be equal; where the file lies and how it is written is not in it."""
        return self.module, self.skeleton or self.sha256, tuple(sorted(self.bodies.items()))

    def path(self, root: str) -> str:
        """Where the file is now, for a project at `root`."""
        # Text, because this is asked for each file of each recorded trial.
        return os.path.join(root, self.repository, self.place)  # noqa: PTH118


@dataclass(frozen=True)
class CodeIdentity:
    """The code of one trial.

    ``vain`` are the places where a new file would come first (see `vain_places`); ``whole`` says
    why all bodies count, and is empty if only those do that ran.
    """

    modules: tuple[ModuleCode, ...]
    distributions: dict[str, str]
    vain: tuple[str, ...] = ()
    whole: str = ""

    @property
    def digest(self) -> str:
        """Sha256; equal ones ran the same code, also in another checkout."""
        parts = [sorted(one.identity for one in self.modules), self.distributions]
        text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; `from_json` reads it back."""
        return {"schema": SCHEMA, **asdict(self), "modules": [asdict(one) for one in self.modules]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CodeIdentity:
        """Read back what `to_json` wrote; unknown keys of newer versions are passed over."""
        names = ModuleCode.__dataclass_fields__
        modules = tuple(
            ModuleCode(**{name: one[name] for name in names if name in one})
            for one in data["modules"]
        )
        vain, whole = tuple(data.get("vain", ())), data.get("whole", "")
        return cls(modules, dict(data["distributions"]), vain, whole)


@dataclass(frozen=True)
class Reach:
    """What a part of a process's life may depend on.

    ``files`` are the project files it had imported, by real path; ``called`` the functions that
    ran in it. Others that were imported meanwhile count if one of theirs ran, or is imported by
    a function that ran.
    """

    files: frozenset[str]
    called: frozenset[CalledFunction]


def code_identity(
    root: Path,
    recorder: Recorder | None = None,
    reach: Reach | None = None,
    files: Sequence[ImportedFile] | None = None,
) -> CodeIdentity:
    """Look at what this process has imported and run; `root` is the project's repository.

    Without a recorder, or where it could not see everything, all bodies of the imported modules
    count. With `reach` only what that part of the process's life may depend on counts. `files` are
    those this process has imported, if they were read already.
    """
    gaps = recorder.gaps if recorder is not None else (NOT_RECORDED,)
    files = imported_files() if files is None else files
    called = None
    if recorder is not None and not gaps:
        ran = recorder.called if reach is None else reach.called
        called = _by_file(ran, {file.path.name for file in files})
    top = os.path.realpath(root)
    entries = [_entry(file, called) for file in files]
    if reach is not None and called is not None:
        entries = _reached(entries, reach.files)
    modules = [_module(one.file, top, one.syntax, one.keys) for one in entries]
    named = {one.file.module.partition(".")[0] for one in entries}.union(
        *(one.imports for one in entries)
    )
    before = recorder.loaded_before if recorder is not None else frozenset()
    versions = {PYTHON: platform.python_version(), **imported_distributions(before, named)}
    vain = vain_places(top, named, [str(file.path) for file in files])
    return CodeIdentity(tuple(modules), versions, vain, "; ".join(gaps))


def merge_code(codes: Iterable[CodeIdentity]) -> CodeIdentity:
    """Join the code of parts of one trial, the last part being the one that looked last."""
    modules: dict[tuple[str, str], ModuleCode] = {}
    versions: dict[str, str] = {}
    vain: dict[str, None] = {}
    whole: dict[str, None] = {}
    for code in codes:
        for one in code.modules:
            known = modules.get((one.repository, one.place))
            bodies = {**known.bodies, **one.bodies} if known is not None else one.bodies
            modules[one.repository, one.place] = replace(one, bodies=bodies)
        versions |= code.distributions
        vain |= dict.fromkeys(code.vain)
        whole |= dict.fromkeys([code.whole] if code.whole else [])
    # A place where an earlier part looked in vain may be where a later one found something.
    places = {one.place.removesuffix(".py") for one in modules.values()}
    return CodeIdentity(
        tuple(modules.values()),
        dict(sorted(versions.items())),
        tuple(place for place in vain if place not in places),
        "; ".join(whole),
    )


def compare_code(
    recorded: CodeIdentity, root: Path, versions: Mapping[str, str] | None = None
) -> list[str]:
    """Say what is different now from what a trial ran; empty means same-code.

    `root` is the project's repository; `versions` are those now installed, by default here.
    """
    found: list[str] = []
    top = str(root)
    for module in recorded.modules:
        content = read_content(module.path(top))
        # The common case needs no parsing; blob and sha256 alone must not make a difference.
        if content is None or content.sha256 != module.sha256:
            found += [f"{module.place}: {reason}" for reason in _differences(module, content)]
    found += [f"{place}: is new and would be imported" for place in shadowing(top, recorded.vain)]
    now = installed_versions() if versions is None else versions
    for name, version in recorded.distributions.items():
        if name not in now:
            found.append(f"{name} {version} is not installed any more")
        elif now[name] != version:
            found.append(f"{name} {version} -> {now[name]}")
    return found


def installed_versions() -> Mapping[str, str]:
    """Return the distributions importable in this process, and Python's version."""
    versions = {normalized(one.name): one.revision for one in installed()}
    return {**versions, PYTHON: platform.python_version()}


@dataclass(frozen=True)
class _Entry:
    """An imported file, its functions that count, and the names those and itself import."""

    file: ImportedFile
    syntax: ModuleSyntax | None
    keys: tuple[str, ...]
    has_run: bool

    @property
    def imports_of_bodies(self) -> frozenset[str]:
        if self.syntax is None:
            return frozenset()
        bodies = [self.syntax.functions[key] for key in self.keys]
        own = {self.file.module.partition(".")[0]}
        siblings = own if any(body.imports_siblings for body in bodies) else ()
        return frozenset(siblings).union(*(body.imports for body in bodies))

    @property
    def imports(self) -> frozenset[str]:
        own = self.syntax.imports if self.syntax is not None else ()
        return self.imports_of_bodies.union(own)


def _entry(file: ImportedFile, called: Mapping[str, set[CalledFunction]] | None) -> _Entry:
    content = read_content(file.path)
    syntax = content.syntax if content is not None else None
    calls = None if called is None else called.get(str(file.path), set())
    return _Entry(file, syntax, tuple(_counting(syntax, calls)), bool(calls))


def _reached(entries: Sequence[_Entry], files: Collection[str]) -> list[_Entry]:
    """Those of `files`, those of which something ran, and what functions of either import."""
    reached = [one for one in entries if str(one.file.path) in files or one.has_run]
    while True:
        named = frozenset().union(*(one.imports_of_bodies for one in reached))
        more = [
            one
            for one in entries
            if one not in reached and one.file.module.partition(".")[0] in named
        ]
        if not more:
            return [one for one in entries if one in reached]
        reached += more


def _by_file(
    called: Iterable[CalledFunction], names: Collection[str]
) -> dict[str, set[CalledFunction]]:
    """Group calls by real path; a compiled file may carry a name through a link.

    Most calls are of installed files: those go unless they are called as one of the project's
    `names` is, as following links costs more than the rest.
    """
    reals: dict[str, str] = {}
    grouped: dict[str, set[CalledFunction]] = {}
    outside = installed_places()
    for call in called:
        if not call.file.startswith(os.sep):
            continue  # generated, or frozen: no file
        if call.file.startswith(outside) and os.path.basename(call.file) not in names:  # noqa: PTH119
            continue
        if (real := reals.get(call.file)) is None:
            real = reals[call.file] = os.path.realpath(call.file)
        grouped.setdefault(real, set()).add(call)
    return grouped


def _counting(syntax: ModuleSyntax | None, calls: Iterable[CalledFunction] | None) -> list[str]:
    """Return the functions that ran or may have, in source order; without `calls` all."""
    if syntax is None:
        return []
    if calls is None:
        return list(syntax.functions)
    ran = {key for call in calls for key in syntax.covering(call.qualname, call.line)}
    return [key for key, one in syntax.functions.items() if key in ran or one.is_opaque]


def _module(
    file: ImportedFile, root: str, syntax: ModuleSyntax | None, keys: Iterable[str]
) -> ModuleCode:
    own = file.root is not None and os.path.realpath(file.root) == root
    repository = "." if own else str(file.root or "")
    known = (file.module, file.place, repository, file.blob, file.sha256)
    if syntax is None:
        return ModuleCode(*known)
    bodies = {key: syntax.functions[key].body_digest for key in keys}
    return ModuleCode(*known, syntax.skeleton, bodies)


def _differences(module: ModuleCode, content: FileContent | None) -> list[str]:
    if content is None:
        return ["is gone"]
    if not module.skeleton:
        return ["changed"]
    if (syntax := content.syntax) is None:
        return ["does not parse any more"]
    found = [] if syntax.skeleton == module.skeleton else [OUTSIDE_FUNCTIONS]
    for key, digest in module.bodies.items():
        function = syntax.functions.get(key)
        if function is None:
            found.append(f"{key} is gone")
        elif function.body_digest != digest:
            found.append(f"{key} changed")
    return found
