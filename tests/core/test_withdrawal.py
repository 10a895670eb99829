"""A lock is taken back only if no process but the one that locked it found its value."""

from __future__ import annotations

import pytest

from pytest_mitosis.identity import describe
from pytest_mitosis.store.files import write_json
from pytest_mitosis.store.folder import MANIFEST, claim
from pytest_mitosis.store.locks import Name, relock, take_lock
from pytest_mitosis.store.owners import this_process
from pytest_mitosis.store.withdrawal import withdraw

LOW = Name("fit_eval", "noise", "low")
COMMIT = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4"
EVER, NEVER = "", "~"
"""Times before and after any lock's."""


def take(store):
    return take_lock(store / "locks", LOW, describe(0.1), COMMIT)


@pytest.fixture
def held(tmp_path):
    """A lock that another one made."""
    take(tmp_path)
    return take(tmp_path)


def test_own_lock_is_withdrawn(tmp_path):
    held = take(tmp_path)
    assert withdraw(held, NEVER, tmp_path, None)
    assert not held.lock.file.exists()
    assert not withdraw(held, NEVER, tmp_path, None)  # another session was quicker
    assert take_lock(tmp_path / "locks", LOW, describe(0.2), COMMIT).is_new


def test_lock_of_another_one_is_withdrawn_only_if_it_is_new(tmp_path, held):
    assert not withdraw(held, NEVER, tmp_path, None)
    assert held.lock.file.exists()
    assert withdraw(held, held.lock.record["locked"], tmp_path, None)
    assert not held.lock.file.exists()


def test_lock_that_was_relocked_meanwhile_stays(tmp_path, held):
    relock(tmp_path / "locks", LOW, describe(0.2), COMMIT, "the sensor was replaced")
    assert not withdraw(held, EVER, tmp_path, None)
    assert held.lock.file.exists()


NAMED = {"step": "fit_eval", "name": "noise", "variant": "low", "kind": "variant", "tracked": True}
DONE = {"status": "done", "proven": True}
OTHERS = {
    "running": ({"status": "running", **this_process()}, True),
    "crashed after it was proven": ({**DONE, "status": "crashed"}, True),
    "done": (DONE, True),
    "crashed before it was proven": ({"status": "crashed", "proven": False}, False),
    "lost": ({"status": "running", **this_process(), "pid": 2**31 - 1}, False),
    "of another name": ({**DONE, "variant": "lower"}, False),
    "of another step": ({**DONE, "step": "fit"}, False),
    "with a literal": ({**DONE, "kind": "literal"}, False),
    "that does not track it": ({**DONE, "tracked": False}, False),
}


@pytest.mark.parametrize("key", ["noise=low,seed=1", f"long={'x' * 300},noise=low"], ids=len)
@pytest.mark.parametrize(("facts", "keeps"), OTHERS.values(), ids=OTHERS)
def test_lock_stays_if_another_trial_relies_on_it(tmp_path, held, key, facts, keeps):
    own = claim(tmp_path, "fit_eval", key, draft=False)
    parameter = {name: facts.get(name, usual) for name, usual in NAMED.items()}
    given = {name: one for name, one in facts.items() if name not in NAMED}
    record = {"id": own.id, "experiment": "fit_eval", **given, "parameters": [parameter]}
    write_json(own.folder / MANIFEST, record)
    assert withdraw(held, EVER, tmp_path, None) is not keeps
    assert held.lock.file.exists() is keeps
    if keeps:
        assert withdraw(held, EVER, tmp_path, own.folder), "its own trial is no other"


def test_folder_without_a_manifest_is_no_trial_and_one_that_cannot_be_read_may_be(tmp_path, held):
    own = claim(tmp_path, "fit_eval", "noise=low", draft=False)
    (own.folder / MANIFEST).write_text("{")
    assert not withdraw(held, EVER, tmp_path, None)
    (own.folder / MANIFEST).unlink()
    assert withdraw(held, EVER, tmp_path, None)
