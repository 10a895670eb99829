"""What is recorded of an environment, what must never be, and that pip takes the requirements."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from pytest_mitosis.identity.editable import installed
from pytest_mitosis.run.environment import (
    VERSION,
    Environment,
    Origin,
    collect_environment,
    requirements_text,
    scheduler_variables,
)

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "3f2a91c0" * 5


@pytest.fixture(autouse=True)
def _plain_variables(monkeypatch):
    for name in os.environ:
        if name.startswith(("TORCH_", "JAX_", "SLURM_")):
            monkeypatch.delenv(name)


def distribution(site: Path, folder: str, direct_url: object = None, metadata: str = "") -> None:
    (site / folder).mkdir(parents=True)
    if direct_url is not None:
        (site / folder / "direct_url.json").write_text(json.dumps(direct_url))
    if metadata:
        (site / folder / "PKG-INFO").write_text(metadata)


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = tmp_path / "site"
    made.mkdir()
    monkeypatch.setattr(sys, "path", [str(made)])
    return made


def requirements(environment: Environment) -> list[Requirement]:
    lines = requirements_text(environment).splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def comments(environment: Environment) -> list[str]:
    return [line for line in requirements_text(environment).splitlines() if line.startswith("#")]


# ---- the record -------------------------------------------------------------------------------


def test_facts_of_this_process_are_recorded():
    environment = collect_environment()
    assert environment.python["version"] == ".".join(map(str, sys.version_info[:3]))
    assert environment.python["implementation"] == "CPython"
    assert environment.machine["system"] == os.uname().sysname
    assert environment.machine["cpus"] == str(os.cpu_count())
    assert environment.machine["cpu"]
    assert environment.packages["pytest"] == pytest.__version__
    assert environment.packages["scikit-learn"]
    assert all(environment.packages.values())


def test_versions_agree_with_importlib_metadata():
    from importlib.metadata import distributions

    found = collect_environment().packages
    for one in distributions():
        name = one.metadata["Name"].lower().replace("_", "-").replace(".", "-")
        assert Version(found[name]) == Version(one.version), name


def test_record_survives_json_with_its_digest():
    environment = collect_environment()
    again = Environment.from_json(json.loads(json.dumps(environment.to_json())))
    assert again == environment
    assert again.digest == environment.digest
    assert environment.short_digest == environment.digest[:16]
    assert len(environment.digest) == 64


def test_same_environment_has_the_same_digest_in_another_process():
    code = (
        "import sys, json; from pytest_mitosis.run.environment import collect_environment\n"
        "assert 'numpy' not in sys.modules\n"
        "collect_environment()\n"
        "assert not {'numpy', 'git', 'pytest', 'pandas'} & set(sys.modules)\n"
        "print(collect_environment().digest)"
    )
    command = [sys.executable, "-c", code]
    digests = {
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": "0", "SLURM_JOB_ID": job},
            check=True,
            capture_output=True,
        ).stdout
        for job in ("4711", "4712")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("part", ["python", "machine", "packages", "variables", "blas"])
def test_every_part_enters_the_digest(part):
    environment = collect_environment()
    changed = dataclasses.replace(environment, **{part: {**getattr(environment, part), "x": "1.5"}})
    assert changed.digest != environment.digest


def test_digest_takes_the_commit_of_an_origin_but_not_where_a_checkout_lies():
    def digest(url, kind="editable", revision=""):
        return Environment({}, {}, {"a": "1.0"}, {"a": Origin(kind, url, revision)}).digest

    assert digest("file:///home/ada/a") == digest("file:///home/jess/a")
    assert digest("file:///a") != digest("file:///a", kind="local")
    assert digest("https://x/a", "vcs", "git 1") != digest("https://x/a", "vcs", "git 2")


def test_blas_is_asked_only_if_numpy_is_loaded(monkeypatch):
    import numpy  # noqa: F401

    with_numpy = collect_environment()
    assert any("architecture=" in pool for pool in with_numpy.blas.values())
    assert "blas" in with_numpy.blas
    monkeypatch.delitem(sys.modules, "numpy")
    assert collect_environment().blas == {}


def test_blas_without_threadpoolctl_or_with_an_odd_numpy(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert not any(name.startswith("pool") for name in collect_environment().blas)
    monkeypatch.setitem(sys.modules, "numpy", os)
    assert collect_environment().blas == {}


# ---- distributions ----------------------------------------------------------------------------


def test_folder_names_become_normalised_names_and_versions(site):
    distribution(site, "Scikit_Learn-1.7.2.dist-info")
    distribution(site, "zope.interface-7.0.dist-info")
    distribution(site, "torch-2.9.1+cu128.dist-info")
    distribution(site, "legacy-0.9-py3.11.egg-info")
    distribution(site, "project.egg-info", metadata="Name: project\nVersion: 0.4.1\n\nVersion: 9")
    distribution(site, "~umpy-2.0.0.dist-info")
    (site / "loose-1.0.txt").write_text("")
    (site / "old-2.5.egg-info").write_text("Metadata-Version: 1.0\n")
    assert collect_environment().packages == {
        "legacy": "0.9",
        "old": "2.5",
        "project": "0.4.1",
        "scikit-learn": "1.7.2",
        "torch": "2.9.1+cu128",
        "zope-interface": "7.0",
    }


def test_what_is_installed_later_is_seen_though_folders_are_remembered(site):
    distribution(site, "one-1.0.dist-info")
    settled = time.time() - 60
    os.utime(site, (settled, settled))
    assert [one.name for one in installed()] == ["one"]
    unread = len(os.listdir(site))
    assert [one.name for one in installed()] == ["one"]
    distribution(site, "two-2.0.dist-info")
    assert len(os.listdir(site)) == unread + 1
    assert [one.name for one in installed()] == ["one", "two"]


def test_first_of_two_on_the_path_wins_but_own_egg_info_gives_way(site, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path / "project"), str(site), "/missing"])
    distribution(tmp_path / "project", "fits.egg-info", metadata="Version: 0.1\n\n")
    editable = {"url": "file:///srv/fits", "dir_info": {"editable": True}}
    distribution(site, "fits-0.1.dist-info", editable)
    distribution(tmp_path / "project", "numpy-2.1.0.dist-info")
    distribution(site, "numpy-2.4.0.dist-info")
    environment = collect_environment()
    assert environment.packages["numpy"] == "2.1.0"
    assert environment.origins == {"fits": Origin("editable", "file:///srv/fits")}


# ---- requirements -----------------------------------------------------------------------------


def test_requirements_of_this_environment_are_accepted():
    environment = collect_environment()
    found = requirements(environment)
    assert {"pytest", "numpy"} <= {one.name for one in found}
    assert len(found) + len(comments(environment)) == len(environment.packages) + 2
    assert comments(environment)[0].startswith(
        f"# Python {environment.python['version']} (CPython)"
    )


def test_origins_become_requirements_or_comments(site):
    vcs = {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"}
    url = "https://ada:ghp_secret@example.org/fits.git"
    distribution(site, "fits-0.3.dist-info", {"url": url, "vcs_info": vcs, "subdirectory": "py"})
    wheel = {"url": "https://example.org/odes-1.0.whl", "archive_info": {"hash": "sha256=ab12"}}
    distribution(site, "odes-1.0.dist-info", wheel)
    distribution(site, "ours-0.1.dist-info", {"url": "file:///srv/our%20code", "dir_info": {}})
    editable = {"url": "file:///srv/our%20lib", "dir_info": {"editable": True}}
    distribution(site, "edited-0.2.dist-info", editable)
    distribution(site, "here-0.5.dist-info", {"url": "file:///srv/git/here", "vcs_info": vcs})
    distribution(site, "numpy-2.4.0.dist-info")
    distribution(site, "strange-2.4-dirty local.dist-info")
    distribution(site, "odd-1.5.dist-info", {"something": "else"})
    environment = collect_environment()
    found = {one.name: one for one in requirements(environment)}
    assert set(found) == {"fits", "numpy", "odd", "odes"}
    assert found["fits"].url == f"git+https://example.org/fits.git@{COMMIT}#subdirectory=py"
    assert found["odes"].url == "https://example.org/odes-1.0.whl#sha256=ab12"
    assert str(found["numpy"]) == "numpy==2.4.0"
    assert comments(environment)[2:] == [
        "# edited==0.2: editable install of /srv/our lib",
        f"# here==0.5: installed from /srv/git/here at git {COMMIT}",
        "# ours==0.1: installed from /srv/our code",
        "# strange: its version '2.4-dirty local' is none that pip can ask for",
    ]
    assert "ghp_secret" not in json.dumps(environment.to_json()) + requirements_text(environment)


def test_pip_reads_the_requirements_file(tmp_path):
    environment = collect_environment()
    path = tmp_path / "requirements.txt"
    path.write_text(requirements_text(environment), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "-r", str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Requirement already satisfied: numpy==" in done.stdout


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        ("1.0", True),
        ("2026.9.21.13", True),
        ("1!2.0rc1.post2.dev3+local.7", True),
        ("1.0-1", True),
        ("1.0a", True),
        ("2.1.0+cu118", True),
        ("", False),
        ("unknown", False),
        ("1.0_dirty", False),
        ("1.0; python_version", False),
        ("1.0 --hash=x", False),
        ("1.0\n-r evil.txt", False),
    ],
)
def test_only_versions_that_pip_can_ask_for_are_pinned(version, accepted):
    assert bool(VERSION.fullmatch(version)) is accepted
    lines = requirements_text(Environment({}, {}, {"a": version})).splitlines()
    assert len(lines) == 3
    if accepted:
        assert Version(version) in Requirement(lines[-1]).specifier
    else:
        assert lines[-1].startswith("# ")


# ---- variables --------------------------------------------------------------------------------


def test_only_listed_variables_are_recorded_and_no_secrets(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    kept = {
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "4",
        "MKL_CBWR": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NUMEXPR_MAX_THREADS": "8",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "TORCH_HOME": "/scratch/torch",
        "XLA_FLAGS": "--xla_gpu_deterministic_ops=true",
        "JAX_ENABLE_X64": "1",
        "LC_ALL": "de_DE.UTF-8",
        "LANG": "C.UTF-8",
        "TZ": "Europe/Berlin",
    }
    secret = {
        "HOME": "/home/ada",
        "DATABASE_URL": "postgres://ada:s3cret@db/x",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "LANGUAGE_MODEL": "x",
        "TZDATA": "x",
        "TORCH_HUB_TOKEN": "s3cret",
        "JAX_API_KEY": "s3cret",
        "PYTHON_KEYRING_PASSWORD": "s3cret",
        "MKL_LICENSE_SECRET": "s3cret",
        "XLA_AUTH": "s3cret",
        "TORCH_EXTRA": "ghp_" + "a1B2" * 9,
        "JAX_EXTRA": "eyJhbGciOiJIUzI1NiJ9.s3cret",
    }
    os.environ.update({**kept, **secret, "PYTHONWARNINGS": "https://ada:s3cret@x.org/a"})
    recorded = collect_environment().variables
    assert recorded == {**kept, "PYTHONWARNINGS": "https://x.org/a"}


def test_scheduler_ids_are_apart(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURM_JWT", "s3cret")
    assert scheduler_variables() == {"SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "4711"}
    assert "SLURM_JOB_ID" not in collect_environment().variables
