"""The walk over a value and back: containers, cycles, depth, and what has no safe form.

Tags live in the modules of their families. The walk itself knows only how deep it may go, whom it
is inside of, and what to do with a value nobody has a form for: a pickle of its own, or, if even
that refuses, an inert tag that says what was there.

JSON is nested no deeper than ``_DEPTH`` values: what lies below goes to numbered ``parts`` beside
the value, so that neither writing, reading nor any other program's JSON reader meets a tower.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import types
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pytest_mitosis.model import ResultError
from pytest_mitosis.store.codec import arrays, classes, frames, plain, sparse
from pytest_mitosis.store.codec.inert import Pickled, Unsaved
from pytest_mitosis.store.codec.names import inert_text, safe_text, type_name, without_addresses
from pytest_mitosis.store.codec.place import ROOT, Place
from pytest_mitosis.store.sidecars import open_verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    from pytest_mitosis.store.sidecars import SavedFile, Sink

Json: TypeAlias = Any  # what json.loads returns; every use checks what it needs
_DEPTH = 40


class PickledPart(NamedTuple):
    """A part of a result that exists only as a pickle."""

    path: str
    type: str
    file: str


class UnsavedPart(NamedTuple):
    """A part of a result that could not be saved, and why."""

    path: str
    type: str
    reason: str


class _Later(NamedTuple):
    """A value too deep for its place, with everything it is inside of."""

    number: int
    value: object
    place: Place
    above: dict[int, object]


class Encoder:
    """One walk over one value; ``document`` is the whole of it."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.pickled: list[PickledPart] = []
        self.unsaved: list[UnsavedPart] = []
        self._parts = 0
        self._later: list[_Later] = []
        # Containers the walk is inside of, by id. The objects are kept too: a temporary that was
        # freed would leave its id to another object.
        self._open: dict[int, object] = {}
        self._above: dict[int, object] = {}
        self._everything_above: dict[int, object] | None = None

    def document(self, value: object) -> dict[str, Json]:
        """Typed JSON of a value: ``value`` and, for what is nested deeper, ``parts``."""
        body = self.encode(value, ROOT)
        parts: dict[int, Json] = {}
        while self._later:
            later = self._later.pop()
            self._above = later.above
            parts[later.number] = self.encode(later.value, later.place)
        document = {"value": body}
        if parts:
            document["parts"] = [parts[number] for number in range(self._parts)]
        return document

    def encode(self, value: object, place: Place) -> Json:
        """Typed JSON of one value at its place."""
        leaf = plain.LEAVES.get(type(value))
        if leaf is not None:
            return leaf(value)
        key = id(value)
        if key in self._open or key in self._above:
            return self.leave_out(value, place, "it contains itself")
        if len(self._open) >= _DEPTH:
            return self._put_off(value, place)
        self._open[key], self._everything_above = value, None
        try:
            return self._encode_open(value, place)
        finally:
            del self._open[key]
            self._everything_above = None

    def _put_off(self, value: object, place: Place) -> Json:
        if self._everything_above is None:
            self._everything_above = {**self._above, **self._open}
        number = self._parts
        self._later.append(_Later(number, value, place, self._everything_above))
        self._parts += 1
        return {"$": "part", "number": number}

    def _encode_open(self, value: object, place: Place) -> Json:
        before = self._mark()
        try:
            handler = find_encoder(type(value))
            if handler is not None:
                return handler(self, value, place)
        except OSError:  # the disk's affair, and the caller's
            raise
        except Exception:  # noqa: S110  see below
            # Not only NoSafeForm: a subclass or a version of a library that behaves unlike what we
            # know must not cost the rest of a result that took hours. What follows is listed.
            pass
        self._return_to(before)
        return self._pickle(value, place)

    def _mark(self) -> tuple[int, int, int, int, int]:
        return (
            self.sink.count(),
            len(self.pickled),
            len(self.unsaved),
            len(self._later),
            self._parts,
        )

    def _return_to(self, mark: tuple[int, int, int, int, int]) -> None:
        self.sink.drop(mark[0])
        del self.pickled[mark[1] :], self.unsaved[mark[2] :], self._later[mark[3] :]
        self._parts = mark[4]

    def _pickle(self, value: object, place: Place) -> Json:
        try:
            data = pickle.dumps(value, protocol=5)
        except (Exception, SystemExit) as error:  # of the experiment's own, so it may do anything
            return self.leave_out(value, place, f"pickle refuses it: {_why(error)}")
        name = type_name(type(value))
        saved = self.sink.write(place.labels(), ".pickle", lambda file: file.write(data))
        self.pickled.append(PickledPart(str(place), name, saved.name))
        return {"$": "pickle", "path": str(place), "type": name, **in_file(saved)}

    def leave_out(self, value: object, place: Place, reason: str) -> Json:
        """Tag for a value that is not saved; it is listed in ``unsaved``."""
        name = type_name(type(value))
        self.unsaved.append(UnsavedPart(str(place), name, reason))
        return {"$": "unsaved", "type": name, "text": inert_text(value), "reason": reason}

    def to_file(
        self, place: Place, suffix: str, produce: Callable[[Any], object]
    ) -> dict[str, Json]:
        """Write a sidecar named after the place; its keys for the tag."""
        return in_file(self.sink.write(place.labels(), suffix, produce))


