"""The page of one trial: stands alone in the trial's folder, loads nothing from elsewhere.

It is made of what the folder holds and can be made anew at any time, so it is no artifact. Nothing
recorded runs in it: text is escaped, pictures are ``<img>``, the notebook is in a sandboxed frame,
and the page's policy allows one script only, ours, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pytest_mitosis.model import Status, StoreError, Trial
from pytest_mitosis.read.site.assets import asset, render, template
from pytest_mitosis.read.site.row import pictures_of, place_of
from pytest_mitosis.store.files import write_bytes
from pytest_mitosis.store.folder import PAGE, now, read_trial
from pytest_mitosis.table import format_metric, format_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# A browser takes some files for pages of their own and runs what is in them; the rest may be
# anything, and from a disk browsers guess what. So only these are links.
LINKED = frozenset(["txt", "log", "json", "csv", "png", "jpg", "jpeg", "gif", "webp", "pdf"])
TEMPLATE = "trial.html"
TAIL = 60_000
_FOLDER = re.compile(r"\d+-([0-9a-z]{8})")


def write_page(trial: Trial) -> Path:
    """Write ``trial.html`` into the trial's own folder."""
    home = "../" * (place_of(trial).count("/") + 1)
    write_bytes(trial.folder / PAGE, render_page(trial, "", home))
    return trial.folder / PAGE


def prepare_page() -> None:
    """Compile what pages are made of, so that the first one does not wait for it."""
    for name in (TEMPLATE, "index.html"):  # the browser's own is made at the session's end
        template(name)


def write_missing_pages(store: Path, site: Path, rows: Iterable[dict[str, Any]]) -> set[str]:
    """Write pages for trials that have none of their own: running, lost, made elsewhere."""
    names = set()
    for row in rows:
        match = _FOLDER.fullmatch(row["folder"].rpartition("/")[2])
        if row.pop("page") or match is None:
            row["page"] = f"{row['folder']}/{PAGE}"
            continue
        name = f"{match[1]}.html"
        file = site / "trials" / name
        row["page"] = f"{site.name}/trials/{name}"
        names.add(name)
        if row["status"] in {Status.RUNNING, Status.LOST} or not file.exists():
            _write_apart(store / row["folder"], file, f"../../{_quoted(row['folder'])}/")
    return names


def _write_apart(folder: Path, file: Path, base: str) -> None:
    try:
        content = render_page(read_trial(folder), base, "../../")
    except StoreError:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, content)


def render_page(trial: Trial, base: str, home: str) -> bytes:
    """The page; ``base`` leads from it to the trial's folder, ``home`` to the store."""
    m = trial.manifest
    script = asset("trial.js")
    artifacts = m.get("artifacts") or {}
    return render(
        TEMPLATE,
        m=m,
        id=trial.id,
        home=home,
        style=asset("base.css") + asset("trial.css"),
        script=script,
        policy=_policy(script),
        parameters=_parameters(m),
        metrics=[(n, _metric(v)) for n, v in (m.get("metrics") or {}).items()],
        facts=[(name, value) for name, value in _facts(m) if value],
        figures=[(name, base + _quoted(name)) for name in pictures_of(m)],
        notebook=base + "notebook.html" if "notebook.html" in artifacts else "",
        texts=[text for name in ("log.txt", "output.txt") if (text := _tail(trial, name, base))],
        artifacts=[_artifact(name, one, base) for name, one in artifacts.items()],
        is_unfinished=m["status"] in {Status.RUNNING, Status.LOST},
        written=now()[:19].replace("T", " "),
    )


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src 'self' file: data:; frame-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _parameters(m: dict[str, Any]) -> list[dict[str, Any]]:
    several = len(m.get("steps") or ()) > 1
    return [
        {
            "name": f"{p.get('step')}.{p.get('name')}" if several else p.get("name"),
            "kind": p.get("kind") if p.get("tracked", True) else f"{p.get('kind')}, untracked",
            "variant": p.get("variant"),
            "value": p.get("value"),
        }
        for p in m.get("parameters") or ()
    ]


def _facts(m: dict[str, Any]) -> list[tuple[str, str]]:
    branch = next((r.get("branch") for r in m.get("repositories") or ()), None)
    memory = m.get("peak_memory_bytes")
    return [
        ("commit", " ".join(filter(None, [m.get("commit"), f"on {branch}" if branch else ""]))),
        ("snapshot", m.get("snapshot") or ""),
        ("started", f"{str(m.get('started'))[:19].replace('T', ' ')} UTC"),
        ("took", _seconds(m.get("duration_s"))),
        ("processor time", _seconds(m.get("cpu_s"))),
        ("memory", f"{memory / 2**20:,.0f} MiB at most" if isinstance(memory, int) else ""),
        ("by", f"{m.get('user')} on {m.get('host')}"),
        ("environment", m.get("environment") or ""),
        ("pytest-mitosis", m.get("version") or ""),
        *((str(name), str(value)) for name, value in (m.get("scheduler") or {}).items()),
    ]


def _seconds(value: object) -> str:
    return format_seconds(value) if isinstance(value, int | float) else ""


def _metric(value: object) -> str:
    return str(format_metric(value)) if isinstance(value, float) else str(value)


def _tail(trial: Trial, name: str, base: str) -> dict[str, str] | None:
    """The end of a text file of the trial."""
    try:
        with (trial.folder / name).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            text = file.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return None
    cut = f"the last {TAIL // 1000} kB of {size // 1000} kB" if size > TAIL else ""
    return {"name": name, "href": base + name, "text": text, "cut": cut}


def _artifact(name: str, one: dict[str, Any], base: str) -> dict[str, str]:
    suffix = PurePosixPath(name).suffix.lower().removeprefix(".")
    return {
        "name": name,
        "href": base + _quoted(name) if suffix in LINKED or name == "notebook.html" else "",
        "bytes": f"{int(one.get('bytes') or 0):,}",
        "sha256": str(one.get("sha256") or ""),
    }


def _quoted(path: str) -> str:
    return quote(path, safe="/")
