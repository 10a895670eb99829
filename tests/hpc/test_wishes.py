"""What PSI/J is asked for, what schedulers answer, and what is refused; none needs a scheduler."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mitosis.plan.resources import Request
from pytest_mitosis.plan.sites import Site
from pytest_mitosis.run.cluster.scheduler import Load, SchedulerError
from pytest_mitosis.run.hpc.states import read_states, readable, state_of
from pytest_mitosis.run.hpc.wishes import SPEC, attributes, custom, resources, write_wishes

ONE = 'import pytest\n@pytest.mark.experiment(gpus=1)\ndef exp_one(): return {"main": 1.5}\n'
SITE = '[tool.mitosis.launchers.far]\nkind = "psij"\nexecutor = "pbs"\n'
BIG = Request(4, 2, 8 * 1024**3, 3600.0)


@pytest.mark.parametrize(
    ("executor", "asked"),
    [
        ("slurm", {"cpu_cores_per_process": 8, "gpu_cores_per_process": 4}),
        ("pbs_classic", {"processes_per_node": 8, "gpu_cores_per_process": 4}),
        ("lsf", {"processes_per_node": 8}),
        ("flux", {"process_count": 1, "cpu_cores_per_process": 8, "gpu_cores_per_process": 4}),
    ],
)
def test_each_executor_is_asked_in_the_words_it_passes_on(executor, asked):
    found = resources(executor, BIG, 2)
    assert found == {"node_count": 1, "memory": 16 * 1024**3, **asked}


def test_gpus_that_an_executor_does_not_pass_on_are_refused_or_put_otherwise():
    with pytest.raises(SchedulerError, match="PSI/J's pbs asks for no GPUs"):
        resources("pbs", BIG, 1)
    site = Site("a", "psij", executor="lsf", options={"queue": "q"}, custom={"lsf.x": "y"})
    assert custom(site, 2) == {"lsf.gpu": "num=2", "lsf.x": "y"}
    assert attributes(site) == {"queue_name": "q"}


def test_time_limit_follows_from_the_trials_or_is_asked_for(tmp_path):
    site, load = Site("a", "psij", executor="lsf", per_job=3), Load(7, Request(), "/py")
    with pytest.raises(SchedulerError, match=r"needs a time limit.*\.launchers\.a\] a time"):
        write_wishes(tmp_path, site, load)
    write_wishes(tmp_path, site, Load(7, BIG, "/py"))
    spec = json.loads((tmp_path / SPEC).read_text())
    assert spec["tasks"] == 3
    assert spec["limit"] == 3 * 3600 + 120 + 60


@pytest.mark.parametrize(
    ("state", "why", "found"),
    [
        ("CANCELED", "", "CANCELLED"),
        ("FAILED", "TERM_RUNLIMIT: job killed after reaching LSF run time limit", "TIMEOUT"),
        ("FAILED", "job killed: walltime 130 exceeded limit 120", "TIMEOUT"),
        (
            "FAILED",
            "TERM_MEMLIMIT: job killed after reaching memory usage limit",
            "OUT_OF_MEMORY",
        ),
        ("FAILED", "TERM_OWNER: job killed by owner", "CANCELLED"),
        ("FAILED", "", "FAILED"),
        ("ACTIVE", "memory", "ACTIVE"),
    ],
)
def test_why_a_job_failed_is_read_from_what_its_scheduler_says(state, why, found):
    assert state_of(state, why) == found


def test_what_psij_cannot_read_is_put_so_that_it_can():
    rows = "JOBID ST REASON\n7 F RaisedSignal:9\n8 PD Nodes required for j\n"
    text, reasons = readable("slurm", rows, {"7"})
    assert text.splitlines()[1:] == ["7 F NonZeroExitCode"]
    assert reasons == {"7": "RaisedSignal:9"}
    one = {"JOBID": "7", "STAT": "EXIT", "EXIT_REASON": "TERM_OWNER: job killed by owner"}
    text, reasons = readable("lsf", json.dumps({"RECORDS": [one, {"ERROR": "Job <8> …"}]}), {"7"})
    assert json.loads(text)["RECORDS"][0]["KILL_REASON"] == ""
    assert reasons == {"7": "TERM_OWNER: job killed by owner"}


def test_forgotten_jobs_are_no_failure_to_answer():
    forgot = subprocess.CompletedProcess([], 153, "", "qstat: Unknown Job Id 7.server\n")
    assert read_states(None, "pbs", forgot, {"7": ""}) == {}
    down = subprocess.CompletedProcess([], 255, "", "qstat: cannot connect to server\n")
    with pytest.raises(ValueError, match="cannot connect to server"):
        read_states(None, "pbs", down, {"7": ""})


def test_psij_that_is_not_installed_is_one_line(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "psij", None)
    project.commit({"pyproject.toml": SITE, "exp_one.py": ONE})
    result = project.run("--exp", "one", "--exp-launcher", "far")
    assert result.ret == 4
    line = "ERROR: --exp-launcher far needs psij-python: pip install 'pytest-mitosis[[]hpc]'"
    result.stderr.fnmatch_lines([line])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--exp-generate", "ERROR: --exp-generate writes scripts for Slurm's sbatch, and *far*"),
        ("--exp-jobs=2", "ERROR: --exp-jobs bounds a job array of Slurm's, and *far*"),
    ],
)
def test_what_only_arrays_do_is_refused(project, option, words):
    project.commit({"pyproject.toml": SITE, "exp_one.py": ONE})
    result = project.run("--exp", "one", "--exp-launcher", "far", option)
    assert result.ret == 4
    result.stderr.fnmatch_lines([words])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('executor = "pbss"', "executor is 'pbss'; it can be pbs or pbs_classic or lsf or *"),
        ('partition = "long"', "has an unknown key 'partition'; *queue*"),
        ('custom = { qos = "x" }', "custom has to be a table of the scheduler's own options, *"),
    ],
)
def test_malformed_table_says_what_there_is(project, line, words):
    kind = '[tool.mitosis.launchers.far]\nkind = "psij"\n'
    project.commit({"pyproject.toml": f"{kind}{line}\n", "exp_one.py": ONE})
    result = project.run("--exp", "one", "--exp-launcher", "far")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: *far {words}"])


# One program that stands in for a scheduler's commands: it starts jobs here, and says how they are.
STAND_IN = """\
#!{python}
import json, os, subprocess, sys
from pathlib import Path
place = Path(__file__).parent
name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
if name in ("qsub", "bsub"):
    number = str(len([*place.glob("*.script")]) + 1)
    task = number + ".server" if name == "qsub" else number
    (place / (number + ".script")).write_text(Path(arguments[0]).read_text())
    env = dict(os.environ, **{{"PBS_JOBID" if name == "qsub" else "LSB_JOBID": task}})
    null = subprocess.DEVNULL
    end = f"bash {{place}}/{{number}}.script; echo $? > {{place}}/{{number}}.end"
    subprocess.Popen(["bash", "-c", end], env=env, stdin=null, stdout=null, stderr=null,
                     start_new_session=True)
    print(task if name == "qsub" else f"Job <{{task}}> is submitted to queue <normal>.")
