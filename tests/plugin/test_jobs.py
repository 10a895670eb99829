"""``--exp-jobs``: several trials at once from one pytest, and everything else as ever.

Trials wait for each other through files, so that the order of events is that of the test.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from conftest import manifest

# A trial says that it began, and ends when the files it waits for are there.
MEET = """
    import time
    from pathlib import Path

    FLAGS = Path(__file__).parent / "flags"

    def meet(own, *others):
        FLAGS.mkdir(exist_ok=True)
        (FLAGS / own).touch()
        deadline = time.monotonic() + 60
        while not all((FLAGS / one).exists() for one in others):
            assert time.monotonic() < deadline, f"{own} waits for {others}"
            time.sleep(0.01)
        return {"main": 1.5}

    def recorded(spec):
        deadline = time.monotonic() + 60
        while '"status": "done"' not in "".join(
            file.read_text() for file in Path(__file__).parent.glob(f"trials/{spec}/*/trial.json")
        ):
            assert time.monotonic() < deadline, f"waits for {spec}"
            time.sleep(0.01)
"""
IGNORED = "trials/\nflags/\n__pycache__/\n.pytest_cache/\n*.xml\nplain.txt\n"


@pytest.fixture
def prepared(project):
    project.write("meeting.py", MEET)
    project.write(".gitignore", IGNORED)
    return project


def reached(result):
    """The items in the order in which pytest reported them, with their words."""
    lines = re.findall(r"^(\S+\.py::\S+) (\w+)", result.stdout.str(), re.MULTILINE)
    return {node.partition("::")[2]: word for node, word in lines}


ORDER = """
    import meeting
    lookup_dict = {"who": {"a": "b", "b": "c", "c": None}}
    def exp_order(who):
        meeting.meet(f"began-{who}", "began-b", "began-c", "began-None")
        if who:
            meeting.recorded(f"order/who={who}")
        return {"main": 1.5}
"""


def test_trials_run_at_once_and_are_reported_as_they_end(prepared):
    prepared.commit({"exp_order.py": ORDER})
    result = prepared.run("--exp", "order", "--variant", "who=*", "--exp-jobs", "3", "-v")
    result.assert_outcomes(passed=3)
    assert list(reached(result)) == [f"exp_order[who={one}]" for one in "cba"]
    assert [manifest(one)["status"] for one in prepared.folders()] == ["done"] * 3


def test_no_more_trials_run_than_were_asked_for(prepared):
    prepared.commit(
        {
            "exp_count.py": """
            import meeting
            def exp_count(seed):
                meeting.meet(f"began-{seed}")
                running = len(list(meeting.FLAGS.glob("began-*")))
                running -= len(list(meeting.FLAGS.glob("ended-*")))
                if seed < 2:
                    meeting.meet(f"here-{seed}", f"here-{1 - seed}")
                meeting.meet(f"ended-{seed}")
                return {"main": running}
            """
        }
    )
    prepared.run("--exp", "count", "--seeds", "0-4", "--exp-jobs", "2").assert_outcomes(passed=5)
    assert all(manifest(one)["metrics"]["main"] <= 2 for one in prepared.folders())


SLOW_PAGES = """
    import time
    from pathlib import Path
    from pytest_mitosis.run import trial

    FLAGS = Path(__file__).parent / "flags"
    render_page = trial.render_page

    def began():
        return len(list(FLAGS.glob("began-*")))

    def render_slowly(*arguments):
        deadline = time.monotonic() + 60
        while began() < EXPECTED and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.5)
        (FLAGS / f"seen-{began()}").touch()
        render_page(*arguments)

    trial.render_page = render_slowly
"""


@pytest.mark.parametrize(("options", "expected"), [((), 4), (("--maxfail=3",), 2)], ids=str)
def test_others_begin_while_trials_that_ended_are_recorded(prepared, options, expected):
    """As many as may run; none where a failure may still be the session's end."""
    experiment = """
        import meeting
        def exp_slow(seed):
            return meeting.meet(f"began-{seed}")
    """
    conftest = SLOW_PAGES.replace("EXPECTED", str(expected))
    prepared.commit({"conftest.py": conftest, "exp_slow.py": experiment})
    arguments = ("--exp", "slow", "--seeds", "0-7", "--exp-jobs", "2", *options)
    assert prepared.run_apart(*arguments).returncode == 0
    seen = [int(one.name.removeprefix("seen-")) for one in (prepared.path / "flags").glob("seen-*")]
    assert min(seen) == expected
    assert len(prepared.folders()) == 8


