"""``[tool.mitosis]`` becomes a project, or one sentence says what is wrong with it."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from factories import put

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.config import find_repository, read_project

WHERE = "pyproject.toml [tool.mitosis]"


def read(folder: Path, table: str):
    put(folder / "pyproject.toml", table)
    return read_project(folder)


def refused(folder: Path, table: str) -> str:
    with pytest.raises(PlanError) as caught:
        read(folder, table)
    return str(caught.value)


def test_full_table_is_read(tmp_path):
    (tmp_path / ".git").mkdir()
    project = read(
        tmp_path,
        """
        [tool.mitosis]
        trials-folder = "results/trials"
        clean-ignore = ["paper/**", "notes.md"]
        locks = "locks"
        cwd = "root"
        timeout = 3600
        strict-code = true
        [tool.mitosis.steps]
        sim_data = ["first_exp:make_data", "my_paper:data_config"]
        "fit.eval-2" = ["first_exp:Pipeline.linear", "my_paper:meth_config"]
        [tool.mitosis.experiments]
        sim_fit = ["sim_data", "fit.eval-2"]
        """,
    )
    assert project.root == project.home == tmp_path
    assert project.config_file == tmp_path / "pyproject.toml"
    assert project.is_repository
    assert project.trials_folder == tmp_path / "results/trials"
    assert project.locks_folder == tmp_path / "locks"
    assert project.steps == {
        "sim_data": ("first_exp:make_data", "my_paper:data_config"),
        "fit.eval-2": ("first_exp:Pipeline.linear", "my_paper:meth_config"),
    }
    assert project.experiments == {"sim_fit": ("sim_data", "fit.eval-2")}
    assert project.clean_ignore == ("paper/**", "notes.md")
    assert (project.cwd, project.timeout, project.strict_code) == ("root", 3600.0, True)
    assert type(project.timeout) is float


def test_project_without_a_table_has_the_defaults(tmp_path):
    project = read_project(tmp_path)
    assert project.root == project.home == tmp_path
    assert project.config_file is None
    assert not project.is_repository
    assert project.trials_folder == tmp_path / "trials"
    assert project.locks_folder == tmp_path / "trials" / "locks"
    assert (project.steps, project.experiments, project.clean_ignore) == ({}, {}, ())
    assert (project.cwd, project.timeout, project.strict_code) == ("trial", None, False)


def test_given_trials_folder_overrides_the_table_and_takes_the_locks_along(tmp_path):
    put(tmp_path / "pyproject.toml", '[tool.mitosis]\ntrials-folder = "trials"\n')
    project = read_project(tmp_path, tmp_path / "scratch" / ".." / "beam time")
    assert project.trials_folder == tmp_path / "beam time"
    assert project.locks_folder == tmp_path / "beam time" / "locks"


def test_locks_of_the_table_stay_when_the_trials_folder_is_overridden(tmp_path):
    put(tmp_path / "pyproject.toml", '[tool.mitosis]\nlocks = "config/locks"\n')
    project = read_project(tmp_path, tmp_path / "scratch")
    assert project.locks_folder == tmp_path / "config" / "locks"


def test_nearest_table_counts_and_folders_are_relative_to_the_repository(tmp_path):
    (tmp_path / ".git").mkdir()
    put(tmp_path / "pyproject.toml", "[tool.mitosis]\ntimeout = 10\n")
    put(tmp_path / "paper" / "pyproject.toml", "[tool.mitosis]\ntimeout = 20\n")
    start = tmp_path / "paper" / "exps"
    start.mkdir()
    project = read_project(start)
    assert project.timeout == 20.0
    assert project.home == tmp_path / "paper"
    assert project.root == tmp_path
    assert project.trials_folder == tmp_path / "trials"


def test_file_without_a_table_is_passed_over_for_one_with_it(tmp_path):
    (tmp_path / ".git").mkdir()
    put(tmp_path / "pyproject.toml", "[tool.mitosis]\ntimeout = 10\n")
    put(tmp_path / "paper" / "pyproject.toml", "[tool.ruff]\nline-length = 100\n")
    project = read_project(tmp_path / "paper")
    assert project.config_file == tmp_path / "pyproject.toml"
    assert project.timeout == 10.0


def test_nearest_file_is_the_configuration_if_none_has_a_table(tmp_path):
    (tmp_path / ".git").mkdir()
    put(tmp_path / "pyproject.toml", "[project]\nname = 'outer'\n")
    put(tmp_path / "paper" / "pyproject.toml", "[project]\nname = 'inner'\n")
    project = read_project(tmp_path / "paper")
    assert project.config_file == tmp_path / "paper" / "pyproject.toml"
    assert (project.home, project.root) == (tmp_path / "paper", tmp_path)


def test_search_stops_at_the_root_of_the_repository(tmp_path):
    put(tmp_path / "pyproject.toml", "[tool.mitosis]\ntimeout = 10\n")
    (tmp_path / "project" / ".git").mkdir(parents=True)
    project = read_project(tmp_path / "project")
    assert project.config_file is None
    assert project.timeout is None


def test_worktree_whose_git_entry_is_a_file_is_a_repository(tmp_path):
    put(tmp_path / ".git", "gitdir: /elsewhere/.git/worktrees/fit\n")
    (tmp_path / "exps" / "deep").mkdir(parents=True)
    assert find_repository(tmp_path / "exps" / "deep") == tmp_path
    assert read_project(tmp_path / "exps").root == tmp_path


def test_broken_toml_is_one_sentence(tmp_path):
    message = refused(tmp_path, "[tool.mitosis]\nsteps = [\n")
    assert re.fullmatch(
        re.escape(f"{tmp_path / 'pyproject.toml'} is not valid TOML: ") + r"[^\n]+", message
    )


def test_file_that_is_no_utf8_is_one_sentence(tmp_path):
    (tmp_path / "pyproject.toml").write_bytes(b"# caf\xe9\n[tool.mitosis]\n")
    with pytest.raises(PlanError) as caught:
        read_project(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'pyproject.toml'} is not valid TOML: 'utf-8' codec can't decode byte 0xe9 "
        "in position 5: invalid continuation byte"
    )


def test_unreadable_file_is_one_sentence(tmp_path, monkeypatch):
    file = put(tmp_path / "pyproject.toml", "[tool.mitosis]\n")

    def denied(self, *arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(PlanError) as caught:
        read_project(tmp_path)
    assert str(caught.value) == f"{file} cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "[tool.mitosis]\ntimeouts = 9",
            f"{WHERE} has an unknown key 'timeouts'; there are steps, experiments, "
            "trials-folder, clean-ignore, locks, cwd, timeout, strict-code, launcher, preload, "
            "reuse, jobs and 3 more; did you mean timeout?",
        ),
        (
            "[tool.mitosis]\nzz = 1",
            f"{WHERE} has an unknown key 'zz'; there are steps, experiments, trials-folder, "
            "clean-ignore, locks, cwd, timeout, strict-code, launcher, preload, reuse, jobs "
            "and 3 more",
        ),
        (
            "[tool.mitosis]\nsteps = ['sim_data']",
            f"{WHERE} steps is malformed: it has to be a table, not ['sim_data']",
        ),
        (
            "[tool.mitosis]\nexperiments = 'sim_fit'",
            f"{WHERE} experiments is malformed: it has to be a table, not 'sim_fit'",
        ),
        *(
            (
                f"[tool.mitosis.steps]\nfit = {toml}",
                f"{WHERE} steps is malformed: fit = {python} has to be "
                '["package.module:callable", "package.module:lookup_dictionary"]',
            )
            for toml, python in [
                ("['first_exp:fit']", "['first_exp:fit']"),
                ("['first_exp:fit', '']", "['first_exp:fit', '']"),
                ("['first_exp:fit', 3]", "['first_exp:fit', 3]"),
                ("['a:b', 'c:d', 'e:f']", "['a:b', 'c:d', 'e:f']"),
                ("'first_exp:fit'", "'first_exp:fit'"),
            ]
        ),
        (
            "[tool.mitosis.steps]\n'fit eval' = ['a:b', 'a:c']",
            f"a step in {WHERE} is called 'fit eval', which is no safe file name; "
            "use up to 128 letters, digits and _ . + -",
        ),
        (
            "[tool.mitosis.steps]\n'../fit' = ['a:b', 'a:c']",
            f"a step in {WHERE} is called '../fit', which is no safe file name; "
            "use up to 128 letters, digits and _ . + -",
        ),
        (
            "[tool.mitosis.steps]\n'-fit' = ['a:b', 'a:c']",
            f"a step in {WHERE} is called '-fit'; a name begins with a letter, a digit or _",
        ),
        (
            f"[tool.mitosis.experiments]\n{'f' * 129} = ['fit']",
            f"an experiment in {WHERE} is called '{'f' * 129}', which is no safe file name; "
            "use up to 128 letters, digits and _ . + -",
        ),
        (
            "[tool.mitosis.experiments]\n'+fit' = ['fit']",
            f"an experiment in {WHERE} is called '+fit'; a name begins with a letter, a digit or _",
        ),
        (
            "[tool.mitosis.experiments]\nsim_fit = []",
            f"{WHERE} experiments is malformed: sim_fit has no steps",
        ),
        (
            "[tool.mitosis.experiments]\nsim_fit = 'sim_data+fit'",
            f"{WHERE} experiments: sim_fit has to be a list of names, not 'sim_data+fit'",
        ),
        (
            "[tool.mitosis.experiments]\nsim_fit = ['sim_data', 2]",
            f"{WHERE} experiments: sim_fit has to be a list of names, not ['sim_data', 2]",
        ),
        (
            "[tool.mitosis]\nclean-ignore = 'paper/**'",
            f"{WHERE} clean-ignore has to be a list of names, not 'paper/**'",
        ),
        (
            "[tool.mitosis]\ntrials-folder = 3",
            f"{WHERE} trials-folder has to be a text, not 3",
        ),
        ("[tool.mitosis]\nlocks = true", f"{WHERE} locks has to be a text, not True"),
        ("[tool.mitosis]\ncwd = 'here'", f"{WHERE} cwd is 'here'; it can be trial or root"),
        ("[tool.mitosis]\ncwd = 1", f"{WHERE} cwd has to be a text, not 1"),
        (
            "[tool.mitosis]\nstrict-code = 'yes'",
            f"{WHERE} strict-code has to be true or false, not 'yes'",
        ),
        *(
            (
                f"[tool.mitosis]\ntimeout = {toml}",
                f"{WHERE} timeout has to be a number of seconds above 0, or a text such as "
                f"'30m', '2h' or '1d', not {python}",
            )
            for toml, python in [
                ("0", "0"),
                ("-1.5", "-1.5"),
                ("true", "True"),
                ("'90 weeks'", "'90 weeks'"),
                ("nan", "nan"),
            ]
        ),
    ],
)
def test_malformed_table_is_one_sentence(tmp_path, table, message):
    assert refused(tmp_path, table) == message


def test_table_that_is_a_value_is_malformed(tmp_path):
    message = refused(tmp_path, "[tool]\nmitosis = 'sim_data'\n")
    assert message == (
        f"{tmp_path / 'pyproject.toml'}: [tool.mitosis] is malformed: it has to be a table"
    )


def test_tool_that_is_no_table_is_one_sentence(tmp_path):
    assert str(tmp_path / "pyproject.toml") in refused(tmp_path, "tool = 3\n")
