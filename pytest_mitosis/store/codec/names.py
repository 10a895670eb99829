"""Names of types and short texts of objects, without running more of the user's code than asked.

``type_name`` and ``inert_text`` never call the object's own methods; ``safe_text`` asks for its
``repr`` and survives whatever that does.
"""

from __future__ import annotations

import re
import sys
import types

_ADDRESS = re.compile(r"( at)? 0x[0-9a-fA-F]{4,}")
_NAMED = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
)


def type_name(cls: type) -> str:
    """``module:qualname`` of a class; ``builtins`` is left out."""
    try:
        module, name = _module_and_name(cls)
    except Exception:
        return "?"
    if not isinstance(module, str) or not isinstance(name, str):
        return "?"
    full = name if module == "builtins" else f"{module}:{name}"
    return full.encode("utf-8", "backslashreplace").decode()


def _module_and_name(cls: type) -> tuple[object, object]:
    return cls.__module__, cls.__qualname__


def inert_text(value: object) -> str:
    """Text of an object by what Python knows about it; its own methods are never called."""
    cls = type(value)
    if cls in _NAMED:
        return f"{cls.__name__} {value.__qualname__}"  # type: ignore[attr-defined]
    if cls is types.ModuleType:
        return f"module {value.__dict__.get('__name__', '?')}"
    return type_name(cls)


def _number_text(value: object) -> str | None:
    if type(value) is int and value.bit_length() > 2000:
        # Printing more digits than sys.get_int_max_str_digits() is an error.
        return f"integer of {value.bit_length()} bits"
    if value is None or type(value) in (bool, int, float, complex):
        return repr(value)
    return None


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def without_addresses(text: str) -> str:
    """Return a text without memory addresses, which differ in every run."""
    return _ADDRESS.sub("", text)


def safe_text(value: object, limit: int = 200) -> str:
    """Short text of any object, never an exception.

    Numbers by ``repr``, text as it is, everything else as its type's name and its ``repr`` without
    memory addresses. Cut to ``limit`` characters; what UTF-8 cannot encode is escaped.
    """
    number = _number_text(value)
    if number is not None:
        return _cut(number, limit)
    if type(value) is str:
        return _cut(value[: limit + 1].encode("utf-8", "backslashreplace").decode(), limit)
    name = type_name(type(value))
    try:
        text = repr(value)
    except Exception:
        return _cut(name, limit)
    text = without_addresses(str(text)).encode("utf-8", "backslashreplace").decode()
    return _cut(f"{name} {text}", limit)


def loaded(module: str) -> types.ModuleType | None:
    """Return a module if the process has imported it already; never imports it."""
    return sys.modules.get(module)
