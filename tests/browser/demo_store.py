"""A store as a group of people would have it after some months, for tests and benchmarks.

Written through the store's own functions, in a git repository with a few commits: three
experiments, variants, literals, seeds, failures, figures, logs, locks, running and lost trials.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from pytest_mitosis.identity import describe
from pytest_mitosis.model import Argument, Failure, Job, JobStep, Kind, Outcome, Status, Trial
from pytest_mitosis.read.site.page import write_page
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.folder import MANIFEST, claim, finish, manifest_of, save_environment
from pytest_mitosis.store.locks import Name, take_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 5, 4, 8, tzinfo=UTC)
PEOPLE = (("jess", "laptop-jess"), ("sasha", "gpu-03"), ("jake", "gpu-07"))
NOISE = {
    "low": {"sigma": 0.1, "kind": "gauss"},
    "med": {"sigma": 0.4, "kind": "gauss"},
    "high": {"sigma": 1.5, "kind": "gauss"},
    "heavy-tail": {"sigma": 0.8, "kind": "student-t", "df": 3},
}
SOLVER = {
    "stlsq": {"cls": "STLSQ", "threshold": 0.1},
    "miosr": {"cls": "MIOSR", "group_sparsity": [2, 2, 3]},
    "tv": {"cls": "TV", "alpha": 1.0},
    "kalman": {"cls": "Kalman", "alpha": None},
}
SYSTEM = {name: {"system": name} for name in ("lorenz", "hopf", "rossler", "vdp", "duff", "lv")}
LOOKUP = {"noise": NOISE, "solver": SOLVER, "system": SYSTEM}
HARD = {"low": 0.3, "med": 0.6, "high": 1.3, "heavy-tail": 1.0, "stlsq": 1.1, "miosr": 1.0}
HARD |= {"tv": 0.7, "kalman": 0.5, "lorenz": 1.2, "hopf": 0.8}
ALPHAS = (0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
SUBJECTS = (
    "First working pipeline",
    "Solvers: scale the library before fitting",
    "Noise: heavy tails by Student's t",
    "Evaluate on held-out trajectories",
    "Solvers: threshold relative to the largest coefficient",
    "Faster derivative by smoothing splines",
)
SOLVERS = '''"""Solvers of the paper."""

import numpy as np


def fit(library, target, threshold={threshold}):
    """Sparse coefficients by repeated least squares."""
    scale = {scale}
    coefficients, *_ = np.linalg.lstsq(library / scale, target, rcond=None)
    for _ in range({rounds}):
        small = np.abs(coefficients) < threshold
        coefficients[small] = 0.0
    return coefficients / scale
'''
PIPELINE = '''"""The experiment of figure 3."""

from lab.solvers import fit

lookup_dict = {}


def exp_fit_eval(noise, solver, system, *, seed=0):
    """Fit, then count coefficients that are right."""
    return {"main": fit(noise, solver)}
'''


@dataclass(frozen=True)
class Version:
    """A commit of the project, and the files it has."""

    commit: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Plan:
    """One trial that is to be there."""

    experiment: str
    arguments: tuple[tuple[str, Kind, str, object], ...]
    seed: int
    version: Version
    started: datetime
    main: float
    status: Status = Status.DONE
    draft: bool = False


def make_project(folder: Path, trials: int, *, figures: bool = False, seed: int = 3) -> Path:
    """A repository in ``folder`` with a store of ``trials`` trials; returns the store."""
    folder.mkdir(parents=True, exist_ok=True)
    versions = _make_repository(folder)
    store = folder / "trials"
    store.mkdir()
    rng = random.Random(seed)
    with without_sync():
        environments = _make_environments(store)
        _make_locks(store, versions)
        pictures = _figures() if figures else {}
        for number, plan in enumerate(plans(trials, versions, rng)):
            add_trial(store, plan, environments[number % 7 == 3], rng, pictures)
    return store


@contextlib.contextmanager
def without_sync() -> Iterator[None]:
    """No waiting for the disk: these stores need not survive a power cut."""
    with mock.patch.object(os, "fsync", return_value=None):
        yield


def plans(trials: int, versions: list[Version], rng: random.Random) -> Iterator[Plan]:
    """Trials over the months; some crash, a few are drafts, the last ones are under way."""
    for number in range(trials):
        version = versions[min(len(versions) - 1, number * len(versions) // max(1, trials))]
        started = START + timedelta(minutes=number * 150_000 // max(trials, 400))
        chance = rng.random()
        status = Status.DONE
        if chance < 0.04:
            status = Status.CRASHED
        elif chance < 0.05:
            status = Status.TIMEOUT
        elif chance < 0.055:
            status = Status.INTERRUPTED
        plan = _plan(number, version, started, rng)
        progress = 1.3 - 0.07 * versions.index(version)
        draft = number % 29 == 17
        if trials > 8 and number >= trials - 3:
            status, draft = (Status.RUNNING if number == trials - 1 else Status.LOST), False
        yield replace(plan, main=plan.main * progress, status=status, draft=draft)


def _plan(number: int, version: Version, started: datetime, rng: random.Random) -> Plan:
    seed = number % 5
    if number % 10 < 6:
        noise, solver = list(NOISE)[number // 5 % 4], list(SOLVER)[number // 20 % 4]
        system = list(SYSTEM)[number // 80 % 6]
        main = (
            0.35 * HARD[noise] * HARD[solver] * HARD.get(system, 1.0) * rng.lognormvariate(0, 0.3)
        )
        arguments = (
            ("noise", Kind.VARIANT, noise, NOISE[noise]),
            ("solver", Kind.VARIANT, solver, SOLVER[solver]),
            ("system", Kind.VARIANT, system, SYSTEM[system]),
        )
        return Plan("fit_eval", arguments, seed, version, started, main)
    solver = list(SOLVER)[number // 10 % 2]
    alpha = ALPHAS[number // 20 % len(ALPHAS)]
    best = 0.03 if solver == "stlsq" else 0.3
    distance = abs(_log10(alpha) - _log10(best))
    main = (0.08 + 0.06 * distance**1.6) * rng.lognormvariate(0, 0.18)
    arguments = (
        ("solver", Kind.VARIANT, solver, SOLVER[solver]),
        ("alpha", Kind.LITERAL, repr(alpha), alpha),
    )
    return Plan("gridsearch", arguments, seed, version, started, main)


def _log10(value: float) -> float:
    return math.log10(value)


def add_trial(
    store: Path,
    plan: Plan,
    environment: str,
    rng: random.Random,
    pictures: dict[str, bytes] | None = None,
    **more: Any,
) -> Trial:
    """Record one trial as a session would."""
    key = ",".join([*(f"{p}={name}" for p, _, name, _ in plan.arguments), f"seed={plan.seed}"])
    claimed = claim(store, plan.experiment, key, draft=plan.draft)
    user, host = PEOPLE[rng.randrange(3)]
    job = _job(plan, key, claimed.id, claimed.iteration)
    manifest = manifest_of(job, _provenance(store, plan)) | {
        "started": plan.started.isoformat(timespec="milliseconds"), "user": user, "host": host,
    }  # fmt: skip
    folder = claimed.folder
    write_json(folder / "job.json", job.to_json())
    write_json(folder / MANIFEST, manifest | more)
    (folder / "log.txt").write_text(_log(plan, rng), "utf-8")
    if plan.status is Status.RUNNING:
        (folder / ".heartbeat").touch()
        return Trial(folder, manifest)
    if plan.status is Status.LOST:
        os.utime(folder / MANIFEST, (plan.started.timestamp(), plan.started.timestamp()))
        return Trial(folder, manifest)
    for name, content in _pictures_of(plan, pictures or {}):
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / name).write_bytes(content)
    trial = finish(folder, _outcome(plan, rng), environment)
    if more:
        write_json(folder / MANIFEST, read_json(folder / MANIFEST) | more)
        trial = Trial(folder, read_json(folder / MANIFEST))
    write_page(trial)
    return trial


def _job(plan: Plan, key: str, trial: str, iteration: int) -> Job:
    arguments = tuple(
        Argument(
            p,
            kind,
            name,
            tracked=True,
            digest=describe(value).digest,
            summary=describe(value).summary,
            source="",
            variants=tuple(LOOKUP.get(p, ())),
        )
        for p, kind, name, value in plan.arguments
    )
    seed = Argument("seed", Kind.SEED, str(plan.seed), True, "", f"int {plan.seed}", "")
    reference = f"exps.exp_{plan.experiment}"
    action, lookup = f"{reference}:exp_{plan.experiment}", f"{reference}:lookup_dict"
    step = JobStep(plan.experiment, action, lookup, "", False, (*arguments, seed))
    command = f"pytest -p mitosis 'exps/exp_{plan.experiment}.py::exp_{plan.experiment}[{key}]'"
    hypothesis = "Filtering beats smoothing under noise" if plan.experiment == "fit_eval" else ""
    return Job(
        trial, plan.experiment, key, iteration, plan.draft, plan.seed, hypothesis, "", "/paper",
        "trial", (), (), None, command, (step,),
    )  # fmt: skip


def _provenance(store: Path, plan: Plan) -> dict[str, Any]:
    repository = {"root": str(store.parent), "commit": plan.version.commit, "branch": "main"}
    return {
        "version": "0.1.0",
        "commit": plan.version.commit,
        "repositories": [repository | {"remote": None, "changes": []}],
        "code_problem": "",
    }


def _outcome(plan: Plan, rng: random.Random) -> Outcome:
    seconds = rng.lognormvariate(4, 0.9)
    finished = (plan.started + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
    modules = [
        {"module": place, "place": place, "repository": ".", "blob": blob, "bodies": {}}
        for place, blob in plan.version.files
    ]
    metrics: dict[str, float | int | bool | str] = {}
    failure = None
    if plan.status is Status.DONE:
        metrics = {"main": plan.main, "coeff_f1": 1 / (1 + plan.main), "mse_test": plan.main**2 / 3}
    elif plan.status is Status.CRASHED:
        text = 'Traceback (most recent call last):\n  File "lab/solvers.py", line 9, in fit\n'
        failure = Failure("LinAlgError", "SVD did not converge", f"{text}LinAlgError: SVD …")
    return Outcome(
        plan.status, plan.started.isoformat(timespec="milliseconds"), finished, seconds,
        cpu_s=seconds * 0.97, peak_memory=rng.randrange(150, 900) * 2**20, metrics=metrics,
        code={"schema": 1, "modules": modules, "distributions": {"numpy": "2.3.1"}},
        failure=failure,
    )  # fmt: skip


def _log(plan: Plan, rng: random.Random) -> str:
    lines = [f"fit {plan.experiment}: round {n}, residual {rng.random():.4f}" for n in range(5)]
    stamp = plan.started.strftime("%Y-%m-%d %H:%M:%S")
    return "".join(f"{stamp},120 INFO lab.solvers:11 {line}\n" for line in lines)


def _make_repository(folder: Path) -> list[Version]:
    versions = []
    _git(folder, "init", "-q", "-b", "main")
    (folder / "lab").mkdir()
    (folder / "exps").mkdir()
    (folder / ".gitignore").write_text("trials/\n")
    for number, subject in enumerate(SUBJECTS):
        text = SOLVERS.format(
            threshold=0.1 if number < 4 else 0.05,
            scale="1.0" if number < 1 else "np.linalg.norm(library, axis=0)",
            rounds=10 + 5 * number,
        )
        (folder / "lab" / "solvers.py").write_text(text)
        (folder / "exps" / "exp_fit_eval.py").write_text(PIPELINE + "#\n" * (number // 3))
        _git(folder, "add", "-A")
        date = (START + timedelta(days=17 * number)).isoformat()
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        _git(folder, "commit", "-q", "-m", subject, **dates)
        places = ("exps/exp_fit_eval.py", "lab/solvers.py")
        files = tuple((place, _git(folder, "hash-object", place)) for place in places)
        versions.append(Version(_git(folder, "rev-parse", "HEAD"), files))
    return versions


def _git(folder: Path, *arguments: str, **variables: str) -> str:
    who = {f"GIT_{w}_{n}": v for w in ("AUTHOR", "COMMITTER")
           for n, v in (("NAME", "Jess Doe"), ("EMAIL", "jess@example.org"))}  # fmt: skip
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder, check=True, capture_output=True, text=True,
        env={**os.environ, **who, **variables},
    )  # fmt: skip
    return done.stdout.strip()


def _make_environments(store: Path) -> dict[bool, str]:
    found = {}
    for is_new, version in ((False, "2.2.4"), (True, "2.3.1")):
        digest = f"{'b' if is_new else 'a'}15d607b1ae4e07a"
        record = {
            "python": {"version": "3.13.0", "implementation": "CPython"},
            "machine": {"system": "Linux", "machine": "x86_64"},
            "packages": {"numpy": version, "scipy": "1.17.1", "pandas": "2.2.3"},
            "digest": digest,
        }
        save_environment(store, record, digest, lambda one: f"numpy=={one['packages']['numpy']}\n")
        found[is_new] = digest
    return found


def _make_locks(store: Path, versions: list[Version]) -> None:
    names = {
        "fit_eval": {"noise": NOISE, "solver": SOLVER, "system": SYSTEM},
        "gridsearch": {"solver": SOLVER},
    }
    for step, parameters in names.items():
        for parameter, variants in parameters.items():
            for variant, value in variants.items():
                name = Name(step, parameter, variant)
                take_lock(store / "locks", name, describe(value), versions[0].commit)


def _pictures_of(plan: Plan, pictures: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    names = [name for _, kind, name, _ in plan.arguments if kind is Kind.VARIANT]
    for name in names:
        if name in pictures:
            yield "fit_eval-1.png", pictures[name]
            return


def _figures() -> dict[str, bytes]:
    """A figure for each noise, drawn once."""
    import io

    import matplotlib as mpl
    import numpy as np
    from matplotlib.figure import Figure

    found = {}
    rng = np.random.default_rng(0)
    t = np.linspace(0, 8, 120)
    for name, value in NOISE.items():
        with mpl.rc_context({"font.size": 9}):
            figure = Figure(figsize=(5, 3), layout="constrained")
            axes = figure.subplots()
            axes.plot(t, np.sin(t), color="#222", label="truth")
            noise = rng.normal(0, float(str(value["sigma"])) / 3, t.size)
            axes.plot(t, np.sin(t) + noise, ".", color="#d1495b", markersize=4, label="data")
            axes.set(title=f"noise {name}", xlabel="t", ylabel="x")
            axes.legend(frameon=False)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=110)
        found[name] = content.getvalue()
    return found


def picture(red: int, green: int, blue: int, size: int = 24) -> bytes:
    """A square PNG of one colour."""
    raw = (b"\0" + bytes((red, green, blue)) * size) * size
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def multiply(store: Path, target: Path, times: int) -> None:
    """A larger store: every trial of ``store`` again in further specs, for benchmarks."""
    for name in ("environments", "locks"):
        shutil.copytree(store / name, target / name, dirs_exist_ok=True)
    for file in sorted(store.glob("*/*/*/trial.json")):
        text = file.read_text("utf-8")
        m = json.loads(text)
        for copy in range(times):
            trial = f"{copy:03}{m['id'][3:]}"
            folder = target / m["experiment"] / f"{m['spec']},copy={copy}"
            own = folder / f"1-{trial}"
            own.mkdir(parents=True, exist_ok=True)
            changed = text.replace(m["id"], trial).replace(m["spec"], f"{m['spec']},copy={copy}")
            (own / MANIFEST).write_text(changed, "utf-8")
            (own / "trial.html").touch()
