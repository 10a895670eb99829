"""The cells of a trial: what a person would have written, and what runs again."""

from __future__ import annotations

import json
import math
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from factories import MODULE, ROOMY, fresh_imports, load
from hypothesis import given
from hypothesis import strategies as st

from pytest_mitosis.identity import describe
from pytest_mitosis.model import Binding, Job, Kind, PlanError, Undescribable
from pytest_mitosis.plan.config import Project
from pytest_mitosis.plan.selection import parse_request
from pytest_mitosis.plan.variants import expand
from pytest_mitosis.run.jobs import Describer, build_job, import_path, unwrapped
from pytest_mitosis.run.notebook import build_notebook, call_source
from pytest_mitosis.run.randomness import generator_source, spawn_key
from pytest_mitosis.store.folder import Claim

NOISE = {"low": 0.1, "high": 0.5}


@pytest.fixture(autouse=True, scope="module")
def _forget_imports():
    with fresh_imports():
        yield


@pytest.fixture(autouse=True)
def _keep_global_randomness():
    """Notebooks seed the global generators."""
    state, numpy_state = random.getstate(), np.random.get_state()
    yield
    random.setstate(state)
    np.random.set_state(numpy_state)


def job_of(loaded, folder, variants="", literals=(), seeds=None, fixtures=None) -> Job:
    (spec,) = expand(loaded, parse_request(variants.split(), list(literals), seeds))
    project = Project(
        folder, folder, None, False, folder / "trials", folder / "locks", folder / "trials"
    )
    claim = Claim(folder, "k2m9xwq1", 3)
    job = build_job(
        spec, loaded, claim, project, Describer(), fixtures or {}, "pytest", draft=False
    )
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job
    return job


def code(notebook) -> list[str]:
    return [cell.source for cell in notebook.notebook.cells if cell.cell_type == "code"]


def title(notebook) -> str:
    return notebook.notebook.cells[0].source


def run(notebook) -> dict:
    """Execute the cells as a kernel would; the last one shows ``main``."""
    path = list(sys.path)
    scope = {"__name__": "__main__"}
    try:
        *cells, last = code(notebook)
        for source in cells:
            exec(compile(source, "<cell>", "exec"), scope)
        scope["shown"] = eval(last, scope)
    finally:
        sys.path[:] = path
    return scope


# cells


def fit_eval(noise, solver="tv", alpha=0.5, *, seed=0):
    return {"main": noise * alpha, "solver": solver, "seed": seed, "data": None}


def test_cells_of_one_step_are_those_a_person_would_write(tmp_path):
    loaded = load(("fit_eval", fit_eval, {"noise": NOISE}))
    job = job_of(loaded, tmp_path, "noise=low", ["alpha=.25"], "7")
    notebook = build_notebook(job, [("commit", "7ab1f20")])
    setup, loading, running, showing = code(notebook)
    assert setup.splitlines()[:2] == ["import random", "import sys"]
    assert f"sys.path[:0] = {json.dumps(job.sys_path)}" in setup.splitlines()
    assert setup.splitlines()[-2:] == ["random.seed(7)", "np.random.seed(7)"]
    assert loading == (
        f"from {MODULE} import action_0, lookup_0\n\n"
        "parameters = {\n"
        '    "noise": lookup_0["noise"]["low"],\n'
        '    "alpha": 0.25,\n'
        '    "seed": 7,\n'
        "}"
    )
    assert running == "result = action_0(**parameters)"
    assert showing == 'result["main"]'
    assert (notebook.load_cells, notebook.run_cells) == ((2,), (3,))
    assert [cell.id for cell in notebook.notebook.cells] == [f"cell-{n}" for n in range(5)]
    nbformat.validate(notebook.notebook)
    assert run(notebook)["result"] == fit_eval(0.1, alpha=0.25, seed=7)


def test_setup_holds_what_is_needed_and_no_more(tmp_path):
    job = job_of(load(("gen", lambda: {"main": 1}, {})), tmp_path)
    bare = Job(**{**{f: getattr(job, f) for f in job.__slots__}, "sys_path": (), "globals": ()})
    assert code(build_notebook(bare))[0] == "import random\n\nrandom.seed(0)"


def test_large_seed_is_cut_for_numpy_alone(tmp_path):
    loaded = load(("fit", lambda seed: {"main": seed}, {}))
    notebook = build_notebook(job_of(loaded, tmp_path, seeds=str(2**32 + 5)))
    assert code(notebook)[0].splitlines()[-2:] == [
        f"random.seed({2**32 + 5})",
        "np.random.seed(5)",
    ]
    assert run(notebook)["shown"] == 2**32 + 5


