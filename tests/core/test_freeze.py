"""``pytest-mitosis freeze``: commits are pinned, and an archive holds all a reviewer needs."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import zipfile
from dataclasses import dataclass
from urllib.parse import unquote

import pytest
from conftest import Project
from stores import add_trial, lock

from pytest_mitosis.store.check import check_store
from pytest_mitosis.store.files import read_json, write_json
from pytest_mitosis.store.folder import read_trial
from pytest_mitosis.store.reference import make_reference, reference_file, write_reference

DECLARED = """
    [tool.mitosis.official.fig3]
    exp = "fit_eval"
    title = "Error | noise"

    [tool.mitosis.official.fig4]
    exp = "fit_eval"
"""
ERRORS = [0.101, 0.094, 0.099]


@dataclass(frozen=True)
class Paper:
    """A project with three accepted trials, one that was only compared, and what it ran."""

    project: Project
    commit: str

    def accept(self, folder, group="fig3"):
        trial = read_trial(folder)
        file = reference_file(self.project.path / "official", group, folder.parent.name)
        environment = {"digest": "e1", "machine": {"cpu": "EPYC"}, "python": {"version": "3.13.0"}}
        write_reference(make_reference(trial, file, group, "as submitted", environment, {}))


@pytest.fixture
def paper(tmp_path):
    (tmp_path / "paper").mkdir()
    project = Project(tmp_path / "paper")
    files = {"lab/fit.py": "x = 1\n", "pyproject.toml": DECLARED, ".gitignore": "trials/\n"}
    commit = project.commit(files)
    made = Paper(project, commit)
    low = lock(project.store, "noise", "low", 0.1)
    lock(project.store, "noise", "high", 0.5)
    (project.store / "environments/e1").mkdir(parents=True)
    write_json(project.store / "environments/e1/environment.json", {"machine": {"cpu": "EPYC"}})
    (project.store / "environments/e1/requirements.txt").write_text("numpy==2.4.0\n")
    run = {
        "commit": commit,
        "environment": "e1",
        "hypothesis": "errors <script>",
        "supported": True,
    }
    for seed, error in enumerate(ERRORS):
        more = {"spec": f"noise=low,seed={seed}", "seed": seed, "metrics": {"main": error}, **run}
        again = {**more, "iteration": 2, "minute": 30 + seed}
        made.accept(
            add_trial(project.store, f"{seed}ccepted", [low], files={"log.txt": "it ran\n"}, **more)
        )
        add_trial(project.store, f"{seed}ompared", [low], **again)
    project.commit({"lab/fit.py": "x = 2\n"})
    return made


@pytest.fixture
def call(paper, monkeypatch, tool):
    """Call ``pytest-mitosis freeze`` in the project."""
    monkeypatch.chdir(paper.project.path)
    return functools.partial(tool, "freeze")


@pytest.fixture
def unpacked(paper, call, tmp_path):
    """The archive of the group, unpacked elsewhere."""
    code, out, err = call("fig3")
    assert (code, err) == (0, "")
    assert "fig3: Error | noise: 3 trials, " in out
    assert "pinned 1 commit, to be sent by: git push origin 'refs/trials/official/*'" in out
    with zipfile.ZipFile(paper.project.store / "fig3.zip") as archive:
        archive.extractall(tmp_path / "review")
    return tmp_path / "review"


def test_archive_has_what_was_accepted_and_all_it_links_to(paper, unpacked):
    trials = sorted(file.parent.name for file in unpacked.glob("trials/*/*/*/trial.json"))
    assert trials == ["1-0ccepted", "1-1ccepted", "1-2ccepted"]
    assert {one.name for one in unpacked.glob("official/fig3/*")} == {
        f"noise=low,seed={seed}.json" for seed in range(3)
    }
    assert [one.name for one in unpacked.glob("trials/locks/*/*/*")] == ["low.json"]
    for page in (unpacked / "index.html", unpacked / "trials/index.html"):
        found = re.findall(r'(?:href|src)="([^"#]+)"', page.read_text("utf-8"))
        inside = [unquote(one) for one in found if not one.startswith("data:")]
        assert len(inside) > 5
        assert not [one for one in inside if not (page.parent / one).exists()]
    data = next(unpacked.glob("trials/_site/data/trials-*.js")).read_text()
    assert "0ccepted" in data
    assert "ompared" not in data
    # It is a trials folder, with everything as recorded.
    locks = unpacked / "trials/locks"
    assert not list(check_store(unpacked / "trials", locks))
    assert (unpacked / "trials/ro-crate-metadata.json").is_file()


def test_readme_has_command_cost_and_numbers_of_a_claim(paper, unpacked):
    text = (unpacked / "README.md").read_text("utf-8")
    for line in (
        "## fig3: Error | noise",
        "$ pytest -p mitosis --exp-official fig3",
        "- hypothesis: errors <script>: supported by 3",
        f"- trials: 3, of commit {paper.commit[:12]}",
        "- time: 2:06 on the clock in all, 42 s the longest",
        "- machine: EPYC, Python 3.13.0",
        "- packages: trials/environments/e1/requirements.txt",
        "| low | 3 | 0.098 ± 0.0036 |",
        f"| 1ccepted | fit_eval[noise=low,seed=1] | 0.094 | 42 s | {paper.commit[:12]} |",
    ):
        assert line in text, line
    assert re.search(r"^- disk: [\d.]+ kB$", text, flags=re.MULTILINE)
    page = (unpacked / "index.html").read_text("utf-8")
    assert "0.098 ± 0.0036" in page
    assert "errors &lt;script&gt;: supported by 3" in page
    assert "<script" not in page


def test_code_is_readable_and_its_history_can_be_cloned(paper, unpacked, tmp_path):
    assert (unpacked / f"code/{paper.commit[:12]}/lab/fit.py").read_text() == "x = 1\n"
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(unpacked / "code.bundle"), str(clone)], check=True)
    assert (clone / "lab/fit.py").read_text() == "x = 2\n"
    assert (clone / "official/fig3").is_dir()
    ref = f"refs/trials/official/{paper.commit[:12]}"
    assert paper.project.git("rev-parse", ref) == paper.commit
    fetch = re.search(r"^git (fetch .*?)  #", (unpacked / "README.md").read_text(), re.MULTILINE)
    subprocess.run(f"git {fetch[1]}", shell=True, cwd=clone, check=True, capture_output=True)
    assert Project(clone).git("rev-parse", ref) == paper.commit


def test_what_is_told_before_it_is_done_is_what_is_done(paper, call, tmp_path):
    before = sorted(paper.project.store.rglob("*"))
    path = str(tmp_path / "frozen.zip")
    code, out, _ = call("fig3", "--dry-run", "--output", path, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["trials"] == ["0ccepted", "1ccepted", "2ccepted"]
    assert (told["path"], told["bytes"], told["commits"]) == (path, None, [paper.commit])
    assert sorted(paper.project.store.rglob("*")) == before
    assert paper.project.git("for-each-ref", "refs/trials") == ""
    code, out, _ = call("fig3", "-o", path, "--json", "--no-history")
    assert code == 0
    assert {**json.loads(out), "bytes": None} == told
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert "code.bundle" not in names
        assert not [name for name in names if "repository" in name]
        assert b"code.bundle" not in archive.read("README.md")
    code, _, err = call("fig3", "--output", path)
    assert code == 4
    assert f"{path} is there already: name another with --output, or remove it" in err


def edited(paper, trial, **fields):
    (file,) = paper.project.store.rglob(f"*-{trial}/trial.json")
    write_json(file, {**read_json(file), **fields})


def without_trial(paper):
    (folder,) = paper.project.store.rglob("*-1ccepted")
    folder.rename(paper.project.path / "trials/away")


def with_gone_commit(paper):
    gone = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's empty tree, which is no commit
    edited(paper, "1ccepted", commit=gone, metrics={"main": 0.095})
    (folder,) = paper.project.store.rglob("*-1ccepted")
    paper.accept(folder)
    paper.project.commit()


def with_uncommitted_reference(paper):
    edited(paper, "1ccepted", metrics={"main": 0.25})
    (folder,) = paper.project.store.rglob("*-1ccepted")
    paper.accept(folder)


def with_damaged_log(paper):
    (log,) = paper.project.store.rglob("*-1ccepted/log.txt")
    log.write_text("it ran well")


def nothing(_):
    pass


@pytest.mark.parametrize(
    ("groups", "spoil", "code", "message"),
    [
        (["fig5"], nothing, 4, "no official group named 'fig5' in pyproject.toml"),
        ([], nothing, 4, "nothing of fig4 is accepted yet: pytest -p mitosis --exp-official fig4"),
        (
            ["fig3"],
            without_trial,
            13,
            "1ccepted of fig3 is accepted but not in .*: take over the trials folder that has them "
            r"\(pytest-mitosis merge OTHER\)",
        ),
        (
            ["fig3"],
            with_gone_commit,
            1,
            "commit 4b825dc642cb, which official/fig3/noise=low,seed=1.json names, is not in .*: "
            r"fetch it \(git fetch origin 4b825dc642cb",
        ),
        (
            ["fig3"],
            with_uncommitted_reference,
            10,
            "official/fig3/noise=low,seed=1.json is not committed: git add official/fig3",
        ),
        (
            ["fig3"],
            lambda paper: edited(paper, "1ccepted", metrics={"main": 0.25}),
            13,
            "the metrics of trial 1ccepted are not those that official/fig3/noise=low,seed=1.json",
        ),
        (["fig3"], with_damaged_log, 13, "log.txt: has 11 bytes, was recorded with 7; .* verify"),
        (["fig3", "-o", "fig3.tar"], nothing, 4, "the name has to end in .zip"),
    ],
)
def test_what_is_not_whole_is_refused(paper, call, groups, spoil, code, message):
    spoil(paper)
    ended, _, err = call(*groups)
    assert ended == code, err
    assert re.search(message, err)
    assert not list(paper.project.store.glob("*.zip"))
    assert paper.project.git("for-each-ref", "refs/trials") == ""


def test_half_a_history_is_refused(paper, call, tmp_path, monkeypatch):
    shallow = tmp_path / "shallow"
    source = paper.project.path.as_uri()
    subprocess.run(["git", "clone", "-q", "--depth=1", source, str(shallow)], check=True)
    Project(shallow).git("fetch", "-q", "--depth=1", "origin", paper.commit)
    paper.project.store.rename(shallow / "trials")
    monkeypatch.chdir(shallow)
    code, _, err = call("fig3")
    assert code == 10
    assert "is a shallow clone, so its history is not whole: git fetch --unshallow" in err
    assert call("fig3", "--no-history")[0] == 0
