"""Real git repositories: what each state is called, what counts, what drafts keep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mitosis.identity.changes import Relevance, printable
from pytest_mitosis.identity.repository import (
    Change,
    RepositoryState,
    blob_ids,
    editable_repositories,
    find_root,
    head_blobs,
    read_state,
    require_clean,
    snapshot,
    strip_credentials,
)
from pytest_mitosis.model import TreeError

CONFIG = """\
[user]
name = Ada Lovelace
email = ada@example.org
[init]
defaultBranch = main
[protocol "file"]
allow = always
[status]
relativePaths = true
"""


class Tree:
    """A git working tree in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return os.fsdecode(done.stdout)

    def write(self, **files: str) -> None:
        for name, content in files.items():
            self.put(name.replace("__", "/") + ".py", content)

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def commit(self, message: str = "work") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def words(self, **options: object) -> dict[str, str]:
        state = read_state(self.root, **options)  # type: ignore[arg-type]
        return {change.path: change.word for change in state.changes}


@pytest.fixture(autouse=True)
def _own_git_configuration(tmp_path_factory, monkeypatch):
    config = tmp_path_factory.mktemp("config") / "gitconfig"
    config.write_text(CONFIG)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
    for name in [name for name in os.environ if name in ("GIT_DIR", "GIT_WORK_TREE")]:
        monkeypatch.delenv(name)


def make_tree(root: Path) -> Tree:
    root.mkdir(parents=True)
    tree = Tree(root)
    tree.git("init", "--quiet")
    return tree


@pytest.fixture
def tree(tmp_path):
    made = make_tree(tmp_path / "project")
    made.write(exps__fit="alpha = 0.5\n", model="beta = 1.25\n" * 20)
    made.put("README.md", "# Fits\n")
    made.commit("begin")
    return made


# ---- states -----------------------------------------------------------------------------------


def test_clean_tree_has_commit_branch_and_no_changes(tree):
    state = read_state(tree.root)
    assert state.commit == tree.git("rev-parse", "HEAD").strip()
    assert (state.branch, state.changes, state.notes) == ("main", (), ())
    assert state.is_clean
    require_clean([state])


@pytest.mark.parametrize("staged", [False, True])
def test_modified_and_deleted_files_are_named(tree, staged):
    tree.write(exps__fit="alpha = 0.25\n")
    (tree.root / "model.py").unlink()
    if staged:
        tree.git("add", "--all")
    assert tree.words() == {"exps/fit.py": "modified", "model.py": "deleted"}


def test_staged_new_file_is_added_and_rename_keeps_both_names(tree):
    tree.write(exps__new="gamma = 3.5\n")
    tree.git("mv", "model.py", "exps/model.py")
    tree.git("add", "--all")
    changes = read_state(tree.root).changes
    assert Change("exps/new.py", "added") in changes
    assert Change("exps/model.py", "renamed", "model.py") in changes
    assert len(changes) == 2


def test_file_staged_and_edited_again_is_listed_once(tree):
    tree.write(exps__new="gamma = 3.5\n")
    tree.git("add", "--all")
    tree.write(exps__new="gamma = 4.5\n", exps__fit="alpha = 1.5\n")
    assert tree.words() == {"exps/new.py": "added", "exps/fit.py": "modified"}


def test_untracked_files_are_listed_one_by_one(tree):
    tree.write(exps__deep__one="x = 1\n", exps__deep__two="x = 2\n")
    assert tree.words() == {"exps/deep/one.py": "untracked", "exps/deep/two.py": "untracked"}


def test_git_ignored_files_do_not_count(tree):
    tree.put(".gitignore", "*.log\n")
    tree.commit()
    tree.put("run.log", "x")
    assert tree.words() == {}


def test_merge_conflict_is_called_conflict(tree):
    tree.git("checkout", "--quiet", "-b", "other")
    tree.write(exps__fit="alpha = 0.75\n")
    tree.commit()
    tree.git("checkout", "--quiet", "main")
    tree.write(exps__fit="alpha = 0.125\n")
    tree.commit()
    with pytest.raises(AssertionError):
        tree.git("merge", "other")
    assert tree.words() == {"exps/fit.py": "conflict"}


