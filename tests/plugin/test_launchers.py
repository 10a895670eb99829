"""Launchers: what runs a trial makes no difference to it, and leaves nothing of others in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import manifest, notebook

FACTS = """
    import ctypes, os, random, signal, sys, threading
    import matplotlib.pyplot as plt
    from IPython.display import Markdown, display

    def exp_facts(n=1):
        print("text", n)
        print("warned", file=sys.stderr)
        display(Markdown("*shown*"))
        plt.plot([1, 2])
        plt.show()
        ctypes.CDLL(None).puts(b"from C")
        ctypes.CDLL(None).fflush(None)
        drawn = random.Random().random()
        return {
            "main": n,
            "hash": hash("hash"),
            "drawn": drawn,
            "seen": os.environ.get("SEEN"),
            "cwd": os.getcwd(),
            "leads": os.getpgid(0) == os.getpid(),
            "parent": os.getppid(),
            "stdin": sys.stdin.read() if sys.stdin else "",
            "handlers": [str(signal.getsignal(s)) for s in (signal.SIGCHLD, signal.SIGHUP)],
        }
"""


def result(folder, step):
    from pytest_mitosis import load_trial_data

    return load_trial_data(folder.name[2:], trials_folder=folder.parents[2])[step]


def outputs(folder):
    found = []
    for cell in notebook(folder)["cells"]:
        for one in cell.get("outputs", ()):
            kind = one["output_type"]
            shown = one.get("text") or sorted(one.get("data", ()))
            found.append((kind, one.get("name"), "".join(shown)))
    return found


@pytest.mark.parametrize("launcher", ["kernel", "process"])
def test_what_a_persons_ipython_runs_at_its_start_is_no_part_of_a_trial(
    project, monkeypatch, tmp_path_factory, launcher
):
    home = tmp_path_factory.mktemp("ipython")
    startup = home / "profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "own.py").write_text("import builtins; builtins.own = 1\n")
    settings = "c.InteractiveShellApp.exec_lines = ['import builtins; builtins.own = 2']\n"
    for name in ("ipython_config.py", "ipython_kernel_config.py"):
        (home / "profile_default" / name).write_text(settings)
    monkeypatch.setenv("IPYTHONDIR", str(home))
    project.commit(
        {
            "exp_own.py": """
            import builtins

            def exp_own():
                return {"main": getattr(builtins, "own", 0)}
            """
        }
    )
    done = project.run_apart("--exp", "own", "--exp-launcher", launcher)
    assert done.returncode == 0, done.stdout
    assert manifest(project.only())["metrics"]["main"] == 0


@pytest.mark.parametrize("launcher", ["kernel", "process"])
def test_trial_has_a_process_to_itself(project, monkeypatch, launcher):
    monkeypatch.setenv("SEEN", "by the trial")
    project.commit({"exp_facts.py": FACTS})
    options = ["--eval-param", "n=1", "--eval-param", "n=2", "--exp-launcher", launcher]
    project.run("--exp", "facts", *options).assert_outcomes(passed=2)
    one, two = (result(folder, "facts") for folder in project.folders())
    assert one["hash"] == two["hash"]
    assert one["drawn"] != two["drawn"]
    assert one["parent"] == two["parent"] != os.getpid()
    for found, folder in zip((one, two), project.folders(), strict=True):
        assert found["seen"] == "by the trial"
        assert found["cwd"] == str(folder / "files")
        assert found["leads"]
        assert found["stdin"] == ""
        assert found["handlers"] == [str(signal_default()), str(signal_default())]
        assert manifest(folder)["launcher"] == launcher
        assert "from C" in (folder / "output.txt").read_text()
        assert (folder / "figures/facts-1.png").stat().st_size > 1000
        shown = outputs(folder)
        assert ("display_data", None, "text/markdowntext/plain") in shown
        assert ("display_data", None, "image/pngtext/plain") in shown
        assert any(name == "stderr" and text == "warned\n" for _, name, text in shown)
    code = "import os; print(hash('hash'))"
    zero = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True
    )
    assert one["hash"] == int(zero.stdout)


PRINTING = """
    import ctypes, multiprocessing, os, subprocess, sys

    def child():
        print("forked", flush=True)

    def exp_printing():
        print("python")
        ctypes.CDLL(None).puts(b"C")
        ctypes.CDLL(None).fflush(None)
        subprocess.run(["echo", "program"])
        subprocess.run(["echo", "program told where"], stdout=sys.stdout)
        for how in ("fork", "spawn"):
            process = multiprocessing.get_context(how).Process(target=child)
            process.start()
            process.join()
        print("python again")
        os.write(2, b"last\\n")
        return {"main": 1}
