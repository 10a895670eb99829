"""Which edits make a trial's code another one, tried on projects that really run."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pytest_mitosis.identity import imported
from pytest_mitosis.identity.code import CodeIdentity, ModuleCode, compare_code
from pytest_mitosis.identity.skeleton import function_bodies, parse, skeleton

RECORDS_CALLS = sys.version_info >= (3, 12)

FIT = '''\
"""Fits of a damped oscillator."""

from dataclasses import dataclass

from helpers import smooth
from model import Damped

STEP = 0.01  # seconds


@dataclass
class Options:
    """How to fit."""

    order: int = 2


def exp_fit(noise=0.1, *, seed=0):
    """Fit once."""
    # the data
    damped = Damped()
    return {"main": smooth(damped.decay(noise) + STEP, Options().order)}


def plot(result):
    """Never called here."""
    return result["main"] * 2.0


if __name__ == "__main__":
    print(exp_fit())
'''
MODEL = """\
class Oscillator:
    rate = 0.25

    def decay(self, time):
        return self.factor() * self.rate ** time

    def factor(self):
        return 1.0

    def frequency(self):
        return 3.5


class Damped(Oscillator):
    @property
    def mass(self):
        return 1.5
"""
HELPERS = """\
import functools


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args, factor=2.0):
        return factor * function(*args)

    return wrapper


@doubled
def smooth(value, order):
    return value / order


def unused(value, order=3):
    return value
"""
RUN = """\
import json, sys
from pathlib import Path
from pytest_mitosis.identity.executed import Recorder
from pytest_mitosis.identity.code import code_identity

