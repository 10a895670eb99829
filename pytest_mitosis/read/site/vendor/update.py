"""Brings the libraries beside this file to their newest versions, from npm.

``python -m pytest_mitosis.read.site.vendor.update``; needs ``npm``. Users never run it.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
VERSIONS = HERE / "versions.json"


@dataclass(frozen=True, slots=True)
class Library:
    """A package of npm, and which of its files are kept."""

    name: str
    package: str
    files: tuple[str, ...]


LIBRARIES = (
    Library(
        "tabulator",
        "tabulator-tables",
        ("dist/js/tabulator.min.js", "dist/css/tabulator_simple.min.css"),
    ),
    Library("d3", "d3", ("dist/d3.min.js",)),
    Library("plot", "@observablehq/plot", ("dist/plot.umd.min.js",)),
    Library("diff", "diff", ("dist/diff.min.js",)),
)


def update(library: Library) -> str:
    """Replace the files of a library by those of its newest version; returns that version."""
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            ["npm", "pack", "--json", library.package],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        (told,) = json.loads(done.stdout)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as tar:
            for name in library.files:
                (HERE / Path(name).name).write_bytes(_without_map(_read(tar, name)))
            (HERE / f"LICENSE-{library.name}.txt").write_bytes(_read(tar, "LICENSE"))
        return str(told["version"])


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(f"package/{name}")
    assert file is not None
    return file.read()


def _without_map(content: bytes) -> bytes:
    """Drop the line that names a source map, which is not shipped."""
    lines = content.splitlines(keepends=True)
    return b"".join(line for line in lines if b"# sourceMappingURL=" not in line[:40])


def main() -> None:
    """Update all libraries and write down their versions."""
    versions = {one.package: update(one) for one in LIBRARIES}
    VERSIONS.write_text(json.dumps(versions, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
