"""Projects of the tool mitosis run as they are."""

from __future__ import annotations

import pytest
from conftest import manifest, notebook

TABLE = """
    [tool.mitosis]
    trials-folder = "results/trials"
    [tool.mitosis.steps]
    nothing = ["paper.part1:do_nothing", "paper.config:lookup_default"]
    data = ["paper.part1:Klass.gen_data", "paper.config:data_config"]
    fit_eval = ["paper.part2:fit_and_score", "paper.config:meth_config"]
    settings = ["paper.part2:with_settings", "paper.config:module_lookup"]
    show = ["paper.part2:show", "paper.config:data_config"]
    legacy = ["paper.part2:legacy", "paper.config:data_config"]
    bad = ["paper.part2:shouting", "paper.config:odd_values"]
"""
PART1 = """
    import logging
    import numpy as np

    class Klass:
        @staticmethod
        def gen_data(length, extra=False):
            logging.getLogger(__name__).info("This is run every time")
            logging.getLogger(__name__).debug("This is run in debug mode only")
            return {"data": np.ones(length, dtype=float), "extra": extra, "main": None}

    def do_nothing(*args, **kwargs):
        return {"main": None}
"""
PART2 = """
    import random
    import numpy as np

    def fit_and_score(measured, metric):
        return {"main": len(measured) if metric == "len" else 0, "metrics": {"sum": measured.sum()}}

    def with_settings(alpha, beta):
        return {"main": alpha + beta}

    def show(length):
        import matplotlib.pyplot as plt
        plt.plot(range(length))
        plt.show()
        return {"main": np.float64(length)}

    def legacy(length):
        return {"main": (random.random(), np.random.rand())}

    def shouting(value):
        popped = value.items.pop()
        return {"main": popped, "left": value}
"""
CONFIG = """
    from collections import defaultdict
    from dataclasses import dataclass
    from types import SimpleNamespace
    from paper import variants

    @dataclass
    class Parameter:
        var_name: str
        arg_name: str
        vals: object

    class Loud:
        def __init__(self): self.items = [1, 2, 3]
        def __repr__(self): raise RuntimeError("no repr")

    data_config = {"length": {"test": 5, "wrapped": Parameter("wrapped", "length", 7)}}
    meth_config = {"metric": {"test": "len"}}
    lookup_default = defaultdict(lambda: defaultdict(lambda: None))
    module_lookup = vars(variants)
    odd_values = {"value": {"loud": Loud()}}
"""


@pytest.fixture
def paper(project):
    project.commit(
        {
            "pyproject.toml": TABLE,
            "paper/__init__.py": "",
            "paper/part1.py": PART1,
            "paper/part2.py": PART2,
            "paper/config.py": CONFIG,
            "paper/variants.py": "alpha = {'small': 1.5}\nbeta = {'big': 100}\nother = 3\n",
            "paper/mod.py": "def run(**kwargs): return {'main': kwargs['foo']}\n"
            "lookup_dict = {'foo': {'test': 2}}\n",
            "paper/inner.py": "class A:\n    class B:\n        @staticmethod\n"
            "        def run(foo): return {'main': foo}\n        lookup_dict = {'foo': {'t': 3}}\n",
        }
    )
    return project


def only(project):
    (file,) = (project.path / "results/trials").glob("*/*/*/trial.json")
    return file.parent


def test_pipeline_in_command_line_order_passes_data_by_position(paper):
    result = paper.run(
        "--exp", "data+fit_eval", "--variant", "length=test", "--variant", "fit_eval.metric=test"
    )
    assert result.ret == 0
    folder = only(paper)
    assert folder.parent.name == "length=test,metric=test"
    assert manifest(folder)["metrics"] == {"main": 5, "sum": 5.0}
    sources = ["".join(cell["source"]) for cell in notebook(folder)["cells"]]
    assert "from paper.part1 import Klass" in sources[2]
    assert "data_result = Klass.gen_data(**data_parameters)" in sources
    assert (
        'fit_eval_result = fit_and_score(measured=data_result["data"], **fit_eval_parameters)'
        in sources
    )
    assert (folder / "log.txt").read_text().count("This is run every time") == 1
    assert "debug mode only" not in (folder / "log.txt").read_text()


def test_wrapped_entry_gives_its_value(paper):
    assert paper.run("--exp", "data", "--variant", "length=wrapped").ret == 0
    lock = paper.path / "results/trials/locks/data/length/wrapped.json"
    assert '"value": "int 7"' in lock.read_text()


def test_main_may_be_none(paper):
    assert paper.run("--exp", "data", "--variant", "length=test").ret == 0
    assert manifest(only(paper))["metrics"]["main"] == "None"


def test_lookup_that_has_everything(paper):
    assert paper.run("--exp", "nothing", "--variant", "anything=any").ret == 0
    assert manifest(only(paper))["spec"] == "anything=any"


def test_namespace_of_a_module_as_lookup(paper):
    result = paper.run("--exp", "settings", "--variant", "alpha=small", "--variant", "beta=*")
    assert result.ret == 0
    assert manifest(only(paper))["metrics"]["main"] == 101.5


