"""Steps handed from one trial to others, in the trial's own process.

Between the visible cells: which code a step depended on, whether what it left can be shared, and
taking over what another trial's step left. Runs in the kernel, see :mod:`.inside`.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import ResultError
from pytest_mitosis.run.randomness import FindingKind
from pytest_mitosis.store.results import load_result, save_result
from pytest_mitosis.store.steps import FILES, GENERATORS, HANDOVER, RESULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_mitosis.identity.code import Reach
    from pytest_mitosis.identity.executed import CalledFunction, Recorder
    from pytest_mitosis.model import Finding


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the process had imported, and which functions had run meanwhile, after a load cell."""

    files: frozenset[str]
    called: frozenset[CalledFunction]


_loaded: list[Loaded] = []  # one trial runs in a process
_states: list[dict[str, Any]] = []


def mark(recorder: Recorder) -> dict[str, Any]:
    """Note what a step's load cell brought, so that its code can be told from the next one's."""
    from pytest_mitosis.identity.imported import project_paths

    _loaded.append(Loaded(frozenset(project_paths()), recorder.restart()))
    _states[:] = [_generators()]
    return {}


def offer(
    folder: Path,
    namespace: MutableMapping[str, Any],
    recorder: Recorder,
    findings: Sequence[Finding],
    **which: Any,
) -> dict[str, Any]:
    """Tell which code a step and those before it depended on, and whether it can be shared.

    What can be shared is loaded back in place of what the step returned: the next step gets the
    same from it as it gets in a trial that takes it over. ``why_not`` says that it cannot be.
    """
    from pytest_mitosis.identity.code import code_identity
    from pytest_mitosis.identity.imported import imported_files

    index, step, variable = which["index"], which["step"], which["variable"]
    files = imported_files()
    code = code_identity(Path(which["root"]), recorder, _reach(index, recorder), files)
    reply = {
        "code": {**code.to_json(), "digest": code.digest},
        "files": [file.to_json() for file in files],
        "seeded": False,
        "randomness": [asdict(found) for found in findings],
        "unshared": which["why_not"] or _unshared(folder, findings),
    }
    if reply["unshared"]:
        return reply
    try:
        again = load_result(folder / RESULTS, step, trust=True)
    except ResultError as error:
        return {**reply, "unshared": f"what {step} returned does not load back: {error}"}
    if type(again) is not type(namespace[variable]):
        return {**reply, "unshared": f"what {step} returned loads back as another type"}
    namespace[variable] = again
    states = _generators()
    if _differ(states, _states[0]):
        reply["seeded"] = True
        (folder / HANDOVER).mkdir(exist_ok=True)
        save_result(states, folder / HANDOVER, GENERATORS)
    return reply


def adopt(folder: Path, namespace: MutableMapping[str, Any], **which: Any) -> dict[str, Any]:
    """Put what another trial's step returned, and left of the generators, in place here."""
    result = load_result(folder / RESULTS, which["step"], trust=True)
    namespace[which["variable"]] = result
    generators = Path(which["shared"], GENERATORS)
    if generators.is_dir():
        _restore(load_result(generators, GENERATORS))
    return {"has_data": isinstance(result, Mapping) and "data" in result}


def _reach(index: int, recorder: Recorder) -> Reach:
    """The code that steps up to ``index`` may depend on: loaded for them, or run with them."""
    from pytest_mitosis.identity.code import Reach
    from pytest_mitosis.identity.imported import project_paths

    lately = frozenset(project_paths()) - _loaded[-1].files
    called = recorder.called_lately.union(*(one.called for one in _loaded[: index + 1]))
    return Reach(_loaded[index].files | lately, called)


def _unshared(folder: Path, findings: Sequence[Finding]) -> str:
    """Why what is left by now cannot be shared, as far as this process can tell."""
    for found in findings:
        if found.kind == FindingKind.UNSEEDED:
            return found.text
    for path in (folder / FILES).rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            return f"{path.relative_to(folder)} is no plain file"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "it used a GPU, whose random generators are not kept"
    return ""


def _generators() -> dict[str, Any]:
    """The states of the global generators that are imported."""
    states: dict[str, Any] = {"random": random.getstate()}
    if "numpy.random" in sys.modules:
        states["numpy"] = sys.modules["numpy.random"].get_state(legacy=False)
    if "torch" in sys.modules:
        states["torch"] = bytes(sys.modules["torch"].get_rng_state().tolist())
    return states


def _differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a generator was used; one that was imported meanwhile may have been."""
    from pytest_mitosis.identity import describe

    return describe(dict(one)).digest != describe(dict(other)).digest


def _restore(states: Mapping[str, Any]) -> None:
    random.setstate(states["random"])
    if "numpy" in states:
        import numpy as np

        np.random.set_state(states["numpy"])
    if "torch" in states:
        torch = importlib.import_module("torch")
        torch.set_rng_state(torch.tensor(list(states["torch"]), dtype=torch.uint8))
