"""Data as JavaScript files: what ``<script src>`` loads where a page may not fetch anything."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from pytest_mitosis.store.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path


def statement(function: str, *arguments: object) -> bytes:
    """A call of ``mitosis.function`` with plain data, safe wherever a script may stand.

    Plain ASCII without ``<``, so that neither ``</script>`` nor a line separator ends it; NaN and
    infinities are JavaScript's own. Names of people are never keys, only texts: ``__proto__``
    is a text like any other.
    """
    texts = (json.dumps(one, separators=(",", ":")).replace("<", "\\u003c") for one in arguments)
    return f"mitosis.{function}({','.join(texts)});\n".encode("ascii")


def digest_of(value: object) -> str:
    """A short name for a value of builtins, the same for the same value."""
    text = json.dumps(value, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def write_once(path: Path, function: str, *arguments: object) -> None:
    """Write a data file whose name says what is in it, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, statement(function, *arguments))