def gen(noise):
    return {"data": [noise] * 3}


def fit(data, noise=1.0):
    return {"main": sum(data) * noise}


def test_pipeline_hands_data_from_step_to_step(tmp_path):
    loaded = load(("gen", gen, {"noise": NOISE}), ("fit", fit, {"noise": NOISE}))
    notebook = build_notebook(job_of(loaded, tmp_path, "gen.noise=low fit.noise=high"))
    _, load_gen, load_fit, run_gen, run_fit, showing = code(notebook)
    assert load_gen == (
        f"from {MODULE} import action_0, lookup_0\n\n"
        'gen_parameters = {\n    "noise": lookup_0["noise"]["low"],\n}'
    )
    assert 'fit_parameters = {\n    "noise": lookup_1["noise"]["high"],\n}' in load_fit
    assert run_gen == "gen_result = action_0(**gen_parameters)"
    assert run_fit == 'fit_result = action_1(data=gen_result["data"], **fit_parameters)'
    assert showing == 'fit_result["main"]'
    cells = notebook.notebook.cells
    assert [cells[i].source for i in notebook.load_cells] == [load_gen, load_fit]
    assert [cells[i].source for i in notebook.run_cells] == [run_gen, run_fit]
    assert [c.source for c in cells if c.cell_type == "markdown"][1:] == ["## gen", "## fit"]
    assert run(notebook)["shown"] == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("action", "source"),
    [
        (lambda trajectory: {"main": trajectory}, 'action_1(trajectory=gen_result["data"])'),
        (lambda *inputs: {"main": inputs[0]}, 'action_1(gen_result["data"])'),
        (lambda **options: {"main": options["data"]}, 'action_1(data=gen_result["data"])'),
    ],
)
def test_data_is_passed_as_the_step_takes_it(tmp_path, action, source):
    loaded = load(("gen", gen, {"noise": NOISE}), ("fit", action, {}))
    job = job_of(loaded, tmp_path, "noise=low")
    notebook = build_notebook(job)
    assert code(notebook)[-2] == f"fit_result = {source}"
    assert run(notebook)["shown"] == [0.1] * 3
    assert call_source(notebook, job, 1, with_data=False) == "fit_result = action_1()"


def test_data_reaches_a_positional_only_parameter(tmp_path):
    loaded = load(
        ("gen", gen, {"noise": NOISE}), ("fit", lambda data, /, alpha=1: {"main": data}, {})
    )
    assert run(build_notebook(job_of(loaded, tmp_path, "noise=low")))["shown"] == [0.1] * 3


def test_lookup_of_a_mark_is_read_from_the_mark(tmp_path):
    @pytest.mark.experiment(hypothesis="outer")
    @pytest.mark.experiment(lookup={"noise": NOISE})
    def marked(noise):
        return {"main": noise}

    for steps in ([("fit", marked, {})], [("gen", gen, {"noise": NOISE}), ("fit", marked, {})]):
        names = "fit.noise=high" if len(steps) == 1 else "gen.noise=low fit.noise=high"
        if len(steps) == 2:

            @pytest.mark.experiment(lookup={"noise": NOISE})
            def takes_data(data, noise):
                return {"main": noise}

            steps[1] = ("fit", takes_data, {})
        notebook = build_notebook(job_of(load(*steps), tmp_path, names))
        assert "for mark in action_" in "\n".join(code(notebook))
        assert run(notebook)["shown"] == 0.5


# names


def rename(job: Job, *names: str, actions=None) -> Job:
    """The job with other step names, and references to other objects."""
    from dataclasses import replace

    steps = [
        replace(step, name=name, action=action)
        for step, name, action in zip(
            job.steps, names, actions or [s.action for s in job.steps], strict=True
        )
    ]
    return replace(job, steps=tuple(steps))


@pytest.fixture
def pipeline(tmp_path):
    loaded = load(("gen", gen, {"noise": NOISE}), ("fit", fit, {"noise": NOISE}))
    return job_of(loaded, tmp_path, "gen.noise=low fit.noise=high")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("lambda", "step_lambda"),
        ("2nd", "step_2nd"),
        ("pkg.fit-eval+x", "pkg_fit_eval_x"),
        ("class", "step_class"),
    ],
)
def test_step_of_any_name_has_variables(pipeline, name, stem):
    notebook = build_notebook(rename(pipeline, "gen", name))
    assert notebook.names[1].result == f"{stem}_result"
    assert run(notebook)["shown"] == pytest.approx(0.15)


