"""What a trial ran in: Python, machine, linear algebra, packages, and variables that steer them.

Must not know trials, stores or code. Runs in the trial's own process, at its end: numpy is asked
about its BLAS only if the experiment loaded it. What leaves the process is JSON, and nothing in
it comes from the environment except by allow-list.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pytest_mitosis.identity.editable import installed, normalized, strip_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
ALLOWED = re.compile(
    r"(PYTHON|OMP_|MKL_|OPENBLAS_|NUMEXPR_|TORCH_|XLA_|JAX_|LC_).*"
    r"|CUDA_VISIBLE_DEVICES|CUBLAS_.*|LANG|TZ"
)
# The second net under the allow-list: a name or a value that looks like a secret is left out.
SECRET_NAME = re.compile(r"(?i)token|secret|passw|passphrase|pass$|credential|auth|key")
SECRET_VALUE = re.compile(
    r"gh[opsru]_\w{20}|github_pat_|glpat-|hf_\w{20}|sk-\w{16}|AKIA[0-9A-Z]{12}|xox[abp]-"
    r"|eyJ[\w-]{10,}\.|-----BEGIN "
)
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/]*@\S+")
SCHEDULER = re.compile(
    r"SLURM_(JOB_ID|JOB_NAME|JOB_PARTITION|JOB_NODELIST|JOB_NUM_NODES|ARRAY_JOB_ID|ARRAY_TASK_ID"
    r"|CPUS_PER_TASK|CPUS_ON_NODE|MEM_PER_NODE|MEM_PER_CPU|PROCID|RESTART_COUNT|CLUSTER_NAME)"
    r"|SLURMD_NODENAME|PBS_JOBID|PBS_ARRAY_INDEX|LSB_JOBID|LSB_JOBINDEX|SGE_TASK_ID|FLUX_JOB_ID"
)
# What PEP 440 allows and pip accepts after `==`.
VERSION = re.compile(
    r"(?i)v?(\d+!)?\d+(\.\d+)*([-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?\d*)?"
    r"(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?"
)


@dataclass(frozen=True)
class Origin:
    """Where a distribution came from if not from an index (PEP 610), without credentials.

    ``kind`` is vcs, archive, local (a copy of a folder) or editable; ``revision`` is the commit
    with its system, as in ``git 3f2a91c…``, or the hash of an archive.
    """

    kind: str
    url: str
    revision: str = ""
    subdirectory: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is a folder or file of this machine."""
        return self.url.startswith("file:")

    @property
    def path(self) -> str:
        """The folder of a local one."""
        return unquote(urlsplit(self.url).path)


