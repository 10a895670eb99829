"""A name has one value for good: the first one it was locked to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest
from factories import put

from pytest_mitosis.identity import Description, Leaf, describe
from pytest_mitosis.model import LockError, StoreError
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.locks import (
    Name,
    current_lock,
    iterate_locks,
    lock_file,
    read_lock,
    relock,
    revisions,
    take_lock,
)

LOW = Name("fit_eval", "noise", "low")
COMMIT = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4"


@dataclass
class Noise:
    sigma: float
    kind: str = "white"


def refused(error, function, *arguments, **options) -> str:
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    return str(caught.value)


def test_first_use_locks_a_name_and_records_who_when_and_at_which_commit(tmp_path):
    held = take_lock(tmp_path, LOW, describe(Noise(0.1)), COMMIT)
    assert held.is_new
    assert held.notes == ()
    file = tmp_path / "fit_eval" / "noise" / "low.json"
    assert held.lock.file == file == lock_file(tmp_path, LOW)
    record = read_json(file)
    assert record == held.lock.record
    assert (record["step"], record["parameter"], record["variant"]) == ("fit_eval", "noise", "low")
    assert (record["schema"], record["revision"], record["commit"]) == (1, 1, COMMIT)
    assert record["digest"] == describe(Noise(0.1)).digest
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", record["locked"])
    lock = read_lock(file)
    assert (lock.name, lock.description) == (LOW, describe(Noise(0.1)))


def test_same_value_is_held_again_and_the_file_is_left_alone(tmp_path):
    held = take_lock(tmp_path, LOW, describe(Noise(0.1)), COMMIT)
    before = held.lock.file.read_bytes()
    again = take_lock(tmp_path, LOW, describe(Noise(0.1)), "another commit")
    assert not again.is_new
    assert again.notes == ()
    assert held.lock.file.read_bytes() == before


def test_lock_refuses_changed_value_and_shows_what_changed(tmp_path):
    held = take_lock(tmp_path, LOW, describe(Noise(0.1)), COMMIT)
    before = held.lock.file.read_bytes()
    day, user = held.lock.record["locked"][:10], held.lock.record["user"]
    assert refused(LockError, take_lock, tmp_path, LOW, describe(Noise(0.2)), COMMIT) == (
        f"noise=low changed since it was locked ({day}, commit 3f2a91c, {user})\n"
        "  .sigma  float 0.1 -> float 0.2\n"
        "use a new name, restore the value, or: "
        'pytest-mitosis relock fit_eval noise=low --why "..."'
    )
    assert held.lock.file.read_bytes() == before


@pytest.mark.parametrize(("was", "now"), [(1, 1.0), (1, True), ([1, 2], (1, 2)), ("a", b"a")])
def test_value_of_another_type_is_another_value(tmp_path, was, now):
    take_lock(tmp_path, LOW, describe(was), COMMIT)
    assert "noise=low changed since it was locked" in refused(
        LockError, take_lock, tmp_path, LOW, describe(now), COMMIT
    )


def test_lock_without_commit_says_none(tmp_path):
    take_lock(tmp_path, LOW, describe(0.1), "")
    message = refused(LockError, take_lock, tmp_path, LOW, describe(0.2), "")
    assert re.match(r"noise=low changed since it was locked \(\d{4}-\d\d-\d\d, [^,]+\)\n", message)


def test_names_are_locked_per_step_and_parameter(tmp_path):
    names = [LOW, Name("gen", "noise", "low"), Name("fit_eval", "order", "low")]
    for number, name in enumerate(names):
        assert take_lock(tmp_path, name, describe(number), COMMIT).is_new
    assert {read_lock(file).name for file in iterate_locks(tmp_path)} == set(names)


def code(digest: str) -> Description:
    """A value that points at a function whose source has ``digest``."""
    return Description(
        (
            Leaf(".", "value", "function lab.fit:tv"),
            Leaf(".", "code", f"lab.fit:tv source sha256:{digest}"),
        )
    )


def test_changed_source_is_a_note_unless_code_is_strict(tmp_path):
    take_lock(tmp_path, LOW, code("c833"), COMMIT)
    again = take_lock(tmp_path, LOW, code("9d41"), COMMIT)
    assert again.notes == ("noise=low: .  source of lab.fit:tv changed (note)",)
    assert not again.is_new
    message = refused(LockError, take_lock, tmp_path, LOW, code("9d41"), COMMIT, strict_code=True)
    assert message.splitlines()[1] == "  .  source of lab.fit:tv changed"
    assert take_lock(tmp_path, LOW, code("c833"), COMMIT, strict_code=True).notes == ()


def test_file_system_that_ignores_case_is_no_way_to_share_a_lock(tmp_path):
    held = take_lock(tmp_path, LOW, describe(0.1), COMMIT)
    other = Name("fit_eval", "noise", "Low")
    os.link(held.lock.file, lock_file(tmp_path, other))  # what such a file system would find
    for value in (0.1, 0.2):
        assert refused(LockError, take_lock, tmp_path, other, describe(value), COMMIT) == (
            "noise=Low cannot be told from noise=low on this file system, which ignores case; "
            "rename one of them"
        )


@pytest.mark.parametrize("variant", ["x" * 128, "2nd.order-scheme+tv", "CON", "-low", "_"])
def test_odd_and_long_names_have_locks_of_their_own(tmp_path, variant):
    name = Name("fit.eval-2", "noise", variant)
    other = Name("fit.eval-2", "noise", f"{variant[:-1]}z")
    take_lock(tmp_path, name, describe(0.1), COMMIT)
    take_lock(tmp_path, other, describe(0.2), COMMIT)
    assert refused(LockError, take_lock, tmp_path, name, describe(0.3), COMMIT)
    assert {read_lock(file).name for file in iterate_locks(tmp_path)} == {name, other}


def test_files_half_written_are_no_locks(tmp_path):
    held = take_lock(tmp_path, LOW, describe(0.1), COMMIT)
    put(held.lock.file.with_name(".high.json.1a2b3c4d"), "{")
    put(held.lock.file.with_name(".high.json"), "{")
    assert list(iterate_locks(tmp_path)) == [held.lock.file]


# other meanings


def relocked(tmp_path, value=0.2, why="the sensor was replaced"):
    take_lock(tmp_path, LOW, describe(0.1), COMMIT)
    return relock(tmp_path, LOW, describe(value), "7ab1f20", why)


def test_relocked_name_has_its_new_value_and_keeps_the_old_one(tmp_path):
    first = take_lock(tmp_path, LOW, describe(Noise(0.1)), COMMIT).lock
    before = first.file.read_bytes()
    second = relock(tmp_path, LOW, describe(Noise(0.2)), "7ab1f20", "the sensor was replaced")
    assert first.file.read_bytes() == before
    assert (first.revision, first.label) == (1, "noise=low")
    assert (second.revision, second.label) == (2, "noise=low@2")
    record = read_json(second.file)
    assert record["why"] == "the sensor was replaced"
    assert (record["commit"], record["revision"]) == ("7ab1f20", 2)
    held = take_lock(tmp_path, LOW, describe(Noise(0.2)), COMMIT)
    assert (held.is_new, held.lock.revision, held.notes) == (False, 2, ())
    assert [read_lock(file).revision for file in revisions(second.file)] == [1, 2]
    assert revisions(first.file) == revisions(second.file)


def test_old_value_is_refused_after_a_relock_with_the_revision_and_its_origin(tmp_path):
    lock = relocked(tmp_path)
    message = refused(LockError, take_lock, tmp_path, LOW, describe(0.1), COMMIT, trials=41)
    day, user = lock.record["locked"][:10], lock.record["user"]
    assert message == (
        f"noise=low@2 changed since it was locked ({day}, commit 7ab1f20, {user}, 41 trials)\n"
        "  .  float 0.2 -> float 0.1\n"
        "use a new name, restore the value, or: "
        'pytest-mitosis relock fit_eval noise=low --why "..."'
    )
    assert ", 1 trial)" in refused(
        LockError, take_lock, tmp_path, LOW, describe(0.1), COMMIT, trials=1
    )


def test_relock_to_the_value_now_locked_is_refused(tmp_path):
    lock = relocked(tmp_path)
    message = refused(LockError, relock, tmp_path, LOW, describe(0.2), COMMIT, "again")
    assert message == f"noise=low@2 is already locked to this value ({lock.origin})"
    assert revisions(lock.file)[-1] == lock.file


def test_relock_to_the_value_of_an_older_revision_is_a_revision_of_its_own(tmp_path):
    relocked(tmp_path)
    third = relock(tmp_path, LOW, describe(0.1), COMMIT, "the old sensor is back")
    assert third.label == "noise=low@3"
    assert take_lock(tmp_path, LOW, describe(0.1), COMMIT).lock.revision == 3


def test_relock_of_a_name_never_locked_has_nothing_to_do(tmp_path):
    message = refused(LockError, relock, tmp_path, LOW, describe(0.2), COMMIT, "why")
    assert message == (
        "noise=low of fit_eval was never locked, so there is nothing to relock; "
        "it is locked at its first trial"
    )
    assert list(tmp_path.iterdir()) == []


def test_relock_follows_only_the_revision_that_was_looked_at(tmp_path):
    first = take_lock(tmp_path, LOW, describe(0.1), COMMIT).lock
    second = relock(tmp_path, LOW, describe(0.2), COMMIT, "the sensor was replaced", seen=first)
    message = refused(
        LockError, relock, tmp_path, LOW, describe(0.3), COMMIT, "mine is better", seen=first
    )
    assert message == (
        f"noise=low was relocked at the same time: it is noise=low@2 now ({second.origin}: "
        "the sensor was replaced); look at that value, then relock again if need be"
    )
    assert current_lock(tmp_path, LOW) == second


def test_changed_source_alone_can_be_relocked_only_if_code_is_strict(tmp_path):
    take_lock(tmp_path, LOW, code("c833"), COMMIT)
    refused(LockError, relock, tmp_path, LOW, code("9d41"), COMMIT, "mended")
    lock = relock(tmp_path, LOW, code("9d41"), COMMIT, "mended", strict_code=True)
    assert take_lock(tmp_path, LOW, code("9d41"), COMMIT, strict_code=True).lock == lock


def test_revisions_are_one_lock_and_others_are_left_alone(tmp_path):
    lock = relocked(tmp_path)
    other = take_lock(tmp_path, Name("fit_eval", "noise", "low2"), describe(0.1), COMMIT).lock
    assert set(iterate_locks(tmp_path)) == {lock_file(tmp_path, LOW), other.file}
    assert revisions(other.file) == [other.file]
    assert len(revisions(lock.file)) == 2


def test_lost_revision_is_not_taken_again(tmp_path):
    second = relocked(tmp_path)
    relock(tmp_path, LOW, describe(0.3), COMMIT, "once more")
    second.file.unlink()
    message = refused(StoreError, relock, tmp_path, LOW, describe(0.4), COMMIT, "why")
    assert message == f"{second.file} is missing, later revisions exist; restore it from a copy"


def test_lock_without_a_revision_is_the_first(tmp_path):
    file = damage(tmp_path, revision=..., user=..., commit=...)
    lock = read_lock(file)
    assert (lock.revision, lock.label) == (1, "noise=low")
    assert lock.origin == lock.record["locked"][:10]


# damaged locks


def damage(tmp_path, **changes):
    file = take_lock(tmp_path, LOW, describe(Noise(0.1)), COMMIT).lock.file
    record = {**read_json(file), **changes}
    write_json(file, {key: value for key, value in record.items() if value is not ...})
    return file


@pytest.mark.parametrize(
    "changes",
    [
        {"description": ...},
        {"step": ...},
        {"revision": "two"},
        {"revision": 0},
        {"variant": ...},
        {"description": None},
        {"description": "float 0.1"},
        {"description": {}},
        {"description": {"leaves": [["."]]}},
        {"description": {"leaves": [[".", "colour", "float 0.1"]]}},
        {"description": {"leaves": [[".", "value", "float 0.2"]], "digest": "361a"}},
    ],
)
def test_damaged_lock_is_one_sentence_and_stays_as_it_is(tmp_path, changes):
    file = damage(tmp_path, **changes)
    before = file.read_bytes()
    for value in (Noise(0.1), Noise(0.2)):
        assert refused(StoreError, take_lock, tmp_path, LOW, describe(value), COMMIT) == (
            f"{file} is no lock; restore it from a copy"
        )
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b'{"step": "fit_ev', b"\x00\x00"])
def test_torn_lock_is_one_sentence_and_stays_as_it_is(tmp_path, content):
    file = lock_file(tmp_path, LOW)
    put(file)
    file.write_bytes(content)
    message = refused(StoreError, take_lock, tmp_path, LOW, describe(0.1), COMMIT)
    assert message.startswith(f"{file} is no valid JSON: ")
    assert file.read_bytes() == content


def test_lock_whose_leaves_are_no_text_is_one_sentence(tmp_path):
    file = damage(tmp_path, description={"leaves": [[".", "value", None]]})
    message = refused(StoreError, take_lock, tmp_path, LOW, describe(0.1), COMMIT)
    assert message == f"{file} is no lock; restore it from a copy"


# at once

RACE = """
import json, multiprocessing, sys
from pathlib import Path
from pytest_mitosis.identity import describe
from pytest_mitosis.model import LockError
from pytest_mitosis.store.locks import Name, take_lock

