"""Which trial is meant: by the beginning of its id, by its folder, or by experiment and parameters.

``k2m9``, ``trials/fit_eval/noise=low/3-k2m9xwq1``, ``fit_eval[noise=low]`` for the latest of those.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mitosis.model import PlanError, StoreError, Trial
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.store.aliases import read_aliases
from pytest_mitosis.store.catalogue import Catalogue
from pytest_mitosis.store.folder import MANIFEST, read_trial
from pytest_mitosis.store.rows import parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

_BY_PARAMETERS = re.compile(r"([^\[\]]+)\[(.*)\]")
MOST_SHOWN = 6


def find_trial(store: Path, text: str) -> Trial:
    """The trial that is called ``text``; drafts are found by id and folder.

    Raises
    ------
    StoreError
        If there is none, or more than one; says which.
    PlanError
        If the experiment or a parameter in brackets is not there.
    """
    if not text:
        raise StoreError(
            "name a trial: the beginning of its id, its folder, or fit_eval[noise=low]"
        )
    folder = Path(text)
    if (folder / MANIFEST).is_file():
        trial = read_trial(folder)
        return Trial(folder.absolute(), read_aliases(store).translate(trial.manifest))
    named = _BY_PARAMETERS.fullmatch(text.strip())
    if named:
        return _latest(store, named[1].rpartition("::")[2], named[2])
    return _by_id(store, text)


def _by_id(store: Path, prefix: str) -> Trial:
    catalogue = Catalogue(store, drafts=True)
    folders = [
        folder
        for folder in (*catalogue.folders(), *catalogue.damaged())
        if folder.name.partition("-")[2].startswith(prefix)
    ]
    if not folders:
        exists = sorted({one.parent.parent.name for one in catalogue.folders()})
        hint = f"; {prefix}[] is the latest trial of {prefix}" if prefix in exists else ""
        raise StoreError(f"no trial in {store} has an id that begins with {prefix!r}{hint}")
    if len(folders) > 1:
        shown = [f"{one.name.partition('-')[2]} ({one.parent.name})" for one in sorted(folders)]
        raise StoreError(
            f"{prefix!r} begins the ids of {len(folders)} trials: {_listed(shown)}; write more"
        )
    trial = read_trial(folders[0])
    return Trial(trial.folder, catalogue.aliases.translate(trial.manifest))


def _latest(store: Path, experiment: str, inner: str) -> Trial:
    """The newest trial of an experiment with some parameters, drafts left out."""
    trials = Catalogue(store).trials()
    names = {str(trial.manifest["experiment"]) for trial in trials}
    for name in (experiment, experiment.removeprefix("exp_")):
        if name in names:
            experiment = name
            break
    else:
        raise PlanError(
            f"no trials of {experiment!r}; {say_what_exists(experiment, sorted(names))}"
        )
    found = [trial for trial in trials if trial.manifest["experiment"] == experiment]
    if not any(trial.manifest.get("spec") == inner for trial in found):
        for part in _parts(inner):
            found = _with_part(found, experiment, part)
    else:
        found = [trial for trial in found if trial.manifest.get("spec") == inner]
    return max(found, key=lambda one: (str(one.manifest.get("started")), one.id))


def _with_part(trials: Sequence[Trial], experiment: str, part: str) -> list[Trial]:
    name, equals, wanted = (one.strip() for one in part.partition("="))
    if not equals:
        raise PlanError(f"{experiment}[{part}]: write parameters as NAME=VALUE, such as noise=low")
    exists = sorted({n for trial in trials for n in _values(trial) if n})
    if name not in exists:
        raise PlanError(
            f"no trial of {experiment} has a parameter {name!r}; {say_what_exists(name, exists)}"
        )
    found = [trial for trial in trials if _values(trial).get(name) == wanted]
    if not found:
        values = sorted({v for trial in trials if (v := _values(trial).get(name)) is not None})
        raise StoreError(
            f"no trial of {experiment} has {name}={wanted}; {say_what_exists(wanted, values)}"
        )
    return found


def _values(trial: Trial) -> dict[str, str]:
    seed = trial.manifest.get("seed")
    return {**parameters(trial.manifest), **({} if seed is None else {"seed": str(seed)})}


def _parts(inner: str) -> list[str]:
    """``a=1,b=[2, 3]`` at the commas outside brackets and quotes."""
    parts = re.findall(r"""(?:"[^"]*"|'[^']*'|\([^)]*\)|\[[^\]]*\]|\{[^}]*\}|[^,])+""", inner)
    return [part for part in parts if part.strip()]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return f"{', '.join(names[:MOST_SHOWN])}{more}"
