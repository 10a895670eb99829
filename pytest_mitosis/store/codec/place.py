"""Where in a value the walk is: readable paths for messages, labels for file names.

Places are linked to their parents and rendered only when asked: a path is needed for one value in
thousands, and a value may be ten thousand levels deep. Knows nothing about types or files.
"""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST_PATH = 400


class NoSafeForm(Exception):  # noqa: N818  a signal of the walk, never shown
    """The value cannot be written as typed JSON and arrays; what remains is pickle."""


@dataclass(frozen=True, slots=True)
class Place:
    """One step down into a value; ``ROOT`` is the value itself."""

    parent: Place | None
    text: str
    label: str

    def field(self, name: str) -> Place:
        """Place of a named part: ``.coef``, or ``["odd name"]``."""
        return Place(self, f".{name}" if name.isidentifier() else f'["{name[:80]}"]', name)

    def index(self, number: int) -> Place:
        """Place of the element at a position."""
        return Place(self, f"[{number}]", str(number))

    def item(self, key: object, number: int) -> Place:
        """Place of a dictionary's value; the key's own code never runs for this."""
        if type(key) is str:
            return self.field(key)
        if type(key) in (int, float, bool, type(None)) and not _is_long(key):
            return Place(self, f"[{key!r}]", str(key))
        return Place(self, f"[item {number}]", f"item-{number}")

    def labels(self) -> list[str]:
        """Labels from the value down to here, for naming a file."""
        found = []
        here: Place | None = self
        while here is not None and here.parent is not None:
            found.append(here.label)
            here = here.parent
        return found[::-1]

    def __str__(self) -> str:
        found = []
        here: Place | None = self
        while here is not None and here.parent is not None:
            found.append(here.text)
            here = here.parent
        path = "".join(reversed(found)) or "."
        path = path.encode("utf-8", "backslashreplace").decode()
        if len(path) <= _LONGEST_PATH:
            return path
        return f"{path[: _LONGEST_PATH // 2]}…{path[-_LONGEST_PATH // 2 :]}"


def _is_long(key: object) -> bool:
    # Digits of huge integers cannot be printed (sys.set_int_max_str_digits).
    return type(key) is int and key.bit_length() > 128


ROOT = Place(None, "", "")
