"""Building and refreshing: what is written, what stays, two at once, ten thousand trials."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import demo_store
import pytest

from browser.test_table import facet
from pytest_mitosis.identity import describe
from pytest_mitosis.read.site import build, build_site
from pytest_mitosis.store.folder import finish
from pytest_mitosis.store.locks import Name, relock, take_lock

MANY = 10_000


@pytest.fixture
def fresh(tmp_path) -> Path:
    """A store of a dozen trials, for a test that changes it."""
    return demo_store.make_project(tmp_path / "paper", 12)


def named(store: Path) -> list[str]:
    """The data files the page names."""
    text = (store / "index.html").read_text("utf-8")
    return [part.split('"')[0] for part in text.split('src="')[1:] if "/data/" in part]


def add(store: Path, number: int = 0) -> str:
    version = demo_store.Version("3" * 40, ())
    plan = next(demo_store.plans(1, [version], random.Random(7)))
    later = plan.started + timedelta(days=400, minutes=number)
    with demo_store.without_sync():
        trial = demo_store.add_trial(
            store, replace(plan, started=later, seed=number), "", random.Random(number)
        )
    return trial.id


def ids_in(store: Path) -> set[str]:
    """The trials in the data files that the page names."""
    found: set[str] = set()
    for name in named(store):
        text = (store / name).read_text("ascii")
        if text.startswith("mitosis.chunk("):
            columns = json.loads(f"[{text[len('mitosis.chunk(') : -len(');') - 1]}]")[1]
            found |= set(next(values for column, values, _ in columns if column == "id"))
    return found


def ids_of(store: Path) -> set[str]:
    return {json.loads(f.read_text("utf-8"))["id"] for f in store.rglob("trial.json")}


def test_trial_that_cannot_be_read_is_named_above_the_table(look, fresh):
    page = look.open(build_site(fresh).page.as_uri())
    assert page.locator("#left-out").count() == 0
    before = look.count()
    new = add(fresh)
    (manifest,) = fresh.glob(f"*/*/*-{new}/trial.json")
    manifest.write_text("{")
    built = build_site(fresh)
    look.open(page.url)
    assert look.count() == before
    assert page.inner_text("#left-out") == built.left_out
    assert manifest.parent.relative_to(fresh).as_posix() in built.left_out


def test_site_has_all_trials_and_a_refresh_adds_the_new_one(look, fresh):
    page = look.open(build_site(fresh).page.as_uri())
    before = look.count()
    new = add(fresh)
    build_site(fresh)
    look.open(page.url)
    assert look.count() == before + 1
    assert look.ids()[0] == new


def test_refresh_without_news_writes_no_data_anew(fresh):
    build_site(fresh)
    stamps = {name: (fresh / name).stat().st_ino for name in named(fresh)}
    build_site(fresh)
    assert {name: (fresh / name).stat().st_ino for name in named(fresh)} == stamps


def test_refresh_writes_only_the_part_that_changed(fresh, monkeypatch):
    monkeypatch.setattr("pytest_mitosis.read.site.chunk.ROWS", 4)
    build_site(fresh)
    before = named(fresh)
    add(fresh)
    build_site(fresh)
    assert len(set(before) - set(named(fresh))) <= 2, "the commits and the last part"


def test_a_trial_that_ended_is_shown_as_ended_and_its_stand_in_page_goes(look, fresh, monkeypatch):
    build_site(fresh)
    running = next(
        f.parent for f in fresh.glob("*/*/*/trial.json") if '"running"' in f.read_text("utf-8")
    )
    stand_in = fresh / "_site" / "trials" / f"{running.name.partition('-')[2]}.html"
    assert stand_in.exists()
    plan = next(demo_store.plans(1, [demo_store.Version("", ())], random.Random(1)))
    trial = finish(running, demo_store._outcome(plan, random.Random(1)), "")
    demo_store.write_page(trial)
    monkeypatch.setattr(build, "GRACE_SECONDS", -1.0)
    build_site(fresh)
    assert not stand_in.exists()
    page = look.open((fresh / "index.html").as_uri())
    assert page.locator("#table .badge.running").count() == 0


def test_old_data_stays_a_while_for_those_who_are_reading_and_then_goes(fresh):
    build_site(fresh)
    old = [fresh / name for name in named(fresh)]
    add(fresh)
    build_site(fresh)
    gone = [file for file in old if str(file.relative_to(fresh)) not in named(fresh)]
    assert gone
    assert all(file.exists() for file in gone)
    past = time.time() - 2 * build.GRACE_SECONDS
    for file in gone:
        os.utime(file, (past, past))
    build_site(fresh)
    assert not any(file.exists() for file in gone)


def test_relocked_name_shows_both_revisions(look, fresh):
    name = Name("fit_eval", "noise", "low")
    value = {"sigma": 0.2, "kind": "gauss"}
    relock(fresh / "locks", name, describe(value), "4" * 40, "the sensor <b>was</b> replaced")
    build_site(fresh)
    page = look.open(
        f"{(fresh / 'index.html').as_uri()}#variant?step=fit_eval&parameter=noise&variant=low", "h1"
    )
    assert "noise=low@2" in page.inner_text("h1")
    text = page.inner_text("main")
    assert "float 0.2" in text
    assert "the sensor <b>was</b> replaced" in text
    assert "@1" in text


def test_locks_kept_in_the_repository_are_shown(look, fresh, tmp_path):
    locks = tmp_path / "locks"
    take_lock(locks, Name("fit_eval", "noise", "own"), describe(0.5), "5" * 40)
    page = look.open(f"{build_site(fresh, locks=locks).page.as_uri()}#names", "h1")
    assert "noise=own" in page.inner_text("main")


def test_without_a_repository_the_patch_is_said_to_be_missing_and_comes_with_one(look, fresh):
    page = build_site(fresh).page
    done = [
        m for f in fresh.glob("fit_eval/*/*/trial.json")
        if (m := json.loads(f.read_text("utf-8")))["status"] == "done"
    ]  # fmt: skip
    done.sort(key=lambda m: m["started"])
    view = f"{page.as_uri()}#compare?sel={done[0]['id']}&sel={done[-1]['id']}"
    look.open(view, "details")
    assert "The sources are not at hand" in look.page.inner_text("main")
    look.errors.clear()  # the browser tells of files that are not there
    build_site(fresh, repository=fresh.parent)
    look.open(view, ".patch")
    assert "np.linalg.norm" in look.page.inner_text("main")


def test_two_that_refresh_at_once_leave_a_site_with_everything(fresh):
    """The slower one has looked at the folder before the faster one's trial was there."""
    build_site(fresh)
    looked, go_on = threading.Event(), threading.Event()
    real = build._rows

    def slow(seen):
        rows = real(seen)
        if threading.current_thread() is slower and not looked.is_set():
            looked.set()
            go_on.wait(30)
        return rows

    build._rows = slow
    try:
        slower = threading.Thread(target=build_site, args=(fresh,))
        slower.start()
        assert looked.wait(30)
        add(fresh)
        build_site(fresh)
        go_on.set()
        slower.join(60)
    finally:
        build._rows = real
    assert ids_in(fresh) == ids_of(fresh)


