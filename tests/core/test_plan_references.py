"""References become callables, lookup dictionaries and signatures."""

from __future__ import annotations

import os
import re
import sys
from collections import ChainMap, defaultdict
from types import MappingProxyType

import pytest
from factories import fresh_imports, load, put

from pytest_mitosis.model import Experiment, PlanError, Step
from pytest_mitosis.plan.references import load_experiment, resolve


@pytest.fixture(autouse=True)
def _forget_imports():
    with fresh_imports():
        yield


def refused(function, *arguments) -> str:
    with pytest.raises(PlanError) as caught:
        function(*arguments)
    return str(caught.value)


def experiment(home, *steps: Step, name: str = "fit_eval") -> Experiment:
    return Experiment(name, steps, home / "pyproject.toml", name)


# references


def test_references_of_upstream_projects_are_resolved(tmp_path):
    put(
        tmp_path / "labref" / "mod.py",
        """
class Klass:
    lookup_dict = {"noise": {"low": 0.1}}
    class Inner:
        @staticmethod
        def method(noise): return {"main": noise}
value = 3
""",
    )
    put(tmp_path / "labref" / "__init__.py")
    path = str(tmp_path)
    assert resolve("labref.mod:Klass.Inner.method", path, "the step fit")(0.1) == {"main": 0.1}
    lookup = resolve("labref.mod:Klass.lookup_dict", path, "the step fit")
    assert lookup is sys.modules["labref.mod"].Klass.lookup_dict
    assert path in sys.path


def test_what_a_module_prints_does_not_reach_the_terminal(tmp_path, capsys):
    put(tmp_path / "labref_loud.py", "print('importing…')\nalpha = 0.5\n")
    assert resolve("labref_loud:alpha", str(tmp_path), "the step fit") == 0.5
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("reference", ["labref", "labref:", ":fit", "", "labref.mod.fit"])
def test_reference_without_module_or_object_is_refused(reference):
    assert refused(resolve, reference, "", "the step fit") == (
        f"the step fit is {reference!r}; it has to be package.module:name"
    )


def test_module_that_is_not_there_is_refused():
    assert refused(resolve, "labref_nowhere.fit:run", "", "the step fit") == (
        "the step fit: labref_nowhere.fit does not import: "
        "ModuleNotFoundError: No module named 'labref_nowhere'"
    )


def test_missing_attribute_lists_what_the_module_has(tmp_path):
    put(tmp_path / "labref_a.py", "alpha = 0.5\ndef fit_lin(): ...\n_hidden = 1\n")
    assert refused(resolve, "labref_a:fit_line", str(tmp_path), "the step fit") == (
        "the step fit: labref_a:fit_line does not exist: no 'fit_line' in labref_a; "
        "there are alpha, fit_lin; did you mean fit_lin?"
    )


def test_missing_attribute_of_a_class_names_the_class(tmp_path):
    put(tmp_path / "labref_b.py", "class Pipeline:\n    def linear(self): ...\n")
    assert refused(resolve, "labref_b:Pipeline.cubic", str(tmp_path), "the step fit") == (
        "the step fit: labref_b:Pipeline.cubic does not exist: no 'cubic' in Pipeline; "
        "there is linear"
    )


def test_module_that_raises_is_refused_with_the_users_frames_only(tmp_path):
    file = put(tmp_path / "labref_c.py", "def setup():\n    return 1 / 0\nsetup()\n")
    message = refused(resolve, "labref_c:fit", str(tmp_path), "the step fit")
    head, *frames = message.splitlines()
    assert head == ("the step fit: labref_c does not import: ZeroDivisionError: division by zero")
    assert [line.strip() for line in frames if line.lstrip().startswith("File ")] == [
        f'File "{file}", line 3, in <module>',
        f'File "{file}", line 2, in setup',
    ]


def test_module_that_exits_is_refused(tmp_path):
    put(tmp_path / "labref_d.py", "import sys\nsys.exit('usage: fit.py DATA')\n")
    message = refused(resolve, "labref_d:fit", str(tmp_path), "the step fit")
    assert message.splitlines()[0] == (
        "the step fit: labref_d does not import: SystemExit: usage: fit.py DATA"
    )


def test_syntax_error_is_refused_without_frames_of_ours(tmp_path):
    put(tmp_path / "exp_labref.py", "def exp_fit(:\n    return {}\n")
    message = refused(resolve, "exp_labref:exp_fit", str(tmp_path), "the step fit")
    assert re.fullmatch(
        r"the step fit: exp_labref does not import: SyntaxError: invalid syntax "
        r"\(exp_labref\.py, line 1\)",
        message,
    )