def test_names_with_spaces_newlines_and_foreign_bytes_survive(tree):
    names = ["with space.py", " leading.py", "two\nlines.py", "naïve ε.py", "tab\there.py"]
    for name in names:
        tree.put(name, "x = 1.5\n")
    foreign = os.fsdecode(b"caf\xe9.py")
    tree.put(foreign, "x = 1.5\n")
    state = read_state(tree.root)
    assert {change.path for change in state.changes} == {*names, foreign}
    with pytest.raises(TreeError) as caught:
        require_clean([state])
    assert "two\\nlines.py" in str(caught.value)
    assert "caf\\udce9.py" in str(caught.value)
    assert "naïve ε.py" in str(caught.value)
    str(caught.value).encode("utf-8")
    json.dumps(state.to_json(), ensure_ascii=False).encode("utf-8")


def test_renamed_odd_names_do_not_shift_the_following_records(tree):
    tree.git("mv", "model.py", "a new\nname.py")
    tree.put("zz.py", "x = 1\n")
    assert tree.words() == {"a new\nname.py": "renamed", "zz.py": "untracked"}


def test_state_read_from_a_subfolder_is_the_repositorys(tree):
    tree.write(exps__fit="alpha = 0.25\n")
    state = read_state(tree.root / "exps")
    assert state.root == tree.root
    assert [change.path for change in state.changes] == ["exps/fit.py"]


def test_detached_shallow_and_worktree_are_notes_not_errors(tree, tmp_path):
    tree.write(exps__fit="alpha = 0.75\n")
    tree.commit()
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", tree.root.as_uri(), tmp_path / "shallow"], check=True
    )
    tree.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    shallow = read_state(tmp_path / "shallow")
    linked = read_state(tmp_path / "linked")
    assert (shallow.shallow, shallow.detached, shallow.worktree) == (True, False, False)
    assert (linked.shallow, linked.detached, linked.worktree) == (False, True, True)
    assert linked.branch is None
    assert "shallow clone" in shallow.notes[0]
    assert ["detached head" in linked.notes[0], "linked worktree" in linked.notes[1]] == [True] * 2
    require_clean([shallow, linked])


def test_state_survives_json(tree):
    tree.git("mv", "model.py", "moved.py")
    tree.git("remote", "add", "origin", "https://ada:s3cret@example.org/fits.git")
    state = read_state(tree.root)
    assert state.remote == "https://example.org/fits.git"
    again = RepositoryState.from_json(json.loads(json.dumps(state.to_json())))
    assert again == state


def test_remote_is_that_of_the_upstream_branch(tree, tmp_path):
    subprocess.run(["git", "clone", "-q", "--bare", tree.root, tmp_path / "lab.git"], check=True)
    tree.git("remote", "add", "origin", "https://example.org/fork.git")
    tree.git("remote", "add", "lab/main", str(tmp_path / "lab.git"))
    assert read_state(tree.root).remote == "https://example.org/fork.git"
    tree.git("push", "--quiet", "--set-upstream", "lab/main", "main")
    assert read_state(tree.root).remote == str(tmp_path / "lab.git")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:s3cret@example.org/a.git", "https://example.org/a.git"),
        ("https://ghp_token@example.org:8443/a.git", "https://example.org:8443/a.git"),
        ("https://example.org/a.git?private_token=abc", "https://example.org/a.git"),
        ("https://a@b:s3@cret@example.org/a.git", "https://example.org/a.git"),
        ("ssh://git:s3cret@example.org/a.git", "ssh://git@example.org/a.git"),
        ("git+ssh://git@example.org/a.git", "git+ssh://git@example.org/a.git"),
        ("git@example.org:ada/a.git", "git@example.org:ada/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("https://${TOKEN}@example.org/a.git", "https://example.org/a.git"),
    ],
)
def test_credentials_never_stay_in_an_address(url, shown):
    assert strip_credentials(url) == shown


# ---- what counts ------------------------------------------------------------------------------


def test_by_products_of_python_never_count(tree):
    for name in (
        "__pycache__/fit.cpython-313.pyc",
        "exps/__pycache__/fit.pyc",
        "exps/loose.pyc",
        "exps/.ipynb_checkpoints/a-checkpoint.ipynb",
        "project.egg-info/PKG-INFO",
        ".pytest_cache/v/cache/lastfailed",
        ".mypy_cache/x.json",
        ".ruff_cache/CACHEDIR.TAG",
        ".hypothesis/examples/1",
    ):
        tree.put(name, "x")
    assert tree.words() == {}


