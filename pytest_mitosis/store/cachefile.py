"""A reader's own cache file: one SQLite file per user, machine and store, deletable at any time.

Never in the store and never shared between machines. Whatever is wrong with it (locked, full,
corrupt, of another version) costs time, not correctness: a reader then does without. Must not know
what is kept in it beyond folders and packed values.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import secrets
import socket
import sqlite3
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")
SECONDS_FOR_A_LOCK = 1.0
FORMAT = 2
_TABLES = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS listings (place TEXT PRIMARY KEY, value BLOB);
CREATE TABLE IF NOT EXISTS manifests (folder TEXT PRIMARY KEY, value BLOB);
CREATE TABLE IF NOT EXISTS pieces
    (maker TEXT, folder TEXT, value BLOB, PRIMARY KEY (maker, folder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wholes (maker TEXT PRIMARY KEY, token TEXT, value BLOB);
"""
_NOT_THE_FILES_FAULT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reader found other than in the cache: whole listings, and manifests by folder."""

    listings: Mapping[str, object]
    gone_listings: Iterable[str]
    manifests: Mapping[str, object]
    gone_manifests: Iterable[str]


def pack(value: object) -> bytes:
    """Builtins as bytes that tell whether they are whole; :mod:`marshal` trusts its input."""
    content = marshal.dumps(value)  # type: ignore[arg-type]
    return zlib.crc32(content).to_bytes(4, "big") + content


def unpack(packed: object) -> Any:  # Any: what was packed
    """What was packed.

    Raises
    ------
    ValueError
        If the bytes are damaged.
    """
    if not isinstance(packed, bytes) or zlib.crc32(packed[4:]).to_bytes(4, "big") != packed[:4]:
        raise ValueError("damaged")
    return marshal.loads(packed[4:])  # noqa: S302  whole, and written by this user


def cache_folder() -> Path:
    """Where this user's programs keep what can be made again."""
    import platformdirs

    return platformdirs.user_cache_path("pytest-mitosis")


