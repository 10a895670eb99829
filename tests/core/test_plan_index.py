"""Experiments are found by name in tables and syntax trees; nothing is imported to find them."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from factories import fresh_imports, put

from pytest_mitosis.model import Experiment, PlanError, Step
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.index import Index, locate_module, module_name, read_file

TABLE = """
[tool.mitosis.steps]
sim_data = ["first_exp:make_data", "my_paper:data_config"]
fit_lin = ["first_exp:Pipeline.linear", "my_paper:meth_config"]
[tool.mitosis.experiments]
sim_fit = ["sim_data", "fit_lin"]
"""
EXPLODES = "raise RuntimeError('imported to be found')\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A project folder that is also the working directory."""
    monkeypatch.chdir(tmp_path)
    with fresh_imports():
        yield tmp_path


def index(home: Path, *places: Path) -> Index:
    return Index(read_project(home), places)


def refused(function, *arguments) -> str:
    with pytest.raises(PlanError) as caught:
        function(*arguments)
    return str(caught.value)


# exp_*.py files


def test_file_gives_names_in_order_and_whether_it_has_a_lookup(home):
    file = put(
        home / "exp_fit.py",
        """
import numpy as np
from labexp import exp_shared, other as exp_renamed, helper
lookup_dict = {"noise": {"low": 0.1}}
def exp_fit_eval(noise): ...
def helper_too(): ...
async def exp_async(): ...
exp_partial = partial(exp_fit_eval, 1)
exp_typed: Callable = exp_fit_eval
exp_declared_only: Callable
exp_left, (exp_right, *exp_rest) = make()
if True:
    def exp_in_if(): ...
else:
    def exp_in_else(): ...
try:
    from labexp import exp_tried
except ImportError:
    exp_caught = None
else:
    exp_orelse = 1
finally:
    exp_final = 1
with context():
    exp_with = 1
class Inner:
    def exp_method(self): ...
def exp_fit_eval(noise, solver): ...
""",
    )
    found = read_file(file)
    assert found.defined == (
        "exp_fit_eval",
        "exp_async",
        "exp_partial",
        "exp_typed",
        "exp_left",
        "exp_right",
        "exp_rest",
        "exp_in_if",
        "exp_in_else",
        "exp_caught",
        "exp_orelse",
        "exp_final",
        "exp_with",
    )
    assert found.imported == ("exp_shared", "exp_renamed", "exp_tried")
    assert found.names == (*found.defined, *found.imported)
    assert found.has_lookup
    assert found.problem == ""


@pytest.mark.parametrize(
    ("source", "has"),
    [
        ("lookup_dict = {}", True),
        ("lookup_dict: dict = {}", True),
        ("from my_paper import data_config as lookup_dict", True),
        ("lookup_dict: dict", False),
        ("lookup_dict['noise'] = {}", True),
        ("lookups = {}", False),
    ],
)
def test_lookup_dictionary_counts_where_it_is_bound(home, source, has):
    assert read_file(put(home / "exp_fit.py", source)).has_lookup is has


@pytest.mark.parametrize("source", ["import exp_tables", "import exp_tables.fig3"])
def test_imported_module_is_no_experiment(home, source):
    file = put(home / "exp_fit.py", f"{source}\ndef exp_fit_eval(): ...\n")
    assert read_file(file).names == ("exp_fit_eval",)


def test_syntax_error_is_a_problem_with_file_and_line(home):
    found = read_file(put(home / "exps" / "exp_bad.py", "def exp_bad(:\n    return {}\n"))
    assert found.names == ()
    assert found.problem.startswith(f"exps{os.sep}exp_bad.py line 1 does not parse: invalid syntax")
    assert "\n" not in found.problem


def test_file_with_null_bytes_is_a_problem(home):
    found = read_file(put(home / "exp_bad.py", "x = '\0'\n"))
    assert found.problem.startswith("exp_bad.py")
    assert "does not parse: source code string cannot contain null bytes" in found.problem


def test_unreadable_file_is_a_problem(home, monkeypatch):
    def denied(self):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert read_file(home / "exp_fit.py").problem == "exp_fit.py cannot be read: Permission denied"


def test_file_in_a_package_is_imported_as_its_module(home):
    lone = put(home / "exps" / "exp_fit.py")
    assert module_name(lone) == (home / "exps", "exp_fit")
    put(home / "lab" / "exps" / "__init__.py")
    packaged = put(home / "lab" / "exps" / "exp_fit.py")
    assert module_name(packaged) == (home / "lab", "exps.exp_fit")
    put(home / "lab" / "__init__.py")
    assert module_name(packaged) == (home, "lab.exps.exp_fit")


