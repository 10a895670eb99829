"""Folders of trials: claimed once, found again, and never taken for what they are not."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest
from factories import ROOMY, put
from hypothesis import given
from hypothesis import strategies as st

from pytest_mitosis.model import (
    Argument,
    Failure,
    Job,
    JobStep,
    Kind,
    Outcome,
    Status,
    StoreError,
)
from pytest_mitosis.read.search import find_trial
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.folder import (
    HEARTBEAT,
    artifacts,
    claim,
    finish,
    folder_name,
    iterate_folders,
    iterate_trials,
    manifest_of,
    new_id,
    read_trial,
    release,
    save_environment,
    spec_folder,
)
from pytest_mitosis.store.owners import LOST_AFTER_SECONDS

KEY = "noise=low,solver=tv,seed=0"


def refused(function, *arguments) -> str:
    with pytest.raises(StoreError) as caught:
        function(*arguments)
    return str(caught.value)


def record(store, key=KEY, *, experiment="fit_eval", draft=False, **manifest):
    """A claimed folder with a manifest."""
    own = claim(store, experiment, key, draft=draft)
    write_json(
        own.folder / "trial.json",
        {
            "schema": 1,
            "id": own.id,
            "experiment": experiment,
            "status": "done",
            "iteration": own.iteration,
            "draft": draft,
            **manifest,
        },
    )
    return own


def dead_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


# names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (KEY, KEY),
        ("alpha='a/b'", "alpha='a%2Fb'"),
        ("path='C:\\tmp'", "path='C%3A%5Ctmp'"),
        ('a=*?"<>|', "a=%2A%3F%22%3C%3E%7C"),
        ("größe=naïve", "gr%C3%B6%C3%9Fe=na%C3%AFve"),
        ("a\n\tb\0", "a%0A%09b%00"),
        ("x" * 120, "x" * 120),
    ],
)
def test_folder_is_named_as_the_text_without_what_file_systems_refuse(text, name):
    assert folder_name(text) == name


def test_over_long_name_is_shortened_with_a_digest_that_tells_it_apart():
    one, two = (f"query='{'select all from table ' * 20}{end}'" for end in "ab")
    assert folder_name(one)[:107] == folder_name(two)[:107] == one[:107]
    assert folder_name(one) != folder_name(two)
    digest = hashlib.sha256(one.encode()).hexdigest()[:12]
    assert folder_name(one) == f"{one[:107]}~{digest}"
    assert len(folder_name(one)) == 120


@ROOMY
@given(st.text(min_size=1, alphabet=st.characters(codec="utf-8")), st.text(min_size=1))
def test_any_text_is_one_folder_on_every_file_system(text, other):
    name = folder_name(text)
    assert 0 < len(name.encode("ascii")) <= 120
    assert re.fullmatch(r'[^/\\:*?"<>|\x00-\x1f]+', name)
    if other.isascii() and other != text:
        assert folder_name(other) != name


def test_drafts_are_apart_and_reserved_names_do_not_clash(tmp_path):
    assert spec_folder(tmp_path, "fit", KEY, draft=False) == tmp_path / "fit" / KEY
    assert spec_folder(tmp_path, "fit", KEY, draft=True) == tmp_path / "drafts" / "fit" / KEY
    for name in ("drafts", "locks", "environments", "_site"):
        assert spec_folder(tmp_path, name, KEY, draft=False) == tmp_path / f"{name}~" / KEY
        own = record(tmp_path, experiment=name)
        assert own.folder in list(iterate_folders(tmp_path))


def test_ids_are_eight_letters_that_are_not_mistaken_for_others():
    ids = {new_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(re.fullmatch("[0-9abcdefghjkmnpqrstvwxyz]{8}", one) for one in ids)


# claiming


def test_iterations_count_each_spec_from_one(tmp_path):
    first, second = (claim(tmp_path, "fit_eval", KEY, draft=False) for _ in range(2))
    other = claim(tmp_path, "fit_eval", "noise=high,solver=tv,seed=0", draft=False)
    assert (first.iteration, second.iteration, other.iteration) == (1, 2, 1)
    assert first.folder == tmp_path / "fit_eval" / KEY / f"1-{first.id}"
    assert first.folder.is_dir()


def test_drafts_use_up_no_iteration(tmp_path):
    drafts = [claim(tmp_path, "fit_eval", KEY, draft=True) for _ in range(3)]
    assert [one.iteration for one in drafts] == [0, 0, 0]
    assert len({one.folder for one in drafts}) == 3
    assert claim(tmp_path, "fit_eval", KEY, draft=False).iteration == 1


def test_iteration_of_trials_that_came_by_copy_is_not_used_again(tmp_path):
    put(tmp_path / "fit_eval" / KEY / "7-k2m9xwq1" / "trial.json", "{}")
    put(tmp_path / "fit_eval" / KEY / "12-7f3k2qaa" / "trial.json", "{}")
    assert claim(tmp_path, "fit_eval", KEY, draft=False).iteration == 13


def test_iteration_of_a_deleted_trial_is_not_used_again(tmp_path):
    first = claim(tmp_path, "fit_eval", KEY, draft=False)
    first.folder.rmdir()
    assert claim(tmp_path, "fit_eval", KEY, draft=False).iteration == 2


def test_released_folder_is_gone_and_its_iteration_free(tmp_path):
    first = claim(tmp_path, "fit_eval", KEY, draft=False)
    put(first.folder / "job.json", "{}")
    release(first)
    assert not first.folder.exists()
    assert claim(tmp_path, "fit_eval", KEY, draft=False).iteration == 1
    draft = claim(tmp_path, "fit_eval", KEY, draft=True)
    release(draft)
    assert not draft.folder.exists()


CLAIMS = """
import json, multiprocessing, sys
from pathlib import Path
from pytest_mitosis.store.folder import claim