DIES_UNPROVEN = """
    import os
    import sys

    import meeting

    lookup_dict = {"noise": {"low": 0.1}}

    if "pytest" not in sys.modules:
        try:
            (meeting.FLAGS / "first").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            meeting.meet("waits", "reported")
            os._exit(3)

    def exp_fit(noise, seed):
        return {"main": noise}
"""
TELLS = """
    from pathlib import Path

    def pytest_runtest_logfinish():
        Path(__file__).with_name("flags").joinpath("reported").touch()
"""


def test_name_stays_locked_if_one_of_its_trials_dies_before_it_is_proven(prepared):
    prepared.commit({"exp_fit.py": DIES_UNPROVEN, "conftest.py": TELLS})
    (prepared.path / "flags").mkdir()
    arguments = ("--exp", "fit", "--variant", "noise=low", "--seeds", "0-1", "--exp-jobs", "2")
    done = prepared.run_apart(*arguments)
    assert done.returncode == 1, done.stdout
    statuses = {manifest(one)["status"]: manifest(one)["proven"] for one in prepared.folders()}
    assert statuses == {"crashed": False, "done": True}
    assert (prepared.store / "locks/fit/noise/low.json").exists()


FAILS = """
    import meeting
    lookup_dict = {"how": {"bad": 0, "long": 1, "later": 2}}
    def exp_end(how):
        if how == 0:
            meeting.meet("bad", "long")
            raise ValueError("no convergence")
        return meeting.meet("long" if how == 1 else "later", "never")
"""


@pytest.mark.parametrize("option", ["-x", "--maxfail=1", "--sw"])
def test_first_failure_stops_the_session_and_interrupts_what_runs(prepared, option):
    prepared.commit({"exp_end.py": FAILS})
    result = prepared.run("--exp", "end", "--variant", "how=*", "--exp-jobs", "2", option, "-v")
    assert result.ret == (2 if option == "--sw" else 1)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["* bad * CRASHED *", "* long * interrupted *"])
    by_name = {one.parent.name: manifest(one)["status"] for one in prepared.folders()}
    assert by_name.pop("how=bad") == "crashed"
    assert by_name == {"how=long": "interrupted"}  # and none began in the slot that was free


def test_last_failed_runs_only_what_failed(prepared):
    prepared.commit(
        {
            "exp_odd.py": """
            def exp_odd(seed):
                assert seed != 1, "one"
                return {"main": seed}
            """
        }
    )
    options = ("--exp", "odd", "--seeds", "0-2", "--exp-jobs", "3", "-v")
    prepared.run(*options).assert_outcomes(passed=2, failed=1)
    again = prepared.run(*options, "--lf")
    again.assert_outcomes(failed=1)
    assert list(reached(again)) == ["exp_odd[seed=1]"]


def test_stepwise_reports_in_order_so_that_no_item_is_left_out(prepared):
    prepared.commit({"exp_order.py": ORDER})
    options = ("--exp", "order", "--variant", "who=*", "--exp-jobs", "3", "-v", "--sw")
    result = prepared.run(*options)
    result.assert_outcomes(passed=3)
    assert list(reached(result)) == [f"exp_order[who={one}]" for one in "abc"]


def test_times_are_those_of_the_trials(prepared):
    prepared.commit(
        {
            "exp_nap.py": "import time\ndef exp_nap(seed):\n    time.sleep(0.3)\n"
            "    return {'main': 1}\n"
        }
    )
    result = prepared.run(
        *("--exp", "nap", "--seeds", "0-1", "--exp-jobs", "2"),
        *("--durations=2", "--durations-min=0.2", "--junitxml=all.xml", "-v"),
    )
    result.assert_outcomes(passed=2)
    assert len(re.findall(r"s call +exp_nap", result.stdout.str())) == 2
    cases = ElementTree.parse(prepared.path / "all.xml").findall(".//testcase")
    taken = {manifest(one)["duration_s"] for one in prepared.folders()}
    assert len(cases) == 2
    for case in cases:
        assert any(abs(float(case.get("time")) - one) < 0.5 for one in taken)
        names = {one.get("name"): one.get("value") for one in case.findall(".//property")}
        assert names == {"mitosis.main": "1"}


CONFTEST = """
    import os
    import pytest

    @pytest.fixture(autouse=True)
    def steered(request, monkeypatch):
        monkeypatch.setenv("STEER", request.node.name)
"""