@pytest.mark.parametrize("taken", ["np", "random", "sys", "pickle", "Path", "result"])
def test_action_whose_name_the_notebook_needs_gets_another(pipeline, taken):
    setattr(sys.modules[MODULE], taken, fit)
    notebook = build_notebook(
        rename(pipeline, "gen", "fit", actions=[pipeline.steps[0].action, f"{MODULE}:{taken}"])
    )
    alias = "fit_fit_result" if taken == "result" else f"fit_{taken}"  # fit_result is taken too
    assert notebook.names[1].action == alias
    assert f"{taken} as {alias}" in code(notebook)[2]
    assert run(notebook)["shown"] == pytest.approx(0.15)


def test_actions_of_one_name_in_two_modules_are_told_apart(pipeline, monkeypatch):
    import types

    modules = [types.ModuleType(f"labexp_{name}") for name in ("gen", "fit")]
    for module, action in zip(modules, (gen, fit), strict=True):
        module.run = action
        monkeypatch.setitem(sys.modules, module.__name__, module)
    actions = ["labexp_gen:run", "labexp_fit:run"]
    notebook = build_notebook(rename(pipeline, "gen", "fit", actions=actions))
    assert [names.action for names in notebook.names] == ["run", "fit_run"]
    assert run(notebook)["shown"] == pytest.approx(0.15)


def test_methods_are_called_on_what_was_imported(pipeline):
    class Klass:
        class Inner:
            fit = staticmethod(fit)

    sys.modules[MODULE].Klass = Klass
    actions = [pipeline.steps[0].action, f"{MODULE}:Klass.Inner.fit"]
    notebook = build_notebook(rename(pipeline, "gen", "fit", actions=actions))
    assert f"from {MODULE} import Klass, lookup_1" in code(notebook)[2]
    assert "fit_result = Klass.Inner.fit(" in code(notebook)[4]
    assert run(notebook)["shown"] == pytest.approx(0.15)


def test_steps_whose_names_differ_in_a_sign_have_variables_of_their_own(pipeline):
    assert run(build_notebook(rename(pipeline, "a.b", "a_b")))["shown"] == pytest.approx(0.15)


def test_action_named_as_the_result_of_another_step_is_told_apart(pipeline):
    sys.modules[MODULE].gen_result = fit
    actions = [pipeline.steps[0].action, f"{MODULE}:gen_result"]
    run(build_notebook(rename(pipeline, "gen", "fit", actions=actions)))


def test_action_named_parameters_is_told_from_the_steps_parameters(pipeline):
    sys.modules[MODULE].parameters = fit
    actions = [pipeline.steps[0].action, f"{MODULE}:parameters"]
    notebook = build_notebook(rename(pipeline, "gen", "fit", actions=actions))
    assert run(notebook)["shown"] == pytest.approx(0.15)


# values


@dataclass
class Parameter:
    """As in mitosis."""

    vals: object


class Slotted:
    __slots__ = ("vals",)

    def __init__(self, vals):
        self.vals = vals


class Computed:
    @property
    def vals(self):
        return 0.25


@pytest.mark.parametrize("entry", [Parameter(0.25), Slotted(0.25), Computed()])
def test_entry_that_carries_its_value_is_unwrapped_here_and_there(tmp_path, entry):
    assert unwrapped(entry) == 0.25
    loaded = load(("fit", lambda noise: {"main": noise}, {"noise": {"low": entry}}))
    job = job_of(loaded, tmp_path, "noise=low")
    assert job.steps[0].arguments[0].source == '["noise"]["low"].vals'
    assert job.steps[0].arguments[0].digest == describe(0.25).digest
    assert run(build_notebook(job))["shown"] == 0.25


class Dynamic:
    def __getattr__(self, name):
        return 0.25


@pytest.mark.parametrize(
    "entry", [pd.DataFrame({"vals": [0.1]}), {"vals": 0.1}, Computed, Dynamic(), 0.1, None]
)
def test_entry_without_a_real_attribute_vals_is_the_value(entry):
    assert unwrapped(entry) is entry


def test_same_name_in_two_experiments_is_described_by_each_value():
    describer = Describer()
    one, two = (Binding("fit", "noise", Kind.VARIANT, "low", value=v) for v in (0.1, 0.1))
    assert describer.describe(one) is describer.describe(two)


