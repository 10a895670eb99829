"""The results of a trial, each read when it is asked for.

Reads the trial's folder only. Pickles are opened only if the reader says ``trust=True``.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytest_mitosis.model import ResultError, StoreError, Trial
from pytest_mitosis.plan.names import say_what_exists
from pytest_mitosis.read.frame import find_store
from pytest_mitosis.read.search import find_trial
from pytest_mitosis.store.files import read_json
from pytest_mitosis.store.folder import JOB
from pytest_mitosis.store.results import load_result

if TYPE_CHECKING:
    from pathlib import Path

RESULTS = "results"


class TrialData(Mapping[str, Any]):
    """The results of a trial's steps, each read when it is asked for.

    By step name, or by position: ``data["fit_eval"]["main"]``, ``data[-1]["main"]``.
    """

    def __init__(self, trial: Trial, *, trust: bool) -> None:
        self.trial, self._trust = trial, trust
        written = {path.stem for path in (trial.folder / RESULTS).glob("*.json")}
        self._steps = [s["name"] for s in trial.manifest["steps"] if s["name"] in written]

    def __getitem__(self, step: str | int) -> Any:
        try:
            name = self._steps[step] if isinstance(step, int) else step
        except IndexError:
            raise IndexError(f"{step}: {self!r}") from None
        if name not in self._steps:
            raise KeyError(f"{name}: {say_what_exists(name, self._steps)}")
        self._require_intact(f"{RESULTS}/{name}.json")
        with _import_path(self.trial.folder) if self._trust else contextlib.nullcontext():
            return load_result(self.trial.folder / RESULTS, name, trust=self._trust)

    def _require_intact(self, name: str) -> None:
        """Refuse a file that is not the recorded one; what it refers to it has checksums of."""
        recorded = self.trial.manifest.get("artifacts", {}).get(name)
        if recorded is None:
            if self._trust:
                raise ResultError(
                    f"{name} of trial {self.trial.id} has no recorded checksum, because the trial "
                    "did not end; read it without trust=True"
                )
            return
        with (self.trial.folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != recorded["sha256"]:
            raise ResultError(
                f"{self.trial.folder / name} is not the file that was recorded (its sha256 "
                "differs); copy it again from where the trial was run, or rerun the trial"
            )

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __repr__(self) -> str:
        return f"<results of trial {self.trial.id}: {', '.join(self._steps) or 'none'}>"


def load_trial_data(
    trial: str, *, trials_folder: str | Path | None = None, trust: bool = False
) -> TrialData:
    """The results of one trial.

    Parameters
    ----------
    trial : str
        The beginning of its id, its folder, or ``fit_eval[noise=low]`` for the latest of those.
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
    return TrialData(find_trial(find_store(trials_folder), trial), trust=trust)


@contextlib.contextmanager
def _import_path(folder: Path) -> Iterator[None]:
    """Let pickles find the classes where the trial found them."""
    before = list(sys.path)
    with contextlib.suppress(StoreError):
        sys.path.extend(read_json(folder / JOB)["sys_path"])
    try:
        yield
    finally:
        sys.path[:] = before