def run(number, folder, barrier, rounds):
    barrier.wait()
    claims = [claim(folder, "fit_eval", sys.argv[2], draft=False) for _ in range(rounds)]
    own = [(one.iteration, one.id, one.folder.name) for one in claims]
    (folder / f"claims-{number}").write_text(json.dumps(own))

if __name__ == "__main__":
    folder, count = Path(sys.argv[1]), 12
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count)
    runs = [context.Process(target=run, args=(n, folder, barrier, 5)) for n in range(count)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    sys.exit(max(one.exitcode for one in runs))
"""


def test_processes_that_claim_at_once_get_every_iteration_once(tmp_path):
    script = put(tmp_path / "claims.py", CLAIMS)
    store = tmp_path / "trials"
    store.mkdir()
    subprocess.run([sys.executable, script, store, KEY], check=True, timeout=60, cwd=tmp_path)
    claims = [c for n in range(12) for c in json.loads((store / f"claims-{n}").read_text())]
    assert sorted(iteration for iteration, _, _ in claims) == list(range(1, 61))
    assert len({trial for _, trial, _ in claims}) == 60
    folders = {folder.name for folder in iterate_folders(store)}
    assert folders == {name for _, _, name in claims}


# manifests


def job(*arguments: Argument) -> Job:
    step = JobStep("fit_eval", "exp_fit:exp_fit_eval", "exp_fit:lookup_dict", "", False, arguments)
    return Job(
        trial="k2m9xwq1",
        experiment="fit_eval",
        key="noise=low",
        iteration=3,
        draft=False,
        seed=7,
        hypothesis="TV wins",
        description="",
        root="/lab",
        cwd="/lab/files",
        sys_path=("/lab/exps",),
        globals=(),
        timeout=None,
        command="pytest -p mitosis --exp fit_eval",
        steps=(step,),
    )


NOISE = Argument("noise", Kind.VARIANT, "low", True, "361a", "float 0.1", '["noise"]["low"]')
SEED = Argument("seed", Kind.SEED, "7", True, "9f86", "int 7", "7")


def test_manifest_says_what_runs_where_and_for_whom():
    manifest = manifest_of(job(NOISE, SEED), {"commit": "3f2a91c"})
    assert (manifest["id"], manifest["spec"], manifest["iteration"]) == ("k2m9xwq1", "noise=low", 3)
    assert (manifest["status"], manifest["seed"], manifest["commit"]) == ("running", 7, "3f2a91c")
    assert (manifest["host"], manifest["pid"]) == (socket.gethostname(), os.getpid())
    assert manifest["parameters"][0] == {
        "step": "fit_eval",
        "name": "noise",
        "kind": "variant",
        "variant": "low",
        "value": "float 0.1",
        "digest": "361a",
        "tracked": True,
    }
    assert manifest_of(job(NOISE), {})["seed"] is None


def test_job_survives_json():
    one = job(NOISE, SEED)
    assert Job.from_json(json.loads(json.dumps(one.to_json()))) == one


OUTCOME = Outcome(
    status=Status.CRASHED,
    started="2026-05-01T10:00:00.000+00:00",
    finished="2026-05-01T19:02:11.000+00:00",
    duration_s=32531.0,
    metrics={"main": 0.0103},
    notes=("fit_eval: .solver is kept as a pickle",),
    failure=Failure("ValueError", "array must not contain infs or NaNs"),
)


def test_finished_trial_has_its_outcome_and_the_checksum_of_every_artifact(tmp_path):
    own = claim(tmp_path, "fit_eval", KEY, draft=False)
    write_json(own.folder / "trial.json", manifest_of(job(NOISE), {"commit": "3f2a91c"}))
    put(own.folder / "figures" / "fit-1.png", "png")
    put(own.folder / HEARTBEAT)
    os.symlink("/etc/hostname", own.folder / "link")
    trial = finish(own.folder, OUTCOME, "2c26b46b")
    assert read_json(own.folder / "trial.json") == trial.manifest
    assert trial.status is Status.CRASHED
    assert trial.manifest["commit"] == "3f2a91c"
    assert trial.manifest["failure"]["message"] == "array must not contain infs or NaNs"
    assert trial.manifest["environment"] == "2c26b46b"
    assert trial.manifest["duration_s"] == 32531.0
    figure = own.folder / "figures" / "fit-1.png"
    facts = {
        "bytes": 3,
        "sha256": hashlib.sha256(b"png").hexdigest(),
        "mtime_ns": figure.stat().st_mtime_ns,
    }
    assert trial.manifest["artifacts"].pop("ro-crate-metadata.json")["bytes"] > 0
    assert trial.manifest["artifacts"] == {"figures/fit-1.png": facts}
    assert not (own.folder / HEARTBEAT).exists()


def test_artifacts_are_listed_by_path_in_order(tmp_path):
    for name in ("log.txt", "files/b.npy", "files/a.npy", "trial.json"):
        put(tmp_path / name, name)
    assert list(artifacts(tmp_path, {"trial.json"})) == ["files/a.npy", "files/b.npy", "log.txt"]


def test_artifacts_are_files_of_any_depth_and_no_links(tmp_path):
    folder = tmp_path / "trial"
    for name in ("files/a/b/.hidden", "files/a-b/x y.txt", "files/a/ü.csv"):
        put(folder / name, name)
    put(tmp_path / "elsewhere/secret.txt", "not of the trial")
    (folder / "files/link").symlink_to(tmp_path / "elsewhere")
    (folder / "files/link.txt").symlink_to(tmp_path / "elsewhere/secret.txt")
    (folder / "files/empty").mkdir()
    os.mkfifo(folder / "files/pipe")
    found = artifacts(folder)
    assert list(found) == ["files/a/b/.hidden", "files/a/ü.csv", "files/a-b/x y.txt"]
    assert found["files/a/ü.csv"]["sha256"] == hashlib.sha256("files/a/ü.csv".encode()).hexdigest()


def test_environment_is_kept_once(tmp_path):
    save_environment(tmp_path, {"python": "3.13.1"}, "2c26b46b", lambda _: "numpy==2.4.6\n")
    save_environment(tmp_path, {"python": "3.11.0"}, "2c26b46b", pytest.fail)
    folder = tmp_path / "environments" / "2c26b46b"
    assert read_json(folder / "environment.json") == {"schema": 1, "python": "3.13.1"}
    assert (folder / "requirements.txt").read_text() == "numpy==2.4.6\n"


# running and lost


def running(store, **manifest):
    host = {"host": socket.gethostname(), "pid": os.getpid()}
    return record(store, status="running", **{**host, **manifest})


def test_running_trial_of_a_living_process_is_running(tmp_path):
    own = running(tmp_path)
    assert read_trial(own.folder).status is Status.RUNNING


def test_running_trial_of_a_dead_process_is_lost_and_its_file_is_left_alone(tmp_path):
    own = running(tmp_path, pid=dead_pid())
    put(own.folder / HEARTBEAT)
    before = (own.folder / "trial.json").read_bytes()
    assert read_trial(own.folder).status is Status.LOST
    assert (own.folder / "trial.json").read_bytes() == before


def test_number_of_a_process_says_nothing_of_another_host(tmp_path):
    own = running(tmp_path, pid=dead_pid(), host="node-17.cluster")
    assert read_trial(own.folder).status is Status.RUNNING


@pytest.mark.parametrize("which", [HEARTBEAT, "trial.json"])
def test_trial_without_a_fresh_heartbeat_is_lost(tmp_path, which):
    own = running(tmp_path, host="node-17.cluster")
    file = own.folder / which
    file.touch()
    now = time.time()
    os.utime(file, (now, now - LOST_AFTER_SECONDS + 30))
    assert read_trial(own.folder).status is Status.RUNNING
    os.utime(file, (now, now - LOST_AFTER_SECONDS - 1))
    assert read_trial(own.folder).status is Status.LOST


def test_fresh_heartbeat_counts_though_the_manifest_is_old(tmp_path):
    own = running(tmp_path, host="node-17.cluster")
    os.utime(own.folder / "trial.json", (0, 0))
    put(own.folder / HEARTBEAT)
    assert read_trial(own.folder).status is Status.RUNNING


def test_finished_trial_is_never_lost(tmp_path):
    own = record(tmp_path, host=socket.gethostname(), pid=dead_pid())
    os.utime(own.folder / "trial.json", (0, 0))
    assert read_trial(own.folder).status is Status.DONE


# reading what is damaged


def test_manifest_that_is_not_there_or_torn_is_one_sentence(tmp_path):
    own = record(tmp_path)
    file = own.folder / "trial.json"
    file.write_bytes(file.read_bytes()[:20])
    assert refused(read_trial, own.folder).startswith(f"{file} is no valid JSON: ")
    file.unlink()
    assert refused(read_trial, own.folder) == f"{file} cannot be read: No such file or directory"


@pytest.mark.parametrize("missing", ["id", "experiment", "status"])
def test_json_that_is_no_manifest_is_one_sentence(tmp_path, missing):
    own = record(tmp_path)
    file = own.folder / "trial.json"
    manifest = read_json(file)
    del manifest[missing]
    write_json(file, manifest)
    assert refused(read_trial, own.folder) == f"{file} is no manifest of a trial"


@pytest.mark.parametrize("pid", [None, "many", 2**80])
def test_running_manifest_with_a_damaged_process_number_is_one_sentence(tmp_path, pid):
    own = running(tmp_path, pid=pid)
    assert refused(read_trial, own.folder)


def test_manifest_with_an_unknown_status_is_one_sentence(tmp_path):
    own = record(tmp_path, status="dome")
    assert refused(read_trial, own.folder)


# finding


def test_readable_trials_are_iterated_and_damaged_ones_passed_over(tmp_path):
    good, bad = record(tmp_path), record(tmp_path)
    (bad.folder / "trial.json").write_text("{")
    empty = claim(tmp_path, "fit_eval", KEY, draft=False)
    draft = record(tmp_path, draft=True)
    record(tmp_path / "locks")
    put(tmp_path / "fit_eval" / KEY / "notes" / "trial.json", "{}")
    put(tmp_path / ".git" / "a" / "1-k2m9xwq1" / "trial.json", "{}")
    put(tmp_path / "summary.csv")
    assert [one.id for one in iterate_trials(tmp_path)] == [good.id]
    assert {one.id for one in iterate_trials(tmp_path, drafts=True)} == {good.id, draft.id}
    found = set(iterate_folders(tmp_path))
    assert found == {good.folder, bad.folder, empty.folder}


def test_store_that_is_not_there_has_no_trials(tmp_path):
    assert list(iterate_trials(tmp_path / "nowhere", drafts=True)) == []


def test_trial_is_found_by_the_beginning_of_its_id_drafts_too(tmp_path):
    own, draft = record(tmp_path), record(tmp_path, draft=True)
    assert find_trial(tmp_path, own.id).folder == own.folder
    assert find_trial(tmp_path, draft.id).folder == draft.folder


def named(store, *ids):
    for number, one in enumerate(ids, start=1):
        put(
            store / "fit_eval" / KEY / f"{number}-{one}" / "trial.json",
            json.dumps({"id": one, "experiment": "fit_eval", "status": "done"}),
        )


def test_id_that_begins_no_trial_is_refused(tmp_path):
    named(tmp_path, "k2m9xwq1")
    for prefix in ("9aa1", "1-k2", "2m9"):
        assert refused(find_trial, tmp_path, prefix) == (
            f"no trial in {tmp_path} has an id that begins with {prefix!r}"
        )
    assert find_trial(tmp_path, "k2").id == "k2m9xwq1"


def test_id_that_begins_several_trials_is_refused_with_six_of_them(tmp_path):
    named(tmp_path, *(f"k2m9xwq{n}" for n in (3, 1, 2)), "k3000000")
    assert refused(find_trial, tmp_path, "k2m") == (
        f"'k2m' begins the ids of 3 trials: k2m9xwq3 ({KEY}), k2m9xwq1 ({KEY}), "
        f"k2m9xwq2 ({KEY}); write more"
    )
    named(tmp_path, *(f"k2m9xwq{n}" for n in "fedcba"))
    assert refused(find_trial, tmp_path, "k2m9xwq").endswith(f"({KEY}) and 3 more; write more")


def test_damaged_trial_that_was_asked_for_is_one_sentence(tmp_path):
    own = record(tmp_path)
    (own.folder / "trial.json").write_text("{")
    assert "is no valid JSON" in refused(read_trial, own.folder)
