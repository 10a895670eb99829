"""Results of experiments on disk: typed JSON for people, arrays and tables beside it, and back.

``save_result`` runs in the trial's own process, ``load_result`` in any reader's. Loading runs no
code from the record: classes are never imported and pickles never opened unless the reader says
``trust=True``. How each type is written is ``codec``'s affair, files are ``sidecars``'s.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.codec.inert import Opaque, Pickled, Unsaved
from pytest_mitosis.store.codec.layout import dump
from pytest_mitosis.store.codec.metrics import metrics_of
from pytest_mitosis.store.codec.names import safe_text
from pytest_mitosis.store.codec.walk import Decoder, Encoder, PickledPart, UnsavedPart
from pytest_mitosis.store.sidecars import (
    FolderSink,
    SavedFile,
    open_inside,
    write_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "Opaque",
    "Pickled",
    "PickledPart",
    "SavedFile",
    "SavedResult",
    "Unsaved",
    "UnsavedPart",
    "load_result",
    "metrics_of",
    "safe_text",
    "save_result",
]

SCHEMA = 1
_NAME = re.compile(r"[^\W][\w=,+ .-]*")
_LONGEST_NAME = 200  # bytes; file systems end at 255


@dataclass(frozen=True)
class SavedResult:
    """What saving a result left in the folder.

    Attributes
    ----------
    files : tuple of SavedFile
        Name, size in bytes and sha256 of each file; the JSON comes last.
    pickled : tuple of PickledPart
        Path in the value, type and file of what exists only as a pickle.
    unsaved : tuple of UnsavedPart
        Path in the value, type and reason of what could not be saved at all.
    """

    files: tuple[SavedFile, ...]
    pickled: tuple[PickledPart, ...] = ()
    unsaved: tuple[UnsavedPart, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every part was saved, be it as a pickle."""
        return not self.unsaved


def save_result(
    value: object, folder: Path, name: str, *, stem_files: str | None = None
) -> SavedResult:
    """Write ``folder/<name>.json`` and the sidecars it refers to.

    Parameters
    ----------
    value : object
        Anything; it is not changed, and none of its own methods runs except for pickling.
    folder : Path
        An existing folder.
    name : str
        Name of the result, such as its step's.
    stem_files : str, optional
        What the names of the sidecars begin with, ``name`` if not given. Two results in one folder
        need different ones.

    Raises
    ------
    OSError
        The folder cannot take the files; an earlier result of that name is still whole unless
        its sidecars were being replaced.
    """
    _check_name(name)
    sink = FolderSink(folder, stem_files or name)
    encoder = Encoder(sink)
    try:
        document = {"schema": SCHEMA, **encoder.document(value)}
        text = dump(document)
        saved = write_file(folder, f"{name}.json", lambda file: file.write(text), sync=True)
    except BaseException:
        sink.drop(0)
        raise
    files = (*sink.files, saved)
    return SavedResult(files, tuple(encoder.pickled), tuple(encoder.unsaved))


def load_result(
    folder: Path, name: str, *, trust: bool = False, classes: Iterable[type] = ()
) -> Any:  # whatever was saved
    """Return the value saved as ``folder/<name>.json``, of exactly the types it had.

    Parameters
    ----------
    trust : bool
        Open pickles and import the modules of recorded classes. Both run code: only for results
        of people you trust. Without it such parts are inert placeholders.
    classes : iterable of type
        Dataclasses, enums and named tuples to rebuild recorded objects with. Classes of modules
        that are imported already are found by themselves; others load as ``Opaque``.

    Raises
    ------
    ResultError
        A file is missing, was changed since it was saved, or is not a result.
    """
    _check_name(name)
    path = folder / f"{name}.json"
    document = _read_document(path)
    try:
        return Decoder(folder, trust=trust, classes=classes).document(document)
    except (ResultError, MemoryError):
        raise
    except Exception as error:  # whatever a library makes of content nobody wrote like that
        why = safe_text(f"{type(error).__name__}: {error}")
        raise ResultError(
            f"{path} does not load here ({why}): it was changed or damaged since it was saved, or "
            "needs the trial's environment; copy it again from where the trial was run"
        ) from error


def _read_document(path: Path) -> dict[str, Any]:
    with open_inside(path.parent, path.name) as file:
        data = file.read()
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is not the JSON of a result: {error}") from error
    if not isinstance(document, dict) or "value" not in document:
        raise ResultError(f"{path} is not a result: it has no value")
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise ResultError(f"{path} is not a result: it names no schema")
    if schema > SCHEMA:
        raise ResultError(
            f"{path} was written by a newer version (schema {schema}): update pytest-mitosis"
        )
    return document


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name.encode()) > _LONGEST_NAME:
        raise ResultError(f"{safe_text(name)!r} cannot name a result: letters, digits, -, _ and .")


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON value")
