"""What is found of global and unseeded random generators, and by which line of the project."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import random
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from factories import put

from pytest_mitosis.identity.executed import Recorder
from pytest_mitosis.run.randomness import FindingKind, describe_finding
from pytest_mitosis.run.watch import Watch

SEES_CALLS = sys.version_info >= (3, 12)
LIBRARY = """
import random, tempfile
import numpy as np

made_at_import = np.random.default_rng()

def draw(): return np.random.rand()
def pick(generator=None): return (generator or np.random.mtrand._rand).permutation(3)
def fresh(): return np.random.default_rng().random()
def jitter(): return random.Random().random()
def name(): return tempfile.mktemp()
"""


@pytest.fixture(autouse=True)
def _keep_global_randomness():
    state, numpy_state = random.getstate(), np.random.get_state()
    yield
    random.setstate(state)
    np.random.set_state(numpy_state)


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Run lines as the body of a project's function and give what was found."""
    put(tmp_path / "site-packages/somelib.py", LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(source: str, *, before: str = "", has_seed: bool = True):
        body = textwrap.indent(textwrap.dedent(source).strip(), "    ")
        head = "import copy, pickle, random\nimport numpy as np\nimport somelib\n"
        put(tmp_path / "exp_it.py", f"{head}{before}\ndef main():\n{body}\n")
        sys.modules.pop("exp_it", None)
        sys.modules.pop("somelib", None)
        importlib.invalidate_caches()
        watch = Watch(5, tmp_path, has_seed)
        random.seed(5)
        watch.start()
        try:
            module = importlib.import_module("exp_it")
            watch.look("")
            module.main()
            watch.look("fit")
        finally:
            watch.stop()
            sys.modules.pop("exp_it", None)
            sys.modules.pop("somelib", None)
        return watch.findings

    return run


def brief(findings):
    return [(one.kind, one.step, one.generator, one.line) for one in findings]


# use of a global generator


@pytest.mark.parametrize(
    ("source", "generator"),
    [
        ("random.random()", "random"),
        ("random.shuffle([1, 2, 3])", "random"),
        ("random._inst.choice([1, 2])", "random"),
        ("sum(random.gauss(0, 1) for _ in range(3))", "random"),
        ("np.random.rand(3)", "numpy.random"),
        ("np.random.sample()", "numpy.random"),
        ("np.random.mtrand._rand.normal()", "numpy.random"),
        ("np.random.standard_normal(*(3,), **{})", "numpy.random"),
    ],
)
def test_use_of_a_global_generator_is_found_with_its_line(watched, source, generator):
    (found,) = watched(source)
    assert (found.kind, found.step, found.generator) == ("global", "fit", generator)
    place = ("exp_it.py", 6) if SEES_CALLS else ("", 0)
    assert (found.file, found.line) == place
    where = " (exp_it.py:6)" if SEES_CALLS else ""
    assert found.text == (
        f"fit uses the global generator {generator}{where}; it is seeded from the trial's seed"
    )


def test_use_through_a_c_function_is_found_without_its_line(watched):
    (found,) = watched("list(map(np.random.rand, [1, 2]))")
    assert (found.kind, found.generator, found.file, found.line) == (
        "global",
        "numpy.random",
        "",
        0,
    )


@pytest.mark.parametrize("call", ["draw()", "pick()"])
def test_use_by_a_package_is_said_of_the_line_that_called_it(watched, call):
    (found,) = watched(f"somelib.{call}", has_seed=False)
    place = " through somelib (exp_it.py:6)" if SEES_CALLS else ""
    assert found.text == (
        f"fit uses the global generator numpy.random{place}; "
        "it is seeded with 0, as the trial has no seed"
    )


def test_use_while_the_experiment_is_imported_is_found(watched):
    (found,) = watched("return 1", before="weights = np.random.rand(3)")
    assert (found.step, found.line) == ("", 4 if SEES_CALLS else 0)
    assert found.text.startswith("importing the experiment uses the global generator numpy.random")


def test_own_seed_of_a_global_generator_is_told_apart(watched):
    (found,) = watched("np.random.seed(42)\nnp.random.rand()")
    if SEES_CALLS:
        assert brief([found]) == [("reseeded", "fit", "numpy.random", 6)]
        assert found.text == (
            "fit seeds the global generator numpy.random itself (exp_it.py:6); "
            "from there on it follows that seed and not the trial's"
        )
    else:
        assert brief([found]) == [("global", "fit", "numpy.random", 0)]


def test_other_bit_generator_in_the_global_one_is_told_apart(watched):
    before = np.random.get_bit_generator()
    try:
        (found,) = watched("np.random.set_bit_generator(np.random.PCG64(3))\nnp.random.rand()")
    finally:
        np.random.set_bit_generator(before)
    kind = "reseeded" if SEES_CALLS else "global"
    assert brief([found]) == [(kind, "fit", "numpy.random", 6 if SEES_CALLS else 0)]


def test_each_step_is_looked_at_for_itself(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    put(tmp_path / "exp_two.py", "import random\ndef helper():\n    random.random()\n")
    watch = Watch(5, tmp_path, has_seed=True)
    random.seed(5)
    watch.start()
    try:
        module = importlib.import_module("exp_two")
        for step in ("first", "none", "second"):
            if step != "none":
                module.helper()
            watch.look(step)
    finally:
        watch.stop()
        sys.modules.pop("exp_two", None)
    line = 3 if SEES_CALLS else 0
    assert brief(watch.findings) == [
        ("global", "first", "random", line),
        ("global", "second", "random", line),
    ]


# generators without a seed


@pytest.mark.parametrize(
    "source",
    [
        "np.random.default_rng()",
        "np.random.RandomState()",
        "np.random.RandomState(3), np.random.RandomState()",
        "np.random.SeedSequence().spawn(2)",
        "np.random.Generator(np.random.PCG64())",
        "np.random.seed()",
        "list(map(np.random.default_rng, [None]))",
    ],
)
def test_numpy_generator_without_a_seed_is_found_with_its_line(watched, source):
    found = watched(source)[-1]  # seed() changes the global generator too
    assert brief([found]) == [("unseeded", "fit", "numpy", 6)] or not SEES_CALLS
    assert (
        found.text
        == (
            "not reproducible: fit lets numpy take a seed from the operating system (exp_it.py:6); "
            "give it one, or take an argument rng or seed"
        )
        or found.kind == "global"
    )


@pytest.mark.skipif(not SEES_CALLS, reason="Python 3.11 does not tell that random.Random was made")
@pytest.mark.parametrize("source", ["random.Random()", "random.seed()", "random.Random(None)"])
def test_python_generator_without_a_seed_is_found_with_its_line(watched, source):
    assert brief(watched(source)) == [("unseeded", "fit", "random", 6)]


def test_generator_of_the_operating_system_is_found_with_its_line(watched):
    (found,) = watched("random.SystemRandom().random()")
    assert brief([found]) == [("unseeded", "fit", "random.SystemRandom", 6)]
    assert found.text == (
        "not reproducible: fit draws from random.SystemRandom (exp_it.py:6), which no seed "
        "reaches; take an argument rng or seed"
    )


def test_package_that_takes_no_seed_is_said_of_the_line_that_called_it(watched):
    (found,) = watched("somelib.fresh()")
    assert brief([found]) == [("unseeded", "fit", "numpy", 6)]
    assert "operating system through somelib (exp_it.py:6)" in found.text


def test_same_line_is_found_once(watched):
    assert len(watched("for _ in range(3): np.random.default_rng()")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "np.random.default_rng(3).random()",
        "np.random.RandomState(3).rand()",
        "for seed in (3, 4): np.random.RandomState(seed).rand()",
        "np.random.RandomState(np.random.MT19937(3))",
        "np.random.SeedSequence(3).spawn(2)",
        "copy.deepcopy(np.random.default_rng(3)).random()",
        "pickle.loads(pickle.dumps(np.random.default_rng(3))).random()",
        "pickle.loads(pickle.dumps(np.random.RandomState(3))).rand()",
        "random.Random(3).random()",
        "copy.deepcopy(random.Random(3)).random()",
        "pickle.loads(pickle.dumps(random.Random(3))).random()",
        "own = random.Random()\nown.seed(3)",
        "somelib.jitter()",
        "somelib.name()",
        "somelib.pick(np.random.RandomState(3))",
        "random.getstate(), np.random.get_state()",
        "np.random.seed(5)\nrandom.seed(5)",
        "import secrets, uuid\nsecrets.token_hex(8), uuid.uuid4()",
    ],
)
def test_what_is_seeded_or_not_the_projects_affair_is_not_found(watched, source):
    assert watched(source) == []


@pytest.mark.skipif(not SEES_CALLS, reason="Python 3.11 tells RandomState by its name only")
def test_subclass_of_a_legacy_generator_that_is_given_a_seed_is_not_found(watched):
    assert watched("class Own(np.random.RandomState): pass\nOwn(3)") == []


# what must not change


def test_nothing_that_code_can_hold_is_replaced(tmp_path):
    held = {
        name: (owner, getattr(owner, name))
        for owner, names in [
            (random, "random gauss shuffle seed Random SystemRandom _inst"),
            (random.Random, "seed setstate __init__ __reduce__"),
            (np.random, "rand normal default_rng seed RandomState SeedSequence Generator"),
        ]
        for name in names.split()
    }
    pickled = pickle.dumps(random.Random(3))
    private = random._urandom, np.random.bit_generator.randbits
    watch = Watch(5, tmp_path, has_seed=True)
    watch.start()
    try:
        assert all(getattr(owner, name) is it for name, (owner, it) in held.items())
        assert pickle.dumps(random.Random(3)) == pickled
        assert np.random.default_rng(3).random() == 0.08564916714362436
        copied = copy.deepcopy(np.random.default_rng(3))
        assert type(copied.bit_generator) is np.random.PCG64
    finally:
        watch.stop()
    assert (random._urandom, np.random.bit_generator.randbits) == private


def test_experiment_s_exceptions_pass_through(watched):
    with pytest.raises(ValueError, match="own"):
        watched("random.random()\nraise ValueError('own')")


def test_recorder_of_calls_and_watch_work_side_by_side(watched):
    recorder = Recorder()
    recorder.start()
    try:
        findings = watched("random.random()")
    finally:
        recorder.stop()
    assert len(findings) == 1
    assert findings[0].line == (6 if SEES_CALLS else 0)
    if SEES_CALLS:
        assert any(call.qualname == "main" for call in recorder.called)


@pytest.mark.skipif(not SEES_CALLS, reason="Python 3.11 has no sys.monitoring")
def test_use_is_found_without_its_line_if_other_tools_watch_calls(watched):
    taken = [number for number in (3, 4) if sys.monitoring.get_tool(number) is None]
    for number in taken:
        sys.monitoring.use_tool_id(number, "other")
    try:
        (found,) = watched("random.random()")
    finally:
        for number in taken:
            sys.monitoring.free_tool_id(number)
    assert (found.kind, found.line) == ("global", 0)


# packages that are imported later

LATE = """
import json, random, sys
from pathlib import Path
from pytest_mitosis.run.watch import Watch

assert "numpy" not in sys.modules
watch = Watch(2**32 + 7, Path({root!r}), has_seed=True)
random.seed(2**32 + 7)
watch.start()
{lines}
watch.look("fit")
watch.stop()
print(json.dumps([drawn, watch.seeded, [one.text for one in watch.findings]]))
"""


def late(tmp_path, lines: str):
    source = LATE.format(root=str(tmp_path), lines=lines)
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_numpy_is_seeded_at_its_first_import(tmp_path):
    lines = (
        "import numpy as np\n"
        "assert type(np.random.__loader__) is type(np.random.__spec__.loader)\n"
        "assert 'mitosis' not in type(np.random.__loader__).__module__\n"
        "drawn = np.random.rand()"
    )
    drawn, seeded, findings = late(tmp_path, lines)
    np.random.seed(7)
    assert drawn == np.random.rand()
    assert seeded == ["numpy"]
    assert findings == [
        "fit uses the global generator numpy.random; it is seeded from the trial's seed"
    ]


def test_torch_is_seeded_at_its_import_and_its_use_found(tmp_path):
    torch = """
        state = [0]
        class Tensor(list):
            def tolist(self): return list(self)
        def manual_seed(seed): state[0] = seed % 251
        def get_rng_state(): return Tensor(state)
        def rand():
            state[0] = (state[0] * 7 + 1) % 251
            return state[0]
    """
    put(tmp_path / "torch.py", textwrap.dedent(torch))
    drawn, seeded, findings = late(
        tmp_path, "sys.path.append('.')\nimport torch\ndrawn = torch.rand()"
    )
    assert drawn == ((2**32 + 7) % 251 * 7 + 1) % 251
    assert seeded == ["torch"]
    assert findings == ["fit uses the global generator torch; it is seeded from the trial's seed"]


def test_module_that_is_only_called_torch_is_left_alone(tmp_path):
    put(tmp_path / "torch.py", "flame = 3\n")
    lines = "sys.path.append('.')\nimport torch\ndrawn = torch.flame"
    assert late(tmp_path, lines) == [3, [], []]


def test_module_that_fails_to_import_fails_as_ever(tmp_path):
    put(tmp_path / "torch.py", "1 / 0\n")
    lines = (
        "sys.path.append('.')\n"
        "try:\n    import torch\n"
        "except ZeroDivisionError as error:\n    drawn = str(error)"
    )
    assert late(tmp_path, lines)[0] == "division by zero"


def test_every_kind_of_finding_has_its_words():
    texts = {
        describe_finding(
            kind, step="fit", generator=generator, place="a.py:3", package="", has_seed=True
        )
        for kind in FindingKind
        for generator in ("random", "random.SystemRandom")
    }
    assert len(texts) == 6
    assert all("(a.py:3)" in text for text in texts)