"""


@pytest.mark.parametrize("launcher", ["kernel", "process"])
def test_notebook_shows_what_c_libraries_and_programs_print_where_they_did(project, launcher):
    project.commit({"exp_printing.py": PRINTING})
    project.run("--exp", "printing", "--exp-launcher", launcher).assert_outcomes(passed=1)
    folder = project.only()
    printed = "python\nC\nprogram\nprogram told where\nforked\nforked\npython again\nlast\n"
    assert (folder / "output.txt").read_text() == printed
    assert "".join(text for _, name, text in outputs(folder) if name == "stdout") == printed


def signal_default():
    import signal

    return signal.SIG_DFL


def test_process_that_waits_for_a_trial_is_never_stale(project):
    """The third process is warm while the second trial runs; what changes then still counts."""
    project.write(
        "conftest.py",
        """
        import os, pathlib, pytest
        @pytest.fixture
        def number(request):
            seed = request.getfixturevalue("trial").seed
            pathlib.Path(__file__).with_name("helper.py").write_text(
                f"VALUE = {seed * 10}{' ' * seed}\\n"  # compiled files go by size and second
            )
            os.environ["CHANGED"] = str(seed)
            yield seed
            del os.environ["CHANGED"]
        """,
    )
    project.write("helper.py", "VALUE = None\n")
    project.write(
        "exp_late.py",
        """
        def exp_late(number, seed=0):
            import os, helper
            return {"main": helper.VALUE, "changed": os.environ["CHANGED"]}
        """,
    )
    project.run("--exp", "late", "--seeds", "1-4", "--exp-draft").assert_outcomes(passed=4)
    folders = [file.parent for file in project.store.glob("drafts/late/*/*/trial.json")]
    found = sorted(
        (manifest(folder)["seed"], manifest(folder)["metrics"]["main"], result(folder, "late"))
        for folder in folders
    )
    assert [(seed, main, one["changed"]) for seed, main, one in found] == [
        (seed, seed * 10, str(seed)) for seed in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize("launcher", ["kernel", "process"])
def test_without_a_fork_server_new_interpreters_do(project, monkeypatch, launcher):
    monkeypatch.delattr(os, "waitid")
    project.commit({"exp_one.py": "def exp_one():\n    print('text')\n    return {'main': 1.5}\n"})
    project.run("--exp", "one", "--exp-launcher", launcher).assert_outcomes(passed=1)
    folder = project.only()
    assert manifest(folder)["metrics"] == {"main": 1.5}
    assert (folder / "output.txt").read_text() == "text\n"


def test_trials_outlive_the_fork_server(project):
    project.commit(
        {
            "exp_kill.py": """
            import os, signal, time
            def exp_kill(n=1):
                if n == 1:
                    os.kill(os.getppid(), signal.SIGKILL)
                    while os.getppid() == PARENT:
                        time.sleep(0.01)
                return {"main": n}
            PARENT = os.getppid()
            """
        }
    )
    options = [f"--eval-param=n={n}" for n in (0, 1, 2, 3)]
    project.run("--exp", "kill", *options).assert_outcomes(passed=4)
    assert [manifest(folder)["status"] for folder in project.folders()] == ["done"] * 4


def test_preloaded_modules_are_there_and_recorded(project):
    project.commit(
        {
            "pyproject.toml": '[tool.mitosis]\npreload = ["numpy"]\n',
            "exp_pre.py": """
            import sys
            LOADED = "numpy" in sys.modules
            def exp_pre(n=1):
                import numpy as np
                return {"main": float(np.random.rand()), "loaded": LOADED}
            """,
        }
    )
    options = [f"--eval-param=n={n}" for n in (1, 2, 3)]
    done = project.run_apart("--exp", "pre", *options)
    assert done.returncode == 0, done.stdout
    folders = project.folders()
    assert all(result(folder, "pre")["loaded"] for folder in folders)
    assert all(manifest(folder)["preload"] == ["numpy"] for folder in folders)
    assert all("numpy" in manifest(folder)["code"]["distributions"] for folder in folders)
    seeded = np.random.RandomState(0).random_sample()  # the trial's seed, not the server's state
    assert {manifest(folder)["metrics"]["main"] for folder in folders} == {seeded}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("numpyy", "numpyy cannot be preloaded: ModuleNotFoundError: *"),
        ("mine", "mine cannot be preloaded: *mine.py is the project's own and may be edited; *"),
    ],
)
def test_what_cannot_be_preloaded_is_one_line(project, monkeypatch, name, words):
    project.commit(
        {
            "pyproject.toml": f'[tool.mitosis]\npreload = ["{name}"]\n',
            "mine.py": "X = 1\n",
            "exp_one.py": "def exp_one(): return {'main': 1}\n",
        }
    )
    monkeypatch.setenv("PYTHONPATH", str(project.path))
    result = project.run("--exp", "one")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([words])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_unknown_launcher_names_those_there_are(project):
    project.commit({"exp_one.py": "def exp_one(): return {'main': 1}\n"})
    result = project.run("--exp", "one", "--exp-launcher", "proces")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: there is no launcher 'proces', and no conftest *; there are kernel, *process?"]
    )


def test_conftest_has_a_launcher_of_its_own(project):
    project.commit(
        {
            "conftest.py": """
            from pytest_mitosis.run.launchers import make_launcher

            class Counted:
                def __init__(self):
                    self.inner, self.submitted = make_launcher("process"), []
                def submit(self, order):
                    self.submitted.append(order.job.key)
                    return self.inner.submit(order)
                def wait(self, handles, timeout=None): return self.inner.wait(handles, timeout)
                def cancel(self, handle): self.inner.cancel(handle)
                def close(self):
                    print("closed after", self.submitted)
                    self.inner.close()

            def pytest_mitosis_launcher(config, name):
                return Counted() if name == "counted" else None
            """,
            "exp_one.py": "def exp_one(): return {'main': 1}\n",
        }
    )
    result = project.run("--exp", "one", "--exp-launcher", "counted")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*closed after ?'default'?"])
    assert manifest(project.only())["launcher"] == "counted"


FAILING = """
    from pytest_mitosis import conductor
    from pytest_mitosis.run.launchers import make_launcher

    conductor.PATIENCE = 2.0

    class Direct:
        def __init__(self):
            self.inner, self.count = make_launcher("process"), 0
        def submit(self, order):
            self.count += 1
            if self.count == 2:
                raise {error}("no such thing")
            return self.inner.submit(order)
        def wait(self, handles, timeout=None): return self.inner.wait(handles, timeout)
        def cancel(self, handle): self.inner.cancel(handle)
        def close(self): self.inner.close()

    class Lost:
        def __init__(self, order): self.order = order
        def is_done(self): return False

    class Batches(Direct):
        "Hands over at the next wait, and forgets what it failed to hand over."
        def submit(self, order):
            self.count += 1
            return Lost(order) if self.count == 2 else self.inner.submit(order)
        def wait(self, handles, timeout=None):
            if self.count >= 2:
                self.count = -100
                raise {error}("no such thing")
            return self.inner.wait(handles, timeout)

    def pytest_mitosis_launcher(config, name):
        return {{"direct": Direct, "batches": Batches}}[name]()