def test_files_are_those_of_the_project_but_not_of_environments_and_trials(home):
    put(home / "pyproject.toml", '[tool.mitosis]\ntrials-folder = "results"\n')
    for folder in (
        ".hidden",
        "build",
        "dist",
        "node_modules",
        "venv",
        "lib/site-packages",
        "__pycache__",
        "my_env",
        "results",
    ):
        put(home / folder / "exp_never.py", "def exp_never(): ...\n")
    put(home / "my_env" / "pyvenv.cfg")
    put(home / "fit.py", "def exp_never(): ...\n")
    put(home / "exp_notes.md", "def exp_never(): ...\n")
    put(home / "b" / "exp_two.py", "def exp_two(): ...\n")
    put(home / "a" / "deep" / "exp_three.py", "def exp_three(): ...\n")
    put(home / "exp_one.py", "def exp_one(): ...\n")
    found = index(home)
    assert [str(file.path.relative_to(home)) for file in found.files] == [
        "exp_one.py",
        f"a{os.sep}deep{os.sep}exp_three.py",
        f"b{os.sep}exp_two.py",
    ]
    assert found.names() == ["one", "three", "two"]


def test_places_limit_the_files_and_a_file_given_twice_is_read_once(home):
    one = put(home / "a" / "exp_one.py", "def exp_one(): ...\n")
    put(home / "b" / "exp_two.py", "def exp_two(): ...\n")
    other = put(home / "a" / "fit.py", "def exp_never(): ...\n")
    assert index(home, home / "a").names() == ["one"]
    assert [f.path for f in index(home, one, home / "a", other).files] == [one]
    assert index(home, home / "nowhere").files == []


# --exp NAME


def test_experiment_is_found_with_and_without_prefix_and_not_imported(home):
    source = f"{EXPLODES}lookup_dict = {{}}\ndef exp_fit_eval(): ...\n"
    file = put(home / "exps" / "exp_fit.py", source)
    expected = Experiment(
        "fit_eval",
        (Step("fit_eval", "exp_fit:exp_fit_eval", "exp_fit:lookup_dict", str(home / "exps")),),
        file,
        "exp_fit_eval",
    )
    assert index(home).find("fit_eval") == expected
    assert index(home).find("exp_fit_eval") == expected
    assert index(home).find_node(file, "exp_fit_eval") == expected
    assert "exp_fit" not in sys.modules


def test_experiment_in_a_package_without_lookup_has_a_dotted_reference(home):
    put(home / "exps" / "__init__.py", EXPLODES)
    put(home / "exps" / "exp_fit.py", "def exp_fit_eval(): ...\n")
    (step,) = index(home).find("fit_eval").steps
    assert step == Step("fit_eval", "exps.exp_fit:exp_fit_eval", "", str(home))


def test_definition_wins_over_imports_of_the_same_name(home):
    put(home / "exp_a.py", "from exp_b import exp_fit\n")
    put(home / "exp_b.py", "def exp_fit(): ...\n")
    put(home / "exp_c.py", "from exp_b import exp_fit\n")
    assert index(home).find("fit").file == home / "exp_b.py"


def test_declared_step_and_experiment_are_found_in_the_table(home):
    table = put(home / "pyproject.toml", TABLE)
    data = Step("sim_data", "first_exp:make_data", "my_paper:data_config", str(home))
    fit = Step("fit_lin", "first_exp:Pipeline.linear", "my_paper:meth_config", str(home))
    assert index(home).find("sim_data") == Experiment("sim_data", (data,), table, "sim_data")
    assert index(home).find("sim_fit") == Experiment("sim_fit", (data, fit), table, "sim_fit")
    assert index(home).find_node(table, "sim_fit").steps == (data, fit)
    assert index(home).names() == ["sim_fit", "sim_data", "fit_lin"]


def test_steps_joined_by_plus_run_in_the_order_given(home):
    put(home / "pyproject.toml", TABLE)
    put(home / "exp_plot.py", "def exp_plot(data): ...\n")
    found = index(home).find("fit_lin+sim_data+plot")
    assert [step.name for step in found.steps] == ["fit_lin", "sim_data", "plot"]
    assert (found.name, found.node) == ("fit_lin+sim_data+plot",) * 2
    assert found.file == home / "pyproject.toml"


