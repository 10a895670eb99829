"""Which parameters get streams of the trial's seed, and which keep what they have."""

from __future__ import annotations

import numpy as np
import pytest
from factories import fresh_imports, load

from pytest_mitosis.model import Kind, PlanError
from pytest_mitosis.plan.selection import parse_request
from pytest_mitosis.plan.variants import expand, read_id
from pytest_mitosis.run.jobs import Describer, argument_identities
from pytest_mitosis.run.randomness import generator_source


@pytest.fixture(autouse=True, scope="module")
def _forget_imports():
    with fresh_imports():
        yield


def kinds(spec):
    return {b.parameter: (b.kind, b.name) for b in spec.bindings}


def one(loaded, variants=(), literals=(), seeds=None):
    (spec,) = expand(loaded, parse_request(list(variants), list(literals), seeds))
    return spec


def noisy(rng_noise, alpha=0.5, *, rng, rng_init, seed):
    return {"main": 0.0}


def test_each_stream_is_filled_and_the_id_says_the_seed_once():
    spec = one(load(("fit", noisy, {})), seeds="7")
    filled = dict.fromkeys(("rng", "rng_noise", "rng_init"), (Kind.RNG, "7"))
    wanted = {**filled, "seed": (Kind.SEED, "7"), "alpha": (Kind.DEFAULT, "0.5")}
    assert kinds(spec) == wanted
    assert (spec.id, spec.seed) == ("seed=7", 7)
    assert kinds(read_id(load(("fit", noisy, {})), spec.id)) == wanted


def test_a_named_stream_alone_takes_seeds():
    loaded = load(("fit", lambda rng_noise: {"main": 0.0}, {}))
    specs = expand(loaded, parse_request([], [], "0-2"))
    assert [spec.id for spec in specs] == ["seed=0", "seed=1", "seed=2"]


def test_streams_of_a_step_differ_and_none_shifts_another():
    draws = {
        name: eval(generator_source(7, "fit", name), {"np": np}).random(3).tolist()
        for name in ("rng", "rng_noise", "rng_init")
    }
    assert len({tuple(drawn) for drawn in draws.values()}) == 3
    assert draws["rng_noise"] == [0.35113187632512455, 0.7155636782540136, 0.32888780865500533]


def test_named_stream_is_never_locked_and_has_no_digest():
    spec = one(load(("fit", noisy, {})))
    found = {b.parameter: digest for b, digest in argument_identities(spec, Describer(), {})}
    assert [found[name] for name in ("rng", "rng_noise", "rng_init")] == [""] * 3
    assert found["alpha"]


def test_default_keeps_what_only_looks_like_a_stream():
    def fit(rng_kind="pcg64", rng_init=None):
        return {"main": 0.0}

    spec = one(load(("fit", fit, {})))
    assert kinds(spec) == {
        "rng_kind": (Kind.DEFAULT, "'pcg64'"),
        "rng_init": (Kind.DEFAULT, "None"),
    }
    assert spec.seed is None


def test_entry_in_the_lookup_dictionary_keeps_what_only_looks_like_a_stream():
    loaded = load(("fit", lambda rng_kind: {"main": 0.0}, {"rng_kind": {"old": "mt19937"}}))
    assert kinds(one(loaded, ["rng_kind=old"])) == {"rng_kind": (Kind.VARIANT, "old")}
    with pytest.raises(PlanError, match=r"fit\.rng_kind needs a value; it has the variants old"):
        one(loaded)


def test_literal_keeps_what_only_looks_like_a_stream():
    loaded = load(("fit", lambda rng_kind: {"main": 0.0}, {}))
    assert kinds(one(loaded, literals=["rng_kind='old'"])) == {"rng_kind": (Kind.LITERAL, "'old'")}


@pytest.mark.parametrize("name", ["rngs", "noise_rng", "rng_"])
def test_other_names_are_not_streams(name):
    scope: dict = {}
    exec(f"def fit({name}): return {{}}", scope)
    assert kinds(one(load(("fit", scope["fit"], {})))) == {name: (Kind.FIXTURE, "")}