def test_trials_and_locks_never_count(tree, tmp_path):
    tree.put("trials/fit/1/trial.json", "{}")
    tree.put("locks/fit/noise/low.json", "{}")
    tree.put("trials_of_mine.py", "x = 1.5\n")
    elsewhere = tmp_path / "elsewhere"
    exclude = [tree.root / "trials", Path("locks"), elsewhere, tree.root]
    assert tree.words(exclude=exclude) == {"trials_of_mine.py": "untracked"}


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("paper/**", "paper/main.tex", True),
        ("paper/**", "paper/figures/a.png", True),
        ("paper/**", "paperwork.py", False),
        ("paper/**", "sub/paper/main.tex", False),
        ("paper", "paper/main.tex", True),
        ("paper/", "sub/paper/main.tex", True),
        ("/paper", "sub/paper/main.tex", False),
        ("*.md", "docs/deep/a.md", True),
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/deep/a.md", False),
        ("docs/**/*.md", "docs/a.md", True),
        ("docs/**/*.md", "docs/deep/er/a.md", True),
        ("**/draft.py", "draft.py", True),
        ("**/draft.py", "a/b/draft.py", True),
        ("note?.txt", "note1.txt", True),
        ("note[!0-9].txt", "note1.txt", False),
        ("note[0-9].txt", "note1.txt", True),
        ("a.b", "aXb", False),
        ("**", "anything/at/all.py", True),
        ("*", "line\nbreak.py", True),
    ],
)
def test_clean_ignore_globs(pattern, path, ignored):
    assert Relevance(ignore=(pattern,)).covers(path) is not ignored


def test_rename_out_of_the_code_into_an_ignored_folder_counts(tree):
    (tree.root / "paper").mkdir()
    tree.git("mv", "model.py", "paper/model.py")
    assert tree.words(ignore=["paper/**"]) == {"paper/model.py": "renamed"}
    assert tree.words(ignore=["paper/**", "model.py"]) == {}


# ---- submodules -------------------------------------------------------------------------------


@pytest.fixture
def submodule(tree, tmp_path):
    library = make_tree(tmp_path / "library")
    library.write(lib="c = 2.75\n")
    library.commit()
    tree.git("submodule", "--quiet", "add", str(library.root), "vendor/lib")
    tree.commit()
    return Tree(tree.root / "vendor/lib")


def test_clean_submodule_is_no_change(tree, submodule):
    assert tree.words() == {}
    assert find_root(submodule.root / "lib.py") == submodule.root
    assert not read_state(submodule.root).worktree


@pytest.mark.parametrize("kind", ["modified files", "untracked files", "new commit"])
def test_dirty_submodule_is_named_with_its_dirt(tree, submodule, kind):
    submodule.write(**{"new" if kind == "untracked files" else "lib": "c = 3.5\n"})
    if kind == "new commit":
        submodule.commit()
    assert read_state(tree.root).changes == (Change("vendor/lib", "submodule dirty", kind),)


def test_caches_and_ignored_files_do_not_make_a_submodule_dirty(tree, submodule):
    submodule.put("__pycache__/lib.cpython-313.pyc", b"\0")
    submodule.put("docs/a.md", "x")
    assert tree.words(ignore=["vendor/lib/docs/**"]) == {}
    assert tree.words() == {"vendor/lib": "submodule dirty"}


def test_submodule_within_a_submodule_follows_the_rules_of_the_outermost(tree, submodule, tmp_path):
    inner = make_tree(tmp_path / "inner")
    inner.write(deep="d = 4.25\n")
    inner.commit()
    submodule.git("submodule", "--quiet", "add", str(inner.root), "inner")
    submodule.commit()
    tree.commit()
    assert tree.words() == {}
    Tree(submodule.root / "inner").put("notes/a.md", "x")
    assert tree.words(ignore=["vendor/lib/inner/notes/**"]) == {}
    assert tree.words(exclude=[tree.root / "vendor/lib/inner/notes"]) == {}
    assert tree.words(ignore=["inner/notes/**"]) == {"vendor/lib": "submodule dirty"}
    Tree(submodule.root / "inner").write(deep="d = 5.25\n")
    assert tree.words(ignore=["vendor/lib/inner/notes/**"]) == {"vendor/lib": "submodule dirty"}


# ---- sentences --------------------------------------------------------------------------------


def test_dirty_tree_is_refused_with_files_and_remedy(tree):
    tree.write(exps__fit="alpha = 0.25\n", exps__new="x = 1.5\n")
    with pytest.raises(TreeError) as caught:
        require_clean([read_state(tree.root)])
    assert str(caught.value).splitlines() == [
        f"2 files are not committed in {tree.root}",
        "  modified   exps/fit.py",
        "  untracked  exps/new.py",
        "Commit or stash them, list them under clean-ignore in [tool.mitosis], "
        "or run with --exp-draft",
    ]