def test_same_module_name_in_two_folders_is_refused(tmp_path):
    for folder, value in (("a", 0.1), ("b", 0.2)):
        put(tmp_path / folder / "exp_labtwin.py", f"def exp_fit(): return {{'main': {value}}}\n")
    one, two = (
        experiment(tmp_path, Step("fit", "exp_labtwin:exp_fit", "", str(tmp_path / folder)))
        for folder in ("a", "b")
    )
    assert load_experiment(one).steps[0].action() == {"main": 0.1}
    actual, expected = (os.path.join(tmp_path, d, "exp_labtwin.py") for d in "ab")
    assert refused(load_experiment, two) == (
        f"the step fit: exp_labtwin was imported from {actual}, not from {expected}; two files "
        "have the same module name: rename one, or put an __init__.py beside each"
    )


# steps


def test_signature_gives_parameters_and_defaults():
    def fit_eval(noise, solver="tv", *rest, alpha, seed=7, **options): ...

    (step,) = load(("fit_eval", fit_eval, {"noise": {"low": 0.1}})).steps
    assert step.action is fit_eval
    assert step.parameters == ("noise", "solver", "alpha", "seed")
    assert step.defaults == {"solver": "tv", "seed": 7}
    assert step.takes_any
    assert (step.data, step.data_optional, step.mark_lookup) == ("", False, False)
    assert step.accepts("noise")
    assert step.accepts("anything")


def test_parameter_that_is_not_taken_is_not_accepted():
    (step,) = load(("fit", lambda noise: ..., {})).steps
    assert step.accepts("noise")
    assert not step.accepts("nois")


def test_callable_without_a_signature_takes_anything():
    first, second = load(("gen", dict, {}), ("fit", dict, {})).steps
    assert (first.parameters, first.takes_any, first.data) == ((), True, "")
    assert second.data == "*"


def test_any_callable_is_a_step():
    class Fit:
        def __call__(self, noise, alpha=0.5):
            return {"main": noise}

        def method(self, order): ...

        @classmethod
        def build(cls, width): ...

    assert load(("fit", Fit(), {})).steps[0].parameters == ("noise", "alpha")
    assert load(("fit", Fit().method, {})).steps[0].parameters == ("order",)
    assert load(("fit", Fit.build, {})).steps[0].parameters == ("width",)


@pytest.mark.parametrize(
    ("source", "data", "optional", "rest"),
    [
        ("alpha, data, beta", "data", False, ("alpha", "beta")),
        ("alpha, *, data=None", "data", True, ("alpha",)),
        ("trajectory, alpha", "trajectory", False, ("alpha",)),
        ("trajectory=None, alpha=1", "trajectory", True, ("alpha",)),
        ("*inputs, alpha", "*", True, ("alpha",)),
        ("*, alpha, **options", "data", True, ("alpha",)),
    ],
)
def test_data_goes_to_its_parameter_else_to_the_first_positional_one(source, data, optional, rest):
    scope = {}
    exec(f"def fit({source}): ...", scope)
    gen, fit = load(("gen", lambda data, noise: ..., {}), ("fit", scope["fit"], {})).steps
    assert (gen.data, gen.parameters) == ("", ("data", "noise"))
    assert (fit.data, fit.data_optional, fit.parameters) == (data, optional, rest)
    assert not fit.accepts(data)


def test_step_that_takes_nothing_from_the_one_before_is_refused():
    message = refused(load, ("gen", lambda: ..., {}), ("fit", lambda *, alpha: ..., {}))
    assert message == (
        "the step fit takes nothing from the step before it; "
        "give labexp_in_memory:action_1 a parameter 'data'"
    )


async def coroutine(): ...


def generator():
    yield {"main": 1.0}


@pytest.mark.parametrize("action", [coroutine, generator])
def test_step_that_returns_no_dict_by_design_is_refused(action):
    assert refused(load, ("fit", action, {})) == (
        "the step fit: labexp_in_memory:action_0 has to be a plain function that returns a dict"
    )


def test_step_that_cannot_be_called_is_refused():
    assert refused(load, ("fit", {"main": 1.0}, {})) == (
        "the step fit: labexp_in_memory:action_0 is not callable (dict)"
    )


def test_parameter_may_have_any_name_python_allows():
    def fit(größe): ...

    assert load(("fit", fit, {})).steps[0].parameters == ("größe",)


# lookup dictionaries


def nested_defaultdict():
    lookup = defaultdict(lambda: defaultdict(dict))
    lookup["noise"]["low"] = 0.1
    return lookup


class Namespace:
    noise = {"low": 0.1}


@pytest.mark.parametrize(
    "lookup",
    [
        {"noise": {"low": 0.1}},
        MappingProxyType({"noise": MappingProxyType({"low": 0.1})}),
        ChainMap({"noise": ChainMap({"low": 0.1}, {"low": 0.2})}, {"noise": {}}),
        nested_defaultdict(),
        vars(Namespace),
    ],
    ids=["dict", "proxy", "chain", "defaultdict", "vars"],
)
def test_lookup_can_be_any_mapping(lookup):
    (step,) = load(("fit", lambda noise, solver: ..., lookup)).steps
    assert step.lookup is lookup
    assert step.variants("noise")["low"] == 0.1
    assert list(step.variants("solver")) == []


