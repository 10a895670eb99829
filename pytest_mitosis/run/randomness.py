"""Where random numbers of a trial come from: named streams of one seed, and seeded globals.

A stream's key is made of the step's and the stream's name, so adding a stream shifts no other
(numpy, ``SeedSequence`` with ``spawn_key``; NEP 19, SPEC 7). What was found to come from
elsewhere is put into words here.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum


class FindingKind(StrEnum):
    """What a trial did with random numbers that did not come from its own streams."""

    GLOBAL = "global"
    RESEEDED = "reseeded"
    UNSEEDED = "unseeded"


def spawn_key(step: str, stream: str) -> int:
    """The 32-bit number by which a stream of a step is told from all others."""
    return int.from_bytes(hashlib.sha256(f"{step}/{stream}".encode()).digest()[:4], "big")


def generator_source(seed: int, step: str, stream: str = "rng") -> str:
    """Python source of a ``numpy.random.Generator`` on the stream ``step/stream`` of ``seed``.

    The bit generator is named, because numpy may change the one ``default_rng`` takes.
    """
    sequence = f"np.random.SeedSequence({seed}, spawn_key=({spawn_key(step, stream)},))"
    return f"np.random.Generator(np.random.PCG64({sequence}))"


def numpy_seed(seed: int) -> int:
    """``seed`` for numpy's global generator, which takes 32 bits."""
    return seed % 2**32


def torch_seed(seed: int) -> int:
    """``seed`` for torch's global generator, which takes 64 bits."""
    return seed % 2**64


def describe_finding(
    kind: FindingKind, *, step: str, generator: str, place: str, package: str, has_seed: bool
) -> str:
    """One sentence for the user; ``place`` is the project's line, ``package`` what it called."""
    who = step or "importing the experiment"
    where = "".join((f" through {package}" if package else "", f" ({place})" if place else ""))
    if kind is FindingKind.UNSEEDED and generator.endswith("SystemRandom"):
        return (
            f"not reproducible: {who} draws from {generator}{where}, which no seed reaches; "
            "take an argument rng or seed"
        )
    if kind is FindingKind.UNSEEDED:
        return (
            f"not reproducible: {who} lets {generator} take a seed from the operating system"
            f"{where}; give it one, or take an argument rng or seed"
        )
    if kind is FindingKind.RESEEDED:
        return (
            f"{who} seeds the global generator {generator} itself{where}; "
            "from there on it follows that seed and not the trial's"
        )
    seeded = (
        "it is seeded from the trial's seed"
        if has_seed
        else "it is seeded with 0, as the trial has no seed"
    )
    return f"{who} uses the global generator {generator}{where}; {seeded}"
