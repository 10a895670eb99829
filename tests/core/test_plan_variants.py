"""Requests expand into trial specs, and the id of a spec reads back as this very spec."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import pytest
from factories import ROOMY, fresh_imports, load
from hypothesis import given
from hypothesis import strategies as st

from pytest_mitosis.identity import describe
from pytest_mitosis.model import Kind, PlanError
from pytest_mitosis.plan import ids
from pytest_mitosis.plan.selection import parse_request
from pytest_mitosis.plan.variants import expand, plain_text, read_id, require_targets

NOISE = {"low": 0.1, "high": 0.5}
SOLVER = {"tv": ("tv", 1e-3), "stlsq": ("stlsq", 0.1)}


@pytest.fixture(autouse=True, scope="module")
def _forget_imports():
    with fresh_imports():
        yield


def request(variants="", literals="", seeds=None):
    """A request from options written in one line each, apart by blanks."""
    return parse_request(variants.split(), literals.split(), seeds)


def ids_of(loaded, *arguments, **options):
    return [spec.id for spec in expand(loaded, request(*arguments, **options))]


def refused(function, *arguments) -> str:
    with pytest.raises(PlanError) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.fixture
def fit():
    def fit_eval(noise, solver, alpha=0.5, *, seed=0, plot=False): ...

    return load(("fit_eval", fit_eval, {"noise": NOISE, "solver": SOLVER}))


@pytest.fixture
def pipeline():
    def gen(noise, seed): ...

    def fit_eval(data, noise="low", solver="tv", *, rng): ...

    lookups = ({"noise": NOISE}, {"noise": NOISE, "solver": SOLVER})
    return load(("gen", gen, lookups[0]), ("fit", fit_eval, lookups[1]))


def bound(spec):
    return [(b.step, b.parameter, b.kind, b.name) for b in spec.bindings]


# expanding


def test_every_parameter_is_bound_in_signature_order(fit):
    (spec,) = expand(fit, request("solver=tv noise=low", "+plot=True"))
    assert bound(spec) == [
        ("fit_eval", "noise", Kind.VARIANT, "low"),
        ("fit_eval", "solver", Kind.VARIANT, "tv"),
        ("fit_eval", "alpha", Kind.DEFAULT, "0.5"),
        ("fit_eval", "seed", Kind.SEED, "0"),
        ("fit_eval", "plot", Kind.LITERAL, "True"),
    ]
    assert [b.value for b in spec.bindings] == [0.1, ("tv", 1e-3), 0.5, 0, True]
    assert [b.tracked for b in spec.bindings] == [True, True, True, True, False]
    assert (spec.id, spec.key) == (
        "noise=low,solver=tv,seed=0,+plot=True",
        "noise=low,solver=tv,seed=0",
    )
    assert spec.seed == 0
    assert spec.experiment is fit.experiment


def test_grid_is_a_product_whose_last_parameter_varies_fastest(fit):
    assert ids_of(fit, "solver=* noise=high,low", "alpha=.5 alpha=2", seeds="1,0")[:6] == [
        "noise=high,solver=tv,alpha=0.5,seed=1",
        "noise=high,solver=tv,alpha=0.5,seed=0",
        "noise=high,solver=tv,alpha=2,seed=1",
        "noise=high,solver=tv,alpha=2,seed=0",
        "noise=high,solver=stlsq,alpha=0.5,seed=1",
        "noise=high,solver=stlsq,alpha=0.5,seed=0",
    ]
    assert len(ids_of(fit, "solver=* noise=high,low", "alpha=.5 alpha=2", seeds="1,0")) == 16


def test_argument_without_value_is_a_fixture():
    (spec,) = expand(
        load(("fit", lambda tmp_path, noise: ..., {"noise": NOISE})), request("noise=low")
    )
    assert bound(spec)[0] == ("fit", "tmp_path", Kind.FIXTURE, "")
    assert spec.id == "noise=low"


def test_experiment_without_parameters_has_one_trial():
    loaded = load(("fit", lambda: {"main": 1.0}, {}))
    (spec,) = expand(loaded, request())
    assert (spec.id, spec.key, spec.seed, spec.bindings) == ("default", "default", None, ())
    assert read_id(loaded, "default") == spec


def test_only_untracked_parameters_leave_the_key_of_a_trial_without_any():
    loaded = load(("fit", lambda plot=False: ..., {}))
    (spec,) = expand(loaded, request("", "+plot=True"))
    assert (spec.id, spec.key) == ("+plot=True", "default")


def test_shared_name_is_spelled_with_its_step_and_others_are_not(pipeline):
    assert ids_of(pipeline, "gen.noise=low fit.noise=high solver=tv") == [
        "gen.noise=low,seed=0,fit.noise=high,solver=tv"
    ]
    assert ids_of(pipeline, "gen.noise=low") == ["gen.noise=low,seed=0"]


def test_keyword_arguments_come_after_the_signature_in_order_of_names():
    loaded = load(("fit", lambda noise, **options: ..., {"noise": NOISE, "order": {"2nd": 2}}))
    assert ids_of(loaded, "order=2nd noise=low", "width=3 depth=4") == [
        "noise=low,depth=4,order=2nd,width=3"
    ]


def test_parameter_goes_to_the_step_that_names_it_rather_than_to_keywords():
    loaded = load(("gen", lambda **options: ..., {}), ("fit", lambda data, alpha: ..., {}))
    (spec,) = expand(loaded, request("", "alpha=1"))
    assert bound(spec) == [("fit", "alpha", Kind.LITERAL, "1")]
    (spec,) = expand(loaded, request("", "gen.alpha=2 fit.alpha=1"))
    assert spec.id == "gen.alpha=2,alpha=1"  # alpha alone is the one of fit


@dataclass
class Parameter:
    """As in mitosis."""

    vals: object


def test_entries_are_bound_as_they_stand_in_the_dictionary():
    entry = Parameter([1.0, 2.5])
    loaded = load(("fit", lambda noise: ..., {"noise": {"low": entry}}))
    assert expand(loaded, request("noise=low"))[0].bindings[0].value is entry


def test_dictionary_that_makes_entries_is_asked_only_for_what_was_named():
    lookup = defaultdict(lambda: defaultdict(lambda: 0.25))
    lookup["noise"]["low"] = 0.1
    loaded = load(("fit", lambda noise, alpha=1.0: ..., lookup))
    assert ids_of(loaded, "noise=*") == ["noise=low"]
    assert dict(lookup["noise"]) == {"low": 0.1}
    (spec,) = expand(loaded, request("noise=measured"))
    assert spec.bindings[0].value == 0.25
    assert read_id(loaded, spec.id) == spec


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (True, "True"),
        (None, "None"),
        ("naïve", "'na\\xefve'"),
        ([1], ""),
        (Parameter(1), ""),
    ],
)
def test_plain_default_is_named_as_a_literal(value, text):
    assert plain_text(value) == text
    loaded = load(("fit", lambda alpha=value: ..., {}))
    (binding,) = expand(loaded, request())[0].bindings
    assert (binding.kind, binding.name, binding.value) == (Kind.DEFAULT, text, value)


# seeds


def test_one_seed_fills_every_seed_and_rng_and_stands_once_in_the_id(pipeline):
    first, second = expand(pipeline, request("gen.noise=low", seeds="3,11"))
    assert (first.id, first.seed) == ("gen.noise=low,seed=3", 3)
    assert (second.id, second.seed) == ("gen.noise=low,seed=11", 11)
    assert [(b.step, b.parameter, b.kind, b.name, b.value) for b in second.bindings][1:3] == [
        ("gen", "seed", Kind.SEED, "11", 11),
        ("fit", "rng", Kind.RNG, "11", 11),
    ]


def test_declared_default_seed_is_the_seed():
    loaded = load(("fit", lambda seed=7: ..., {}))
    (spec,) = expand(loaded, request())
    assert (spec.id, spec.seed, spec.bindings[0].value) == ("seed=7", 7, 7)


def test_default_seed_that_one_step_declares_is_shared():
    loaded = load(("gen", lambda seed=7: ..., {}), ("fit", lambda data, seed, rng: ..., {}))
    (spec,) = expand(loaded, request())
    assert (spec.id, {b.value for b in spec.bindings}) == ("seed=7", {7})


@pytest.mark.parametrize("default", [None, -1, True, 2.5])
def test_default_that_is_no_seed_gives_seed_zero(default):
    loaded = load(("fit", lambda seed=default: ..., {}))
    assert ids_of(loaded) == ["seed=0"]


def two_seeds():
    return load(("gen", lambda seed=1: ..., {}), ("fit", lambda data, seed=2: ..., {}))


def test_differing_default_seeds_are_kept_unless_seeds_are_asked_for():
    (spec,) = expand(two_seeds(), request())
    assert (spec.id, spec.seed) == ("default", None)
    assert bound(spec) == [
        ("gen", "seed", Kind.DEFAULT, "1"),
        ("fit", "seed", Kind.DEFAULT, "2"),
    ]
    (spec,) = expand(two_seeds(), request(seeds="5"))
    assert (spec.id, [b.value for b in spec.bindings]) == ("seed=5", [5, 5])


@pytest.mark.parametrize("literal", ["seed=3", "fit.seed=3"])
def test_literal_seed_is_the_seed_of_the_trial(literal):
    loaded = load(("fit", lambda noise, seed, rng: ..., {"noise": NOISE}))
    assert expand(loaded, request("noise=low", literal)) == expand(
        loaded, request("noise=low", seeds="3")
    )


def test_literal_seed_is_the_seed_of_rng_and_any_keyword():
    loaded = load(("fit", lambda rng, **options: ..., {}))
    assert expand(loaded, request("", "seed=3"))[0].seed == 3


def test_literal_seed_for_one_of_several_steps_is_a_parameter_of_this_step():
    (spec,) = expand(two_seeds(), request("", "fit.seed=5", seeds="3"))
    assert (spec.id, spec.seed) == ("seed=3,fit.seed=5", 3)
    assert bound(spec) == [("gen", "seed", Kind.SEED, "3"), ("fit", "seed", Kind.LITERAL, "5")]
    assert read_id(two_seeds(), spec.id) == spec


@pytest.mark.parametrize(
    ("literal", "spec_id"),
    [("seed=-3", "seed=-3"), ("+seed=3", "+seed=3"), ("rng=5", "seed=0,rng=5")],
)
def test_other_literals_for_seeds_are_ordinary_parameters(literal, spec_id):
    loaded = load(("fit", lambda seed=0, rng=None: ..., {}))
    loaded_seed_only = load(("fit", lambda seed=0: ..., {}))
    target = loaded if "rng" in literal else loaded_seed_only
    (spec,) = expand(target, request("", literal))
    assert spec.id == spec_id
    assert read_id(target, spec.id) == spec


def test_step_without_seed_has_none(fit):
    loaded = load(("fit", lambda noise: ..., {"noise": NOISE}))
    assert expand(loaded, request("noise=low"))[0].seed is None


def test_id_of_an_experiment_with_rng_alone_reads_back():
    loaded = load(("fit", lambda rng: ..., {}))
    (spec,) = expand(loaded, request())
    assert (spec.id, spec.seed) == ("seed=0", 0)
    assert read_id(loaded, spec.id) == spec


def test_literal_seed_is_for_experiments_with_rng_alone():
    loaded = load(("fit", lambda rng: ..., {}))
    asked = request("", "seed=3")
    require_targets([loaded], asked)
    assert expand(loaded, asked) == expand(loaded, request(seeds="3"))


def test_kept_default_seeds_and_seed_zero_are_two_trials():
    loaded = load(("gen", lambda seed=1: ..., {}), ("fit", lambda data, seed=2, rng=None: ..., {}))
    (kept,) = expand(loaded, request())
    (zero,) = expand(loaded, request(seeds="0"))
    assert {b.value for b in kept.bindings if b.parameter == "seed"} == {1, 2}
    assert kept.key != zero.key
    assert read_id(loaded, kept.id) == kept


def test_seed_given_to_a_step_goes_to_this_step():
    loaded = load(("gen", lambda **options: ..., {}), ("fit", lambda data, seed=7: ..., {}))
    (spec,) = expand(loaded, request("", "gen.seed=3"))
    assert [(b.step, b.parameter, b.value) for b in spec.bindings] == [
        ("gen", "seed", 3),
        ("fit", "seed", 7),
    ]


def test_seed_is_told_from_a_variant_of_the_seed_that_reads_like_it():
    loaded = load(("fit", lambda seed=0: ..., {"seed": {"3": 20260501}}))
    (variant,) = expand(loaded, request("seed=3"))
    (seed,) = expand(loaded, request(seeds="3"))
    assert variant.bindings[0].value != seed.bindings[0].value
    assert variant.key != seed.key


# names that clash, and values of any kind in an id


def test_literal_that_reads_like_a_variant_is_told_apart_by_parentheses():
    loaded = load(("fit", lambda order: ..., {"order": {"2": [0.5, 0.25], "None": 0}}))
    variant, literal = (expand(loaded, r)[0] for r in (request("order=2"), request("", "order=2")))
    assert (variant.id, literal.id) == ("order=2", "order=(2)")
    assert (variant.bindings[0].value, literal.bindings[0].value) == ([0.5, 0.25], 2)
    assert read_id(loaded, "order=2") == variant
    assert read_id(loaded, "order=(2)") == literal
    assert ids_of(loaded, "", "order=None order=2.0") == ["order=(None)", "order=2.0"]


@pytest.mark.parametrize(
    ("literal", "spec_id"),
    [
        ("(1,2)", "alpha=(1%2C 2)"),
        ("'50 %'", "alpha='50 %25'"),
        (r"'a\b'", "alpha='a%5Cx08'"),
        ("'naïve €'", "alpha='na%5Cxefve %5Cu20ac'"),
        ("'a=b::c[0]/d'", "alpha='a=b::c[0]/d'"),
        ("b'\\xff'", "alpha=b'%5Cxff'"),
        ("{'tol':1e-9}", "alpha={'tol': 1e-09}"),
        ("-3+4j", "alpha=-3 + 4j"),
        ("''", "alpha=''"),
        ("...", "alpha=..."),
    ],
)
def test_literal_survives_the_id(literal, spec_id):
    loaded = load(("fit", lambda alpha: ..., {"alpha": {"low": 1}}))
    (spec,) = expand(loaded, parse_request([], [f"alpha={literal}"]))
    assert spec.id == spec_id
    back = read_id(loaded, spec.id)
    assert back == spec
    assert describe(back.bindings[0].value).digest == describe(spec.bindings[0].value).digest


def test_id_is_split_into_labels_names_and_whether_they_are_tracked():
    assert ids.split_id("gen.noise=low,+plot=a=b%2Cc,alpha=50%25") == [
        ("gen.noise", "low", True),
        ("plot", "a=b,c", False),
        ("alpha", "50%", True),
    ]
    assert ids.split_id("default") == []


# what is refused


def test_unknown_variant_lists_what_there_is(fit):
    assert refused(expand, fit, request("noise=lo solver=tv")) == (
        "fit_eval.noise has no variant 'lo'; it has low, high"
    )


def test_missing_value_lists_the_variants(fit):
    assert refused(expand, fit, request("noise=low")) == (
        "fit_eval.solver needs a value; it has the variants tv, stlsq: "
        "--variant solver=tv, or solver=* for all"
    )


def test_parameter_without_variants_asks_for_a_value(fit):
    assert refused(expand, fit, request("noise=low solver=tv alpha=big")) == (
        "fit_eval.alpha has no variants in the lookup dictionary (there are noise, solver); "
        "give a value: --eval-param alpha=…"
    )


def test_star_for_a_parameter_without_variants_is_refused(fit):
    assert refused(expand, fit, request("noise=low solver=tv alpha=*")) == (
        "fit_eval.alpha has no variants in the lookup dictionary (there are noise, solver); "
        "give a value: --eval-param alpha=…, so '*' stands for nothing"
    )


def test_variant_whose_name_is_no_file_name_is_refused():
    loaded = load(("fit", lambda noise: ..., {"noise": {"low": 0.1, "10 %": 0.2}}))
    assert refused(expand, loaded, request("noise=*")) == (
        "a variant of fit.noise is called '10 %', which is no safe file name; "
        "use up to 128 letters, digits and _ . + -"
    )
    assert ids_of(loaded, "noise=low") == ["noise=low"]


def test_variant_whose_name_is_no_text_is_refused():
    loaded = load(("fit", lambda order: ..., {"order": {2: "second"}}))
    assert refused(expand, loaded, request("order=*")) == (
        "fit.order: variant names have to be text; the lookup dictionary has 2"
    )
    assert refused(expand, loaded, request("order=2")) == "fit.order has no variant '2'; it has 2"


def test_entry_that_is_no_mapping_is_refused():
    loaded = load(("fit", lambda noise: ..., {"noise": [0.1, 0.5]}))
    assert refused(expand, loaded, request("noise=low")) == (
        "fit.noise: its entry in the lookup dictionary has to be a mapping "
        "of variant names to values, not list"
    )


def test_ambiguous_parameter_is_to_be_spelled_with_its_step(pipeline):
    assert refused(expand, pipeline, request("noise=low")) == (
        "noise is a parameter of 2 steps of gen+fit; write gen.noise or fit.noise"
    )


def test_parameter_given_with_and_without_its_step_is_refused(fit):
    assert refused(expand, fit, request("noise=low fit_eval.noise=high solver=tv")) == (
        "fit_eval.noise is given twice; give one of them"
    )


def test_seed_in_two_options_is_refused(fit):
    assert refused(expand, fit, request("noise=low solver=tv", "seed=3", "0-4")) == (
        "the seed is given twice, by --seeds and by --eval-param seed=…"
    )


def test_unknown_parameter_is_refused(fit):
    assert refused(require_targets, [fit], request("nois=low")) == (
        "fit_eval has no parameter 'nois'; there are noise, solver, alpha, seed, plot; "
        "did you mean noise?"
    )


def test_unknown_parameter_of_several_experiments_is_refused(fit, pipeline):
    assert refused(require_targets, [fit, pipeline], request("", "beta=1")) == (
        "fit_eval and gen+fit has no parameter 'beta'; "
        "there are noise, solver, alpha, seed, plot, rng"
    )


def test_unknown_parameter_of_a_step_is_refused(pipeline):
    assert refused(require_targets, [pipeline], request("gen.solver=tv")) == (
        "gen has no parameter 'solver'; there are noise, seed"
    )


def test_unknown_step_is_refused(pipeline):
    assert refused(require_targets, [pipeline], request("gne.noise=low")) == (
        "gne.noise: no step named 'gne'; there are gen, fit; did you mean gen?"
    )


def test_parameter_that_one_of_several_experiments_takes_is_enough(fit, pipeline):
    require_targets([fit, pipeline], request("solver=tv", "alpha=1", "0-4"))


def test_seeds_for_an_experiment_without_are_refused():
    one = load(("gen", lambda noise: ..., {}))
    two = load(("fit", lambda alpha: ..., {}))
    assert refused(require_targets, [one, two], request(seeds="0-4")) == (
        "--seeds: gen and fit has no parameter 'seed', 'rng' or 'rng_NAME'"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noise", "[noise] is no trial: 'noise' has to be PARAMETER=NAME"),
        ("noise=low,", "[noise=low,] is no trial: '' has to be PARAMETER=NAME"),
        ("=low", "[=low] is no trial: '=low' has to be PARAMETER=NAME"),
        ("noise=lo,solver=tv,seed=0", "fit_eval.noise has no variant 'lo'; it has low, high"),
        (
            "noise=low,seed=0",
            "fit_eval.solver needs a value; it has the variants tv, stlsq: "
            "--variant solver=tv, or solver=* for all",
        ),
        (
            "noise=low,solver=tv,beta=1",
            "fit_eval has no parameter 'beta'; there are noise, solver, alpha, seed, plot",
        ),
        ("noise=low,noise=high,solver=tv", "fit_eval.noise is given twice; give one of them"),
    ],
)
def test_id_that_is_none_of_the_experiment_is_refused(fit, text, message):
    assert refused(read_id, fit, text) == message


def test_id_with_a_star_is_no_trial(fit):
    refused(read_id, fit, "noise=*,solver=tv,seed=0")


def test_id_tells_apart_steps_that_both_take_any_keyword():
    loaded = load(("gen", lambda **options: ..., {}), ("fit", lambda data, **options: ..., {}))
    (spec,) = expand(loaded, request("", "gen.width=3"))
    assert read_id(loaded, spec.id) == spec


def test_id_is_ascii_whatever_keyword_is_given():
    loaded = load(("fit", lambda **options: ..., {}))
    (text,) = ids_of(loaded, "", "größe=3")
    assert text.isascii()


# for any experiment and any request

NAMES = ["low", "high", "heavy-1.5", "3", "0.5", "None", "x+y", "default"]
LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([3, 0.5, "low", "3"])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
).map(repr)


@st.composite
def steps(draw):
    """One to three steps; where one takes ``rng``, one takes ``seed`` as well."""
    made = []
    can_have_rng = draw(st.booleans())
    shared_seed = draw(st.sampled_from(["", "=0", "=7"]))
    for number in range(draw(st.integers(1, 3))):
        names = draw(st.lists(st.sampled_from("noise solver alpha plot".split()), unique=True))
        lookup, parts = {}, []
        for name in names:
            variants = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
            if variants:
                lookup[name] = {variant: (variant, number) for variant in variants}
            parts.append(f"{name}={draw(st.sampled_from(['0.25', 'None', '()']))}")
            if draw(st.booleans()):
                parts[-1] = name
        random = draw(st.sets(st.sampled_from([f"seed{shared_seed}", "rng"])))
        random |= {f"seed{shared_seed}"} if can_have_rng and not number else set()
        random -= set() if can_have_rng else {"rng"}
        data = ["data"] if number else []
        scope = {}
        source = ", ".join([*data, "*", *parts, *sorted(random)] if parts or random else data)
        exec(f"def run({source}): ...", scope)
        made.append((("gen", "fit", "pkg.plot")[number], scope["run"], lookup))
    return made


@st.composite
def experiments_and_options(draw):
    """A loaded experiment, and texts of ``--variant`` and ``--eval-param`` that suit it."""
    loaded = load(*draw(steps()))
    places = [(step, p) for step in loaded.steps for p in step.parameters if p not in ("rng",)]
    names = [p for _, p in places]
    variants, literals = [], []
    for step, parameter in places:
        is_shared = names.count(parameter) > 1
        label = f"{step.name}.{parameter}" if is_shared or draw(st.booleans()) else parameter
        if parameter == "seed":
            if is_shared and draw(st.booleans()):
                literals.append(f"{label}={draw(st.integers(0, 99))}")
            continue
        label = draw(st.sampled_from(["", "+"])) + label
        known = list(step.variants(parameter))
        needed = bool(known) and parameter not in step.defaults
        ways = ["literal", *(["variant", "star"] if known else []), *([] if needed else ["not"])]
        way = draw(st.sampled_from(ways))
        if way == "literal":
            texts = draw(st.lists(LITERALS, min_size=1, max_size=2))
            literals += [f"{label}={text}" for text in texts]
        elif way == "variant":
            some = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2))
            variants.append(f"{label}={','.join(some)}")
        elif way == "star":
            variants.append(f"{label}=*")
    takes_seed = any({"seed", "rng"} & set(step.parameters) for step in loaded.steps)
    given_apart = [text for text in literals if "seed=" in text]
    every_seed_given = takes_seed and len(given_apart) == names.count("seed")
    free = takes_seed and not (every_seed_given and given_apart)
    seeds = draw(st.sampled_from([None, "0", "3,11"])) if free else None
    return loaded, variants, literals, seeds


@ROOMY
@given(experiments_and_options())
def test_every_id_reads_back_as_its_spec(case):
    loaded, variants, literals, seeds = case
    asked = parse_request(variants, literals, seeds)
    require_targets([loaded], asked)
    specs = expand(loaded, asked)
    assert len({spec.id for spec in specs}) == len(specs)
    for spec in specs[:8]:
        assert spec.id.isascii()
        assert spec.id.isprintable()
        assert "\\" not in spec.id
        back = read_id(loaded, spec.id)
        assert back == spec
        assert [ascii(b.value) for b in back.bindings] == [ascii(b.value) for b in spec.bindings]


@ROOMY
@given(experiments_and_options(), st.randoms(use_true_random=False))
def test_order_of_options_never_changes_ids(case, random):
    loaded, variants, literals, seeds = case
    before = expand(loaded, parse_request(variants, literals, seeds))
    random.shuffle(variants)
    random.shuffle(literals)
    after = expand(loaded, parse_request(variants, literals, seeds))
    assert {(spec.id, spec.key) for spec in before} == {(spec.id, spec.key) for spec in after}


@ROOMY
@given(experiments_and_options())
def test_key_is_the_id_without_what_is_untracked(case):
    loaded, variants, literals, seeds = case
    for spec in expand(loaded, parse_request(variants, literals, seeds))[:8]:
        kept = [part for part in spec.id.split(",") if not part.startswith("+")]
        assert spec.key == (",".join(kept) or "default")


@ROOMY
@given(st.text(max_size=30), st.booleans())
def test_any_text_survives_a_part_of_an_id(text, tracked):
    part = ids.format_part("fit.alpha", text, tracked=tracked)
    assert part.isascii()
    assert part.isprintable()
    assert ids.split_id(f"noise=low,{part}")[1] == ("fit.alpha", text, tracked)