"""
SLOW = """
    import time
    def exp_slow(seed):
        time.sleep(0.3)
        return {"main": seed}
"""


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize("error", ["TypeError", "OSError"])
def test_trial_whose_launcher_raises_has_crashed_and_others_run(project, jobs, error):
    project.commit({"conftest.py": FAILING.format(error=error), "exp_slow.py": SLOW})
    arguments = ("--exp", "slow", "--seeds", "0-3", "--exp-jobs", jobs, "--exp-launcher", "direct")
    done = project.run_apart(*arguments, timeout=60)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 3 passed" in done.stdout
    assert f"{error}: the launcher failed: no such thing" in done.stdout
    assert f'raise {error}("no such thing")' in done.stdout
    assert "INTERNALERROR" not in done.stdout
    found = {one["seed"]: one for one in map(manifest, project.folders())}
    assert [found[seed]["status"] for seed in range(4)] == ["done", "crashed", "done", "done"]
    assert found[1]["failure"]["type"] == error


@pytest.mark.parametrize(("jobs", "code"), [("1", 1), ("3", 3)])
def test_launcher_that_fails_while_it_is_waited_for_ends_the_session_in_order(project, jobs, code):
    project.commit({"conftest.py": FAILING.format(error="TypeError"), "exp_slow.py": SLOW})
    arguments = ("--exp", "slow", "--seeds", "0-2", "--exp-launcher", "batches")
    done = project.run_apart(*arguments, "--exp-jobs", jobs, timeout=60)
    assert done.returncode == code, done.stdout
    assert "TypeError: no such thing" in done.stdout
    statuses = {one["seed"]: one["status"] for one in map(manifest, project.folders())}
    other = "done" if jobs == "1" else "interrupted"
    assert statuses == {0: other, 1: "crashed", 2: other}


DEEP = """
    def inner(divisor):
        secret = 41 + 1
        return 1 / divisor

    def exp_deep(divisor=0):
        place = "in the experiment"
        return {"main": inner(divisor)}
