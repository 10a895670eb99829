"""Write the table of ``docs/explanation/same-code.md``: which edits make which tool run again.

``python benchmarks/edits.py [FOLDER]``. Each tool is installed from the package index into an
environment of its own in FOLDER (by default a temporary one), and used as its documentation says.
Per tool and edit: a new copy of the project, a run, the edit, a run. The experiment prints a word,
so that the output tells whether it ran. The project and the edits are those of the tests.
"""

from __future__ import annotations

import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "same-code.md"
BEGIN = "<!-- begin: written by benchmarks/edits.py -->"
END = "<!-- end: written by benchmarks/edits.py -->"
sys.path.insert(0, str(ROOT / "tests"))

from core.edits import DATA, EDITS, MODULES, SITE, Edit, write_project  # noqa: E402  path set above

RAN = "fitting"  # what the experiment prints
REFUSED = "refused"  # it ended with an error
CONTROL = Edit("no edit", (), changes_result=False, reruns=False)
TIMEOUT = 300


@dataclass(frozen=True)
class Tool:
    """One tool as its documentation uses it for this job.

    ``package`` is empty for this project. ``files`` are written before the first run,
    ``replaced`` are texts of ``exp_fit.py``; ``command`` follows the environment's Python.
    """

    title: str
    package: str
    how: str
    command: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()

    def prepare(self, folder: pathlib.Path, python: pathlib.Path) -> None:
        """Make the project, with what the tool wants in it."""
        write_project(folder)
        for name, text in self.files:
            (folder / name).write_text(text.replace("PYTHON", str(python)), "utf-8")
        source = folder / "exp_fit.py"
        text = source.read_text("utf-8")
        for old, new in self.replaced:
            if old not in text:
                raise ValueError(f"exp_fit.py has no {old!r}")
            text = text.replace(old, new, 1)
        source.write_text(text, "utf-8")
        git(folder, "init", "-q")
        for extra in self.needs:
            run([str(python), *extra.split()], folder)
        commit(folder)

    def runs(self, folder: pathlib.Path, python: pathlib.Path) -> bool:
        """Run it, and tell whether the experiment ran."""
        if not self.package:
            before = len(list(folder.glob("trials/fit/*/*/trial.json")))
            run([str(python), *self.command], folder)
            return len(list(folder.glob("trials/fit/*/*/trial.json"))) > before
        output = run([str(python), *self.command], folder)
        return any(line.strip() == RAN for line in output.splitlines())


LISTED = ", ".join(repr(name) for name in (*MODULES, DATA))
WHOLE_LIST = f"all of {', '.join(f'`{name}`' for name in MODULES)} and `{DATA}` listed"
EXCA = """\
import inspect

import pydantic
from exca import TaskInfra
from exp_fit import exp_fit


class Fit(pydantic.BaseModel):
    noise: float = inspect.signature(exp_fit).parameters["noise"].default
    infra: TaskInfra = TaskInfra(version="1")

    @infra.apply
    def run(self) -> float:
        return exp_fit(self.noise)["main"]


if __name__ == "__main__":
    import config_fit

    config_fit.Fit(infra={"folder": "cache"}).run()
"""
PYTASK = f"""\
import json
from pathlib import Path

from exp_fit import exp_fit

HERE = Path(__file__).parent
FILES = [HERE / name for name in ({LISTED})]


def task_fit(files=FILES, produces=HERE / "result.json"):
    produces.write_text(json.dumps(exp_fit()))
"""
DVC = "stages:\n  fit:\n    cmd: PYTHON exp_fit.py\n    deps:\n" + "".join(
    f"      - {name}\n" for name in (*MODULES, DATA)
)
SNAKEFILE = 'rule fit:\n    input: {}\n    output: "result.json"\n    script: "exp_fit.py"\n'
SNAKEMAKE = ("-m", "snakemake", "--cores", "1")
TOOLS = (
    Tool(
        "pytest-mitosis",
        "",
        "`pytest -p mitosis --exp fit`",
        ("-m", "pytest", "-p", "mitosis", "--exp", "fit", "-q"),
    ),
    Tool(
        "joblib.Memory",
        "joblib",
        "`@memory.cache` on the experiment",
        ("-c", "import exp_fit; exp_fit.exp_fit()"),
        replaced=(
            ("import json\n", "import json\n\nfrom joblib import Memory\n"),
            ("def exp_fit", 'memory = Memory(".cache", verbose=0)\n\n\n@memory.cache\ndef exp_fit'),
        ),
    ),
    Tool(
        "exca",
        "exca",
        '`TaskInfra(version="1")` on a configuration that calls the experiment; its documentation '
        "leaves changes of code to a new `version`, written by hand",
        ("config_fit.py",),
        files=(("config_fit.py", EXCA),),
    ),
    Tool(
        "pytask",
        "pytask",
        f"a task that calls the experiment, with {WHOLE_LIST} as dependencies",
        ("-m", "pytask", "-s"),
        files=(("task_fit.py", PYTASK),),
    ),
    Tool(
        "DVC",
        "dvc",
        f"`dvc repro`, with {WHOLE_LIST} as `deps`",
        ("-m", "dvc", "repro"),
        files=(("dvc.yaml", DVC + "    outs:\n      - result.json\n"),),
        needs=("-m dvc init -q", "-m dvc config core.analytics false"),
    ),
    Tool(
        "Snakemake",
        "snakemake",
        f"a rule with `script:`, `{DATA}` as input, default `--rerun-triggers`, no `conda:`",
        SNAKEMAKE,
        files=(("Snakefile", SNAKEFILE.format(repr(DATA))),),
    ),
    Tool(
        "Snakemake, listed",
        "snakemake",
        f"the same with {WHOLE_LIST} as input",
        SNAKEMAKE,
        files=(("Snakefile", SNAKEFILE.format(LISTED)),),
    ),
)


