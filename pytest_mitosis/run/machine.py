"""What this machine has for trials: processors, GPUs, memory. Asks the system, holds nothing."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from pytest_mitosis.model import PlanError
from pytest_mitosis.plan.resources import Request, usable_cpus

TABLE = "[tool.mitosis.resources]: gpus = N"
VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Variables that steer how many threads numerical libraries start."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What trials of this process can have at most.

    ``processors`` are the numbers of the usable ones where the system tells them, so that two jobs
    of a scheduler on one machine are told apart. ``memory`` is in bytes, 0 if it is not known.
    """

    cpus: int
    processors: frozenset[int] = frozenset()
    gpus: tuple[str, ...] = ()
    memory: int = 0

    def require(self, request: Request, what: str) -> None:
        """Refuse a request that can never be met.

        Raises
        ------
        PlanError
            Says what is asked for and what there is.
        """
        for asked, there_is, unit, more in (
            (request.cpus, self.cpus, "cpus", ""),
            (request.gpus, len(self.gpus), "gpus", "; if it has more, say so in " + TABLE),
        ):
            if asked > there_is:
                raise PlanError(
                    f"{what} asks for {unit} = {asked}; this machine has {there_is} usable{more}"
                )
        if self.memory and request.memory > self.memory:
            raise PlanError(
                f"{what} asks for {_gigabytes(request.memory)} of memory; "
                f"this machine has {_gigabytes(self.memory)}"
            )


def read_machine(gpus: int | None = None, *, wants_gpus: bool = True) -> Machine:
    """What there is; ``gpus`` is the number the project gives, where the machine cannot say."""
    known = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
    return Machine(usable_cpus(), known, _gpus(gpus) if wants_gpus else (), _memory())


def thread_variables(cpus: int) -> dict[str, str]:
    """Variables that keep numerical libraries to ``cpus`` threads, where the user set none."""
    return {name: str(cpus) for name in THREADS if cpus and name not in os.environ}


def _gpus(given: int | None) -> tuple[str, ...]:
    """As CUDA names them: those this process may see, else those given or found."""
    visible = os.environ.get(VISIBLE)
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return tuple(name for name in names if name and name != "-1")
    if given is not None:
        return tuple(str(number) for number in range(given))
    try:
        told = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = [line for line in told.stdout.splitlines() if line.startswith("GPU ")]
    return tuple(str(number) for number in range(len(found)))


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def _gigabytes(size: int) -> str:
    return f"{size / 1024**3:.3g}G"
