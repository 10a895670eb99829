"""Random generators of numpy, by state; the global one is a name, not a value.

numpy is imported inside functions only: it is loaded already when a generator exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity.walk import Walk, attribute

if TYPE_CHECKING:
    from pytest_mitosis.identity.walk import Reader


def read_generator(walk: Walk, value: Any, path: str) -> None:
    """Write a ``Generator`` by its bit generator."""
    walk.leaf(path, "random Generator")
    walk.visit(value.bit_generator, attribute(path, "bit_generator"))


def read_legacy(walk: Walk, value: Any, path: str) -> None:
    """Write a ``RandomState`` by its state; numpy's global one is process state by name."""
    import numpy as np

    if value is np.random.mtrand._rand:
        walk.leaf(path, "the global generator of numpy.random")
        return
    walk.leaf(path, "RandomState")
    walk.visit(value.get_state(legacy=False), attribute(path, "state"))


def read_bits(walk: Walk, value: Any, path: str) -> None:
    """Write a bit generator by state, and how often its seed sequence was spawned from."""
    walk.leaf(path, f"bits {type(value).__name__}")
    walk.visit(value.state, attribute(path, "state"))
    seeds: Any = getattr(value, "seed_seq", None)
    if type(seeds).__name__ == "SeedSequence" and seeds.n_children_spawned:
        walk.leaf(attribute(path, "spawned"), f"int {seeds.n_children_spawned}")


def read_seeds(walk: Walk, value: Any, path: str) -> None:
    """Write a ``SeedSequence`` by entropy, spawn key and children."""
    walk.leaf(path, "SeedSequence")
    for name in ("entropy", "spawn_key", "pool_size", "n_children_spawned"):
        walk.visit(getattr(value, name), attribute(path, name))


GENERATORS: Final[dict[str, Reader]] = {
    "numpy:Generator": read_generator,
    "numpy:RandomState": read_legacy,
    "numpy:BitGenerator": read_bits,
    "numpy:SeedSequence": read_seeds,
}
