"""Trials as a data frame: for notebooks and scripts.

Reads folders only; never imports experiments.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import PlanError, Status, StoreError
from pytest_mitosis.plan.config import read_project
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.read.columns import Table, table_of
from pytest_mitosis.store.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

PARAMETER = "param."


def load_trials(
    experiment: str | None = None,
    *,
    latest: bool = False,
    drafts: bool = False,
    status: str | Iterable[str] | None = None,
    official: bool | None = None,
    values: bool = False,
    artifacts: bool = False,
    strict: bool = False,
    trials_folder: str | Path | None = None,
    **parameters: object,
) -> pd.DataFrame:
    """The recorded trials as a data frame, one row a trial, index ``id``, oldest first.

    Parameters
    ----------
    experiment : str, optional
        Only trials of this experiment.
    latest : bool
        Only the newest trial of each spec, among those that are selected otherwise.
    drafts : bool
        Drafts as well.
    status : str or list of str, optional
        Only trials with this status, such as ``"done"``.
    official : bool, optional
        Only official trials, or only others.
    values : bool
        Columns ``value.<name>`` and ``value.<name>.<leaf>`` as well: what the names stand for.
    artifacts : bool
        Columns ``artifact.<name>`` as well: the paths of the files the trials left.
    strict : bool
        Refuse trials of one experiment that ran different versions of a function.
    trials_folder : path, optional
        The store; by default that of the project the working directory is in.
    **parameters
        A variant's name or a list of names per parameter, such as ``noise=["low", "high"]``;
        ``seed`` takes numbers.

    Returns
    -------
    pandas.DataFrame
        Columns ``experiment seed iteration status official draft started duration_s commit user
        host folder``, ``param.<name>`` (ordered categories), ``metric.<name>``; times in seconds.
        ``attrs["backfilled"]`` maps the columns of parameters to the ids of trials that are older
        than the parameter; they have its first default.

    Raises
    ------
    PlanError
        If no trial has that experiment, status or parameter, or code versions are mixed.
    StoreError
        If there is no store.

    Warns
    -----
    UserWarning
        If trials are left out because their manifests cannot be read.
    """
    store = find_store(trials_folder)
    catalogue = Catalogue(store, drafts=drafts)
    if left_out := catalogue.left_out():
        warnings.warn(left_out, stacklevel=2)
    is_all = not (experiment or latest or status is not None or official is not None or parameters)
    if is_all and not (values or artifacts or strict):
        return _whole_frame(catalogue)
    table = of_experiment(table_of(catalogue), experiment)
    table = _of_status(table, status)
    if official is not None:
        flags = table.columns["official"]
        table = table.where(lambda n: flags[n] is official)
    for name, wanted in parameters.items():
        table = _with_parameter(table, name, wanted)
    if latest:
        table = only_latest(table)
    return _complete(table, catalogue, trials_folder, values, artifacts, strict)


def find_store(trials_folder: str | Path | None) -> Path:
    """The trials folder that is meant.

    Raises
    ------
    StoreError
        If it is not there.
    """
    store = Path(trials_folder) if trials_folder else read_project(Path.cwd()).trials_folder
    if not store.is_dir():
        raise StoreError(f"there is no trials folder {store}; run a trial, or name another folder")
    return store


def _complete(
    table: Table,
    catalogue: Catalogue,
    trials_folder: str | Path | None,
    values: bool,
    artifacts: bool,
    strict: bool,
) -> pd.DataFrame:
    """The frame, with what has to be read from the manifests themselves."""
    if values or artifacts or strict:
        from pytest_mitosis.read import extras

        wanted = set(table.columns.get("id", ()))
        trials = {t.id: t for t in catalogue.trials() if t.id in wanted}
        chosen = [trials[one] for one in table.columns["id"] if one in trials]
        if strict:
            extras.require_one_code(chosen)
        if values:
            folder = Path(trials_folder) if trials_folder else None
            locks = read_project(Path.cwd(), folder).locks_folder
            table = table.with_columns(extras.value_columns(chosen, locks))
        if artifacts:
            table = table.with_columns(extras.artifact_columns(chosen))
    return frame_of(table)


def _whole_frame(catalogue: Catalogue) -> pd.DataFrame:
    """The frame of all trials; to make one anew takes longer than to look for what changed."""
    import pandas as pd

    packed = catalogue.whole(_pickled_frame, by=f"pandas {pd.__version__}")
    try:
        return pickle.loads(packed)  # noqa: S301  of this user's own
    except Exception:  # pickle raises anything, where a library is another one
        return frame_of(table_of(catalogue))


def _pickled_frame(catalogue: Catalogue) -> bytes:
    return pickle.dumps(frame_of(table_of(catalogue)), protocol=5)


def frame_of(table: Table) -> pd.DataFrame:
    """A table as a data frame, each column with the type of its values."""
    import pandas as pd

    data = {name: _series(name, values, table) for name, values in table.columns.items()}
    frame = pd.DataFrame(data).set_index("id")
    frame.attrs["backfilled"] = table.backfilled
    return frame


def _series(name: str, values: list[Any], table: Table) -> Any:  # Any: an array of pandas
    import pandas as pd

    if name.startswith(PARAMETER):
        present = set(values)
        names = [one for one in table.orders.get(name, ()) if one in present]
        return pd.Categorical(values, categories=names, ordered=True)
    if name == "started":
        return pd.to_datetime(pd.Series(values, dtype="str"), utc=True, format="ISO8601")
    if name == "seed":
        return pd.array(values, dtype="Int64")
    kinds = set(map(type, values))
    if kinds == {int, type(None)} and all(abs(v) < 2**63 for v in values if v is not None):
        return pd.array(values, dtype="Int64")
    if kinds == {bool, type(None)}:
        return pd.array(values, dtype="boolean")
    if len(kinds - {type(None)}) > 1 and kinds - {type(None)} != {int, float}:
        return pd.array(values, dtype="object")  # each as it is, True beside 1 as well
    return values


def of_experiment(table: Table, experiment: str | None) -> Table:
    """The trials of one experiment, or all.

    Raises
    ------
    PlanError
        If there are none of it; says of which there are.
    """
    if experiment is None or not len(table):
        return table
    names = table.columns["experiment"]
    if experiment not in names:
        exists = say_what_exists(experiment, sorted(set(names)))
        raise PlanError(f"no trials of {experiment!r}; {exists}")
    return table.where(lambda n: names[n] == experiment)


def _of_status(table: Table, status: str | Iterable[str] | None) -> Table:
    if status is None:
        return table
    wanted = {status} if isinstance(status, str) else set(status)
    for name in sorted(wanted - set(Status)):
        raise PlanError(f"no trial has the status {name!r}; {say_what_exists(name, Status)}")
    found = table.columns.get("status", [])
    return table.where(lambda n: found[n] in wanted)


def _with_parameter(table: Table, name: str, wanted: object) -> Table:
    column = "seed" if name == "seed" else f"{PARAMETER}{name}"
    if not len(table):
        return table
    if column not in table.columns:
        exists = sorted(c.removeprefix(PARAMETER) for c in table.columns if c.startswith(PARAMETER))
        raise PlanError(f"no trial has a parameter {name!r}; {say_what_exists(name, exists)}")
    many = not isinstance(wanted, str) and hasattr(wanted, "__iter__")
    names = {str(one) for one in wanted} if many else {str(wanted)}  # type: ignore[attr-defined]
    values = table.columns[column]
    return table.where(lambda n: str(values[n]) in names)


def only_latest(table: Table) -> Table:
    """The newest trial of each spec."""
    experiments = table.columns["experiment"]
    # Oldest first; iterations of merged stores are in no order of time.
    last = {(experiments[n], table.specs[n]): n for n in range(len(table))}
    kept = set(last.values())
    return table.where(kept.__contains__)