def test_at_most_twenty_files_are_listed_over_all_repositories(tmp_path):
    def state(name, count):
        changes = tuple(Change(f"f{i:02}.py", "untracked") for i in range(count))
        return RepositoryState(tmp_path / name, "0" * 40, "main", changes=changes)

    with pytest.raises(TreeError) as caught:
        require_clean([state("one", 15), state("two", 30), state("three", 1)])
    text = str(caught.value)
    assert text.count("untracked  ") == 20
    assert "30 files are not committed" in text
    assert "and 25 more" in text
    assert f"1 file is not committed in {tmp_path / 'three'}" in text


def test_no_commits_yet_is_read_but_refused(tmp_path):
    tree = make_tree(tmp_path / "young")
    tree.write(fit="x = 1.5\n")
    state = read_state(tree.root)
    assert (state.commit, state.branch) == (None, "main")
    with pytest.raises(TreeError, match=r"young has no commits yet.*Commit first, or run with"):
        require_clean([state])


def test_no_repository_is_told(tmp_path):
    with pytest.raises(TreeError, match=r"is not in a git repository.*git init.*--exp-draft"):
        read_state(tmp_path)


def test_bare_repository_is_told(tmp_path):
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "lab.git"], check=True)
    with pytest.raises(TreeError, match=r"lab\.git is a bare repository"):
        read_state(tmp_path / "lab.git")
    tree = make_tree(tmp_path / "odd")
    tree.git("config", "core.bare", "true")
    with pytest.raises(TreeError, match="odd is a bare repository"):
        read_state(tree.root)


def test_foreign_owner_is_told_with_the_command_that_trusts_it(tree, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(TreeError) as caught:
        read_state(tree.root)
    assert f"{tree.root} belongs to another user" in str(caught.value)
    assert f"git config --global --add safe.directory {tree.root}" in str(caught.value)


def test_broken_git_folder_does_not_answer_for_the_repository_above(tree):
    (tree.root / "inner" / ".git").mkdir(parents=True)
    with pytest.raises(TreeError, match=r"inner has a \.git that git does not accept"):
        read_state(tree.root / "inner")


def test_missing_worktree_target_is_told(tmp_path):
    (tmp_path / ".git").write_text("gitdir: /nowhere/at/all\n")
    with pytest.raises(TreeError, match="points to a folder that is gone"):
        read_state(tmp_path)


def test_missing_git_is_told_when_git_was_already_used(tree, monkeypatch):
    read_state(tree.root)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TreeError, match=r"git was not found on PATH.*--exp-draft"):
        read_state(tree.root)