def test_figures_shown_with_pyplot_are_kept(paper):
    assert paper.run("--exp", "show", "--variant", "length=test").ret == 0
    assert (only(paper) / "figures/show-1.png").read_bytes().startswith(b"\x89PNG")
    assert manifest(only(paper))["metrics"]["main"] == 5.0


def test_global_random_state_is_the_same_in_every_run(paper):
    for _ in range(2):
        again = ("--exp", "legacy", "--variant", "length=test", "--exp-reuse", "never")
        assert paper.run(*again).ret == 0
    files = sorted((paper.path / "results/trials").glob("*/*/*/trial.json"))
    first, second = [manifest(file.parent)["metrics"]["main"] for file in files]
    assert first == second


def test_value_that_cannot_be_printed_and_is_changed_by_the_experiment(paper):
    result = paper.run("--exp", "bad", "--variant", "value=loud")
    assert result.ret == 0
    record = manifest(only(paper))
    assert record["metrics"]["main"] == 3
    assert "bad.value was changed by the experiment as it ran" in record["notes"]
    assert paper.run("--exp", "bad", "--variant", "value=loud").ret == 0  # the lock still holds


@pytest.mark.parametrize(
    ("name", "variant", "main"),
    [("paper.mod", "foo=test", 2), ("paper.inner:A.B", "foo=t", 3)],
)
def test_module_with_run_and_lookup_dict(paper, name, variant, main):
    result = paper.run("--exp", name, "--variant", variant)
    assert result.ret == 0
    assert manifest(only(paper))["metrics"]["main"] == main
    node = result.stdout.str()
    assert "pyproject.toml D" in node
    command = manifest(only(paper))["command"]
    assert f"pyproject.toml::{name}[{variant}]" in command


def test_module_without_any_table(project):
    project.commit({"lab/__init__.py": "", "lab/one.py": "def run(x=1): return {'main': x}\n"})
    assert project.run("--exp", "lab.one", "--eval-param", "x=2.5", "-v").ret == 0
    folder = project.only()
    assert manifest(folder)["metrics"]["main"] == 2.5
    assert project.run("lab/one.py::lab.one[x=2.5]").ret == 0


def test_text_that_would_climb_out_of_the_folder_stays_in_it(project):
    project.commit({"exp_text.py": "def exp_text(name): return {'main': name}\n"})
    hostile = "../../'x'/" + "y" * 300
    assert project.run("--exp", "text", "--eval-param", f"name={hostile!r}").ret == 0
    folder = project.only()
    assert manifest(folder)["metrics"]["main"] == hostile
    assert folder.parent.parent == project.store / "text"
    assert len(folder.parent.name) <= 120


def test_eval_parameters_are_never_evaluated(project):
    project.commit({"exp_text.py": "def exp_text(name): return {'main': name}\n"})
    result = project.run("--exp", "text", "--eval-param", "name=open('stolen', 'w')")
    assert result.ret == 4
    assert not (project.path / "stolen").exists()


def test_trials_folder_option_is_relative_to_the_working_directory(project):
    project.commit({"exp_one.py": "def exp_one(): return {'main': 1}\n"})
    assert project.run("--exp", "one", "--trials-folder", "elsewhere").ret == 0
    assert len(list(project.path.glob("elsewhere/one/default/1-*/trial.json"))) == 1


def test_working_directory_is_the_trials_own_and_its_files_are_artifacts(project):
    project.commit(
        {"exp_one.py": "def exp_one(): return {'main': open('mine.txt', 'w').write('x')}\n"}
    )
    assert project.run("--exp", "one").ret == 0
    assert "files/mine.txt" in manifest(project.only())["artifacts"]


def test_working_directory_can_be_the_repository(project):
    project.commit(
        {
            "pyproject.toml": "[tool.mitosis]\ncwd = 'root'\n",
            "data/x.txt": "7",
            "exp_one.py": "def exp_one(): return {'main': int(open('data/x.txt').read())}\n",
        }
    )
    assert project.run("--exp", "one").ret == 0
    assert manifest(project.only())["metrics"]["main"] == 7


def test_middle_step_without_data_is_told_plainly(project):
    project.commit(
        {
            "exp_p.py": "def exp_a(): return {'main': 1}\n"
            "def exp_b(data): return {'main': 2}\n"
            "def exp_c(data=5): return {'main': data}\n"
        }
    )
    result = project.run("--exp", "a+b", "--exp", "a+c")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["ResultError: a returned no 'data', which b takes"])
    assert manifest(project.only("a+c/*"))["metrics"]["main"] == 5


def test_a_step_may_pass_none_as_data(project):
    project.commit(
        {
            "exp_p.py": "def exp_a(): return {'data': None}\n"
            "def exp_b(data): return {'main': data is None}\n"
        }
    )
    assert project.run("--exp", "a+b").ret == 0
    assert manifest(project.only())["metrics"]["main"] is True
