"""What a frozen archive says about itself: each claim with its command, cost and numbers.

The same facts as Markdown and as a page; must not know how the archive is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_mitosis.identity.submodules import submodules_of
from pytest_mitosis.read.site.assets import asset, render
from pytest_mitosis.read.statistics import settings_of
from pytest_mitosis.read.verdict_text import cells
from pytest_mitosis.store.folder import PAGE, now, user_name
from pytest_mitosis.table import format_bytes, format_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_mitosis.model import Trial
    from pytest_mitosis.plan.config import Project
    from pytest_mitosis.read.claims import Claim
    from pytest_mitosis.store.reference import Reference

MOST_METRICS = 6
Table = list[list[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """One claim as texts: facts by name, its numbers per setting, and its trials.

    Tables begin with their header; ``links`` has the page of each trial.
    """

    title: str
    command: str
    facts: list[tuple[str, str]]
    numbers: Table
    trials: Table
    links: list[str]


@dataclass(frozen=True)
class Readme:
    """Claims, and what else of an archive is told."""

    project: Project
    claims: Sequence[Claim]
    trials: Sequence[Trial]
    has_history: bool = True

    @property
    def title(self) -> str:
        """Whose results these are."""
        return f"Official trials of {self.project.root.name}"

    @cached_property
    def origin(self) -> str:
        """When they were frozen, and by whom."""
        return f"Frozen on {now()[:10]} by {user_name()}."

    @cached_property
    def sections(self) -> list[Section]:
        """The claims."""
        return [self._section(one) for one in self.claims]

    @property
    def commands(self) -> list[tuple[str, str]]:
        """What runs them again, each with what it does."""
        home = self.project.home.relative_to(self.project.root).as_posix()
        place = "repository" if home == "." else f"repository/{home}"
        up = "../" * (1 if home == "." else 2 + home.count("/"))
        clone = "git clone code.bundle repository"
        groups = " ".join(one.group.name for one in self.claims)
        return [
            (f"{clone} && cd {place}", "the code with its history"),
            ("git fetch origin 'refs/trials/*:refs/trials/*'", "the commits of the trials"),
            ("pip install pytest-mitosis", ""),
            *(
                (
                    f"pytest-mitosis reproduce {one.group.name} --trials-folder {up}trials",
                    "as it was: the recorded commit in the recorded environment",
                )
                for one in self.claims
            ),
            (
                f"pytest -p mitosis --exp-official {groups}",
                "as it is now: the newest code, in the environment you are in",
            ),
        ]

    @cached_property
    def places(self) -> list[tuple[str, str]]:
        """Where what is."""
        commits = list(dict.fromkeys(one for claim in self.claims for one in claim.commits))
        code = [
            (f"{self.code_of(one)}/", f"all files of commit {one}{self._without(one)}")
            for one in commits
        ]
        bundle = ("code.bundle", "the history, to be cloned with git")
        return [
            ("trials/index.html", "the trials as a table, to sort, select, plot and compare"),
            ("trials/", "a trials folder: of each trial its page, notebook, log and results"),
            ("trials/environments/", "all packages that were there, as pip takes them"),
            ("trials/locks/", "what each name of a variant stands for"),
            ("official/", "what is vouched for: metrics in full precision, digests, versions"),
            *code,
            *([bundle] if self.has_history else []),
        ]

    def code_of(self, commit: str) -> str:
        """The folder of a commit's files."""
        return f"code/{commit[:12]}"

    def _without(self, commit: str) -> str:
        found = [str(one) for one in submodules_of(self.project.root, commit)]
        return f", without its submodules {', '.join(found)}" if found else ""

    def _section(self, claim: Claim) -> Section:
        store = self.project.trials_folder.absolute()
        folders = [one.folder.absolute().relative_to(store).as_posix() for one in claim.trials]
        return Section(
            claim.title,
            claim.command,
            [(name, text) for name, text in _facts(claim) if text],
            _numbers(claim.references),
            _trials(claim),
            [f"trials/{quote(one)}/{PAGE}" for one in folders],
        )


def write_markdown(readme: Readme) -> str:
    """The text of ``README.md``."""
    lines = [f"# {readme.title}", "", readme.origin, ""]
    lines += [
        "Open `index.html` in a browser for the same with links. Nothing has to be installed."
    ]
    for one in readme.sections:
        lines += ["", f"## {one.title}", "", "```console", f"$ {one.command}", "```", ""]
        lines += [f"- {name}: {text}" for name, text in one.facts]
        lines += ["", *_markdown(one.numbers), "", *_markdown(one.trials)]
    lines += ["", "## What is in here", ""]
    lines += _markdown(
        [["place", "content"], *([f"`{name}`", text] for name, text in readme.places)]
    )
    if readme.has_history:
        lines += ["", "## To run it again", "", "```bash"]
        lines += [f"{one}{f'  # {about}' if about else ''}" for one, about in readme.commands]
        lines += ["```"]
    return "\n".join([*lines, ""])