root = Path(sys.argv[1])
sys.path[:0] = [str(root / "exps"), str(root)]
recorder = Recorder()
recorder.start()
import fit
result = fit.exp_fit()
recorder.stop()
identity = code_identity(root, recorder)
print(json.dumps({"digest": identity.digest, "identity": identity.to_json(), "result": result}))
"""


def make_project(root: Path, **files: str) -> Path:
    (root / ".git").mkdir(parents=True)
    (root / "exps").mkdir()
    contents = {"exps/fit.py": FIT, "model.py": MODEL, "helpers.py": HELPERS, "README.md": "# A\n"}
    for name, content in {**contents, **files}.items():
        (root / name).write_text(content)
    return root


def run(root: Path, code: str = RUN, **variables: str) -> dict:
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables}
    command = [sys.executable, "-c", code, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def identity(told: dict) -> CodeIdentity:
    return CodeIdentity.from_json(told["identity"])


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    return run(make_project(tmp_path_factory.mktemp("baseline") / "project"))


# ---- the table of edits -----------------------------------------------------------------------

SAME = {
    "comment": ("exps/fit.py", "# the data", "# the observed data"),
    "comment behind a constant": ("exps/fit.py", "# seconds", "# in s"),
    "docstring of the module": ("exps/fit.py", "Fits of a damped", "Fits of one damped"),
    "docstring of a function": ("exps/fit.py", '"""Fit once."""', '"""Fit\n    just once."""'),
    "docstring removed": ("exps/fit.py", '    """Fit once."""\n', ""),
    "docstring of a class": ("exps/fit.py", '"""How to fit."""', '"""How it is fitted."""'),
    "reformatting": ("helpers.py", "return value / order", "return (\n        value/order\n    )"),
    "quotes and digits": ("exps/fit.py", "STEP = 0.01", "STEP = (1e-2)"),
    "readme": ("README.md", "# A", "# B"),
    "trailing comma": ("exps/fit.py", "damped.decay(noise)", "damped.decay(noise, )"),
    "main guard": ("exps/fit.py", "    print(exp_fit())", "    print(exp_fit(0.7))"),
    "local annotation": ("exps/fit.py", "damped = Damped()", "damped: Damped = Damped()"),
    "new file nobody imports": ("other.py", "", "x = 1.5\n"),
}
UNREACHED = {
    "function never reached": ("exps/fit.py", 'result["main"] * 2.0', 'result["main"] * 3.0'),
    "method never reached": ("model.py", "return 3.5", "return 4.5"),
    "property never reached": ("model.py", "return 1.5", "return 2.5"),
}
CHANGED = {
    "constant": ("exps/fit.py", "STEP = 0.01", "STEP = 0.02", "outside functions"),
    "default": ("exps/fit.py", "noise=0.1", "noise=0.2", "outside functions"),
    "default in a body": ("helpers.py", "factor=2.0", "factor=3.0", "doubled changed"),
    "executed body": ("exps/fit.py", "+ STEP", "- STEP", "exp_fit changed"),
    "helper in another file": ("helpers.py", "value / order", "value * order", "smooth changed"),
    "inherited method": ("model.py", "return 1.0", "return 1.25", "Oscillator.factor changed"),
    "decorator": ("helpers.py", "@doubled\n", "", "outside functions"),
    "decorator's body": ("helpers.py", "factor * function", "factor + function", "doubled changed"),
    "class attribute": ("model.py", "rate = 0.25", "rate = 0.5", "outside functions"),
    "field default": ("exps/fit.py", "order: int = 2", "order: int = 3", "outside functions"),
    "method that shadows": (
        "model.py",
        "class Damped(Oscillator):\n",
        "class Damped(Oscillator):\n    def factor(self):\n        return 9.0\n\n",
        "outside functions",
    ),
    "base class": ("model.py", "(Oscillator)", "(Oscillator, object)", "outside functions"),
    "import": ("exps/fit.py", "from helpers", "from helpers2", "outside functions"),
    "integer for float": ("model.py", "rate = 0.25", "rate = 0", "outside functions"),
    "text": ("exps/fit.py", '"main": smooth', '"Main": smooth', "exp_fit changed"),
}


def edited(tmp_path: Path, name: str, old: str, new: str) -> Path:
    root = make_project(tmp_path / "project")
    path = root / name
    text = path.read_text() if path.exists() else ""
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return root


@pytest.mark.parametrize("edit", SAME)
def test_edits_that_change_nothing(baseline, tmp_path, edit):
    root = edited(tmp_path, *SAME[edit])
    assert compare_code(identity(baseline), root) == []
    assert run(root)["digest"] == baseline["digest"]


@pytest.mark.parametrize("edit", UNREACHED)
def test_edits_in_functions_never_reached(baseline, tmp_path, edit):
    root = edited(tmp_path, *UNREACHED[edit])
    same = compare_code(identity(baseline), root) == []
    assert same is RECORDS_CALLS
    assert (run(root)["digest"] == baseline["digest"]) is RECORDS_CALLS


@pytest.mark.parametrize("edit", CHANGED)
def test_edits_that_change_the_code(baseline, tmp_path, edit):
    name, old, new, told = CHANGED[edit]
    root = edited(tmp_path, name, old, new)
    differences = compare_code(identity(baseline), root)
    assert len(differences) == 1
    assert differences[0].startswith(f"{name}: ")
    assert told in differences[0]
    if edit != "import":
        assert run(root)["digest"] != baseline["digest"]


@pytest.mark.parametrize(
    "place",
    [
        "exps/helpers.py",
        "exps/model/__init__.py",
        "exps/dataclasses.py",
        "functools.py",
        "model/__init__.py",
        "exps/fit/__init__.py",
    ],
)
def test_new_file_that_comes_first_on_the_path(baseline, tmp_path, place):
    root = make_project(tmp_path / "project")
    path = root / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("x = 1.5\n")
    assert compare_code(identity(baseline), root) == [f"{place}: is new and would be imported"]
    # At the root this one comes after the experiment's folder, where it was found.
    path.unlink()
    (root / "fit.py").write_text("x = 1.5\n")
    assert compare_code(identity(baseline), root) == []


def test_several_edits_are_all_told(baseline, tmp_path):
    root = edited(tmp_path, "exps/fit.py", "+ STEP", "- STEP")
    (root / "model.py").unlink()
    (root / "helpers.py").write_text("def broken(:\n")
    recorded = identity(baseline)
    with_packages = CodeIdentity(recorded.modules, {"scipy": "1.17.1", "gone": "2.0"})
    assert sorted(compare_code(with_packages, root, {"scipy": "1.18.1"})) == [
        "exps/fit.py: exp_fit changed",
        "gone 2.0 is not installed any more",
        "helpers.py: does not parse any more",
        "model.py: is gone",
        "scipy 1.17.1 -> 1.18.1",
    ]


# ---- what is recorded -------------------------------------------------------------------------


def test_identity_names_files_and_the_functions_that_ran(baseline):
    recorded = identity(baseline)
    modules = {one.place: one for one in recorded.modules}
    assert set(modules) == {"exps/fit.py", "helpers.py", "model.py"}
    assert modules["exps/fit.py"].module == "fit"
    assert modules["exps/fit.py"].repository == "."
    assert set(modules["helpers.py"].bodies) >= {"doubled", "smooth"}
    unreached = {"unused", "plot", "Oscillator.frequency", "Damped.mass"}
    recorded_bodies = {key for one in recorded.modules for key in one.bodies}
    assert unreached.isdisjoint(recorded_bodies) is RECORDS_CALLS
    assert bool(recorded.whole) is not RECORDS_CALLS
    assert "Oscillator.decay" in recorded_bodies


def test_identity_survives_json_and_another_checkout(baseline, tmp_path):
    recorded = identity(baseline)
    assert recorded.digest == baseline["digest"]
    assert CodeIdentity.from_json(json.loads(json.dumps(recorded.to_json()))) == recorded
    elsewhere = make_project(tmp_path / "another checkout")
    assert run(elsewhere, PYTHONHASHSEED="7")["digest"] == baseline["digest"]


def test_blobs_are_gits(baseline, tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    told = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    modules = {one.place: one for one in identity(baseline).modules}
    assert modules["model.py"].blob == told.stdout.strip()


def with_fit(tmp_path: Path, body: str, imports: str = "") -> Path:
    text = imports + "\n" + FIT.replace("    # the data\n", textwrap.indent(body, "    "))
    return make_project(tmp_path / "project", **{"exps/fit.py": text})


@pytest.mark.skipif(not RECORDS_CALLS, reason="all bodies count anyway")
@pytest.mark.parametrize(
    ("body", "imports", "reason"),
    [
        ("if (pid := os.fork()) == 0: os._exit(0)\nos.waitpid(pid, 0)\n", "import os", "child"),
        (
            "p = mp.get_context('spawn').Process(target=print)\np.start()\np.join()\n",
            "import multiprocessing as mp",
            "child processes",
        ),
        ("sys.modules['numba'] = sys\n", "import sys", "numba may have compiled"),
    ],
)
def test_bodies_all_count_where_calls_go_unseen(tmp_path, body, imports, reason):
    told = run(with_fit(tmp_path, body, imports))
    assert reason in told["identity"]["whole"]
    bodies = {key for one in identity(told).modules for key in one.bodies}
    assert {"plot", "unused", "Oscillator.frequency"} <= bodies


@pytest.mark.skipif(not RECORDS_CALLS, reason="all bodies count anyway")
def test_bodies_under_an_unknown_decorator_always_count(tmp_path):
    compiled = (
        HELPERS + "\n\nclass Disk:\n    def cache(self, function):\n        return function\n"
        "\n\ndisk = Disk()\n\n\n@disk.cache\ndef kept(x):\n    return x\n"
    )
    told = run(make_project(tmp_path / "project", **{"helpers.py": compiled}))
    modules = {one.place: one for one in identity(told).modules}
    assert "kept" in modules["helpers.py"].bodies
    assert "unused" not in modules["helpers.py"].bodies


def test_experiment_may_remove_its_working_directory(baseline, tmp_path):
    body = "import os, tempfile\nos.chdir(folder := tempfile.mkdtemp())\nos.rmdir(folder)\n"
    told = run(with_fit(tmp_path, body))
    assert {one.place for one in identity(told).modules} == {
        one.place for one in identity(baseline).modules
    }


@pytest.mark.skipif(not RECORDS_CALLS, reason="all bodies count anyway")
def test_second_recording_in_a_process_counts_everything(tmp_path):
    twice = RUN.replace(
        "import fit\n",
        "import fit\nfit.exp_fit()\nrecorder.stop()\nrecorder = Recorder()\nrecorder.start()\n",
    )
    told = run(make_project(tmp_path / "project"), twice)
    assert "was imported before the trial" in told["identity"]["whole"]
    assert {"plot"} <= {key for one in identity(told).modules for key in one.bodies}


@pytest.mark.skipif(not RECORDS_CALLS, reason="needs sys.monitoring")
def test_functions_switched_off_by_an_earlier_recording_are_seen_again():
    from pytest_mitosis.identity.executed import Recorder

    def probe() -> float:
        return 1.5

    for _ in range(2):
        recorder = Recorder()
        recorder.start()
        for _ in range(3):
            probe()
        recorder.stop()
        recorder.stop()
        assert any(call.qualname.endswith("probe") for call in recorder.called)


@pytest.mark.skipif(not RECORDS_CALLS, reason="needs sys.monitoring")
def test_recorder_gives_way_to_other_tools():
    from pytest_mitosis.identity.executed import TOOL_IDS, Recorder

    taken = [number for number in TOOL_IDS if sys.monitoring.get_tool(number) is None]
    for number in taken:
        sys.monitoring.use_tool_id(number, "other")
    try:
        recorder = Recorder()
        recorder.start()
        recorder.stop()
    finally:
        for number in taken:
            sys.monitoring.free_tool_id(number)
    assert "other tools use all of sys.monitoring" in recorder.gaps


def test_files_of_links_and_editable_installs_belong_to_the_project(tmp_path):
    root = make_project(tmp_path / "project")
    library = tmp_path / "library"
    (library / ".git").mkdir(parents=True)
    (library / "src").mkdir()
    (library / "src/outlib.py").write_text("def gain():\n    return 2.5\n")
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose/loosemod.py").write_text("X = 1.5\n")
    (root / "exps/fit.py").write_text("import loosemod, outlib\n" + FIT)
    path = os.pathsep.join([str(library / "src"), str(tmp_path / "loose")])
    modules = {one.module: one for one in identity(run(root, PYTHONPATH=path)).modules}
    assert (modules["outlib"].repository, modules["outlib"].place) == (
        str(library),
        "src/outlib.py",
    )
    loose = modules["loosemod"]
    assert (loose.repository, loose.place) == ("", str(tmp_path / "loose/loosemod.py"))
    recorded = CodeIdentity((modules["outlib"], loose), {})
    assert compare_code(recorded, root) == []
    (library / "src/outlib.py").write_text("def gain():\n    return 3.5\n\n\nY = 1\n")
    (tmp_path / "loose/loosemod.py").write_text("X = 2.5\n")
    assert len(compare_code(recorded, root)) == 2 + (not RECORDS_CALLS)


def test_files_that_are_no_python_count_by_content(tmp_path):
    (tmp_path / "fast.so").write_bytes(b"\x7fELF")
    from pytest_mitosis.identity.contents import read_content

    content = read_content(tmp_path / "fast.so")
    assert content is not None
    assert content.syntax is None
    module = ModuleCode("fast", "fast.so", ".", content.blob, content.sha256)
    assert compare_code(CodeIdentity((module,), {}), tmp_path) == []
    (tmp_path / "fast.so").write_bytes(b"\x7fELF2")
    assert compare_code(CodeIdentity((module,), {}), tmp_path) == ["fast.so: changed"]


# ---- distributions ----------------------------------------------------------------------------


def test_imported_distributions_agree_with_importlib_metadata():
    code = """