def test_same_name_for_other_values_is_described_apart():
    describer = Describer()
    one, two = (Binding("fit", "noise", Kind.VARIANT, "low", value=v) for v in (0.1, 0.2))
    assert describer.describe(one) != describer.describe(two)


def test_value_without_identity_is_refused_with_its_name(tmp_path):
    loaded = load(("fit", lambda lock: ..., {"lock": {"open": [(n for n in "ab")]}}))
    with pytest.raises(Undescribable) as caught:
        job_of(loaded, tmp_path, "lock=open")
    assert caught.value.path == "lock=open: [0]"
    job = job_of(loaded, tmp_path, "+lock=open")
    assert (job.steps[0].arguments[0].digest, job.steps[0].arguments[0].summary) == ("", "list")


def test_default_stays_the_functions_own(tmp_path):
    sentinel = object()
    loaded = load(("fit", lambda noise=sentinel: {"main": noise is sentinel}, {}))
    job = job_of(loaded, tmp_path)
    assert job.steps[0].arguments[0].source == ""
    assert run(build_notebook(job))["shown"] is True


@pytest.mark.parametrize(
    ("value", "source"),
    [
        (None, "None"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (math.inf, 'float("inf")'),
        ("naïve\n€", "'na\\xefve\\n\\u20ac'"),
        ([1, (2.5,), ()], "[1, (2.5,), ()]"),
        (Path("/data/oct's.h5"), 'Path("/data/oct\'s.h5")'),
    ],
)
def test_plain_fixture_is_written_out(tmp_path, value, source):
    loaded = load(("fit", lambda data_file: {"main": data_file}, {}))
    job = job_of(loaded, tmp_path, fixtures={"data_file": value})
    assert job.steps[0].arguments[0].source == source
    shown = run(build_notebook(job))["shown"]
    assert (type(shown), repr(shown)) == (type(value), repr(value))
    assert not (tmp_path / "inputs").exists()


def test_other_fixture_is_handed_over_as_a_pickle_in_the_trials_folder(tmp_path):
    frame = pd.DataFrame({"t": [0.0, 0.5], "x": [1.0, 2.0]})
    loaded = load(("fit", lambda frame: {"main": frame}, {}))
    job = job_of(loaded, tmp_path, fixtures={"frame": frame})
    file = tmp_path / "inputs" / "frame.pickle"
    assert job.steps[0].arguments[0].source == f"pickle.loads(Path({str(file)!r}).read_bytes())"
    assert job.steps[0].arguments[0].digest == describe(frame).digest
    notebook = build_notebook(job)
    assert {"import pickle", "from pathlib import Path"} <= set(code(notebook)[0].splitlines())
    pd.testing.assert_frame_equal(run(notebook)["shown"], frame)


def test_fixture_that_cannot_leave_the_process_is_refused(tmp_path):
    loaded = load(("fit", lambda server: ..., {}))
    with pytest.raises(PlanError) as caught:
        job_of(loaded, tmp_path, fixtures={"server": (n for n in "ab")})
    assert str(caught.value) == (
        "the fixture 'server' gives a builtins.generator, which cannot leave this process "
        "(TypeError: cannot pickle 'generator' object); let the fixture give a path or plain data"
    )


def test_import_path_is_what_a_new_interpreter_would_not_have(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path, str(tmp_path), "/nowhere/at/all"])
    found = import_path()
    assert found[0] == str(tmp_path)
    assert found.count(str(tmp_path)) == 1
    assert not [one for one in found if "site-packages" in one or one == "/nowhere/at/all"]


# random numbers


def test_stream_of_a_seed_gives_the_recorded_numbers():
    assert spawn_key("fit_eval", "rng") == 4029371310
    source = generator_source(7, "fit_eval")
    assert source == (
        "np.random.Generator(np.random.PCG64(np.random.SeedSequence(7, spawn_key=(4029371310,))))"
    )
    assert eval(source).random(3).tolist() == [
        0.18581782104580735,
        0.4265180061318742,
        0.9219810177577401,
    ]


def test_streams_are_told_apart_by_seed_step_and_name():
    sources = {
        generator_source(seed, step, stream)
        for seed in (0, 1)
        for step in ("gen", "fit")
        for stream in ("rng", "noise")
    }
    draws = {tuple(eval(source).integers(2**62, size=2).tolist()) for source in sources}
    assert len(draws) == 8


