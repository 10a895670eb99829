"""Figures that know their trials: ids in the metadata of the file and in a sidecar beside it.

The image itself is not touched: a PNG gets one text chunk, a PDF a comment, an SVG an element
``metadata``. Any file gets the sidecar ``NAME.trials.json``. Reading back opens nothing but
these.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from pytest_mitosis.model import SCHEMA, ResultError
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.read.search import find_trial
from pytest_mitosis.store.catalogue import Catalogue
from pytest_mitosis.store.files import write_bytes, write_json
from pytest_mitosis.store.folder import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_mitosis.model import Trial

KEY = "pytest-mitosis"
SIDECAR = ".trials.json"
_PNG = b"\x89PNG\r\n\x1a\n"
_SVG_BEGIN, _SVG_END = f'<metadata id="{KEY}">', "</metadata>"
_PDF_BEGIN, _PDF_END = b"%% pytest-mitosis ", b"\n"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a figure says of itself.

    Attributes
    ----------
    trials : tuple of str
        Ids of the trials behind it.
    record : dict
        All that was written: when, and of each trial the experiment, spec and commit.
    source : str
        ``figure`` if the file itself said it, else ``sidecar``.
    is_same : bool or None
        Whether the image is the one that was stamped; None if nothing tells.
    """

    trials: tuple[str, ...]
    record: dict[str, Any]
    source: str
    is_same: bool | None


def figure(path: str | Path, trials: Any, *, trials_folder: str | Path | None = None) -> Path:
    """Write into a figure which trials it was made of; call it after ``savefig``.

    Parameters
    ----------
    path : path
        An existing figure. PNG, PDF and SVG get the ids into their metadata, any file into
        ``<path>.trials.json`` beside it.
    trials : data frame, id or list of ids
        The trials that are shown: what :func:`load_trials` gave, or ids.
    trials_folder : path, optional
        The store; by default that of the project the working directory is in.

    Returns
    -------
    Path
        The path that was given.

    Raises
    ------
    StoreError
        If there is no such trial.
    ResultError
        If the figure is not there, or not what its name says.
    """
    file = Path(path)
    if not file.is_file():
        raise ResultError(f"{file} is not there; save the figure first, then name its trials")
    store = find_store(trials_folder)
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "figure": file.name,
        "stamped": now(),
        "trials": [_facts(one) for one in _chosen(store, _ids_of(trials))],
    }
    content = file.read_bytes()
    bare = _format_of(file, content).removed(content)
    record["sha256"] = hashlib.sha256(bare).hexdigest()
    text = json.dumps(record)  # ASCII
    write_bytes(file, _format_of(file, content).added(bare, text))
    write_json(file.with_name(file.name + SIDECAR), record)
    return file


def explain(path: str | Path) -> Explanation:
    """The trials a figure was made of, from the file itself, else from its sidecar.

    Raises
    ------
    ResultError
        If it does not say.
    """
    file = Path(path)
    sidecar = file.with_name(file.name + SIDECAR)
    if not file.is_file():
        raise ResultError(f"there is no file {file}")
    content = file.read_bytes()
    kind = _format_of(file, content)
    text, source = kind.found(content), "figure"
    if text is None and sidecar.is_file():
        text, source = sidecar.read_text("utf-8"), "sidecar"
    if text is None:
        raise ResultError(
            f"{file} does not say which trials it was made of; after saving a figure, call "
            "pytest_mitosis.figure(path, trials)"
        )
    try:
        record = json.loads(text)
        ids = tuple(str(one["id"]) for one in record["trials"])
    except (ValueError, KeyError, TypeError):
        raise ResultError(f"what {file} says of its trials is damaged ({source})") from None
    digest = hashlib.sha256(kind.removed(content)).hexdigest()
    same = digest == record["sha256"] if "sha256" in record else None
    return Explanation(ids, record, source, same)


def _ids_of(trials: Any) -> list[str]:
    index = getattr(trials, "index", None)
    if index is not None and not callable(index):
        return [str(one) for one in index]
    if isinstance(trials, str):
        return [trials]
    return [str(getattr(one, "id", one)) for one in trials]