def test_pipeline_without_a_table_belongs_to_the_first_file(home):
    file = put(home / "exp_a.py", "def exp_gen(): ...\ndef exp_fit(data): ...\n")
    found = index(home).find("gen+fit")
    assert [step.action for step in found.steps] == ["exp_a:exp_gen", "exp_a:exp_fit"]
    assert found.file == file


def test_declared_name_with_a_plus_is_itself(home):
    put(home / "pyproject.toml", '[tool.mitosis.steps]\n"gen+fit" = ["a:b", "a:c"]\n')
    assert [step.name for step in index(home).find("gen+fit").steps] == ["gen+fit"]


def test_module_with_run_is_an_experiment(home):
    file = put(home / "lab" / "fit.py", f"{EXPLODES}lookup_dict = {{}}\ndef run(): ...\n")
    put(home / "lab" / "__init__.py", EXPLODES)
    step = Step("lab.fit", "lab.fit:run", "lab.fit:lookup_dict", str(home))
    assert index(home).find("lab.fit") == Experiment("lab.fit", (step,), file, "lab.fit")


def test_module_without_lookup_and_in_a_namespace_package_is_an_experiment(home):
    put(home / "pyproject.toml", "[tool.mitosis]\n")
    put(home / "space" / "fit.py", "from lab import run\n")
    found = index(home).find("space.fit")
    assert found.steps == (Step("space.fit", "space.fit:run", "", str(home)),)
    assert found.file == home / "pyproject.toml"


def test_class_of_a_module_with_run_is_an_experiment(home):
    put(home / "lab" / "fit.py", "class Outer: ...\n")
    found = index(home).find("lab.fit:Outer.Inner")
    assert (found.name, found.node) == ("lab.fit.Outer.Inner", "lab.fit:Outer.Inner")
    assert found.steps == (
        Step(
            "lab.fit.Outer.Inner",
            "lab.fit:Outer.Inner.run",
            "lab.fit:Outer.Inner.lookup_dict",
            str(home),
        ),
    )


def test_modules_can_be_steps_of_a_pipeline(home):
    put(home / "pyproject.toml", TABLE)
    put(home / "lab_fit.py", "def run(data): ...\n")
    assert [s.name for s in index(home).find("sim_data+lab_fit").steps] == ["sim_data", "lab_fit"]


def test_pipeline_of_modules_needs_neither_table_nor_experiment_files(home):
    put(home / "lab_gen.py", "def run(): ...\n")
    put(home / "lab_fit.py", "def run(data): ...\n")
    assert [s.name for s in index(home).find("lab_gen+lab_fit").steps] == ["lab_gen", "lab_fit"]


def test_module_is_located_without_importing_it_or_its_parents(home):
    put(home / "labtree" / "__init__.py", EXPLODES)
    file = put(home / "labtree" / "deep" / "__init__.py", EXPLODES)
    assert locate_module("labtree.deep", [str(home)]) == file
    assert locate_module("labtree.shallow", [str(home)]) is None
    assert locate_module("labtree.not-a-name", [str(home)]) is None
    assert locate_module("sys", [str(home)]) is None
    assert "labtree" not in sys.modules


def test_finders_of_editable_installs_are_asked(home, monkeypatch):
    import importlib.util

    file = put(home / "elsewhere" / "lab_editable.py", "def run(): ...\n")

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "lab_editable":
                return importlib.util.spec_from_file_location(name, file)
            return None

    monkeypatch.setattr(sys, "meta_path", [object(), Finder, *sys.meta_path])
    assert locate_module("lab_editable", [str(home)]) == file


# what is refused


def test_unknown_name_lists_what_exists_and_the_nearest(home):
    put(home / "pyproject.toml", TABLE)
    put(home / "exp_fit.py", "def exp_fit_eval(): ...\n")
    assert refused(index(home).find, "fit_evil") == (
        "no experiment named 'fit_evil'; there are sim_fit, sim_data, fit_lin, fit_eval; "
        "did you mean fit_eval or fit_lin?"
    )


def test_unknown_name_in_an_empty_project_says_there_are_none(home):
    assert refused(index(home).find, "fit") == "no experiment named 'fit'; there are none"
    assert refused(index(home).find, "statistics") == (
        "no experiment named 'statistics'; there are none"
    )


def test_unknown_name_tells_of_files_that_do_not_parse(home):
    put(home / "exp_bad.py", "def exp_fit(:\n")
    put(home / "exp_good.py", "def exp_plot(): ...\n")
    problem = read_file(home / "exp_bad.py").problem
    assert refused(index(home).find, "fit") == (
        f"no experiment named 'fit'; there is plot; {problem}"
    )