def cache_path(store: Path) -> Path:
    """The cache file of ``store`` for this user, machine and interpreter."""
    from pytest_mitosis import __version__

    what = [str(store.absolute()), socket.gethostname(), __version__]
    kind = [str(FORMAT), sys.implementation.cache_tag or "", str(marshal.version)]
    name = hashlib.sha256("\0".join(what + kind).encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder() / "readers" / f"{name[:32]}.sqlite"


class CacheFile:
    """The cache of one store; every method is harmless if the file is not to be had."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def load_listings(self) -> tuple[str, dict[str, Any]]:
        """The generation and all listings, of one moment."""

        def load(db: sqlite3.Connection) -> tuple[str, dict[str, Any]]:
            with _transaction(db, "BEGIN"):
                generation = _generation(db)
                rows = db.execute("SELECT place, value FROM listings").fetchall()
            return generation, {place: unpack(value) for place, value in rows}

        nothing: tuple[str, dict[str, Any]] = ("", {})
        return self._guarded(load, nothing)

    def load_manifests(self, folders: Sequence[str] | None) -> dict[str, bytes]:
        """The manifests of some folders, or of all, still packed."""
        if folders is not None and not folders:
            return {}

        def load(db: sqlite3.Connection) -> dict[str, bytes]:
            if folders is None:
                return dict(db.execute("SELECT folder, value FROM manifests").fetchall())
            places = ", ".join("?" * len(folders))
            query = f"SELECT folder, value FROM manifests WHERE folder IN ({places})"  # noqa: S608
            return dict(db.execute(query, folders).fetchall())

        return self._guarded(load, {})

    def load_pieces(self, maker: str) -> dict[str, bytes]:
        """What ``maker`` made of trials, by folder, still packed."""
        query = "SELECT folder, value FROM pieces WHERE maker = ?"
        return self._guarded(lambda db: dict(db.execute(query, (maker,)).fetchall()), {})

    def load_whole(self, maker: str, token: str) -> bytes | None:
        """What ``maker`` made of the store as it was at ``token``, still packed."""
        query = "SELECT value FROM wholes WHERE maker = ? AND token = ?"
        found = self._guarded(lambda db: db.execute(query, (maker, token)).fetchone(), None)
        return found[0] if found else None

    def save(self, seen: str, changes: Changes) -> str:
        """Write what changed; the generation from now on.

        Nothing is written, and the generation is none, if another reader wrote since ``seen``: half
        of the file would be of its view of the store, half of this one's.
        """

        def write(db: sqlite3.Connection) -> str:
            with _transaction(db):
                if _generation(db) != seen:
                    return ""
                _write_changes(db, changes)
                # Listings that were only looked at again leave what was made of the trials valid.
                same = seen and not (changes.manifests or any(changes.gone_manifests))
                generation = seen if same else secrets.token_hex(8)
                db.execute("REPLACE INTO state VALUES ('generation', ?)", (generation,))
            return generation

        return self._guarded(write, "")

    def save_pieces(self, maker: str, seen: str, pieces: Mapping[str, object]) -> None:
        """Keep what ``maker`` made of trials, while the store is as ``seen``."""
        rows = [(maker, folder, pack(value)) for folder, value in pieces.items()]
        self._save_made("pieces", maker, seen, rows)

    def save_whole(self, maker: str, seen: str, token: str, value: object) -> None:
        """Keep what ``maker`` made of the store at ``token``."""
        self._save_made("wholes", maker, seen, [(maker, token, pack(value))])

    def _save_made(
        self, table: str, maker: str, seen: str, rows: list[tuple[str, str, bytes]]
    ) -> None:
        older = maker.rpartition("@")[0] + "@"

        def write(db: sqlite3.Connection) -> None:
            with _transaction(db):
                if not seen or _generation(db) != seen:
                    return
                # What an earlier version of the maker made is of no use any more.
                rest = "WHERE maker >= ? AND maker < ? AND maker <> ?"
                db.execute(f"DELETE FROM {table} {rest}", (older, f"{older}~", maker))  # noqa: S608
                db.executemany(f"REPLACE INTO {table} VALUES (?, ?, ?)", rows)  # noqa: S608

        self._guarded(write, None)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _guarded(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        try:
            return action(self._open())
        except (OSError, sqlite3.ProgrammingError):
            return otherwise
        except ValueError:
            self._drop()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is None or code & 0xFF not in _NOT_THE_FILES_FAULT:
                self._drop()
        return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._path.exists() and self._path.stat().st_uid != os.getuid():
                raise PermissionError(f"{self._path} is another user's")
            self._connection = sqlite3.connect(
                self._path, timeout=SECONDS_FOR_A_LOCK, isolation_level=None
            )
            self._connection.executescript(_TABLES)
        return self._connection

    def _drop(self) -> None:
        """Begin anew the next time."""
        with contextlib.suppress(sqlite3.Error):
            self.close()
        self._connection = None
        for suffix in ("", "-journal"):
            with contextlib.suppress(OSError):
                Path(f"{self._path}{suffix}").unlink()


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    db.execute(begin)
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _generation(db: sqlite3.Connection) -> str:
    """Changes whenever the trials do; empty of a new file."""
    found = db.execute("SELECT value FROM state WHERE name = 'generation'").fetchone()
    return str(found[0]) if found else ""


def _write_changes(db: sqlite3.Connection, changes: Changes) -> None:
    gone = [(folder,) for folder in changes.gone_manifests]
    stale = [*gone, *((folder,) for folder in changes.manifests)]
    listings = [(place, pack(value)) for place, value in changes.listings.items()]
    manifests = [(folder, pack(value)) for folder, value in changes.manifests.items()]
    db.executemany("REPLACE INTO listings VALUES (?, ?)", listings)
    db.executemany("DELETE FROM listings WHERE place = ?", [(p,) for p in changes.gone_listings])
    db.executemany("REPLACE INTO manifests VALUES (?, ?)", manifests)
    db.executemany("DELETE FROM manifests WHERE folder = ?", gone)
    makers = [row[0] for row in db.execute("SELECT DISTINCT maker FROM pieces").fetchall()]
    for maker in makers:
        rows = [(maker, *one) for one in stale]
        db.executemany("DELETE FROM pieces WHERE maker = ? AND folder = ?", rows)