def test_adding_a_step_shifts_no_stream(tmp_path):
    def draw(rng):
        return {"main": rng.random(), "data": 0}

    def draw_again(data, rng):
        return {"main": rng.random(), "data": 0}

    alone = run(build_notebook(job_of(load(("fit", draw, {})), tmp_path, seeds="7")))["shown"]
    steps = [("gen", draw, {}), ("fit", draw_again, {}), ("plot", draw_again, {})]
    notebook = build_notebook(job_of(load(*steps), tmp_path, seeds="7"))
    scope = run(notebook)
    assert scope["fit_result"]["main"] == alone
    drawn = {scope[f"{step}_result"]["main"] for step in ("gen", "fit", "plot")}
    assert len(drawn) == 3
    assert "stream gen/rng of seed 7" in title(notebook)


# the title


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![shot](figures/x.png)",
    "a | b || c",
    "`code` *bold* __strong__ ~~gone~~",
    "# not a title",
    "$\\alpha$ and $$x$$",
    "two\nlines\r\nand | a third",
    "\\<b\\>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is(tmp_path, text):
    from html import unescape

    from nbconvert.filters import markdown2html

    def fit(): ...

    fit.__doc__ = text
    loaded = load(("fit", pytest.mark.experiment(hypothesis=text)(fit), {}))
    source = title(build_notebook(job_of(loaded, tmp_path), [("branch", text)]))
    html = markdown2html(source)
    tags = set(re.findall(r"<(/?\w+)", html)) - {"strong", "/strong"}
    assert tags == {
        tag for name in "h1 p table thead tbody tr th td".split() for tag in (name, f"/{name}")
    } | ({"a", "/a"} if '<a class="anchor-link"' in html else set())
    assert html.count("<a ") == html.count('<a class="anchor-link"')
    flat = re.sub(r"\s*\n\s*", " ", text)
    words = unescape(re.sub(r"</?(?:strong|p|td)>", "", html))
    assert words.count(flat) == 3


def test_address_is_shown_as_it_is(tmp_path):
    from nbconvert.filters import markdown2html

    def fit():
        """See https://example.org/oct_2026 (fig. 3)."""

    html = markdown2html(title(build_notebook(job_of(load(("fit", fit, {})), tmp_path))))
    assert "https://example.org/oct_2026" in html


@pytest.mark.parametrize("text", ["- item", "1. item", "+ item", "a &lt; b"])
def test_text_that_begins_like_a_list_is_shown_as_it_is(tmp_path, text):
    from html import unescape

    from nbconvert.filters import markdown2html

    def fit(): ...

    fit.__doc__ = text
    html = markdown2html(title(build_notebook(job_of(load(("fit", fit, {})), tmp_path))))
    assert f"<p>{text}</p>" in unescape(html)


def test_title_tells_hypothesis_first_paragraph_facts_and_parameters(tmp_path):
    @pytest.mark.experiment(hypothesis="TV wins", lookup={"noise": NOISE})
    def fit(noise, alpha=0.5):
        """Fit one trajectory.

        Details that stay out.
        """

    notebook = build_notebook(
        job_of(load(("fit", fit, {})), tmp_path, "noise=low"), [("commit", "7ab1f20")]
    )
    assert title(notebook).splitlines() == [
        "# fit",
        "",
        "**Hypothesis:** TV wins",
        "",
        "Fit one trajectory.",
        "",
        "| trial 3 | k2m9xwq1 |",
        "|---|---|",
        "| commit | 7ab1f20 |",
        "| noise | low: float 0.1 |",
        "| alpha | float 0.5 |",
    ]


# for any values


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def everything(noise, alpha, plain, rng, *, seed):
    return {"main": [noise, alpha, plain, seed, rng.random()], "data": (noise, alpha)}


def double(data, alpha=0.5):
    return {"main": [data, alpha]}


@ROOMY
@given(
    VALUES,
    VALUES,
    st.text() | st.floats(allow_nan=False) | st.lists(st.integers() | st.text()),
    st.integers(0, 2**40),
)
def test_cells_compile_and_give_what_the_function_gives(
    tmp_path_factory, value, literal, plain, seed
):
    folder = tmp_path_factory.getbasetemp()
    loaded = load(("gen", everything, {"noise": {"low": value}}), ("fit", double, {}))
    literals = [f"gen.alpha={literal!r}", f"fit.alpha={literal!r}"]
    job = job_of(loaded, folder, "noise=low", literals, str(seed), {"plain": plain})
    scope = run(build_notebook(job))
    rng = eval(generator_source(seed, "gen"))
    expected = everything(value, literal, plain, rng, seed=seed)
    assert ascii(scope["gen_result"]) == ascii(expected)
    assert ascii(scope["shown"]) == ascii(double(expected["data"], literal)["main"])
