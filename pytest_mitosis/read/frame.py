"""Trials as a data frame, and a trial's results: for notebooks and scripts.

Reads folders only; never imports experiments.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError, StoreError, Trial
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.store.files import read_json
from pytest_mitosis.store.folder import JOB, find_trial, iterate_trials
from pytest_mitosis.store.results import load_result
from pytest_mitosis.store.rows import column_order, flat_row

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results"


def load_trials(
    experiment: str | None = None,
    *,
    latest: bool = False,
    drafts: bool = False,
    trials_folder: str | Path | None = None,
    **parameters: object,
) -> pd.DataFrame:
    """The recorded trials as a data frame, one row a trial, index ``id``, oldest first.

    Parameters
    ----------
    experiment : str, optional
        Only trials of this experiment.
    latest : bool
        Only the last iteration of each trial spec.
    drafts : bool
        Drafts as well.
    trials_folder : path, optional
        The store; by default that of the project the working directory is in.
    **parameters
        A variant's name or a list of names per parameter, such as ``noise=["low", "high"]``;
        ``seed`` takes numbers.

    Returns
    -------
    pandas.DataFrame
        Columns ``experiment seed iteration status official draft started duration_s commit user
        host folder``, ``param.<name>`` (names), ``metric.<name>`` (numbers); times in seconds.

    Raises
    ------
    PlanError
        If no trial has that experiment, or a parameter of that name.
    """
    found = iterate_trials(_store(trials_folder), drafts=drafts)
    rows = [flat_row(trial) for trial in _selected(list(found), experiment, latest=latest)]
    for name, wanted in parameters.items():
        rows = _filtered(rows, name, wanted)
    return _frame_of(rows)


def _selected(trials: list[Trial], experiment: str | None, *, latest: bool) -> list[Trial]:
    chosen = [t for t in trials if experiment in (None, t.manifest["experiment"])]
    if trials and not chosen:
        names = sorted({str(trial.manifest["experiment"]) for trial in trials})
        raise PlanError(f"no trials of {experiment!r}; {say_what_exists(str(experiment), names)}")
    return _latest(chosen) if latest else chosen


def _frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=column_order(rows)).set_index("id")
    if "seed" in frame:
        frame["seed"] = frame["seed"].astype("Int64")
    if "started" in frame:
        frame["started"] = pd.to_datetime(frame["started"], utc=True, format="ISO8601")
        frame = frame.sort_values("started", kind="stable")
    return frame


class TrialData(Mapping[str, Any]):
    """The results of a trial's steps, each read when it is asked for.

    By step name, or by position: ``data["fit_eval"]["main"]``, ``data[-1]["main"]``.
    """

    def __init__(self, trial: Trial, *, trust: bool) -> None:
        self.trial, self._trust = trial, trust
        written = {path.stem for path in (trial.folder / RESULTS).glob("*.json")}
        self._steps = [s["name"] for s in trial.manifest["steps"] if s["name"] in written]

    def __getitem__(self, step: str | int) -> Any:
        name = self._steps[step] if isinstance(step, int) else step
        if name not in self._steps:
            raise KeyError(f"{name}: {say_what_exists(name, self._steps)}")
        with _import_path(self.trial.folder) if self._trust else contextlib.nullcontext():
            return load_result(self.trial.folder / RESULTS, name, trust=self._trust)

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __repr__(self) -> str:
        return f"<results of trial {self.trial.id}: {', '.join(self._steps) or 'none'}>"


def load_trial_data(
    trial: str, *, trials_folder: str | Path | None = None, trust: bool = False
) -> TrialData:
    """The results of the trial whose id begins with ``trial``.

    Parameters
    ----------
    trust : bool
        Also open what could only be kept as a pickle. Opening a pickle runs code: do so only for
        trials of people you trust.

    Raises
    ------
    StoreError
        If there is no such trial, or more than one.
    ResultError
        When a result is read: if its files are not the recorded ones.
    """
    return TrialData(find_trial(_store(trials_folder), trial), trust=trust)


@contextlib.contextmanager
def _import_path(folder: Path) -> Iterator[None]:
    """Let pickles find the classes where the trial found them."""
    before = list(sys.path)
    sys.path.extend(read_json(folder / JOB)["sys_path"])
    try:
        yield
    finally:
        sys.path[:] = before


def _store(trials_folder: str | Path | None) -> Path:
    store = Path(trials_folder) if trials_folder else read_project(Path.cwd()).trials_folder
    if not store.is_dir():
        raise StoreError(f"there is no trials folder {store}")
    return store


def _latest(trials: list[Trial]) -> list[Trial]:
    last: dict[tuple[str, str], Trial] = {}
    for trial in trials:
        key = (trial.manifest["experiment"], trial.manifest["spec"])
        if key not in last or last[key].manifest["iteration"] < trial.manifest["iteration"]:
            last[key] = trial
    return list(last.values())


def _filtered(rows: list[dict[str, Any]], name: str, wanted: object) -> list[dict[str, Any]]:
    column = "seed" if name == "seed" else f"param.{name}"
    if rows and not any(column in row for row in rows):
        exists = {c.removeprefix("param.") for row in rows for c in row if c.startswith("param.")}
        raise PlanError(
            f"no trial has a parameter {name!r}; {say_what_exists(name, sorted(exists))}"
        )
    names = (
        {str(one) for one in wanted} if isinstance(wanted, list | tuple | set) else {str(wanted)}
    )
    return [row for row in rows if str(row.get(column)) in names]
