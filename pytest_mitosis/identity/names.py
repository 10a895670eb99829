"""Names of classes, functions and modules that survive a new release.

Private modules move between releases, so what is installed is named by its distribution and the
shortest public path that leads to it: ``scikit-learn:linear_model.Ridge``, ``pandas:DataFrame``.
The project's own is named by its full module, the standard library by its public module.
Must not know how values are described.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import warnings
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Final

_MISSING = object()
# Where releases have moved the home of public things, but not the place they are offered at.
_SHOP_WINDOWS: Final[dict[str, tuple[str, ...]]] = {
    "pandas": (
        "pandas",
        *(f"pandas.{part}" for part in ("arrays", "errors", "tseries.offsets")),
        *(f"pandas.api.{part}" for part in ("extensions", "types", "typing")),
    ),
    "genericpath": ("posixpath",),
}
_RENAMED: Final = {
    "numpy:bool_": "numpy:bool",
    "numpy:char.chararray": "numpy:chararray",
    "re:error": "re:PatternError",
}


def module_of(thing: object) -> str:
    """Return ``__module__`` of a class or function without running its code."""
    if isinstance(thing, type):
        module = type.__getattribute__(thing, "__module__")
    else:
        module = inspect.getattr_static(thing, "__module__", None)
        if not isinstance(module, str):
            module = getattr(thing, "__module__", None) if _is_function(thing) else None
    return module if isinstance(module, str) else ""


def _is_function(thing: object) -> bool:
    return inspect.isroutine(thing)


def qualname_of(thing: object) -> str:
    """Return ``__qualname__`` of a class or function."""
    if isinstance(thing, type):
        name = type.__getattribute__(thing, "__qualname__")
    else:
        name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", "")
    return name if isinstance(name, str) else ""


def is_importable(thing: object, module: str, qualname: str) -> bool:
    """Say whether ``module.qualname`` leads to exactly this object."""
    if not qualname:
        return False
    if module not in sys.modules:  # numpy.rec is an attribute of numpy before it is imported
        module, _, last = module.rpartition(".")
        qualname = f"{last}.{qualname}"
    return _reach(sys.modules.get(module), qualname) is thing


def _reach(module: ModuleType | None, qualname: str) -> object:
    found: object = module
    for part in qualname.split("."):
        if found is None:
            return _MISSING
        found = _static(found, part)
    return found


def _static(owner: object, name: str) -> object:
    if isinstance(owner, ModuleType):
        space = vars(owner)
        # Lazily loading packages (PEP 562) list their names; asking makes the answer independent
        # of what was used before.
        lazy = "__getattr__" in space or type(owner) is not ModuleType
        if name not in space and lazy and name in space.get("__all__", ()):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    return getattr(owner, name)
                except Exception:  # what it wants to load may not be installed
                    return _MISSING
        return space.get(name, _MISSING)
    if isinstance(owner, type):
        found = inspect.getattr_static(owner, name, _MISSING)
        return found.__func__ if isinstance(found, staticmethod) else found
    return _MISSING


def is_stdlib(module: str) -> bool:
    """Say whether a module belongs to Python itself; a project may have its own ``code``."""
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names and not (top in sys.modules and _shadows(top))


@lru_cache(maxsize=512)
def _shadows(top: str) -> bool:
    space = vars(sys.modules[top])
    places = [space.get("__file__"), *(space.get("__path__") or ())]
    place = next((Path(part) for part in places if isinstance(part, str)), None)
    if place is None:
        return False
    stdlib = Path(os.__file__).parent
    return stdlib not in place.parents or "site-packages" in place.parts


def is_installed(module: str) -> bool:
    """Say whether a module was installed, as opposed to the project's own or the stdlib's."""
    return not is_stdlib(module) and _home(module.partition(".")[0]) is not None


def is_project(module: str) -> bool:
    """Say whether a module is the project's own."""
    # The types of Cython's functions live in a module that no file has.
    if not module or module.startswith("_cython_"):
        return False
    return not is_stdlib(module) and not is_installed(module)


@lru_cache(maxsize=512)
def _home(top: str) -> Path | None:
    """Return the site-packages folder a top-level module lives in, or None."""
    module = sys.modules.get(top)
    if module is None:
        return None
    file = vars(module).get("__file__")
    places = [file] if isinstance(file, str) else list(vars(module).get("__path__") or ())
    for place in places:
        for folder in Path(str(place)).parents:
            if folder.name in ("site-packages", "dist-packages"):
                return folder
    return None


def _same(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@lru_cache(maxsize=512)
def distribution(top: str) -> tuple[str, str]:
    """Return name and version of the distribution a top-level module came with.

    Folder names are read, not metadata (0.7 ms instead of 0.3 s for 200 distributions); only a
    module named unlike its distribution needs the file lists.
    """
    home = _home(top)
    if home is None:
        return top, ""
    known: dict[str, tuple[str, str, Path]] = {}
    for folder in sorted(home.glob("*.dist-info")) + sorted(home.glob("*.egg-info")):
        name, _, rest = folder.name.rpartition(".")[0].partition("-")
        known.setdefault(_same(name), (_same(name), rest.partition("-")[0], folder))
    if _same(top) in known:
        return known[_same(top)][:2]
    owners = [row[:2] for row in known.values() if _holds(row[2], top)]
    return owners[0] if len(owners) == 1 else (top, "")


def _holds(folder: Path, top: str) -> bool:
    for name, pattern in (
        ("top_level.txt", rf"^{re.escape(top)}$"),
        ("RECORD", rf"^{re.escape(top)}(/|\.py,|\.[\w-]*\.?so,)"),
    ):
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if re.search(pattern, text, re.MULTILINE):
            return True
    return False


@lru_cache(maxsize=4096)
def _stable(module: str, qualname: str, place: str) -> str:
    parts = module.split(".")
    if is_project(module):
        return f"{module}:{qualname}"
    if is_stdlib(module):
        return f"{(place or parts[0]).lstrip('_')}:{qualname}"
    inner = place.split(".")[1:] if place else []
    return f"{distribution(parts[0])[0]}:{'.'.join([*inner, qualname])}"


def name_of(thing: object, module: str | None = None, qualname: str | None = None) -> str:
    """Return the stable name of a class or function."""
    module = module_of(thing) if module is None else module
    qualname = qualname_of(thing) if qualname is None else qualname
    if is_project(module):
        return f"{module}:{qualname}"
    name = _stable(module, qualname, _public_place(thing, module, qualname))
    return _RENAMED.get(name, name)


def _public_place(thing: object, module: str, qualname: str) -> str:
    """Return the shortest public module that offers the thing, else the public front of its own."""
    parts = module.split(".")
    for place in _SHOP_WINDOWS.get(parts[0], ()):
        if is_importable(thing, place, qualname):
            return place
    public = [parts[0]]
    for part in parts[1:]:
        if part.startswith("_"):
            break
        public.append(part)
    for end in range(1, len(public) + 1):
        place = ".".join(public[:end])
        if is_importable(thing, place, qualname):
            return place
    return ".".join(public)