@pytest.mark.parametrize("name", ["gen+nope", "gen+", "+gen", "gen++fit"])
def test_unknown_step_of_a_pipeline_is_named(home, name):
    put(home / "exp_a.py", "def exp_gen(): ...\ndef exp_fit(data): ...\n")
    missing = "nope" if "nope" in name else ""
    assert refused(index(home).find, name) == (
        f"{name}: no step named {missing!r}; there are gen, fit"
    )


def test_step_cannot_run_twice_in_a_pipeline(home):
    put(home / "exp_a.py", "def exp_gen(): ...\n")
    assert refused(index(home).find, "gen+exp_gen") == (
        "gen+exp_gen has the step gen twice; a step can run once in a pipeline"
    )


def test_ambiguous_step_of_a_pipeline_lists_the_nodes(home):
    put(home / "exp_a.py", "def exp_gen(): ...\ndef exp_fit(data): ...\n")
    put(home / "exp_b.py", "def exp_fit(data): ...\n")
    assert refused(index(home).find, "gen+fit") == (
        "the step fit of gen+fit is ambiguous: exp_a.py::exp_fit and exp_b.py::exp_fit"
    )


def test_name_in_two_files_is_refused_and_each_node_id_works(home):
    one = put(home / "a" / "exp_fit.py", "def exp_fit(): ...\n")
    two = put(home / "b" / "exp_fit.py", "def exp_fit(): ...\n")
    nodes = " and ".join(f"{os.path.join(d, 'exp_fit.py')}::exp_fit" for d in "ab")
    assert refused(index(home).find, "fit") == (
        f"fit names 2 experiments: {nodes}; give the node id"
    )
    assert index(home).find_node(one, "exp_fit").steps[0].path == str(home / "a")
    assert index(home).find_node(two, "exp_fit").steps[0].path == str(home / "b")


def test_name_in_the_table_and_in_a_file_is_refused(home):
    put(home / "pyproject.toml", TABLE)
    put(home / "exp_fit.py", "def exp_fit_lin(): ...\n")
    assert refused(index(home).find, "fit_lin") == (
        "fit_lin names 2 experiments: pyproject.toml::fit_lin and exp_fit.py::exp_fit_lin; "
        "give the node id"
    )


def test_step_and_experiment_of_one_name_are_refused(home):
    put(home / "pyproject.toml", f'{TABLE}fit_lin = ["sim_data"]\n')
    assert refused(index(home).find, "fit_lin") == (
        "fit_lin is both a step and an experiment in pyproject.toml; rename one"
    )


def test_unknown_step_of_a_declared_experiment_is_named(home):
    put(home / "pyproject.toml", f'{TABLE}broken = ["sim_data", "fit_lim"]\n')
    assert refused(index(home).find, "broken") == (
        "broken: no step named 'fit_lim'; there are sim_fit, broken, sim_data, fit_lin; "
        "did you mean fit_lin?"
    )


def test_node_that_a_file_lacks_lists_its_experiments(home):
    file = put(home / "exp_fit.py", "def exp_fit_eval(): ...\ndef exp_fit_plot(): ...\n")
    assert refused(index(home).find_node, file, "exp_fit_evla") == (
        "exp_fit.py has no experiment exp_fit_evla; there are exp_fit_eval, exp_fit_plot; "
        "did you mean exp_fit_eval or exp_fit_plot?"
    )


def test_node_of_a_file_that_does_not_parse_is_its_problem(home):
    file = put(home / "exp_bad.py", "def exp_fit(:\n")
    assert refused(index(home).find_node, file, "exp_fit") == read_file(file).problem


@pytest.mark.parametrize(("source", "name"), [("def exp_(): ...", ""), ("exp_größe = 1", "größe")])
def test_experiment_whose_name_is_no_file_name_is_refused(home, source, name):
    file = put(home / "exp_fit.py", source)
    assert refused(index(home).find_node, file, f"exp_{name}") == (
        f"an experiment in exp_fit.py is called {name!r}, which is no safe file name; "
        "use up to 128 letters, digits and _ . + -"
    )


def test_file_whose_name_is_no_python_name_is_refused(tmp_path):
    put(tmp_path / "exp_fit-2.py", "def exp_fit(): ...\n")
    with pytest.raises(PlanError, match="cannot be imported: 'exp_fit-2' is no Python name"):
        Index(read_project(tmp_path)).find("fit")
