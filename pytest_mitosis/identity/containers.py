"""Builtin containers and their subclasses: lists, dicts, sets, queues.

Lists and tuples are ordered, sets and dicts are not; ``OrderedDict`` is, because it says so.
Must not know numpy, pandas or how classes are described.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity.description import Leaf, digest_of
from pytest_mitosis.identity.scalars import bytes_text, sha256
from pytest_mitosis.identity.walk import Walk, attribute, item, label

if TYPE_CHECKING:
    import array
    import types
    from collections.abc import Iterable

    from pytest_mitosis.identity.walk import Reader

_KEY_LIMIT: Final = 120


def read_list(walk: Walk, value: list[object], path: str) -> None:
    """Write a list, element by element."""
    walk.leaf(path, "list")
    elements(walk, list.__iter__(value), path)


def read_tuple(walk: Walk, value: tuple[object, ...], path: str) -> None:
    """Write a tuple, element by element."""
    walk.leaf(path, "tuple")
    elements(walk, tuple.__iter__(value), path)


def elements(walk: Walk, values: Iterable[object], path: str) -> None:
    """Write elements by position; the loop every long list goes through."""
    scalars, leaves = walk.scalars, walk.leaves
    for index, part in enumerate(values):
        kind = type(part)
        text = scalars.get(kind) if type(kind) is type else None
        if text is not None and len(leaves) < 100_000:
            leaves.append(Leaf(f"{path}[{index}]", "value", text(part)))
        else:
            walk.visit(part, f"{path}[{index}]")


def read_dict(walk: Walk, value: dict[object, object], path: str) -> None:
    """Write a dict by key; insertion order does not count."""
    walk.leaf(path, "dict")
    entries(walk, dict.items(value), path)


def entries(walk: Walk, pairs: Iterable[tuple[object, object]], path: str) -> list[str]:
    """Write the items of a mapping, sorted by the text of the key; return the texts as met."""
    texts = [(key_text(walk, key, path), part) for key, part in pairs]
    if len({text for text, _ in texts}) < len(texts):
        texts = _told_apart(walk, texts, path)
    for text, part in sorted(texts, key=lambda pair: _natural(pair[0])):
        walk.visit(part, item(path, text))
    return [text for text, _ in texts]


def _told_apart(walk: Walk, pairs: list[tuple[str, object]], path: str) -> list[tuple[str, object]]:
    """Number keys that read the same, such as two NaN, in the order of what they lead to."""
    groups: dict[str, list[object]] = {}
    for text, part in pairs:
        groups.setdefault(text, []).append(part)
    found: list[tuple[str, object]] = []
    for text, parts in groups.items():
        if len(parts) > 1:
            parts.sort(key=lambda part: _whole(walk.aside(part, item(path, text))))
        found += [(f"{text}#{n}" if n else text, part) for n, part in enumerate(parts)]
    return found


def _whole(side: Walk) -> str:
    leaves = [leaf for leaf in side.leaves if leaf.facet in ("value", "schema")]
    return digest_of(Leaf(leaf.path, "value", leaf.text) for leaf in leaves)


def _natural(text: str) -> tuple[int, int, str]:
    digits = text.removeprefix("-")
    if digits.isdigit() and len(digits) < 20:
        return (0, int(text), text)
    return (1, 0, text)


def key_text(walk: Walk, key: object, path: str) -> str:
    """Return the text of a key, which tells its type: ``'a'``, ``1``, ``1.0``, ``(1, 'a')``."""
    kind = type(key)
    if kind is str and len(key) <= _KEY_LIMIT:  # type: ignore[arg-type]
        return ascii(key)
    if type(kind) is type and kind in (int, bool, float, type(None)):
        text = walk.scalars[kind](key)
        return text.partition(" ")[2] or text
    if kind is tuple:
        parts = [key_text(walk, part, path) for part in key]  # type: ignore[attr-defined]
        text = f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        return text if len(text) <= 2 * _KEY_LIMIT else f"tuple {sha256(text.encode())[:23]}"
    side = walk.aside(key, f"{path}[key]")
    for (name, code), inner in side.codes.items():
        walk.code(f"{path}[key]{inner}", name, code, side.nodes[name, code])
    text = label(side)
    return text if len(text) <= 2 * _KEY_LIMIT else f"{text[:40]}... {sha256(text.encode())[:23]}"


def read_set(walk: Walk, value: set[object], path: str) -> None:
    """Write a set, sorted by the texts of its elements."""
    walk.leaf(path, "set")
    members(walk, set.__iter__(value), path)


def read_frozenset(walk: Walk, value: frozenset[object], path: str) -> None:
    """Write a frozenset, sorted by the texts of its elements."""
    walk.leaf(path, "frozenset")
    members(walk, frozenset.__iter__(value), path)


def members(walk: Walk, values: Iterable[object], path: str) -> None:
    """Write unordered elements; an element's place is its text."""
    rows: list[tuple[str, Walk | None]] = []
    for part in values:
        kind = type(part)
        scalar = walk.scalars.get(kind) if type(kind) is type else None
        if scalar is not None:
            rows.append((scalar(part), None))
            continue
        side = walk.aside(part, f"{path}{{}}")
        rows.append((label(side), side))
    for text, grown in sorted(rows, key=lambda row: row[0]):
        place = f"{path}{{{text}}}"
        if grown is None:
            walk.leaf(place, "member")
        else:
            walk.graft(grown, place)


