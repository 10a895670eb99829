"""The texts of ``--variant``, ``--eval-param`` and ``--seeds``, parsed or refused in a sentence."""

from __future__ import annotations

import ast
import math

import pytest
from factories import ROOMY
from hypothesis import given
from hypothesis import strategies as st

from pytest_mitosis.identity import describe
from pytest_mitosis.model import Kind, PlanError
from pytest_mitosis.plan.names import require_safe, say_what_exists
from pytest_mitosis.plan.selection import (
    Request,
    Selection,
    literal_value,
    normal_literal,
    parse_request,
    parse_seeds,
)


def refused(function, *arguments) -> str:
    with pytest.raises(PlanError) as caught:
        function(*arguments)
    return str(caught.value)


# --seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0-4", (0, 1, 2, 3, 4)),
        ("0,7", (0, 7)),
        ("7", (7,)),
        ("3-3", (3,)),
        (" 10 , 2-3 ", (10, 2, 3)),
        ("5,0-2,1,5", (5, 0, 1, 2)),
        ("4294967296", (4294967296,)),
    ],
)
def test_seeds_are_numbers_and_ranges_without_repeats(text, seeds):
    assert parse_seeds(text) == seeds


def test_a_million_seeds_are_allowed_and_one_more_is_not():
    assert len(parse_seeds("1-1000000")) == 1_000_000
    assert refused(parse_seeds, "0-1000000") == "--seeds 0-1000000: more than a million seeds"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "''"),
        ("0,", "''"),
        ("-3", "'-3'"),
        ("0-4-8", "'0-4-8'"),
        ("0..4", "'0..4'"),
        ("1.5", "'1.5'"),
        ("a", "'a'"),
        ("0,1e3", "'1e3'"),
    ],
)
def test_text_that_is_no_seed_is_refused(text, part):
    assert refused(parse_seeds, text) == (
        f"--seeds {text}: {part} is no seed; write --seeds 0-4 or --seeds 0,7"
    )


def test_range_that_runs_backwards_is_refused():
    assert refused(parse_seeds, "0,9-2") == (
        "--seeds 0,9-2: 9-2 is empty; write the smaller number first"
    )


def test_endless_seed_is_refused_in_a_sentence():
    assert "is no seed" in refused(parse_seeds, "9" * 5000)


@ROOMY
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 30)), min_size=1, max_size=6))
def test_seeds_spelled_as_ranges_read_back(ranges):
    text = ",".join(f"{a}-{a + length}" if length else str(a) for a, length in ranges)
    expected = dict.fromkeys(n for a, length in ranges for n in range(a, a + length + 1))
    assert parse_seeds(text) == tuple(expected)


# literals


@pytest.mark.parametrize(
    ("texts", "normal"),
    [
        ([".5", "0.5", "0.50", " 5e-1 "], "0.5"),
        (["1000", "1_000", "0x3e8"], "1000"),
        (["'rbf'", '"rbf"', "'r' 'bf'"], "'rbf'"),
        (["[1,2]", "[1, 2]", "[ 1,\n2 ]"], "[1, 2]"),
        (["(1)", "1"], "1"),
        (["'naïve €'", "'na\\u00efve €'"], "'na\\xefve \\u20ac'"),
        (["'𝜎'"], "'\\U0001d70e'"),
        (["-0.0"], "-0.0"),
        (["None"], "None"),
    ],
)
def test_one_value_has_one_spelling(texts, normal):
    assert {normal_literal(text, "alpha") for text in texts} == {normal}


def test_numbers_of_other_types_stay_apart():
    assert len({normal_literal(text, "alpha") for text in ("1", "1.0", "True", "1+0j")}) == 4


LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        | st.sets(st.integers(), min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def spelled(value: object) -> str:
    """Python's own text of a value, with the infinities as literals."""
    return repr(value).replace("inf", "1e999")


@ROOMY
@given(LITERALS.filter(lambda v: "inf" not in repr(v)) | st.just(math.inf))
def test_normal_literal_keeps_value_and_type_and_is_ascii(value):
    text = normal_literal(spelled(value), "alpha")
    assert text.isascii()
    assert normal_literal(text, "alpha") == text
    expected = describe(ast.literal_eval(spelled(value)))
    assert describe(literal_value(text, "alpha")).digest == expected.digest


@pytest.mark.parametrize("text", ["low", "rbf kernel", "data/oct.h5", "tv-2", "+3 a"])
def test_bare_word_is_told_to_take_quotes(text):
    assert refused(normal_literal, text, "fit.noise") == (
        f"fit.noise: {text!r} is not a Python literal; "
        f"for a text add quotes: --eval-param 'fit.noise=\"{text}\"'"
    )


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "[1, 2",
        "f'{alpha}'",
        "lambda: 1",
        "'a' * 3",
        "{[]: 1}",
        "'\0'",
        "(" * 3000,
    ],
)
def test_what_would_have_to_be_evaluated_is_refused(text):
    assert refused(normal_literal, text, "alpha") == f"alpha: {text!r} is not a Python literal"