def test_module_is_a_lookup_by_its_vars(tmp_path):
    put(
        tmp_path / "labref_vars.py",
        "noise = {'low': 0.1}\nlookup_dict = globals()\ndef run(noise): ...\n",
    )
    step = Step("fit", "labref_vars:run", "labref_vars:lookup_dict", str(tmp_path))
    (loaded,) = load_experiment(experiment(tmp_path, step)).steps
    assert dict(loaded.variants("noise")) == {"low": 0.1}


def test_step_without_lookup_has_no_variants(tmp_path):
    put(tmp_path / "labref_bare.py", "def run(noise): ...\n")
    (step,) = load_experiment(
        experiment(tmp_path, Step("fit", "labref_bare:run", "", str(tmp_path)))
    ).steps
    assert dict(step.variants("noise")) == {}


@pytest.mark.parametrize(("lookup", "type_name"), [([("noise", {})], "list"), (None, "NoneType")])
def test_lookup_that_is_no_mapping_is_refused(lookup, type_name):
    assert refused(load, ("fit", lambda noise: ..., lookup)) == (
        "the step fit: its lookup dictionary has to map parameters to variants; "
        f"labexp_in_memory:lookup_0 does not ({type_name})"
    )


def test_entry_that_is_no_mapping_is_refused():
    (step,) = load(("fit", lambda noise: ..., {"noise": [0.1, 0.2]})).steps
    assert refused(step.variants, "noise") == (
        "fit.noise: its entry in the lookup dictionary has to be a mapping "
        "of variant names to values, not list"
    )


def test_missing_lookup_dictionary_is_refused(tmp_path):
    put(tmp_path / "labref_e.py", "def run(noise): ...\nlookups = {}\n")
    step = Step("fit", "labref_e:run", "labref_e:lookup_dict", str(tmp_path))
    assert refused(load_experiment, experiment(tmp_path, step)) == (
        "the step fit: labref_e:lookup_dict does not exist: no 'lookup_dict' in labref_e; "
        "there are lookups, run; did you mean lookups?"
    )


# marks


def test_mark_gives_lookup_hypothesis_and_timeout():
    lookup = {"noise": {"low": 0.1}}

    @pytest.mark.experiment(lookup=lookup, hypothesis="TV wins", timeout=90)
    def fit(noise):
        """Fit one trajectory.

        With total variation.
        """

    loaded = load(("fit", fit, {"noise": {"high": 0.5}}), name="fit_eval")
    assert loaded.name == "fit_eval"
    assert loaded.steps[0].lookup is lookup
    assert loaded.steps[0].mark_lookup
    assert (loaded.hypothesis, loaded.timeout) == ("TV wins", 90.0)
    assert loaded.description == "Fit one trajectory.\n\nWith total variation."


def test_mark_closest_to_the_function_wins():
    @pytest.mark.experiment(hypothesis="outer", timeout=20)
    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.experiment(hypothesis="inner")
    def fit(): ...

    loaded = load(("fit", fit, {}))
    assert (loaded.hypothesis, loaded.timeout) == ("inner", 20.0)


def test_single_mark_instead_of_a_list_counts():
    def fit(): ...

    fit.pytestmark = pytest.mark.experiment(hypothesis="TV wins")
    assert load(("fit", fit, {})).hypothesis == "TV wins"


def test_last_step_tells_for_a_pipeline_and_earlier_ones_fill_in():
    @pytest.mark.experiment(hypothesis="of gen", timeout=20)
    def gen():
        """Make data."""

    @pytest.mark.experiment(hypothesis="of fit")
    def fit(data): ...

    loaded = load(("gen", gen, {}), ("fit", fit, {}))
    assert (loaded.hypothesis, loaded.timeout, loaded.description) == ("of fit", 20.0, "")


@pytest.mark.parametrize("timeout", [0, -3.5, True, "90 weeks", float("nan")])
def test_timeout_that_is_no_time_is_refused(timeout):
    @pytest.mark.experiment(timeout=timeout)
    def fit(): ...

    assert refused(load, ("fit", fit, {})) == (
        "fit: timeout has to be a number of seconds above 0, or a text such as "
        f"'30m', '2h' or '1d', not {timeout!r}"
    )


def test_mark_lookup_that_is_no_mapping_is_refused(tmp_path):
    put(
        tmp_path / "labref_f.py",
        "import pytest\n@pytest.mark.experiment(lookup=['noise'])\ndef run(noise): ...\n"
        "lookup_dict = {}\n",
    )
    step = Step("fit", "labref_f:run", "", str(tmp_path))
    assert refused(load_experiment, experiment(tmp_path, step)) == (
        "the step fit: its lookup dictionary has to map parameters to variants; "
        "lookup= does not (list)"
    )


def test_mark_lookup_that_is_no_mapping_is_told_from_the_modules_dictionary():
    @pytest.mark.experiment(lookup=["noise"])
    def fit(noise): ...

    assert refused(load, ("fit", fit, {"noise": {"low": 0.1}})).endswith(
        "; lookup= does not (list)"
    )