def test_missing_git_is_told_in_a_fresh_process(tree):
    code = (
        "import sys; from pathlib import Path\n"
        "from pytest_mitosis.identity.repository import read_state\n"
        "from pytest_mitosis.model import TreeError\n"
        "assert 'git' not in sys.modules\n"
        f"try: read_state(Path({str(tree.root)!r}))\n"
        "except TreeError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("git was not found on PATH")


def test_variables_of_a_git_hook_do_not_lead_to_another_repository(tree, tmp_path, monkeypatch):
    other = make_tree(tmp_path / "other")
    other.write(fit="x = 1.5\n")
    commit = other.commit()
    monkeypatch.setenv("GIT_DIR", str(tree.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tree.root / ".git/index"))
    state = read_state(other.root)
    assert (state.root, state.commit, state.changes) == (other.root, commit, ())


def test_programs_named_in_the_configuration_are_not_run(tree, submodule, tmp_path):
    trace = tmp_path / "was-run"
    program = tmp_path / "spy"
    program.write_text(f"#!/bin/sh\necho run >> {trace}\n")
    program.chmod(0o755)
    for place in (tree, submodule):
        place.git("config", "core.fsmonitor", str(program))
    hooks = tree.root / ".git/hooks"
    for name in ("post-index-change", "reference-transaction"):
        (hooks / name).write_text(program.read_text())
        (hooks / name).chmod(0o755)
    submodule.write(lib="c = 3.5\n")
    read_state(tree.root)
    snapshot(tree.root, "k2m9xwq1", "draft")
    assert not trace.exists()
    tree.git("status")
    assert trace.exists()


def test_reading_the_state_does_not_write_the_index(tree):
    index = tree.root / ".git/index"
    before = index.read_bytes()
    os.utime(tree.root / "model.py", (1, 1))
    read_state(tree.root)
    assert index.read_bytes() == before


# ---- drafts -----------------------------------------------------------------------------------


def test_snapshot_holds_the_tree_as_it_is_and_touches_nothing(tree):
    tree.put(".gitignore", "*.log\n")
    head = tree.commit()
    tree.write(exps__fit="alpha = 0.25\n", exps__staged="x = 1.5\n")
    tree.git("add", "exps/staged.py")
    tree.put("naïve\nε.py", "y = 2.5\n")
    tree.put("run.log", "ignored")
    tree.put("__pycache__/x.pyc", "cache")
    tree.put("trials/1/trial.json", "{}")
    (tree.root / "link.py").symlink_to("model.py")
    (tree.root / "README.md").unlink()
    index = (tree.root / ".git/index").read_bytes()
    before = tree.git("status", "--porcelain=v2", "--branch")
    commit = snapshot(tree.root, "k2m9xwq1", "draft", exclude=[tree.root / "trials"])
    assert tree.git("rev-parse", "refs/trials/k2m9xwq1", "HEAD").split() == [commit, head]
    assert (tree.root / ".git/index").read_bytes() == index
    assert tree.git("status", "--porcelain=v2", "--branch") == before
    names = tree.git("ls-tree", "-r", "-z", "--name-only", commit).strip("\0").split("\0")
    assert set(names) == {
        ".gitignore",
        "exps/fit.py",
        "exps/staged.py",
        "link.py",
        "model.py",
        "naïve\nε.py",
    }
    assert tree.git("show", f"{commit}:exps/fit.py") == "alpha = 0.25\n"
    assert tree.git("rev-parse", f"{commit}^").strip() == head


def test_snapshot_of_a_clean_tree_is_its_head(tree):
    assert snapshot(tree.root, "k2m9xwq1", "draft") == tree.git("rev-parse", "HEAD").strip()


def test_snapshot_before_the_first_commit_has_no_parent(tmp_path):
    tree = make_tree(tmp_path / "young")
    tree.write(fit="x = 1.5\n")
    commit = snapshot(tree.root, "k2m9xwq1", "draft")
    assert tree.git("rev-list", "--count", commit).strip() == "1"
    assert tree.git("ls-tree", "--name-only", commit).split() == ["fit.py"]
    assert read_state(tree.root).commit is None


def test_snapshot_works_without_a_configured_user(tree, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("EMAIL", "")
    tree.git("config", "user.useConfigOnly", "true")
    tree.write(exps__fit="alpha = 0.25\n")
    commit = snapshot(tree.root, "k2m9xwq1", "draft of fit_eval")
    assert tree.git("log", "-1", "--format=%an: %s", commit).strip() == (
        "pytest-mitosis: draft of fit_eval"
    )


def test_snapshot_leaves_large_and_foreign_repositories_out_and_says_so(tree):
    tree.put("big.npy", b"\0" * 2000)
    nested = make_tree(tree.root / "nested")
    nested.write(inner="x = 1.5\n")
    tree.write(small="x = 1.5\n")
    commit = snapshot(tree.root, "k2m9xwq1", "draft", largest=1000)
    names = tree.git("ls-tree", "-r", "--name-only", commit).split()
    assert "small.py" in names
    assert not {"big.npy", "nested"} & set(names)
    assert "left out: big.npy" in tree.git("log", "-1", "--format=%B", commit)


def test_snapshot_sees_edits_hidden_by_flags(tree):
    tree.git("update-index", "--assume-unchanged", "exps/fit.py")
    tree.git("update-index", "--skip-worktree", "model.py")
    tree.write(exps__fit="alpha = 0.25\n", model="beta = 2.5\n")
    assert tree.words() == {}
    commit = snapshot(tree.root, "k2m9xwq1", "draft")
    assert tree.git("show", f"{commit}:exps/fit.py") == "alpha = 0.25\n"
    assert tree.git("show", f"{commit}:model.py") == "beta = 2.5\n"
    assert tree.git("ls-files", "-v", "exps/fit.py", "model.py").split() == [
        "h",
        "exps/fit.py",
        "S",
        "model.py",
    ]


def test_snapshot_in_the_middle_of_a_merge_keeps_the_files_with_their_marks(tree):
    test_merge_conflict_is_called_conflict(tree)
    commit = snapshot(tree.root, "k2m9xwq1", "draft")
    assert "<<<<<<<" in tree.git("show", f"{commit}:exps/fit.py")
    assert tree.words() == {"exps/fit.py": "conflict"}


def test_snapshot_of_a_worktree_is_kept_in_the_shared_repository(tree, tmp_path):
    tree.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    Tree(tmp_path / "linked").write(exps__fit="alpha = 0.25\n")
    commit = snapshot(tmp_path / "linked", "k2m9xwq1", "draft")
    assert tree.git("rev-parse", "refs/trials/k2m9xwq1").strip() == commit
    assert tree.git("show", f"{commit}:exps/fit.py") == "alpha = 0.25\n"


# ---- blobs ------------------------------------------------------------------------------------


def test_blob_ids_are_gits(tree):
    tree.put("line\nbreak.py", "x = 1.5\n")
    tree.commit()
    names = ["exps/fit.py", "model.py", "line\nbreak.py", "not/there.py"]
    committed = head_blobs(tree.root, names)
    assert committed == blob_ids(tree.root, names)
    assert committed["exps/fit.py"] == tree.git("rev-parse", "HEAD:exps/fit.py").strip()
    assert set(committed) == set(names[:3])
    tree.write(exps__fit="alpha = 0.25\n")
    assert blob_ids(tree.root, names)["exps/fit.py"] != committed["exps/fit.py"]


def test_blob_ids_follow_line_ends_and_filters(tree):
    tree.put("crlf.py", "a = 0.5\r\nb = 1.5\r\n")
    tree.git("config", "core.autocrlf", "true")
    tree.commit()
    assert b"\r\n" in (tree.root / "crlf.py").read_bytes()
    assert blob_ids(tree.root, ["crlf.py"]) == head_blobs(tree.root, ["crlf.py"])
    tree.git("config", "filter.upper.clean", "tr a-z A-Z")
    tree.put(".gitattributes", "filtered.py filter=upper\n")
    tree.put("filtered.py", "alpha = 0.5\n")
    tree.commit()
    assert tree.git("show", "HEAD:filtered.py") == "ALPHA = 0.5\n"
    names = ["filtered.py", "model.py"]
    assert blob_ids(tree.root, names) == head_blobs(tree.root, names)


def test_head_blobs_of_many_paths_and_of_no_commit(tree, tmp_path):
    many = [f"missing/{i}.py" for i in range(600)]
    assert set(head_blobs(tree.root, [*many, "model.py"])) == {"model.py"}
    assert head_blobs(make_tree(tmp_path / "young").root, ["model.py"]) == {}
    assert head_blobs(tree.root, []) == {}


def test_blob_ids_of_a_sha256_repository(tmp_path):
    (tmp_path / "new").mkdir()
    tree = Tree(tmp_path / "new")
    tree.git("init", "--quiet", "--object-format=sha256")
    tree.write(fit="x = 1.5\n")
    tree.commit()
    assert blob_ids(tree.root, ["fit.py"]) == head_blobs(tree.root, ["fit.py"])


# ---- editable installs ------------------------------------------------------------------------


def install(site: Path, name: str, url: str, *, editable: bool) -> None:
    folder = site / f"{name}-1.5.dist-info"
    folder.mkdir(parents=True)
    record = {"url": url, "dir_info": {"editable": True} if editable else {}}
    (folder / "direct_url.json").write_text(json.dumps(record))


def test_repositories_behind_editable_installs_are_found_once(tree, tmp_path, monkeypatch):
    library = make_tree(tmp_path / "our library")
    site = tmp_path / "site"
    install(site, "core", (library.root / "packages/core").as_uri(), editable=True)
    install(site, "extra", (library.root / "packages/extra").as_uri(), editable=True)
    install(site, "copied", (tmp_path / "copied").as_uri(), editable=False)
    install(site, "loose", (tmp_path / "loose").as_uri(), editable=True)
    install(site, "itself", tree.root.as_uri(), editable=True)
    (site / "broken-1.0.dist-info").mkdir()
    (site / "broken-1.0.dist-info/direct_url.json").write_text("{")
    monkeypatch.setattr(sys, "path", [str(site), str(tmp_path / "missing"), *sys.path])
    assert editable_repositories([tree.root]) == (library.root,)


def test_printable_keeps_a_name_on_one_line():
    assert printable("a\nb\tc\x1b[31m ε") == "a\\nb\\tc\\x1b[31m ε"