@dataclass(frozen=True)
class Environment:
    """One environment as found; equal ones have equal digests and share a folder.

    ``python``, ``machine`` and ``blas`` are flat facts for people and comparison, whose names
    vary with the system; ``packages`` maps normalised names to versions, ``variables`` are those
    of the allow-list.
    """

    python: dict[str, str]
    machine: dict[str, str]
    packages: dict[str, str]
    origins: dict[str, Origin] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    blas: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; `from_json` reads it back."""
        origins = {name: vars(origin) for name, origin in self.origins.items()}
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"schema": SCHEMA, **facts, "origins": origins}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Environment:
        """Read back what `to_json` wrote; unknown keys of newer versions are passed over."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        known["origins"] = {
            name: Origin(**{key: origin[key] for key in Origin.__dataclass_fields__})
            for name, origin in data.get("origins", {}).items()
        }
        return cls(**known)

    @property
    def digest(self) -> str:
        """Sha256 over everything but where on this machine local installs lie."""
        data = self.to_json()
        data["origins"] = {
            name: {**origin, "url": ""} if origin["url"].startswith("file:") else origin
            for name, origin in data["origins"].items()
        }
        text = json.dumps(data, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def short_digest(self) -> str:
        """The sixteen characters that are shown and name the folder."""
        return self.digest[:16]


def collect_environment() -> Environment:
    """Look at this process; a few milliseconds, starts no other process, imports nothing heavy."""
    packages: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    for distribution in installed():
        name = normalized(distribution.name)
        packages[name] = distribution.version
        if (origin := _origin(distribution.origin)) is not None:
            origins[name] = origin
    return Environment(
        python=_python(),
        machine=_machine(),
        packages=dict(sorted(packages.items())),
        origins=dict(sorted(origins.items())),
        variables=_variables(),
        blas=_blas(),
    )


def scheduler_variables() -> dict[str, str]:
    """Return the ids a scheduler gave this process; they differ per trial, so no environment."""
    return {name: os.environ[name] for name in sorted(os.environ) if SCHEDULER.fullmatch(name)}


def requirements_text(environment: Environment) -> str:
    """Return a requirements file that ``pip install -r`` accepts.

    What pip could not fetch elsewhere, editable and local installs, stands in comments.
    """
    python, machine = environment.python, environment.machine
    lines = [
        f"# Python {python.get('version')} ({python.get('implementation')}), "
        f"{machine.get('system')} {machine.get('machine')}",
        f"# {len(environment.packages)} distributions, environment {environment.short_digest}",
    ]
    for name, version in environment.packages.items():
        lines.append(_requirement(name, version, environment.origins.get(name)))
    return "\n".join(lines) + "\n"


def _requirement(name: str, version: str, origin: Origin | None) -> str:
    if origin is None:
        if VERSION.fullmatch(version):
            return f"{name}=={version}"
        return f"# {name}: its version {_line(version)!r} is none that pip can ask for"
    if origin.kind == "editable":
        return f"# {name}=={version}: editable install of {_line(origin.path)}"
    # A repository on this machine is no address for anybody else, but its commit tells which.
    if origin.is_local:
        revision = f" at {origin.revision}" if origin.revision else ""
        return f"# {name}=={version}: installed from {_line(origin.path)}{revision}"
    fragment = f"subdirectory={origin.subdirectory}" if origin.subdirectory else ""
    if origin.kind == "vcs":
        system, _, commit = origin.revision.partition(" ")
        address = f"{system}+{origin.url}@{commit}"
    else:
        address = origin.url
        fragment = "&".join(filter(None, [origin.revision, fragment]))
    return f"{name} @ {address}" + (f"#{fragment}" if fragment else "")


def _line(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text


def _origin(record: Mapping[str, Any] | None) -> Origin | None:
    """Read a PEP 610 record; one that says nothing we know is no origin."""
    if record is None or not isinstance(url := record.get("url"), str):
        return None
    url = strip_credentials(url)
    subdirectory = str(record.get("subdirectory", ""))
    if isinstance(vcs := record.get("vcs_info"), dict):
        revision = f"{vcs.get('vcs', 'git')} {vcs.get('commit_id', '')}"
        return Origin("vcs", url, revision, subdirectory)
    if isinstance(archive := record.get("archive_info"), dict):
        hashes = archive.get("hashes") or {}
        digest = f"sha256={hashes['sha256']}" if "sha256" in hashes else archive.get("hash", "")
        return Origin("archive", url, str(digest), subdirectory)
    if isinstance(folder := record.get("dir_info"), dict):
        return Origin("editable" if folder.get("editable") else "local", url, "", subdirectory)
    return None


def _python() -> dict[str, str]:
    names = [name for name in dir(sys.flags) if not name.startswith(("_", "n_", "count", "index"))]
    flags = {name: getattr(sys.flags, name) for name in names}
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": " ".join(sys.version.split()),
        "abi": str(sys.implementation.cache_tag) + getattr(sys, "abiflags", ""),
        "flags": " ".join(f"{name}={int(value)}" for name, value in flags.items() if value),
        "gil": "on" if gil else "off",
    }


def _machine() -> dict[str, str]:
    name = platform.uname()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": name.system,
        "release": name.release,
        "machine": name.machine,
        "libc": _libc(),
        "cpu": _cpu_model(),
        "cpus": str(os.cpu_count()),
        "cpus_usable": str(usable),
    }


def _libc() -> str:
    # `platform.libc_ver` reads the whole interpreter to find out.
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return platform.mac_ver()[0] and f"macOS {platform.mac_ver()[0]}"


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
            # The first processor only: the kernel writes this file as it is read.
            for line in stream:
                label, _, value = line.partition(":")
                if label.strip() in ("model name", "Model", "cpu model"):
                    return value.strip()
                if not line.strip():
                    break
    except OSError:
        pass
    return platform.machine()


def _variables() -> dict[str, str]:
    return {
        name: ADDRESS.sub(lambda match: strip_credentials(match[0]), value)
        for name, value in sorted(os.environ.items())
        if ALLOWED.fullmatch(name)
        and not SECRET_NAME.search(name)
        and not SECRET_VALUE.search(value)
    }


def _blas() -> dict[str, str]:
    """Ask a loaded numpy which linear algebra it calls; without numpy there is none to ask."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return {}
    facts: dict[str, str] = {}
    try:
        config = numpy.show_config(mode="dicts")
        for part, known in config.get("Build Dependencies", {}).items():
            facts[part] = f"{known.get('name')} {known.get('version')}"
        facts["simd"] = " ".join(config.get("SIMD Extensions", {}).get("found", ()))
    except (AttributeError, TypeError):
        pass  # before numpy 1.26, or a numpy stood in for by a test
    return {**facts, **_thread_pools()}


def _thread_pools() -> dict[str, str]:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return {}
    keys = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    pools = sorted(
        " ".join(f"{key}={pool[key]}" for key in keys if pool.get(key) is not None)
        for pool in threadpool_info()
    )
    return {f"pool {number}": pool for number, pool in enumerate(pools)}