PROCESS = """
import sys; sys.path[:0] = [{tests!r}, {browser!r}]
from pathlib import Path
from browser.test_refresh import add
from pytest_mitosis.read.site import build_site
store, offset = Path(sys.argv[1]), int(sys.argv[2])
for number in range(4):
    add(store, offset + number)
    build_site(store)
"""


def test_two_processes_that_record_and_refresh_leave_a_whole_site(look, fresh):
    source = PROCESS.format(
        tests=str(Path(__file__).parents[1]), browser=str(Path(__file__).parent)
    )
    both = [
        subprocess.Popen([sys.executable, "-c", source, str(fresh), str(offset)])
        for offset in (100, 200)
    ]
    assert [one.wait(120) for one in both] == [0, 0]
    assert ids_in(fresh) == ids_of(fresh)
    look.open((fresh / "index.html").as_uri())


def test_copied_store_shows_its_figures_from_where_it_is(look, fresh, tmp_path):
    folder = next(f.parent for f in fresh.glob("fit_eval/*/*/trial.html"))
    (folder / "figures").mkdir()
    (folder / "figures" / "a b#1.png").write_bytes(demo_store.picture(200, 30, 30))
    m = json.loads((folder / "trial.json").read_text("utf-8"))
    m["artifacts"]["figures/a b#1.png"] = {"bytes": 1, "sha256": ""}
    (folder / "trial.json").write_text(json.dumps(m))
    build_site(fresh)
    other = next(one for one in ids_of(fresh) if one != m["id"])
    moved = tmp_path / "moved away"
    fresh.rename(moved)
    page = look.open(
        f"{(moved / 'index.html').as_uri()}#compare?sel={m['id']}&sel={other}", "#compare-figures"
    )
    page.wait_for_function(
        "() => document.images.length && [...document.images].every(i => i.naturalWidth === 24)"
    )
    look.errors.clear()  # sources that are not there, as no repository was given


def test_trials_folder_that_cannot_be_written_fails_no_session(fresh):
    (fresh / "index.html").unlink(missing_ok=True)
    (fresh / "index.html").mkdir()
    with pytest.raises(OSError, match=r"index\.html"):
        build_site(fresh)


# ten thousand


@pytest.fixture(scope="module")
def many(store, tmp_path_factory) -> Path:
    """A store of about ten thousand trials with its site, built once."""
    large = tmp_path_factory.mktemp("many") / "trials"
    ended = len(list(store.glob("[!_d]*/*/*/trial.json")))
    demo_store.multiply(store, large, MANY // ended + 1)
    return build_site(large).page


def test_ten_thousand_trials_are_one_virtual_table_and_boxes(look, many):
    page = look.open(many.as_uri())
    assert look.count() >= MANY
    assert page.locator("#table .tabulator-row").count() < 200, "only what is seen is there"
    look.settle(lambda: page.check(facet("experiment", "fit_eval")))
    assert 1500 < look.count() < MANY
    look.settle(lambda: page.select_option("#plot-x", "param.noise"))
    assert page.get_attribute("#plot .plot", "data-kind") == "box"
    look.settle(lambda: page.select_option("#plot-plot", "points"))
    assert "boxes, as there are more than 1,500 points" in page.inner_text("#plot")
    look.settle(lambda: page.fill("#search", "heavy-tail kalman"))
    assert 0 < look.count() < 1500
    look.settle(lambda: page.fill("#search", ""))
    page.evaluate("document.querySelector('.tabulator-tableholder').scrollTop = 1e7")
    page.wait_for_function("() => document.querySelectorAll('#table .tabulator-row').length > 3")
