"""Writing and reading the store's JSON files so that no reader ever sees half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace ``path`` with ``data`` as JSON: written beside, synced, then renamed."""
    write_bytes(path, dump(data).encode("utf-8"))


def write_bytes(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Replace ``path`` with ``content`` in one step.

    Without ``sync`` a crash of the machine, not one of this process, may leave the file empty:
    for what is written again soon.
    """
    beside = _beside(path)
    _create(beside, content, sync=sync)
    try:
        os.replace(beside, path)  # noqa: PTH105  the atomic one, by its name
    except OSError:
        _remove(beside)
        raise


def create_json(path: Path, data: dict[str, Any]) -> bool:
    """Create ``path`` with ``data`` unless it exists; of two writers one gets ``True``.

    A hard link makes the complete file appear at once and fails if the name is taken, also on
    shared folders; where links are not to be had, exclusive creation does the same for the name.
    """
    beside, content = _beside(path), dump(data).encode("utf-8")
    _create(beside, content)
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}:
            raise
        return _create_exclusively(path, content)
    finally:
        _remove(beside)
    return True


def _create_exclusively(path: Path, content: bytes) -> bool:
    try:
        _create(path, content)
    except FileExistsError:
        return False
    return True


# Names are text here: a trial writes twenty files, and a Path takes as long as all the rest.


def _beside(path: Path) -> str:
    """The name of a file of its own in the same folder."""
    folder, name = os.path.split(path)
    return f"{folder or '.'}/.{name}.{secrets.token_hex(4)}"


def _create(path: Path | str, content: bytes, *, sync: bool = True) -> None:
    """Create a file that must not exist; what cannot be written whole is removed."""
    with open(path, "xb") as file:  # noqa: PTH123
        try:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        except OSError:
            _remove(path)
            raise


def _remove(path: Path | str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108


def exists(path: Path) -> bool:
    """As `Path.exists`, in a third of the time; for what is asked at each item of a session."""
    return os.path.exists(str(path))  # noqa: PTH110


def read_json(path: Path | str) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises
    ------
    StoreError
        If it cannot be read or is no JSON object.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  read once in one piece
            content = file.read()
        hook = _revive if b'"$float"' in content else None  # a hook makes it half as fast
        data = json.loads(content, object_hook=hook)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise StoreError(f"{path} is no valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise StoreError(f"{path} is no JSON object")
    return data


def dump(data: object) -> str:
    """Strict JSON; floats that JSON lacks become ``{"$float": "nan"}``."""
    return json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, str):
        return _valid(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if isinstance(value, dict):
        return {_valid(str(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _valid(text: str) -> str:
    """``text``; a lone surrogate (from a file name, say) is no valid UTF-8 and is spelled out."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _revive(data: dict[str, Any]) -> object:
    if data.keys() == {"$float"} and data["$float"] in ("nan", "inf", "-inf"):
        return float(data["$float"])
    return data


@contextlib.contextmanager
def store_errors(store: Path) -> Iterator[None]:
    """Turn what the operating system says of the trials folder into one sentence.

    Raises
    ------
    StoreError
        If the folder cannot be written: permissions, a full or a read-only disk.
    """
    try:
        yield
    except OSError as error:
        raise unwritable(store, error) from error


def unwritable(store: Path, error: OSError, more: str = "") -> StoreError:
    """What the operating system says of the trials folder, and ``more``, as one sentence."""
    reason = error.strerror or str(error)
    return StoreError(
        f"the trials folder {store} cannot be written: {reason} ({error.filename or store}); "
        f"free space or permissions, or give another with --trials-folder{more}"
    )