def test_items_under_a_fixture_are_prepared_when_reached(prepared):
    prepared.commit(
        {
            "one/conftest.py": CONFTEST,
            "one/exp_env.py": """
            import os
            def exp_env(seed): return {"main": os.environ["STEER"]}
            """,
            "exp_free.py": """
            import os
            def exp_free(seed): return {"main": os.environ.get("STEER", "none")}
            """,
        }
    )
    options = ("--exp", "env", "--exp", "free", "--seeds", "0-2", "--exp-jobs", "2")
    result = prepared.run(*options)
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["mitosis: 3 trials run one at a time, *: the fixture *steered"])
    told = {one.parent.name: manifest(one)["metrics"]["main"] for one in prepared.folders("env/*")}
    assert told == {f"seed={n}": f"exp_env[seed={n}]" for n in range(3)}
    assert {manifest(one)["metrics"]["main"] for one in prepared.folders("free/*")} == {"none"}


def test_fixture_arguments_and_module_fixtures_keep_their_scopes(prepared):
    prepared.commit(
        {
            "conftest.py": """
            import pytest
            from pathlib import Path

            def note(text):
                with Path(__file__).with_name("plain.txt").open("a") as file:
                    print(text, file=file)

            @pytest.fixture(scope="module")
            def level():
                note("set up")
                yield 0.25
                note("torn down")
            """,
            "exp_level.py": "def exp_level(level, seed): return {'main': level + seed}\n",
            "exp_free.py": "def exp_free(seed): return {'main': seed}\n",
        }
    )
    options = ("--exp", "level", "--exp", "free", "--seeds", "0-2", "--exp-jobs", "2")
    prepared.run(*options).assert_outcomes(passed=6)
    assert (prepared.path / "plain.txt").read_text().splitlines() == ["set up", "torn down"]
    values = sorted(manifest(one)["metrics"]["main"] for one in prepared.folders("level/*"))
    assert values == [0.25, 1.25, 2.25]


def test_arguments_of_parametrize_need_no_fixture(prepared):
    prepared.commit(
        {
            "exp_rep.py": """
            import meeting, pytest
            @pytest.mark.parametrize("rep", [0, 1])
            def exp_rep(rep):
                return meeting.meet(f"r{rep}", f"r{1 - rep}") | {"rep": rep}
            """
        }
    )
    prepared.run("--exp", "rep", "--exp-jobs", "2").assert_outcomes(passed=2)
    assert sorted(manifest(one)["metrics"]["rep"] for one in prepared.folders()) == [0, 1]


def test_skipped_experiments_do_not_begin(prepared):
    prepared.commit(
        {
            "exp_skip.py": """
            import pytest
            @pytest.mark.skipif(True, reason="not today")
            def exp_skip(seed): return {"main": 1}
            """,
            "exp_run.py": "def exp_run(seed): return {'main': 1}\n",
            "sub/conftest.py": """
            import pytest
            def pytest_runtest_setup(item): pytest.skip("none of these")
            """,
            "sub/exp_none.py": "def exp_none(seed): return {'main': 1}\n",
        }
    )
    names = ("--exp", "skip", "--exp", "run", "--exp", "none")
    result = prepared.run(*names, "--seeds", "0-1", "--exp-jobs", "2")
    result.assert_outcomes(passed=2, skipped=4)
    assert len(prepared.folders()) == 2


def test_overridden_guard_is_asked_before_anything_begins(prepared):
    prepared.commit(
        {
            "conftest.py": """
            import pytest
            @pytest.fixture(scope="session")
            def clean_tree():
                pytest.fail("not on this branch", pytrace=False)
            """,
            "exp_run.py": "def exp_run(seed): return {'main': 1}\n",
        }
    )
    result = prepared.run("--exp", "run", "--seeds", "0-2", "--exp-jobs", "3")
    result.assert_outcomes(errors=3)
    assert not prepared.folders()


def test_overridden_guard_that_agrees_leaves_trials_at_once(prepared):
    prepared.commit(
        {
            "conftest.py": """
            import pytest
            @pytest.fixture(scope="session")
            def clean_tree():
                pass
            """,
            "exp_run.py": """
            import meeting
            def exp_run(seed): return meeting.meet(f"s{seed}", f"s{1 - seed}")
            """,
        }
    )
    prepared.write("exp_new.py", "# not committed\n")
    result = prepared.run("--exp", "run", "--seeds", "0-1", "--exp-jobs", "2")
    result.assert_outcomes(passed=2)


def test_dirty_tree_stops_before_anything_begins(prepared):
    prepared.commit({"exp_run.py": "def exp_run(seed): return {'main': 1}\n"})
    prepared.write("new.py", "x = 1\n")
    result = prepared.run("--exp", "run", "--seeds", "0-2", "--exp-jobs", "3")
    assert result.ret == 10
    assert not prepared.folders()