def run(number, folder, barrier):
    value = (0.1, 0.2)[number % 2]
    told = []
    for one in range(8):
        name = Name("fit_eval", "noise", f"low-{one}")
        barrier.wait()
        try:
            held = take_lock(folder / "locks", name, describe(value), "3f2a91c")
            told.append([value, "new" if held.is_new else "held"])
        except LockError as error:
            told.append([value, str(error).splitlines()[1]])
    (folder / f"told-{number}").write_text(json.dumps(told))

if __name__ == "__main__":
    folder, count = Path(sys.argv[1]), 10
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count)
    runs = [context.Process(target=run, args=(n, folder, barrier)) for n in range(count)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    sys.exit(max(one.exitcode for one in runs))
"""


def test_of_two_values_at_once_one_wins_and_all_others_are_told_the_change(tmp_path):
    script = put(tmp_path / "race.py", RACE)
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=60, cwd=tmp_path)
    told = [json.loads((tmp_path / f"told-{number}").read_text()) for number in range(10)]
    for one in range(8):
        answers = [of_process[one] for of_process in told]
        (winner,) = [value for value, answer in answers if answer == "new"]
        loser = 0.3 - winner
        assert sorted(answer for value, answer in answers if value == winner) == [
            *["held"] * 4,
            "new",
        ]
        diff = f"  .  float {winner} -> float {loser:.1f}"
        assert [answer for value, answer in answers if value != winner] == [diff] * 5
        locked = read_lock(tmp_path / "locks" / "fit_eval" / "noise" / f"low-{one}.json")
        assert locked.description == describe(winner)


RELOCK_RACE = """
import json, multiprocessing, sys
from pathlib import Path
from pytest_mitosis.identity import describe
from pytest_mitosis.model import LockError
from pytest_mitosis.store.locks import Name, relock

LOW = Name("fit_eval", "noise", "low")

def run(number, folder, barrier):
    told = []
    for one in range(8):
        barrier.wait()
        try:
            value = describe((one + number / 16, "gain"))
            lock = relock(folder / "locks", LOW, value, "", f"{number}")
            told.append([lock.revision, lock.description.digest])
        except LockError as error:
            told.append(str(error))
    (folder / f"told-{number}").write_text(json.dumps(told))

if __name__ == "__main__":
    folder, count = Path(sys.argv[1]), 10
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count)
    runs = [context.Process(target=run, args=(n, folder, barrier)) for n in range(count)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    sys.exit(max(one.exitcode for one in runs))
"""


def test_of_relocks_at_once_one_wins_each_revision_and_none_is_lost(tmp_path):
    locks = tmp_path / "locks"
    first = take_lock(locks, LOW, describe(-0.1), COMMIT).lock
    script = put(tmp_path / "race.py", RELOCK_RACE)
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=60, cwd=tmp_path)
    told = [
        answer
        for number in range(10)
        for answer in json.loads((tmp_path / f"told-{number}").read_text())
    ]
    winners = [answer for answer in told if isinstance(answer, list)]
    won = dict(map(tuple, winners))
    assert len(won) == len(winners) >= 8  # at least one in each round
    assert sorted(won) == list(range(2, len(won) + 2))
    assert all("was relocked at the same time" in a for a in told if isinstance(a, str))
    found = [read_lock(file) for file in revisions(first.file)]
    assert {lock.revision: lock.description.digest for lock in found[1:]} == won
    assert found[0] == first
    assert current_lock(locks, LOW) == found[-1]
    assert not list(locks.rglob(".*"))
