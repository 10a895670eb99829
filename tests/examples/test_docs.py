"""Runs the blocks of the documentation, page by page, each in a git project of its own.

A block whose first line is ``# file: NAME`` is written to that file. In ``console`` blocks, lines
that begin with ``$ `` are run by bash, in order; a command ends with 0, or as its comment
``# exits 11`` says. The lines below a command have to appear in its output, in that order;
``…`` stands for anything, and how many spaces there are does not count. Other blocks are not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# file: (\S+)\n")
EXITS = re.compile(r"# exits (\d+)$")
NEEDS_CALLS = "<!-- runs on Python 3.12 and newer -->"
NEEDS_SLURM = "<!-- needs Slurm -->"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@dataclass
class Command:
    text: str
    expected: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        found = EXITS.search(self.text)
        return int(found[1]) if found else 0


def blocks_of(text: str) -> list[tuple[str, str]]:
    return FENCED.findall(text)


def commands_of(block: str) -> list[Command]:
    commands: list[Command] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append(Command(line.removeprefix("$ ")))
        else:
            commands[-1].expected.append(line)
    return commands


def pattern_of(line: str) -> re.Pattern[str]:
    parts = [re.escape(" ".join(part.split())) for part in line.split("…")]
    return re.compile(".*".join(parts))


def missing_from(output: str, expected: list[str]) -> str | None:
    """The first expected line that does not appear in the output after those before it."""
    lines = iter(" ".join(line.split()) for line in output.splitlines())
    for wanted in filter(str.strip, expected):
        pattern = pattern_of(wanted)
        if wanted.strip() != "…" and not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None


def environment(home: Path) -> dict[str, str]:
    """The variables of a user who calls this interpreter's tools by name."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV_", "GIT_"))}
    author = {
        f"GIT_{who}_{what}": f"ada{at}"
        for who in ("AUTHOR", "COMMITTER")
        for what, at in (("NAME", ""), ("EMAIL", "@example.org"))
    }
    config = home / ".gitconfig"
    config.write_text("[init]\n\tdefaultBranch = main\n", encoding="utf-8")
    return {
        **kept,
        **author,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        # Readers need not have hypothesis, and its plugin takes a quarter of a second each time.
        "PYTEST_ADDOPTS": "-p no:hypothesispytest",
        "COLUMNS": "100",
        "PYTHONDONTWRITEBYTECODE": "1",
        "USER": "ada",
        "LOGNAME": "ada",
    }


def run_page(text: str, tmp_path: Path, more: Mapping[str, str] | None = None) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    variables = {**environment(home), **(more or {})}
    subprocess.run(["git", "init", "-q"], cwd=project, env=variables, check=True)
    for language, block in blocks_of(text):
        named = NAMED.match(block)
        if named is not None:
            file = project / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block[named.end() :], encoding="utf-8")
        elif language == "console":
            for command in commands_of(block):
                check(command, project, variables)


def check(command: Command, project: Path, variables: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=project,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    shown = f"$ {command.text}\n{done.stdout}"
    assert done.returncode == command.code, f"exits {done.returncode}:\n{shown}"
    missing = missing_from(done.stdout, command.expected)
    assert missing is None, f"does not print {missing!r}:\n{shown}"


PAGES = sorted(
    page for page in DOCS.rglob("*.md") if "```console" in page.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_page_runs_as_it_stands(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    text = page.read_text(encoding="utf-8")
    if NEEDS_CALLS in text and sys.version_info < (3, 12):
        pytest.skip("the page is of Python 3.12 and newer, which can tell which functions ran")
    # Asked for by this page alone, as a cluster takes a second to start.
    cluster = request.getfixturevalue("cluster") if NEEDS_SLURM in text else None
    run_page(text, tmp_path, cluster.environment if cluster else None)


def test_readme_project_runs_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = text.index("## In your project")
    run_page(text[start : text.index("\n## ", start + 1)], tmp_path)


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    inner = [link for link in links if not link.startswith(("http://", "https://"))]
    assert [link for link in inner if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    ("output", "line", "found"),
    [
        (" f5xxf7jk  slow s0  0.004504   new  0.8 s", " … slow s0  0.004504 … new … s", True),
        (" f5xxf7jk  slow s0  0.004512   new  0.8 s", " … slow s0  0.004504 … new … s", False),
        ("exit 11: noise=low changed", "noise=low changed", False),
        ("anything", "…", True),
    ],
)
def test_expected_line_matches_whole_lines_up_to_dots(output: str, line: str, found: bool) -> None:
    assert (missing_from(output, [line]) is None) is found