import json, sys
before = frozenset(sys.modules)
import dateutil, numpy, PIL, sklearn
from pytest_mitosis.identity.imported import imported_distributions
found = imported_distributions(before)
from importlib.metadata import packages_distributions, version
owners = packages_distributions()
tops = {n.partition('.')[0] for n in set(sys.modules) - before}
assert {'numpy', 'pillow', 'python-dateutil', 'scikit-learn', 'scipy'} <= set(found), found
for name, told in found.items():
    assert version(name) == told
    assert any(name == d.lower().replace('_', '-') for t in tops for d in owners.get(t, ())), name
print(json.dumps(sorted(found)))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pytest-mitosis" not in json.loads(done.stdout)


@pytest.mark.parametrize("record", ["", "gauges.py,,\n"], ids=["without", "with"])
def test_namesake_without_a_list_of_its_files_is_the_owner(tmp_path, record):
    site = tmp_path / "site"
    (site / "gauges-1.5.dist-info").mkdir(parents=True)
    (site / "gauges.py").write_text("def gain():\n    return 2.5\n")
    if record:
        (site / "gauges-1.5.dist-info/RECORD").write_text(record)
    root = make_project(tmp_path / "project", **{"exps/fit.py": "import gauges\n" + FIT})
    told = identity(run(root, PYTHONPATH=str(site)))
    assert told.distributions["gauges"] == "1.5"


