"""Where random numbers of a trial come from: named streams of one seed.

A stream's key is made of the step's and the stream's name, so adding a stream shifts no other
(numpy, ``SeedSequence`` with ``spawn_key``; NEP 19, SPEC 7).
"""

from __future__ import annotations

import hashlib


def spawn_key(step: str, stream: str) -> int:
    """The 32-bit number by which a stream of a step is told from all others."""
    return int.from_bytes(hashlib.sha256(f"{step}/{stream}".encode()).digest()[:4], "big")


def generator_source(seed: int, step: str, stream: str = "rng") -> str:
    """Python source of a ``numpy.random.Generator`` on the stream ``step/stream`` of ``seed``.

    The bit generator is named, because numpy may change the one ``default_rng`` takes.
    """
    sequence = f"np.random.SeedSequence({seed}, spawn_key=({spawn_key(step, stream)},))"
    return f"np.random.Generator(np.random.PCG64({sequence}))"