def _chosen(store: Path, names: Iterable[str]) -> list[Trial]:
    wanted = list(dict.fromkeys(names))
    if not wanted:
        raise ResultError("a figure of no trials; give a data frame of trials, or ids")
    known = {trial.id: trial for trial in Catalogue(store, drafts=True).trials()}
    return [known[one] if one in known else find_trial(store, one) for one in wanted]


def _facts(trial: Trial) -> dict[str, Any]:
    m = trial.manifest
    names = ("experiment", "spec", "iteration", "commit", "status", "started")
    return {"id": trial.id, **{name: m.get(name) for name in names}}


# formats


@dataclass(frozen=True, slots=True)
class _Format:
    added: Callable[[bytes, str], bytes]
    found: Callable[[bytes], str | None]
    removed: Callable[[bytes], bytes]


def _format_of(file: Path, content: bytes) -> _Format:
    """The format of the content; a name that says another one is an error."""
    suffix = file.suffix.lower()
    kinds = {".png": content.startswith(_PNG), ".pdf": b"%PDF-" in content[:1024]}
    kinds[".svg"] = b"<svg" in content[:4096]
    if suffix not in kinds:
        return _Format(lambda content, _: content, lambda _: None, lambda content: content)
    if not kinds[suffix]:
        found = [name for name, fits in kinds.items() if fits]
        raise ResultError(f"{file} is no {suffix[1:].upper()}; {say_what_exists(suffix, found)}")
    return {
        ".png": _Format(_add_to_png, _find_in_png, _remove_from_png),
        ".pdf": _Format(_add_to_pdf, _find_in_pdf, _remove_from_pdf),
        ".svg": _Format(_add_to_svg, _find_in_svg, _remove_from_svg),
    }[suffix]


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], len(_PNG)
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        end = place + 12 + length
        found.append((content[place + 4 : place + 8], content[place:end]))
        place = end
    return found


def _is_ours(kind: bytes, chunk: bytes) -> bool:
    return kind == b"tEXt" and chunk[8:].startswith(KEY.encode() + b"\0")


def _add_to_png(content: bytes, text: str) -> bytes:
    body = b"tEXt" + KEY.encode() + b"\0" + text.encode("ascii")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    chunks = [one for _, one in _chunks(content)]
    return _PNG + b"".join([chunks[0], chunk, *chunks[1:]])


def _find_in_png(content: bytes) -> str | None:
    for kind, chunk in _chunks(content):
        if _is_ours(kind, chunk):
            return chunk[8 + len(KEY) + 1 : -4].decode("ascii", "replace")
    return None


def _remove_from_png(content: bytes) -> bytes:
    return _PNG + b"".join(one for kind, one in _chunks(content) if not _is_ours(kind, one))


def _add_to_pdf(content: bytes, text: str) -> bytes:
    """A comment before the last line: readers look for ``%%EOF`` in the last kilobyte only."""
    start = content.rfind(b"startxref")
    if start < 0:
        return content.rstrip() + b"\n" + _PDF_BEGIN + text.encode("ascii") + _PDF_END
    return content[:start] + _PDF_BEGIN + text.encode("ascii") + _PDF_END + content[start:]


def _find_in_pdf(content: bytes) -> str | None:
    start = content.rfind(_PDF_BEGIN)
    if start < 0:
        return None
    begin = start + len(_PDF_BEGIN)
    return content[begin : content.index(b"\n", begin)].decode("ascii", "replace")


def _remove_from_pdf(content: bytes) -> bytes:
    start = content.rfind(_PDF_BEGIN)
    if start < 0:
        return content
    return content[:start] + content[content.index(b"\n", start) + 1 :]


def _add_to_svg(content: bytes, text: str) -> bytes:
    element = f"{_SVG_BEGIN}{escape(text)}{_SVG_END}\n".encode("ascii")
    end = content.rfind(b"</svg>")
    if end < 0:
        raise ResultError("the SVG has no end; save it again")
    return content[:end] + element + content[end:]


def _find_in_svg(content: bytes) -> str | None:
    found = re.search(rb'<metadata id="pytest-mitosis">(.*?)</metadata>', content, re.DOTALL)
    if found is None:
        return None
    text = found[1].decode("utf-8", "replace")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _remove_from_svg(content: bytes) -> bytes:
    return re.sub(rb'<metadata id="pytest-mitosis">.*?</metadata>\n', b"", content, flags=re.DOTALL)