def test_packages_of_the_runner_count_only_if_the_project_imports_them(tmp_path):
    preloaded = "import traitlets, attr\n" + RUN
    root = make_project(tmp_path / "project")
    assert identity(run(root, preloaded)).distributions.keys() == {"python"}

    def with_import(statement: str) -> set[str]:
        text = HELPERS.replace(statement, f"import attr\n    {statement}")
        (root / "helpers.py").write_text(text)
        return set(identity(run(root, preloaded)).distributions)

    unreached = set() if RECORDS_CALLS else {"attrs"}
    assert with_import("return value\n") == {"python"} | unreached
    assert with_import("return value / order\n") == {"python", "attrs"}


def test_installed_copies_are_told_by_more_than_their_version(tmp_path, monkeypatch):
    from pytest_mitosis.identity.code import installed_versions

    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def versions(origin: dict, files: str) -> str:
        folder = tmp_path / "fits-0.1.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "direct_url.json").write_text(json.dumps(origin))
        (folder / "RECORD").write_text(files)
        os.utime(tmp_path, ns=(time.time_ns(), time.time_ns()))
        return installed_versions()["fits"]

    copied = {"url": "file:///srv/fits", "dir_info": {}}
    assert versions(copied, "a,1") == versions(copied, "a,1") != versions(copied, "a,2")
    commit = {"url": "https://x/y", "vcs_info": {"vcs": "git", "commit_id": "3f2a91c0" * 5}}
    assert versions(commit, "a,1") == "0.1 at 3f2a91c03f2a"
    assert versions({"url": "https://x/y.whl", "archive_info": {}}, "a,1") == "0.1"


