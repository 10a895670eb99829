"""The hook that says what an object is holds in every process: pytest's, the trial's, relock's."""

from __future__ import annotations

import subprocess
import sys

from conftest import manifest

from pytest_mitosis.store.files import read_json

CAMERA = """
    import threading

    class Camera:
        def __init__(self, gain):
            self.gain = gain
            self.connection = threading.Lock()
"""
FIT = """
    from camera import Camera

    lookup_dict = {"camera": {"lab": Camera(%s)}}

    def exp_fit(camera):
        return {"main": camera.gain}
"""
CONFTEST = """
    from camera import Camera

    def pytest_mitosis_describe(value):
        return {"gain": value.gain} if isinstance(value, Camera) else None
"""
LAB = ("--exp", "fit", "--variant", "camera=lab")


def files(gain):
    return {"camera.py": CAMERA, "exp_fit.py": FIT % gain, "conftest.py": CONFTEST}


def test_conftest_says_what_an_object_is_in_the_trials_process_too(project):
    project.commit(files(2.0))
    done = project.run_apart(*LAB)
    assert done.returncode == 0, done.stdout
    assert manifest(project.only())["status"] == "done"
    lock = read_json(project.store / "locks/fit/camera/lab.json")
    leaves = {path: text for path, _, text in lock["description"]["leaves"]}
    assert leaves["['gain']"] == "float 2.0"

    project.commit({"exp_fit.py": FIT % 3.0})
    again = project.run_apart(*LAB)
    assert again.returncode == 11
    assert "['gain']  float 2.0 -> float 3.0" in again.stdout

    tool = [sys.executable, "-m", "pytest_mitosis.read.cli", "relock", "fit", "camera=lab"]
    relocked = subprocess.run(
        [*tool, "--why", "a new lens"], cwd=project.path, capture_output=True, text=True
    )
    assert relocked.returncode == 0, relocked.stderr
    assert "camera=lab is now revision 2" in relocked.stdout
    assert project.run_apart(*LAB).returncode == 0


def test_without_the_hook_the_object_is_refused(project):
    project.commit({"camera.py": CAMERA, "exp_fit.py": FIT % 2.0})
    done = project.run_apart(*LAB)
    assert done.returncode == 1
    assert "camera=lab: .connection is a _thread.lock: process state, not a value" in done.stdout


def test_hook_of_an_object_is_a_usage_error(project):
    plugin = """
        import pytest

        class Plugin:
            def pytest_mitosis_describe(self, value):
                return None

        def pytest_configure(config):
            config.pluginmanager.register(Plugin(), "lens")
    """
    project.commit({"camera.py": CAMERA, "exp_fit.py": FIT % 2.0, "conftest.py": plugin})
    done = project.run_apart(*LAB)
    assert done.returncode != 0
    said = "lens: pytest_mitosis_describe has to be a function of a module"
    assert said in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