def write_html(readme: Readme) -> bytes:
    """The page ``index.html``."""
    return render("frozen.html", readme=readme, style=asset("base.css") + asset("trial.css"))


def _facts(claim: Claim) -> Iterable[tuple[str, str]]:
    records = [one.record for one in claim.references]
    longest = max(one.manifest.get("duration_s") or 0.0 for one in claim.trials)
    clock, processor = claim.total("duration_s"), claim.total("cpu_s")
    memory = max(one.manifest.get("peak_memory_bytes") or 0 for one in claim.trials)
    for text, told in claim.hypotheses.items():
        yield "hypothesis", f"{text}: {told}"
    yield "trials", f"{len(records)}, of commit {', '.join(one[:12] for one in claim.commits)}"
    yield (
        "time",
        (
            f"{format_seconds(clock)} on the clock in all, {format_seconds(longest)} the longest"
            + (f"; {format_seconds(processor)} of processor time" if processor else "")
        ),
    )
    peak = f", and at most {format_bytes(memory)} of memory a trial" if memory else ""
    yield "disk", f"{format_bytes(claim.size)}{peak}"
    yield "machine", "; ".join(_unique(_machine(one) for one in claim.references))
    environments = _unique(str(one["environment"]["digest"]) for one in records)
    files = [f"trials/environments/{one}/requirements.txt" for one in environments if one]
    yield "packages", ", ".join(files)
    yield "other code", "; ".join(_unique(_others(claim.trials)))
    accepted = (f"{one['accepted'][:10]} by {one['by']}: {one['why']}" for one in records)
    yield "accepted", "; ".join(_unique(accepted))


def _machine(reference: Reference) -> str:
    environment = reference.record["environment"]
    machine = environment["machine"]
    known = [machine.get(name, "") for name in ("cpu", "machine", "system")]
    python = f"Python {environment['python']}" if environment["python"] else ""
    return ", ".join(filter(None, [*known, python]))


def _others(trials: Iterable[Trial]) -> Iterable[str]:
    """Repositories behind editable installs, which an archive of the project's is without."""
    for trial in trials:
        for one in (trial.manifest.get("repositories") or ())[1:]:
            where = one.get("remote") or str(one.get("root", "")).rpartition("/")[2]
            yield f"{where} at {str(one.get('commit'))[:12]}, which is not in here"


def _numbers(references: Sequence[Reference]) -> Table:
    """A row a setting: mean and standard deviation over its seeds."""
    names: dict[str, None] = {}
    for one in references:
        names |= {name: None for name, v in one.metrics.items() if type(v) in {int, float}}
    shown = list(names)[:MOST_METRICS]
    rows: dict[tuple[tuple[str, str], ...], list[str]] = {}
    counts: dict[tuple[tuple[str, str], ...], int] = {}
    for number, name in enumerate(shown):
        for setting in settings_of(references, name):
            row = rows.setdefault(setting.parameters, [""] * len(shown))
            sample = setting.sample
            row[number] = f"{sample.mean:.6g}" + (
                "" if sample.sd is None else f" ± {sample.sd:.2g}"
            )
            counts[setting.parameters] = max(counts.get(setting.parameters, 0), sample.n)
    if not rows:
        return []
    first = [name for name, _ in next(iter(rows))]
    header = [*first, "n", *shown]
    return [
        header,
        *(
            [*(dict(p).get(name, "") for name in first), str(counts[p]), *row]
            for p, row in rows.items()
        ),
    ]


def _trials(claim: Claim) -> Table:
    header = ["trial", "of", "main", "time", "commit"]
    return [
        header,
        *(
            [
                trial.id,
                f"{one.record['experiment']}[{one.record['spec']}]",
                repr(one.metrics["main"]) if "main" in one.metrics else "",
                format_seconds(trial.manifest.get("duration_s") or 0.0),
                str(one.record["code"]["commit"])[:12],
            ]
            for one, trial in zip(claim.references, claim.trials, strict=True)
        ),
    ]


def _markdown(table: Table) -> list[str]:
    return [cells(table[0]), f"|{'---|' * len(table[0])}", *map(cells, table[1:])] if table else []


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