def run(command: list[str], folder: pathlib.Path) -> str:
    """Return what a command prints; ends with the text of a failing one."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(folder / SITE)]),
        # Compiled files are told by whole seconds, too coarse for edits that follow at once.
        "PYTHONDONTWRITEBYTECODE": "1",
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} exits with {done.returncode}:\n{done.stdout}")
    return done.stdout


def git(folder: pathlib.Path, *arguments: str) -> None:
    """Run git as somebody."""
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    run(["git", *who, *arguments], folder)


def commit(folder: pathlib.Path) -> None:
    """Commit what there is."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "work")


def environment_of(tool: Tool, base: pathlib.Path) -> pathlib.Path:
    """Return the Python that has the tool, which is installed if need be."""
    if not tool.package:
        return pathlib.Path(sys.executable)
    python = base / tool.package / "bin" / "python"
    if not python.exists():
        run([sys.executable, "-m", "venv", str(base / tool.package)], base)
        run([str(python), "-m", "pip", "install", "-q", tool.package], base)
    return python


def version_of(tool: Tool, python: pathlib.Path, base: pathlib.Path) -> str:
    """Return the version of the installed tool."""
    name = tool.package or "pytest-mitosis"
    code = f"from importlib.metadata import version; print(version({name!r}))"
    return run([str(python), "-c", code], base).strip()


def try_edit(tool: Tool, python: pathlib.Path, edit: Edit) -> str:
    """Tell what the tool does about an edit: ``reran``, ``kept`` or ``refused``."""
    with tempfile.TemporaryDirectory(prefix="edits-") as name:
        folder = pathlib.Path(name).resolve()
        tool.prepare(folder, python)
        if not tool.runs(folder, python):
            raise RuntimeError("the first run does not run the experiment")
        edit.apply(folder)
        commit(folder)
        try:
            return "reran" if tool.runs(folder, python) else "kept"
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return REFUSED


def judged(edit: Edit, done: str) -> str:
    """Return a cell of the table: what was done, and what is wrong with it."""
    if done == "kept" and edit.changes_result:
        return "**missed**"
    return "reran, needless" if done == "reran" and not edit.changes_result else done


def column(tool: Tool, base: pathlib.Path) -> tuple[str, list[str]]:
    """Return the tool's version, and a cell for each edit."""
    try:
        python = environment_of(tool, base)
        version = version_of(tool, python, base)
        if try_edit(tool, python, CONTROL) != "kept":
            raise RuntimeError("it runs again without an edit")
        cells = [judged(edit, try_edit(tool, python, edit)) for edit in EDITS]
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"{tool.title}: not run: {error}", file=sys.stderr)
        return "", [f"not run: {str(error).splitlines()[0]}"] * len(EDITS)
    print(f"{tool.title} {version}: {dict(zip([e.name for e in EDITS], cells, strict=True))}")
    return version, cells


def table(columns: dict[Tool, tuple[str, list[str]]]) -> str:
    """Return the part of the page between the markers."""
    lines = ["| edit | result | " + " | ".join(tool.title for tool in columns) + " |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for at, edit in enumerate(EDITS):
        cells = [cells[at] for _, cells in columns.values()]
        truth = "another" if edit.changes_result else "the same"
        lines.append(f"| {edit.name} | {truth} | {' | '.join(cells)} |")
    for title, word in (("needless reruns", "reran, needless"), ("missed changes", "**missed**")):
        counts = [str(cells.count(word)) if version else "–" for version, cells in columns.values()]
        lines.append(f"| {title} | | {' | '.join(counts)} |")
    python = ".".join(str(part) for part in sys.version_info[:3])
    lines += ["", f"Run on {datetime.datetime.now(datetime.UTC):%d %B %Y}, Python {python}:", ""]
    for tool, (version, _) in columns.items():
        lines.append(f"- {tool.title}{f' {version}' if version else ''}: {tool.how}.")
    return "\n".join(lines)


def write(text: str) -> None:
    """Put it into the page, in place of what is between the markers."""
    page = PAGE.read_text("utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


def main() -> None:
    """Try all tools and write the table."""
    with tempfile.TemporaryDirectory(prefix="tools-") as temporary:
        base = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else temporary).resolve()
        write(table({tool: column(tool, base) for tool in TOOLS}))


if __name__ == "__main__":
    main()