def test_endless_number_is_refused_in_a_sentence():
    assert "is not a Python literal" in refused(normal_literal, "0x" + "f" * 5000, "alpha")


# --variant and --eval-param


def test_variant_names_a_parameter_of_any_or_of_one_step():
    request = parse_request(["noise=low", "fit.solver= tv , stlsq ,tv", "pkg.mod.order=2nd"], [])
    assert request.selections == (
        Selection("", "noise", Kind.VARIANT, ("low",)),
        Selection("fit", "solver", Kind.VARIANT, ("tv", "stlsq")),
        Selection("pkg.mod", "order", Kind.VARIANT, ("2nd",)),
    )
    assert [one.label for one in request.selections] == ["noise", "fit.solver", "pkg.mod.order"]


def test_star_among_names_stands_for_all():
    assert parse_request(["noise=low,*"], []).selections[0].names == ("*",)
    assert parse_request(["noise=*", "noise=low"], []).selections[0].names == ("*",)


def test_repeated_options_make_a_grid_without_repeats():
    request = parse_request(
        ["noise=low", "noise=high,low"], ["alpha=.5", "alpha=2", "alpha=0.5", "fit.beta='*'"]
    )
    assert request.selections == (
        Selection("", "noise", Kind.VARIANT, ("low", "high")),
        Selection("", "alpha", Kind.LITERAL, ("0.5", "2")),
        Selection("fit", "beta", Kind.LITERAL, ("'*'",)),
    )


def test_plus_makes_a_parameter_untracked():
    request = parse_request(["+fit.gpu=first"], ["+plot=True"])
    assert request.selections == (
        Selection("fit", "gpu", Kind.VARIANT, ("first",), tracked=False),
        Selection("", "plot", Kind.LITERAL, ("True",), tracked=False),
    )


def test_literal_keeps_everything_after_the_first_equals_sign():
    (one,) = parse_request([], ["query='a=b, c=d'"]).selections
    assert one.names == ("'a=b, c=d'",)


def test_request_is_false_only_if_nothing_was_asked():
    assert not parse_request([], [])
    assert parse_request([], []) == Request()
    assert parse_request([], [], "0")
    assert parse_request(["noise=low"], [])
    assert parse_request([], [], "0-2").seeds == (0, 1, 2)


@pytest.mark.parametrize(
    "text",
    ["noise", "noise=", "noise= ", "=low", "fit.=low", "2nd=low", "no ise=low", "+=low", "", "=="],
)
def test_option_without_parameter_or_value_is_refused(text):
    assert refused(parse_request, [text], []) == (
        f"--variant {text}: write PARAMETER=VALUE, such as --variant noise=low"
    )
    assert refused(parse_request, [], [text]) == (
        f"--eval-param {text}: write PARAMETER=VALUE, such as --eval-param alpha=0.5"
    )


@pytest.mark.parametrize("text", ["noise=low,", "noise=,low", "noise=low, ,high"])
def test_missing_variant_name_is_refused(text):
    assert refused(parse_request, [text], []) == (
        f"--variant {text}: a variant name is missing; write --variant noise=low"
    )


def test_parameter_in_both_options_is_refused():
    assert refused(parse_request, ["fit.alpha=low"], ["fit.alpha=.5"]) == (
        "fit.alpha is given twice, by --variant and by --eval-param; give one of them"
    )


@pytest.mark.parametrize(
    ("variants", "literals"),
    [(["gpu=first", "+gpu=second"], []), ([], ["+gpu=1", "gpu=2"])],
)
def test_parameter_with_and_without_plus_is_refused(variants, literals):
    assert refused(parse_request, variants, literals) == (
        "gpu is given both with and without '+'; give one of them"
    )


# names


@pytest.mark.parametrize("name", ["fit_eval", "2nd.order-scheme+tv", "_", "x" * 128])
def test_safe_name_passes(name):
    require_safe(name, "a step")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "naïve", "x" * 129, "low\n", "a=b"])
def test_unsafe_name_is_refused(name):
    assert refused(require_safe, name, "a variant of fit.noise") == (
        f"a variant of fit.noise is called {name!r}, which is no safe file name; "
        "use up to 128 letters, digits and _ . + -"
    )


@pytest.mark.parametrize(
    ("wanted", "existing", "text"),
    [
        ("lo", [], "there are none"),
        ("tv", ["low"], "there is low"),
        ("lo", ["low", "high", "low"], "there are low, high; did you mean low?"),
        ("run_13", [f"run_{n}" for n in range(14)], None),
    ],
)
def test_what_exists_is_told_with_the_nearest_name(wanted, existing, text):
    told = say_what_exists(wanted, existing)
    if text is None:
        first = ", ".join(existing[:12])
        assert told == f"there are {first} and 2 more; did you mean run_13 or run_3?"
    else:
        assert told == text