def in_file(saved: SavedFile) -> dict[str, Json]:
    """Return how a tag refers to a sidecar."""
    return {"file": saved.name, "sha256": saved.sha256}


def _why(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ""
    return safe_text(without_addresses(f"{type(error).__name__}: {text}"))


def find_encoder(cls: type) -> Callable[[Encoder, Any, Place], Json] | None:
    """Return the family's function for a type, exact types first; None if it has no safe form."""
    return (
        plain.ENCODERS.get(cls)
        or classes.find_encoder(cls)
        or arrays.find_encoder(cls)
        or frames.find_encoder(cls)
        or sparse.find_encoder(cls)
    )


class Decoder:
    """The way back from a document; opens only files of its own folder."""

    def __init__(self, folder: Path, *, trust: bool, classes: Iterable[type]) -> None:
        self._folder, self.trust = folder, trust
        self._classes = {type_name(cls): cls for cls in classes}
        self._parts: dict[int, object] = {}

    def document(self, document: dict[str, Json]) -> object:
        """Return the value of a document."""
        parts = document.get("parts", [])
        # A part refers only to later ones.
        for number in range(len(parts) - 1, -1, -1):
            self._parts[number] = self.decode(parts[number])
        return self.decode(document["value"])

    def decode(self, node: Json) -> Any:  # any type may have been recorded
        """Return the value of one node."""
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$" not in node:
            return {key: self.decode(item) for key, item in node.items()}
        tag = node["$"]
        decoder = _DECODERS.get(tag)
        if decoder is None:
            raise ResultError(f"the type {safe_text(tag)} is unknown here: update pytest-mitosis")
        return decoder(self, node)

    def open(self, node: dict[str, Json]) -> AbstractContextManager[IO[bytes]]:
        """Open the sidecar of a tag, verified."""
        return open_verified(self._folder, node["file"], node["sha256"])

    def part(self, number: int) -> object:
        """Return a part that was put off."""
        return self._parts.pop(number)

    def find_class(self, name: str) -> type | None:
        """Return a recorded class: one handed in, or imported already; imports only with trust."""
        if name in self._classes:
            return self._classes[name]
        module_name, _, qualname = name.rpartition(":")
        found: object = sys.modules.get(module_name)
        if found is None and self.trust and module_name:
            try:
                found = importlib.import_module(module_name)
            except Exception:  # any code may run; without the class the object is opaque
                return None
        for step in qualname.split("."):
            names = _names_in(found)
            if step not in names:
                return None
            found = names[step]
        return found if isinstance(found, type) else None


def _names_in(found: object) -> Mapping[str, object]:
    # Not getattr() and not vars(): a lazy module or a metaclass would run code of its own.
    if issubclass(type(found), types.ModuleType):
        module: dict[str, object] = vars(types.ModuleType)["__dict__"].__get__(found)
        return module
    if issubclass(type(found), type):
        members: Mapping[str, object] = vars(type)["__dict__"].__get__(found)
        return members
    return {}


def _decode_pickle(decoder: Decoder, node: dict[str, Json]) -> object:
    if not decoder.trust:
        return Pickled(node["path"], node["type"])
    with decoder.open(node) as file:
        try:
            return pickle.load(file)  # noqa: S301  asked for with trust=True, verified by open()
        except Exception as error:  # any code may have run; the rest of the result is not its fault
            return Pickled(node["path"], node["type"], _why(error))


_DECODERS: dict[str, Callable[[Decoder, dict[str, Json]], object]] = {
    **plain.DECODERS,
    **classes.DECODERS,
    **arrays.DECODERS,
    **frames.DECODERS,
    **sparse.DECODERS,
    "part": lambda decoder, node: decoder.part(node["number"]),
    "pickle": _decode_pickle,
    "unsaved": lambda _, node: Unsaved(node["type"], node["text"], node["reason"]),
}