elif name == "qstat":
    jobs = {{}}
    for task in arguments[4:]:
        end = place / (task.split(".")[0] + ".end")
        jobs[task] = {{"job_state": "R"}}
        if end.exists():
            jobs[task] = {{"job_state": "F", "Exit_status": int(end.read_text() or 0)}}
    print(json.dumps({{"Jobs": jobs}}))
elif name == "bjobs":
    rows = []
    for task in arguments[4:]:
        ended = (place / (task + ".end")).exists()
        reason = "TERM_EXTERNAL_SIGNAL: job killed" if ended else ""
        rows.append({{"JOBID": task, "STAT": "EXIT" if ended else "RUN", "EXIT_REASON": reason,
                     "KILL_REASON": "", "SUSPEND_REASON": ""}})
    print(json.dumps({{"RECORDS": rows}}))
"""
DIES = """
    import os, pytest, signal
    lookup_dict = {"how": {"well": 0, "badly": 1}}
    @pytest.mark.experiment(cpus=3, memory="64M", timeout="58m")
    def exp_die(how):
        if how:
            os.kill(int(os.environ["NODE"]), signal.SIGKILL)
        return {"main": 1.5}
"""


@pytest.mark.parametrize(
    ("executor", "options", "end"),
    [
        (
            "pbs",
            {"#PBS -l select=1:ncpus=3:mpiprocs=3:mem=67108864", "#PBS -q long"},
            r"\d+\.server failed, killed by signal 9 \(FAILED\)",
        ),
        (
            "lsf",
            {"#BSUB -n 3", "#BSUB -M 65536KB", "#BSUB -W 1:1", '#BSUB -q "long"'},
            r"\d+ failed \(FAILED, TERM_EXTERNAL_SIGNAL: job killed\)",
        ),
    ],
)
def test_other_schedulers_commands_are_spoken_to(psij_site, monkeypatch, executor, options, end):
    site = psij_site(executor, 'queue = "long"\nsetup = ["export NODE=$$"]')
    place = site.path / "bin"
    place.mkdir()
    for name in ("qsub", "qstat", "qdel", "bsub", "bjobs", "bkill"):
        (place / name).write_text(STAND_IN.format(python=sys.executable))
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{Path(sys.executable).parent}:/usr/bin:/bin")
    site.commit({"exp_die.py": DIES})
    launcher = f"{executor}-by-psij"
    done = site.run_apart("--exp", "die", "--variant", "how=*", "--exp-launcher", launcher)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    title = executor.upper()
    assert re.search(rf"its {title} job {end}", done.stdout), done.stdout
    assert options <= {*(place / "1.script").read_text().splitlines()}
