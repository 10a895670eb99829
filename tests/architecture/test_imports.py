"""The house: what may import what, how big a room may be, and what plain pytest pays for us."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pytest_mitosis

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUSE = Path(pytest_mitosis.__file__).parent
MODULES = sorted(path.relative_to(HOUSE).as_posix() for path in HOUSE.rglob("*.py"))
ROOMS = ("plan", "identity", "run", "store", "read")
BELOW = [
    name for name in MODULES if name.partition("/")[0] in ROOMS or name in ("model.py", "table.py")
]
ABOVE = {
    *(
        "allotment",
        "collection",
        "conductor",
        "ending",
        "fixtures",
        "forecast",
        "hookspecs",
        "launching",
        "live",
        "orders",
    ),
    *("markdown", "official", "rollcall", "vouching"),
    *("plugin", "precedent", "reach", "reporting", "runner", "schedule", "session", "waking"),
}
MOST_LINES = 400
MOST_FUNCTION_LINES = 45

HEAVY = {
    "IPython",
    "click",
    "git",
    "ipykernel",
    "jupyter_client",
    "nbclient",
    "nbconvert",
    "nbformat",
    "numpy",
    "pandas",
    "pyarrow",
    "zmq",
}


def tree(name: str) -> ast.Module:
    return ast.parse((HOUSE / name).read_bytes())


def imported(nodes: Iterator[ast.AST], name: str) -> Iterator[str]:
    """Full names of the modules that import statements among ``nodes`` ask for."""
    package = ["pytest_mitosis", *Path(name).parent.parts]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def at_module_level(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Statements that run when the module is imported."""
    for node in body:
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if is_typing or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        for part in ("body", "orelse", "finalbody", "handlers"):
            inner = getattr(node, part, [])
            yield from at_module_level([one for one in inner if isinstance(one, ast.stmt)])
            for handler in inner:
                if isinstance(handler, ast.ExceptHandler):
                    yield from at_module_level(handler.body)


def test_the_rooms_are_where_the_design_has_them():
    assert {name.partition("/")[0] for name in BELOW if "/" in name} == set(ROOMS)
    assert {"model.py", "plugin.py", "hookspecs.py"} <= set(MODULES)


@pytest.mark.parametrize("name", BELOW)
def test_nothing_below_the_line_imports_pytest_or_what_is_above(name):
    for module in imported(ast.walk(tree(name)), name):
        parts = module.split(".")
        assert parts[0] not in {"pytest", "_pytest", "pluggy", "xdist"}, module
        assert not (parts[0] == "pytest_mitosis" and parts[1] in ABOVE), module


def test_model_imports_no_other_room():
    names = list(imported(ast.walk(tree("model.py")), "model.py"))
    assert not [name for name in names if name.startswith("pytest_mitosis")]


@pytest.mark.parametrize(
    ("room", "later"),
    [
        ("plan", ("run", "store", "read")),
        *((room, ("read",)) for room in ("identity", "run", "store")),
    ],
)
def test_data_flows_one_way(room, later):
    for name in MODULES:
        if name.startswith(f"{room}/"):
            for module in imported(at_module_level(tree(name).body), name):
                assert not module.startswith(tuple(f"pytest_mitosis.{one}" for one in later)), name


@pytest.mark.parametrize("name", ["plugin.py", "hookspecs.py", "__init__.py"])
def test_what_every_pytest_imports_imports_the_standard_library_and_pytest_only(name):
    allowed = sys.stdlib_module_names | ({"pytest"} if name != "__init__.py" else set())
    for module in imported(at_module_level(tree(name).body), name):
        assert module.partition(".")[0] in allowed, module


@pytest.mark.parametrize("name", MODULES)
def test_module_begins_with_what_it_is_for_and_ends_in_time(name):
    source = (HOUSE / name).read_text("utf-8")
    assert len(source.splitlines()) <= MOST_LINES
    assert ast.get_docstring(tree(name)), "a module says what it is for"


@pytest.mark.parametrize("name", MODULES)
def test_functions_are_short(name):
    """Docstrings do not count: public ones are the manual."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                first = node.body[0]
                lines -= (first.end_lineno or 0) - first.lineno + 1
            assert lines <= MOST_FUNCTION_LINES, f"{node.name} has {lines} lines"


# what others pay

CONFTEST = """
import json, sys
from pathlib import Path

def pytest_sessionfinish():
    Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
"""
HEAD = "import json, sys; "
TAIL = "; print(json.dumps(sorted(sys.modules)))"


def modules_of_plain_pytest(folder: Path, *options: str) -> set[str]:
    """What a pytest run of one test has loaded when it ends."""
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_area.py").write_text("def test_area():\n    assert 0.5 * 3 * 4 == 6.0\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    return set(json.loads((folder / "modules.json").read_text()))


def test_plain_pytest_loads_the_door_and_nothing_heavy(tmp_path):
    with_us = modules_of_plain_pytest(tmp_path / "with")
    ours = {name for name in with_us if name.partition(".")[0] == "pytest_mitosis"}
    assert ours == {"pytest_mitosis", "pytest_mitosis.plugin", "pytest_mitosis.hookspecs"}
    without = modules_of_plain_pytest(tmp_path / "without", "-p", "no:mitosis")
    assert not [name for name in without if name.startswith("pytest_mitosis.")]
    added = {name.partition(".")[0] for name in with_us - without} - {"pytest_mitosis"}
    assert added <= sys.stdlib_module_names
    assert not added & HEAVY
    assert not {name.partition(".")[0] for name in with_us} & HEAVY


@pytest.mark.parametrize(
    "statement",
    ["import pytest_mitosis", "import pytest_mitosis.plan.variants", "import pytest_mitosis.model"],
)
def test_importing_is_light(statement):
    done = subprocess.run(
        [sys.executable, "-c", f"{HEAD}{statement}{TAIL}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "pytest_mitosis" in loaded
    assert not loaded & (HEAVY | {"pytest", "_pytest"})


def test_public_functions_are_imported_on_first_use():
    source = (
        "import json, sys, pytest_mitosis; before = 'pandas' in sys.modules; "
        "names = [callable(pytest_mitosis.load_trials), callable(pytest_mitosis.load_trial_data)]; "
        "print(json.dumps([before, *names]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == [False, True, True]
