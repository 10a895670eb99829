"""The catalogue of a store: all its trials, read again only where something changed on disk.

Whatever it says was compared with the disk at that moment: folders and ``trial.json`` files are
asked for their time, size and inode, and only those that are as they were come from the reader's
cache (:mod:`pytest_mitosis.store.cachefile`). What was changed within the last seconds is read in
any case, as clocks of file systems tick slowly. Whether a running trial is ``lost`` is looked at
every time.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_mitosis.model import Status, StoreError, Trial
from pytest_mitosis.store.aliases import read_aliases
from pytest_mitosis.store.cachefile import CacheFile, Changes, cache_path, unpack
from pytest_mitosis.store.folder import (
    DRAFTS,
    MANIFEST,
    RESERVED,
    as_of_now,
    is_trial_name,
    read_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

T = TypeVar("T")
Signature = tuple[int, int, int, int] | None
_SETTLED_AFTER_NS = 10 * 10**9
"""A change so long ago cannot be followed by one with the same time; covers ticks of two seconds
and clocks of file servers that are late by some."""

# Listings as marshal takes them. Of a trial: signature of its trial.json, whether that is settled,
# and one of the words below. Of a spec and of an experiment: signature and whether settled,
# then what is in it by name.
_TrialEntry = tuple[Signature, bool, str]
_SpecEntry = tuple[Signature, bool, dict[str, _TrialEntry]]
_Listing = tuple[Signature, bool, dict[str, _SpecEntry]]
_NO_TRIAL, _ENDED, _RUNNING, _DAMAGED = "", "ended", "running", "damaged"
_READABLE = frozenset({_ENDED, _RUNNING})
_MANY = 100


def read_manifests(store: Path, *, drafts: bool = False) -> list[Trial]:
    """All readable trials of a store as they are now, in no particular order."""
    return Catalogue(store, drafts=drafts).trials()


class Catalogue:
    """What a store holds at the moment this object is made; the module says what that costs."""

    def __init__(self, store: Path, *, drafts: bool = False) -> None:
        self.store, self.drafts = store.absolute(), drafts
        self._top = str(self.store)
        self._cache = CacheFile(cache_path(self.store))
        self.aliases = read_aliases(self.store)
        self._fresh: dict[str, dict[str, Any]] = {}
        with contextlib.closing(self._cache):
            self._listings, self._generation = self._look()

    def trials(self) -> list[Trial]:
        """All trials; running ones without a sign of life are ``lost``."""
        with contextlib.closing(self._cache):
            return [Trial(self._folder(p), m) for p, m in self._manifests(self._states)]

    def folders(self) -> list[Path]:
        """The folders of all trials."""
        return [self._folder(place) for place in self._states]

    def damaged(self) -> list[Path]:
        """The folders of trials whose ``trial.json`` cannot be read; they are among no others."""
        return [self._folder(place) for place, state in self._entries() if state == _DAMAGED]

    def left_out(self) -> str:
        """That some trials cannot be read, in a sentence; empty if all can be."""
        found = sorted(f.relative_to(self.store).as_posix() for f in self.damaged())
        if not found:
            return ""
        trials = "1 trial is" if len(found) == 1 else f"{len(found)} trials are"
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        words = f"{trials} left out, whose trial.json cannot be read: {', '.join(found[:3])}{more}"
        return f"{words}; pytest-mitosis verify says what is wrong"

    def signatures(self) -> dict[str, Signature]:
        """Of each trial what changes with its manifest, by its place; for asking what is new."""
        return {
            f"{place}/{spec}/{trial}": entry[0]
            for place, (_, _, specs) in self._listings.items()
            for spec, (_, _, trials) in specs.items()
            for trial, entry in trials.items()
        }

    def each(self, make: Callable[[Trial], T]) -> list[T]:
        """What ``make`` makes of every trial, which is kept until the trial changes.

        ``make`` is a function of a module; it uses nothing but the trial and gives builtins.
        """
        with contextlib.closing(self._cache):
            return list(self._each(make).values())

    def whole(self, build: Callable[[Catalogue], T], by: str = "") -> T:
        """What ``build`` makes of all trials, which is kept until any of them changes.

        Like the makers of :meth:`each`; ``by`` names what else the value depends on.
        """
        with contextlib.closing(self._cache):
            which = "with drafts" if self.drafts else "without drafts"
            maker = f"{which}:{self._name_of(build)}:{by}"
            lost = [p for p, m in self._manifests(self._running) if m["status"] == Status.LOST]
            token = f"{self._generation}:{','.join(sorted(lost))}"
            try:
                return unpack(self._cache.load_whole(maker, token))  # type: ignore[no-any-return]
            except ValueError:
                value = build(self)
                self._cache.save_whole(maker, self._generation, token, value)
                return value

    # what was found

    def _name_of(self, function: Callable[..., object]) -> str:
        """A name that no other function has, no later version of it, nor it after a renaming."""
        file = getattr(sys.modules[function.__module__], "__file__", None) or ""
        name = f"{function.__module__}:{function.__qualname__}"
        return f"{name}@{_sign(file)}{self.aliases.digest}"

    @cached_property
    def _states(self) -> dict[str, str]:
        """Ended or running, by the trial's place in the store."""
        return {place: state for place, state in self._entries() if state in _READABLE}

    @cached_property
    def _running(self) -> set[str]:
        return {place for place, state in self._entries() if state == _RUNNING}

    def _entries(self) -> Iterator[tuple[str, str]]:
        for place, (_, _, specs) in self._listings.items():
            for spec, (_, _, trials) in specs.items():
                for trial, entry in trials.items():
                    yield f"{place}/{spec}/{trial}", entry[2]

    def _folder(self, place: str) -> Path:
        return Path(f"{self._top}/{place}")

    def _manifests(self, places: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The manifests of trials; a trial that went away since it was listed is left out."""
        old = [place for place in places if place not in self._fresh]
        packed = self._cache.load_manifests(None if len(old) > _MANY else old)
        for place in places:
            try:
                manifest = self._fresh.get(place) or unpack(packed.get(place))
            except ValueError:
                try:
                    manifest = read_manifest(self._folder(place))
                except StoreError:
                    continue
            yield place, self.aliases.translate(as_of_now(self._folder(place), manifest))

    def _each(self, make: Callable[[Trial], T]) -> dict[str, T]:
        maker = self._name_of(make)
        packed = self._cache.load_pieces(maker)
        made: dict[str, T] = {}
        missing = []
        for place, state in self._states.items():
            try:
                if state == _RUNNING or place in self._fresh:
                    raise ValueError("its manifest is not all there is, or newer than the piece")
                made[place] = unpack(packed.get(place))
            except ValueError:
                missing.append(place)
        new = {p: make(Trial(self._folder(p), m)) for p, m in self._manifests(missing)}
        kept = {place: one for place, one in new.items() if place not in self._running}
        if kept:
            self._cache.save_pieces(maker, self._generation, kept)
        return made | new

    # looking

    def _look(self) -> tuple[dict[str, _Listing], str]:
        generation, known = self._cache.load_listings()
        found = {place: self._listing(place, known.get(place)) for place in self._experiments()}
        changed = {place: one for place, one in found.items() if one is not known.get(place)}
        absent = [
            place
            for place in known
            if place not in found and (self.drafts or not place.startswith(f"{DRAFTS}/"))
        ]
        if changed or absent:
            gone = [
                folder
                for place in (*changed, *absent)
                for folder in _left(place, known.get(place), found.get(place))
            ]
            changes = Changes(changed, absent, self._fresh, gone)
            generation = self._cache.save(generation, changes)
        return found, generation

    def _experiments(self) -> list[str]:
        own = [name for name in _folders(self._top) if name not in RESERVED]
        if not self.drafts:
            return own
        return own + [f"{DRAFTS}/{name}" for name in _folders(f"{self._top}/{DRAFTS}")]

    def _listing(self, place: str, before: _Listing | None) -> _Listing:
        """The listing of an experiment as it is now; ``before`` itself if nothing changed."""
        sign = _sign(f"{self._top}/{place}")
        old = before[2] if before else {}
        same_names = before is not None and before[1] and before[0] == sign
        names = list(old) if same_names else _folders(f"{self._top}/{place}")
        same = _same_specs(f"{self._top}/{place}", old)
        if before is not None and same_names and len(same) == len(old):
            return before
        specs = {n: same.get(n) or self._spec(f"{place}/{n}", old.get(n)) for n in names}
        after = (sign, _is_settled(sign), specs)
        if (
            before is not None
            and before[:2] == after[:2]
            and len(old) == len(specs)
            and all(specs[name] is old.get(name) for name in specs)
        ):
            return before
        return after

    def _spec(self, place: str, before: _SpecEntry | None) -> _SpecEntry:
        """As for experiments, of a trial spec."""
        top = f"{self._top}/{place}"
        sign = _sign(top)
        old = before[2] if before else {}
        same_names = before is not None and before[1] and before[0] == sign
        names = list(old) if same_names else [one for one in _folders(top) if is_trial_name(one)]
        trials = {name: self._trial(f"{place}/{name}", old.get(name)) for name in names}
        after = (sign, _is_settled(sign), trials)
        return before if before is not None and before == after else after

    def _trial(self, place: str, before: _TrialEntry | None) -> _TrialEntry:
        sign = _sign(f"{self._top}/{place}/{MANIFEST}")
        if sign is None:
            return None, True, _NO_TRIAL
        if before is not None and before[0] == sign and before[1]:
            return before
        settled = _is_settled(sign)
        try:
            manifest = read_manifest(self._folder(place))
        except StoreError:
            return sign, False, _DAMAGED  # tried again each time: a file server may have stumbled
        if before is None or before[0] != sign or not self._is_known(place, manifest):
            self._fresh[place] = manifest
        return sign, settled, _RUNNING if manifest["status"] == Status.RUNNING else _ENDED

    def _is_known(self, place: str, manifest: dict[str, Any]) -> bool:
        try:
            return bool(unpack(self._cache.load_manifests([place]).get(place)) == manifest)
        except ValueError:
            return False


def _same_specs(top: str, specs: dict[str, _SpecEntry]) -> dict[str, _SpecEntry]:
    """Those of an experiment's specs in which nothing changed.

    One loop for all trials, as this is what a reader waits for when nothing is new.
    """
    stat, same = os.stat, {}
    for name, entry in specs.items():
        sign, is_settled, trials = entry
        try:
            s = stat(f"{top}/{name}")
            if not is_settled or sign != (s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_size):
                continue
        except OSError:
            continue
        for trial, (known, is_old, _) in trials.items():
            try:
                s = stat(f"{top}/{name}/{trial}/{MANIFEST}")
                now = s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_size
            except OSError:
                now, is_old = None, True
            if not is_old or known != now:
                break
        else:
            same[name] = entry
    return same


def _left(place: str, before: _Listing | None, after: _Listing | None) -> Iterator[str]:
    """Folders of trials that were in the listing before and are not any more."""
    for spec, entry in before[2].items() if before else ():
        now = after[2].get(spec) if after else None
        if now is entry:
            continue
        for trial, (_, _, state) in entry[2].items():
            is_left = now is not None and trial in now[2] and now[2][trial][2] in _READABLE
            if state in _READABLE and not is_left:
                yield f"{place}/{spec}/{trial}"


def _sign(path: str) -> Signature:
    try:
        s = os.stat(path)  # noqa: PTH116  of every folder there is
    except OSError:
        return None
    # The time of the last change of the entry cannot be set, unlike that of its content.
    return s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_size


def _is_settled(sign: Signature) -> bool:
    return sign is not None and time.time_ns() - max(sign[:2]) > _SETTLED_AFTER_NS


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [e.name for e in entries if not e.name.startswith(".") and e.is_dir()]
    except OSError:
        return []