# ---- syntax -----------------------------------------------------------------------------------

SYNTAX = """\
from __future__ import annotations
import os as o, sys
from .a import (b, c as d)
X = {"a": 1, **{}, 'b': [1.0, -0.0, 1j, b"x", True, None, ...]}
Y = f"{X!r:>{10}} and {X=} {'x'}" "tail" f"{{}}"
async def f(a, /, b: int = 1, *c, d=2, **e) -> None:
    async with a as b, c: await d
    return [x async for x in y if x]
class C(B, metaclass=M):
    z: int
    w: "str" = "1"
    @property
    def p(self): return lambda q=1: q
    @p.setter
    def p(self, v): del (self.a, self.b)
    try: pass
    except* ValueError as e: raise X from e
    else: y = 1
match X:
    case {"a": [1, *_], **r} if r: pass
    case C(z=1) | None: global g
if (n := 0x_ff) > 1_000: assert not n, "m"
"""


def test_digests_are_the_same_on_every_python():
    assert skeleton(SYNTAX) == "310948cb358baed74187"
    assert function_bodies(SYNTAX) == {
        "f": "f411113da37db16dc023",
        "C.p": "0b5b91426a1c7485de7d",
        "C.p#2": "89671c043ea720e5103e",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 0.0", "x = -0.0"),
        ("x = 'a'", "x = b'a'"),
        ("x = 'a'", "x = 'A'"),
        ("x = a", "x = 'a'"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("x = f'{a:.2f}'", "x = f'{a:.3f}'"),
        ("def f(a, b): pass", "def f(b, a): pass"),
        ("def f(a, *, b): pass", "def f(a, b): pass"),
        ("def f(a, /): pass", "def f(a): pass"),
        ("def f(a: int): pass", "def f(a: float): pass"),
        ("def f(): pass", "async def f(): pass"),
        ("x: int = 1", "x: float = 1"),
        ("x = [1, [2]]", "x = [[1], 2]"),
        ("x = (a + b) * c", "x = a + b * c"),
        ("import a", "import b"),
        ("if a: x = 1", "if a: pass\nx = 1"),
        ("for i in y: a()\nelse: b()", "for i in y: a()\nb()"),
        ("try: a()\nexcept E: b()", "try: a()\nexcept F: b()"),
        ("x = lambda a=1: a", "x = lambda a=1: a + 1"),
        ("if __name__ == '__main__': a()\nelse: b()", "if __name__ == '__main__': a()"),
    ],
)
def test_skeletons_that_differ(one, other):
    assert skeleton(one) != skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1_000", "x=1000"),
        ("x = 'a' \"b\"", "x = 'ab'"),
        ("x = f'a' 'b' f'{c}'", "x = f'ab{c}'"),
        ("del (a, b)", "del a, b"),
        ("class A(): pass", "class A:\n    'doc'"),
        ("def f(): return 1", "def f():\n    'doc'\n    return 2"),
        ("with a as b, c as d: e()", "with (\n    a as b,\n    c as d,\n): e()"),
        ("x = u'a'", "x = 'a'"),
        ("'doc'\nx = 1\n'about x'", "x = 1"),
        ("x = 1 # type: int", "x = 1"),
        ("if __name__ == '__main__': a()", ""),
    ],
)
def test_skeletons_that_are_the_same(one, other):
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize("name", ["argparse", "ast", "dataclasses", "enum", "fractions", "heapq"])
def test_rewriting_a_module_from_its_syntax_tree_changes_nothing(name):
    source = Path(os.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    rewritten = ast.unparse(ast.parse(source))
    assert rewritten != source
    assert skeleton(rewritten) == skeleton(source)
    assert function_bodies(rewritten) == function_bodies(source)


def test_every_constant_name_and_operator_of_a_module_counts():
    source = Path(os.__file__).with_name("heapq.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    before = (skeleton(source), function_bodies(source))
    guard = next(node for node in tree.body if isinstance(node, ast.If))
    uncounted = {id(node) for node in ast.walk(guard)}
    uncounted |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    seen = 0
    for node in ast.walk(tree):
        if id(node) in uncounted:
            continue
        field, changed = {
            ast.Constant: ("value", "changed"),
            ast.Name: ("id", "changed"),
            ast.Attribute: ("attr", "changed"),
            ast.BinOp: ("op", ast.MatMult()),
            ast.UnaryOp: ("op", ast.Invert()),
            ast.arg: ("arg", "changed"),
        }.get(type(node), ("", None))
        if field:
            kept = getattr(node, field)
            setattr(node, field, changed)
            text = ast.unparse(tree)
            assert (skeleton(text), function_bodies(text)) != before, ast.dump(node)
            setattr(node, field, kept)
            seen += 1
            if seen == 60:
                break
    assert seen == 60


def test_functions_are_found_wherever_they_stand():
    source = textwrap.dedent("""\
        try:
            import fast
        except ImportError:
            def solve(x): return x
        else:
            def solve(x): return -x
        if A:
            class B:
                class C:
                    def m(self):
                        def inner(): return 1
                        return inner
        match A:
            case 1:
                async def cased(): pass
        with a:
            def opened(): pass
        if __name__ == "__main__":
            def main(): pass
    """)
    assert list(function_bodies(source)) == ["solve", "solve#2", "B.C.m", "cased", "opened"]
    syntax = parse(source)
    assert syntax.covering("solve", 6) == ("solve#2",)
    assert syntax.covering("solve", 99) == ("solve", "solve#2")
    assert syntax.covering("B.C.m.<locals>.inner", 11) == ("B.C.m",)
    assert syntax.covering("B.C", 8) == syntax.covering("<module>", 1) == ()


def test_deep_expressions_do_not_exhaust_the_stack():
    deep = "x = " + " + ".join(["1.5"] * 900)
    assert skeleton(deep) != skeleton(deep + " + 1.5")


def test_huge_integers_are_told_apart():
    assert skeleton(f"x = 0x{'f' * 9000}") != skeleton(f"x = 0x{'f' * 8999}e")


@pytest.mark.parametrize(
    "folder", [".vscode-server/extensions/ms-python/bundled/libs", "pycharm/helpers/pydev"]
)
def test_debuggers_of_editors_are_no_project_files(tmp_path, monkeypatch, folder):
    path = tmp_path / folder / "pydevd_of_test.py"
    path.parent.mkdir(parents=True)
    path.write_text("x = 1.5\n")
    monkeypatch.syspath_prepend(str(path.parent))
    __import__("pydevd_of_test")
    assert str(path) not in imported.project_paths()
    del sys.modules["pydevd_of_test"]


def test_lazy_modules_are_not_woken(tmp_path, monkeypatch):
    spec = importlib.util.find_spec("this")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "this", module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "no_module_at_all", 1.5)
    imported.project_paths()
    imported.imported_distributions()
    assert type(module).__name__ == "_LazyModule"


def test_modules_of_the_standard_library_and_of_packages_are_no_project_files():
    import numpy  # noqa: F401

    paths = imported.project_paths()
    own = str(Path(__file__).resolve())
    assert paths[own].endswith("test_code_identity")
    assert not [path for path in paths if "site-packages" in path or "pytest_mitosis/" in path]
    assert not [path for path in paths if path.startswith(os.path.dirname(os.__file__) + os.sep)]


def test_module_in_the_place_of_one_that_was_there_before_the_trial_is_seen(tmp_path, monkeypatch):
    import colorsys  # noqa: F401  any one of the standard library

    file = tmp_path / "colorsys.py"
    file.write_text("X = 1\n")
    monkeypatch.setattr(imported, "_SETTLED", {})
    imported.settle()
    before = imported.project_paths()
    spec = importlib.util.spec_from_file_location("colorsys", file)
    monkeypatch.setitem(sys.modules, "colorsys", importlib.util.module_from_spec(spec))
    found = imported.project_paths()
    assert found.keys() - before.keys() == {str(file)}
    assert found[str(file)] == "colorsys"


PARTS = {
    "sim.py": "RATE = 2\n\ndef run():\n    import late\n    return late.VALUE * RATE\n",
    "fit.py": "import sim\n\ndef run():\n    return sim.RATE\n\ndef other():\n    return 1\n",
    "late.py": "VALUE = 3\n",
    "tools.py": "def used():\n    return 1\n",
}
RUN_PARTS = """\
import json, sys
from pathlib import Path
from pytest_mitosis.identity.executed import Recorder
from pytest_mitosis.identity.code import Reach, code_identity, merge_code
from pytest_mitosis.identity.imported import project_paths

root = Path(sys.argv[1])
sys.path.insert(0, str(root))
recorder = Recorder()
recorder.start()
import sim
files, called = frozenset(project_paths()), recorder.restart()
import late  # for the second part, but the first reads it too
import tools, fit
recorder.restart()
sim.run()
first = code_identity(root, recorder, Reach(files, called | recorder.called_lately))
fit.run()
recorder.stop()
whole = code_identity(root, recorder)
print(json.dumps({
    "first": [one.place for one in first.modules],
    "whole": [one.place for one in whole.modules],
    "joined": merge_code([first, whole]).digest == whole.digest,
    "alone": merge_code([first]).digest == first.digest,
}))
"""


def test_part_of_a_trial_depends_on_what_was_loaded_for_it_or_ran_with_it(tmp_path):
    (tmp_path / ".git").mkdir()
    for name, text in PARTS.items():
        (tmp_path / name).write_text(text)
    told = run(tmp_path, RUN_PARTS)
    sees_calls = sys.version_info >= (3, 12)
    assert told["first"] == (["late.py", "sim.py"] if sees_calls else told["whole"])
    assert sorted(told["whole"]) == sorted(PARTS)
    assert told["joined"]
    assert told["alone"]