"""


@pytest.mark.parametrize(
    ("option", "typed", "seen"),
    [
        ("--pdb", "p secret\nu\np place\nq\n", ["(Pdb) 42", "'in the experiment'"]),
        ("--trace", "n\np place\nc\n", ["exp_deep.py(7)exp_deep()", "'in the experiment'"]),
    ],
)
def test_debugger_stops_in_the_experiments_frame(project, option, typed, seen):
    project.commit({"exp_deep.py": DEEP})
    done = project.run_apart("--exp", "deep", option, input=typed)
    assert all(text in done.stdout for text in seen), done.stdout
    assert "ZeroDivisionError" in done.stdout
    record = manifest(project.only())
    assert record["launcher"] == "inline"
    assert record["status"] == "crashed"
    assert record["tainted"] == [
        "it ran inside the process that started it (launcher inline), not in one of its own"
    ]


def test_debugger_and_another_launcher_are_one_too_many(project):
    project.commit({"exp_deep.py": DEEP})
    result = project.run("--exp", "deep", "--pdb", "--exp-launcher", "process")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --pdb and --trace cannot follow a trial *"])


CHECKPOINTED = """
    import time

    def exp_long(checkpoint_dir, n=4):
        file = checkpoint_dir / "done"
        start = int(file.read_text()) if file.exists() else 0
        print("from", start)
        try:
            for number in range(start, n):
                file.write_text(str(number + 1))
                if start == 0 and number == 1:
                    (checkpoint_dir / "asleep").touch()
                    time.sleep(120)
        except KeyboardInterrupt:
            print("saved")
            raise
        return {"main": start}
"""


@pytest.mark.parametrize("launcher", ["kernel", "process"])
def test_stopped_trial_saves_and_goes_on_as_its_next_attempt(project, launcher):
    project.commit({"exp_long.py": CHECKPOINTED})
    options = ["-p", "mitosis", "--exp", "long", "--exp-launcher", launcher]
    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options], cwd=project.path, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(project.store.glob("*/*/*/checkpoints/asleep")) and time.monotonic() < deadline:
        time.sleep(0.05)
    session.terminate()
    assert session.wait(60) == 2
    folder = project.only()
    before = manifest(folder)
    assert before["status"] == "interrupted"
    assert (folder / "output.txt").read_text() == "from 0\nsaved\n"
    project.run(*options[2:], "--exp-resume").assert_outcomes(passed=1)
    assert project.only() == folder
    after = manifest(folder)
    assert (after["id"], after["iteration"], after["attempt"]) == (before["id"], 1, 2)
    assert after["status"] == "done"
    assert after["metrics"] == {"main": 2}
    (first,) = after["attempts"]
    assert (first["attempt"], first["status"]) == (1, "interrupted")
    kept = folder / "attempts/1"
    assert json.loads((kept / "trial.json").read_text())["finished"] == before["finished"]
    assert (kept / "output.txt").read_text() == "from 0\nsaved\n"
    assert (folder / "output.txt").read_text() == "from 2\n"
    assert "attempts/1/notebook.ipynb" in after["artifacts"]
    again = project.run(*options[2:], "--exp-resume")
    again.assert_outcomes(passed=1)
    assert project.only() == folder
    assert manifest(folder)["attempt"] == 2


def test_options_of_clusters_need_one(project):
    project.commit({"exp_a.py": "def exp_a():\n    return {'main': 1.5}\n"})
    result = project.run("--exp", "a", "--exp-detach")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [
            "ERROR: --exp-detach is for launchers that send trials to a cluster, not for kernel; "
            "use --exp-launcher with slurm"
        ]
    )


@pytest.mark.parametrize("launcher", ["kernel", "process"])
@pytest.mark.parametrize("end", ["return {'main': 1.0}", "os._exit(3)", "raise ValueError"])
def test_new_interpreters_leave_no_children_behind(project, monkeypatch, launcher, end):
    """Also where the operating system cannot say that a process ended before it is waited for."""
    monkeypatch.delattr(os, "waitid")
    project.commit(
        {
            "exp_leaves.py": f"""
            import os, pathlib, subprocess
            def exp_leaves():
                child = subprocess.Popen(["sleep", "100"])
                pathlib.Path("child").write_text(str(child.pid))
                {end}
            """
        }
    )
    project.run("--exp", "leaves", "--exp-launcher", launcher)
    child = int((project.only() / "files/child").read_text())
    deadline = time.monotonic() + 10
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
