"""Turns: of all who want the same thing done, one at a time does it, on any machine.

The turns of a folder have numbers (``.iterations/1``, ``2`` …), each created exclusively and never
replaced. Who looked at all turns up to n, found nothing of use there and nobody at work, takes turn
n + 1; who finds that taken meanwhile looks again. So a dead owner is passed by, not cleaned up:
there is no moment at which two could both take its place. Must not know what is done in a turn.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import StoreError
from pytest_mitosis.store.files import create_json, read_json
from pytest_mitosis.store.owners import lives, this_process

if TYPE_CHECKING:
    from pathlib import Path

TURNS = ".iterations"


def turns(folder: Path) -> list[int]:
    """The numbers taken in ``folder``, the last first."""
    taken = {int(m[1]) for name in _names(folder) if (m := re.match(r"(\d+)-", name))}
    return sorted(taken | claimed_turns(folder), reverse=True)


def claimed_turns(folder: Path) -> set[int]:
    """The numbers that were claimed in ``folder``; a copied store has done ones without."""
    return {int(name) for name in _names(f"{folder}/{TURNS}") if name.isdecimal()}


def take_turn(folder: Path, number: int, owner: str, commit: str | None = None) -> bool:
    """Take turn ``number`` for this process; ``False`` if it is another's.

    ``commit`` tells the others which code is at work.
    """
    (folder / TURNS).mkdir(parents=True, exist_ok=True)
    record = {"id": owner, **this_process(), "commit": commit}
    return create_json(folder / TURNS / str(number), record)


def take_next_turn(folder: Path, owner: str) -> int:
    """Take the next free turn, whatever the others do."""
    number = max(turns(folder), default=0) + 1
    while not take_turn(folder, number, owner):
        number += 1
    return number


def give_back(folder: Path, number: int) -> None:
    """Free a turn in which nothing was done."""
    (folder / TURNS / str(number)).unlink(missing_ok=True)


def keep_alive(folder: Path, number: int) -> None:
    """A sign of life of a turn's owner, for those on other machines."""
    os.utime(folder / TURNS / str(number))


def is_held(folder: Path, number: int) -> bool:
    """Whether the owner of turn ``number`` gives signs of life."""
    return holder(folder, number) is not None


def holder(folder: Path, number: int) -> dict[str, Any] | None:
    """What the owner of turn ``number`` said of itself; None without signs of life."""
    file = folder / TURNS / str(number)
    try:
        record, age = read_json(file), time.time() - file.stat().st_mtime
    except (StoreError, OSError):
        return None
    return record if lives(record, age) else None


def _names(folder: Path | str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