def test_changed_name_is_refused_while_others_run(prepared):
    lookup = (
        "lookup_dict = {{'x': {{'one': {}, 'two': 2.0}}}}\ndef exp_x(x): return {{'main': x}}\n"
    )
    prepared.commit({"exp_x.py": lookup.format(1.0)})
    prepared.run("--exp", "x", "--variant", "x=one").assert_outcomes(passed=1)
    prepared.commit({"exp_x.py": lookup.format(1.5)})
    result = prepared.run("--exp", "x", "--variant", "x=*", "--exp-jobs", "2", "-v")
    assert result.ret == 11
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*float 1.0 -> float 1.5*", "exit 11: x=one changed *"])
    assert [one.parent.name for one in prepared.folders()] == ["x=one", "x=two"]


def test_plain_tests_run_in_the_same_session(prepared):
    prepared.commit(
        {
            "exp_run.py": "def exp_run(seed): return {'main': seed}\n",
            "test_a.py": "def test_good(): pass\ndef test_bad(): assert 0\n",
        }
    )
    nodes = [f"exp_run.py::exp_run[seed={n}]" for n in range(2)]
    result = prepared.run("test_a.py", *nodes, "--exp-jobs", "2", "-v")
    result.assert_outcomes(passed=3, failed=1)
    assert {"test_good", "test_bad"} <= reached(result).keys()


def test_two_items_of_one_spec_run_once(prepared):
    prepared.commit({"exp_run.py": "def exp_run(plot=False): return {'main': 1}\n"})
    result = prepared.run(
        *("--exp", "run", "--eval-param", "+plot=True", "--eval-param", "+plot=False"),
        *("--exp-jobs", "2", "-v"),
    )
    result.assert_outcomes(passed=2)
    assert sorted(reached(result).values()) == ["DONE", "REUSED"]
    assert len(prepared.folders()) == 1


def session(project, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "mitosis", *arguments],
        **{
            "cwd": project.path,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
            "start_new_session": True,
            **options,
        },
    )


def test_two_sessions_share_a_grid(prepared):
    prepared.commit({"exp_run.py": "def exp_run(seed): return {'main': seed}\n"})
    options = ("--exp", "run", "--seeds", "0-3", "--exp-jobs", "2", "-q")
    both = [session(prepared, *options) for _ in range(2)]
    printed = [one.communicate(timeout=120)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], printed
    assert [one.name[:2] for one in prepared.folders()] == ["1-"] * 4


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_interrupts_all_trials_and_prints_the_summary(prepared, how):
    prepared.commit(
        {
            "exp_long.py": """
            import meeting
            def exp_long(seed): return meeting.meet(f"s{seed}", "never")
            """
        }
    )
    with session(prepared, "--exp", "long", "--seeds", "0-2", "--exp-jobs", "2") as one:
        wait_for(prepared.path / "flags/s0", prepared.path / "flags/s1")
        os.kill(one.pid, how)
        try:
            printed = one.communicate(timeout=60)[0]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
    assert one.returncode == 2, printed
    assert "Traceback" not in printed
    assert "2 trials were interrupted; what they left is kept" in printed
    assert printed.count(" interrupted ") == 2
    records = [manifest(folder) for folder in prepared.folders()]
    assert [one["status"] for one in records] == ["interrupted"] * 2
    assert all("notebook.html" in one["artifacts"] for one in records)


def wait_for(*files: Path) -> None:
    import time

    deadline = time.monotonic() + 60
    while not all(file.exists() for file in files):
        assert time.monotonic() < deadline, files
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("0", "*--exp-jobs has to be a number above 0 or 'auto', not 0"),
        ("many", "*--exp-jobs has to be a number above 0 or 'auto', not 'many'"),
    ],
)
def test_odd_number_of_jobs_is_a_usage_error(prepared, option, words):
    prepared.commit({"exp_run.py": "def exp_run(): return {'main': 1}\n"})
    result = prepared.run("--exp", "run", "--exp-jobs", option)
    assert result.ret == 4
    result.stderr.fnmatch_lines([words])


def test_jobs_bound_the_workers_of_xdist(prepared):
    prepared.commit({"exp_run.py": "def exp_run(seed): return {'main': 1}\n"})
    done = prepared.run_apart("--exp", "run", "--seeds", "0-2", "-n", "3", "--exp-jobs", "2")
    assert done.returncode == 0, done.stdout
    assert "mitosis: 2 of 3 workers, one trial each, since --exp-jobs is 2" in done.stdout
    assert "2 workers [3 items]" in done.stdout
    assert len(prepared.folders()) == 3