def read_ordered(walk: Walk, value: collections.OrderedDict[object, object], path: str) -> None:
    """Write an OrderedDict: a dict whose order counts."""
    side = walk.fork()
    texts = entries(side, collections.OrderedDict.items(value), "")
    order = f"[{', '.join(texts)}]"
    if len(order) > 400:
        order = f"{order[:80]}... {sha256(order.encode())}"
    walk.leaf(path, f"OrderedDict order {order}")
    walk.graft(side, path)


def read_defaultdict(walk: Walk, value: collections.defaultdict[object, object], path: str) -> None:
    """Write a defaultdict with its factory."""
    walk.leaf(path, "defaultdict")
    walk.visit(value.default_factory, attribute(path, "default_factory"))
    entries(walk, dict.items(value), path)


def read_counter(walk: Walk, value: dict[object, object], path: str) -> None:
    """Write a Counter."""
    walk.leaf(path, "Counter")
    entries(walk, dict.items(value), path)


def read_deque(walk: Walk, value: collections.deque[object], path: str) -> None:
    """Write a deque with its bound."""
    walk.leaf(path, f"deque maxlen={collections.deque.maxlen.__get__(value)}")
    elements(walk, collections.deque.__iter__(value), path)


def read_proxy(walk: Walk, value: types.MappingProxyType[object, object], path: str) -> None:
    """Write the mapping behind a read-only view."""
    walk.leaf(path, "mappingproxy")
    entries(walk, dict(value).items(), path)


def read_chain(walk: Walk, value: collections.ChainMap[object, object], path: str) -> None:
    """Write the mappings of a ChainMap in order of precedence."""
    walk.leaf(path, "ChainMap")
    elements(walk, value.maps, path)


def read_view(walk: Walk, value: Any, path: str) -> None:
    """Write a dict's keys (unordered), values or items (as met)."""
    kind = type(value).__name__.replace("odict", "dict")
    walk.leaf(path, kind)
    if kind == "dict_values":
        elements(walk, value, path)
    else:
        members(walk, value, path)


def read_array(walk: Walk, value: array.array[Any], path: str) -> None:
    """Write an ``array.array``."""
    walk.leaf(path, f"array {value.typecode!r} of {len(value)}")
    walk.leaf(f"{path}[:]", bytes_text(value.tobytes()))


def read_memoryview(walk: Walk, value: memoryview, path: str) -> None:
    """Write what a memoryview shows."""
    walk.leaf(path, f"memoryview {value.format} shape={value.shape}")
    walk.leaf(f"{path}[:]", bytes_text(value.tobytes()))


CONTAINERS: Final[dict[str, Reader]] = {
    "builtins:list": read_list,
    "builtins:tuple": read_tuple,
    "builtins:dict": read_dict,
    "builtins:set": read_set,
    "builtins:frozenset": read_frozenset,
    "builtins:mappingproxy": read_proxy,
    "builtins:memoryview": read_memoryview,
    "builtins:dict_keys": read_view,
    "builtins:dict_values": read_view,
    "builtins:dict_items": read_view,
    "collections:OrderedDict": read_ordered,
    "collections:defaultdict": read_defaultdict,
    "collections:Counter": read_counter,
    "collections:deque": read_deque,
    "collections:ChainMap": read_chain,
    "array:array": read_array,
}
