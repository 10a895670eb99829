"""Functions, methods, partials, classes and modules.

What can be imported is its name, with the source beside it as a ``code`` leaf. Lambdas, closures
and local functions have no name to come back by, so their source is the value, and with it what
they close over, their defaults and the globals they use. Must not call any of them.
"""

from __future__ import annotations

import builtins
import dis
import sys
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity import names, source
from pytest_mitosis.identity.state import ancestry, is_python, state_of
from pytest_mitosis.identity.walk import Walk, attribute
from pytest_mitosis.model import Undescribable

if TYPE_CHECKING:
    import ast

    from pytest_mitosis.identity.walk import Reader

_IMPORT_IT: Final = "Define it in a module that can be imported."


def check_home(walk: Walk, module: str, what: str, path: str) -> None:
    """Refuse what belongs to the script being run: no other process can find it."""
    if module in ("__main__", "__mp_main__"):
        walk.refuse(path, f"is {what}, defined in __main__", _IMPORT_IT)


def read_function(walk: Walk, value: FunctionType, path: str) -> None:
    """Write a Python function: by name if it can be imported, else by source."""
    module, qualname = names.module_of(value), names.qualname_of(value)
    check_home(walk, module, f"the function {qualname}", path)
    if names.is_importable(value, module, qualname):
        name = names.name_of(value, module, qualname)
        walk.leaf(path, f"function {name}")
        if names.is_project(module):
            _write_code(walk, value, name, path)
        return
    if _is_borrowed(value):
        _write_borrowed(walk, value, path)
        return
    node = source.function_node(value)
    if node is None:
        walk.refuse(
            path,
            f"is the function {qualname!a} without source or importable name",
            "Define it with def in a module file.",
        )
    kind = "lambda" if value.__name__ == "<lambda>" else "local function"
    walk.leaf(path, f"{kind} {source.digest(node)}")
    walk.note(path, f"{qualname} in {module}")
    write_source(walk, path, node)
    _write_surroundings(walk, value, path)


def _is_borrowed(value: FunctionType) -> bool:
    """Say whether the code of a function is not the project's: a wrapper of some decorator."""
    module = value.__globals__.get("__name__")
    known = isinstance(module, str) and module not in ("", "__main__", "__mp_main__")
    return known and not names.is_project(str(module)) and value.__code__.co_name != "<lambda>"


def _write_borrowed(walk: Walk, value: FunctionType, path: str) -> None:
    """Write a library's local function by where it is made: releases mend its source."""
    module, inner = str(value.__globals__["__name__"]), value.__code__.co_qualname
    walk.leaf(path, f"local function {names.name_of(value, module, inner)}")
    _write_captured(walk, value, path)


def write_source(walk: Walk, path: str, node: ast.AST, name: str = "") -> None:
    """Write the text of a source as a note, so that a later change of it can be shown."""
    text = source.text_of(node)
    if text:
        walk.note(path, f"source {name}{' ' if name else ''}{text!a}")


def _write_code(walk: Walk, value: FunctionType, name: str, path: str) -> None:
    node = None if _is_borrowed(value) else source.function_node(value)
    if node is not None:
        walk.code(path, name, source.digest(node), node)
    inner = value.__dict__.get("__wrapped__")
    if isinstance(inner, FunctionType) and inner is not value:
        _write_code(walk, inner, f"{name}.__wrapped__", path)


def _write_surroundings(walk: Walk, value: FunctionType, path: str) -> None:
    _write_captured(walk, value, path)
    for name in sorted(globals_of(value.__code__)):
        _write_global(walk, value, name, attribute(attribute(path, "globals"), name))


def _write_captured(walk: Walk, value: FunctionType, path: str) -> None:
    """Write defaults, closure and attributes of a function."""
    code = value.__code__
    names_ = code.co_varnames[: code.co_argcount]
    defaults = value.__defaults__ or ()
    for name, part in zip(names_[len(names_) - len(defaults) :], defaults, strict=True):
        walk.visit(part, attribute(attribute(path, "defaults"), name))
    for name, part in sorted((value.__kwdefaults__ or {}).items()):
        walk.visit(part, attribute(attribute(path, "defaults"), name))
    for name, cell in zip(code.co_freevars, value.__closure__ or (), strict=True):
        place = attribute(attribute(path, "closure"), name)
        try:
            content = cell.cell_contents
        except ValueError:
            walk.leaf(place, "empty cell")
            continue
        walk.visit(content, place)
    for name, part in sorted(value.__dict__.items()):
        if name != "__wrapped__":
            walk.visit(part, attribute(path, name))


def globals_of(code: CodeType) -> set[str]:
    """Return the global names a function loads, its inner functions included."""
    found = {
        part.argval for part in dis.get_instructions(code) if part.opname.startswith("LOAD_GLOBAL")
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= globals_of(constant)
    return found


def _write_global(walk: Walk, function: FunctionType, name: str, path: str) -> None:
    space = function.__globals__
    if name not in space:
        known = vars(builtins)
        walk.leaf(path, "builtin" if name in known else "not defined")
        return
    mark = len(walk.leaves)
    try:
        walk.visit(space[name], path)
    except Undescribable:
        # A logger or a lock used by a function is not its content: the name is.
        del walk.leaves[mark:]
        walk.leaf(path, f"by name {names.name_of(type(space[name]))}")


def read_builtin(walk: Walk, value: Any, path: str) -> None:
    """Write a builtin function by name, a bound one with the object it is bound to."""
    owner = value.__self__
    if owner is None or isinstance(owner, (ModuleType, type)):
        module = value.__module__ or (owner.__name__ if isinstance(owner, ModuleType) else "")
        if isinstance(owner, type):
            module = names.module_of(owner)
        name = names.name_of(value, module or "builtins", value.__qualname__)
        # Whether a function is compiled, and by what, is the business of a package's release.
        walk.leaf(path, f"{'' if names.is_installed(module) else 'builtin '}function {name}")
        return
    module = _home_of_bound(value)
    if module:
        walk.leaf(
            path,
            f"{'' if module == 'numpy.random' else 'builtin '}function {module}:{value.__name__}",
        )
        return
    word = "method" if names.is_installed(names.module_of(type(owner))) else "builtin method"
    walk.leaf(path, f"{word} {value.__name__}")
    walk.visit(owner, attribute(path, "self"))


def _home_of_bound(value: Any) -> str:
    """``random.gauss`` and the like are methods of an instance their module keeps."""
    for module in ("random", "numpy.random"):
        space = vars(sys.modules[module]) if module in sys.modules else {}
        if space.get(value.__name__) is value:
            return module
    return ""


def read_method(walk: Walk, value: Any, path: str) -> None:
    """Write a bound method: its function and the object it is bound to."""
    if _home_of_bound(value):
        walk.leaf(path, f"function {_home_of_bound(value)}:{value.__name__}")
        return
    function = value.__func__
    if names.is_project(names.module_of(function)):
        walk.leaf(path, "method")
        walk.visit(function, attribute(path, "func"))
    else:
        # The class that defines it may change with a release; the object it is bound to stays.
        walk.leaf(path, f"method {names.qualname_of(function).rpartition('.')[2]}")
    walk.visit(value.__self__, attribute(path, "self"))


def read_descriptor(walk: Walk, value: Any, path: str) -> None:
    """Write a method of a C type, such as ``str.upper``."""
    walk.leaf(path, f"method {names.name_of(value.__objclass__)}.{value.__name__}")


def read_class(walk: Walk, value: type, path: str) -> None:
    """Write a class by name, with its source if it is the project's own."""
    module, qualname = names.module_of(value), names.qualname_of(value)
    check_home(walk, module, f"the class {qualname}", path)
    name = names.name_of(value, module, qualname)
    if names.is_importable(value, module, qualname) or names.is_stdlib(module):
        walk.leaf(path, f"class {name}")
        write_class_code(walk, value, path)
        return
    node = _class_node(value)
    if node is None:
        walk.refuse(path, f"is the class {qualname!a} without importable name", _IMPORT_IT)
    walk.leaf(path, f"local class {name} {source.digest(node)}")
    write_source(walk, path, node)


def _class_node(value: type) -> Any:
    module = sys.modules.get(names.module_of(value))
    space = vars(module) if module is not None else {}
    file = space.get("__file__")
    return source.class_node(value, file, space) if isinstance(file, str) else None


def write_class_code(walk: Walk, kind: type, path: str) -> None:
    """Remember the source of the project's own classes in a type's ancestry."""
    for base in ancestry(kind):
        if names.is_project(names.module_of(base)):
            node = _class_node(base)
            if node is not None:
                walk.code(path, names.name_of(base), source.digest(node), node)


def read_module(walk: Walk, value: ModuleType, path: str) -> None:
    """Write a module by name."""
    name = str(vars(value).get("__name__", ""))
    check_home(walk, name, "the module being run", path)
    walk.leaf(path, f"module {name}")


def read_partial(walk: Walk, value: Any, path: str) -> None:
    """Write a partial: the function and the arguments bound so far."""
    walk.leaf(path, "partial")
    walk.visit(value.func, attribute(path, "func"))
    for index, part in enumerate(value.args):
        walk.visit(part, f"{path}[{index}]")
    for name in sorted(value.keywords):
        walk.visit(value.keywords[name], attribute(path, name))


def read_wrapper(walk: Walk, value: Any, path: str) -> None:
    """Write a property, staticmethod or classmethod by the functions inside."""
    walk.leaf(path, type(value).__name__)
    for name in ("fget", "fset", "fdel", "__func__"):
        part = getattr(value, name, None)
        if part is not None:
            walk.visit(part, attribute(path, name))


def read_cached(walk: Walk, value: Any, path: str) -> None:
    """Write an ``lru_cache``d function: name or function, never the cache."""
    module, qualname = names.module_of(value), names.qualname_of(value)
    check_home(walk, module, f"the function {qualname}", path)
    if names.is_importable(value, module, qualname):
        name = names.name_of(value, module, qualname)
        walk.leaf(path, f"function {name}")
        if names.is_project(module) and isinstance(value.__wrapped__, FunctionType):
            _write_code(walk, value.__wrapped__, name, path)
        return
    walk.leaf(path, "lru_cache")
    walk.visit(value.cache_parameters(), attribute(path, "parameters"))
    walk.visit(value.__wrapped__, attribute(path, "func"))


def read_named(walk: Walk, value: Any, path: str) -> bool:
    """Write an object that a module offers under its own name, such as ``np.sin``; say if so."""
    kind, space = type(value), dict[str, object]()
    # Looking for attributes would run __getattr__ of the project's own classes.
    if is_python(kind) or names.is_project(names.module_of(kind)):
        space = state_of(value)
        module, qualname = space.get("__module__"), space.get("__qualname__")
        if names.module_of(kind) == "numpy.ma.core" or names.module_of(kind) == "numpy.ma.extras":
            module, qualname = "numpy.ma", space.get("__name__")  # objects up to numpy 1
    else:
        module = getattr(value, "__module__", None)
        qualname = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(qualname, str) or not qualname:
        return False
    homes = [module] if isinstance(module, str) else ["numpy", "scipy.special"]
    for home in homes:
        if home and names.is_importable(value, home, qualname):
            check_home(walk, home, f"the function {qualname}", path)
            name = names.name_of(value, home, qualname)
            walk.leaf(path, f"function {name}")
            inner = space.get("__wrapped__")
            if isinstance(inner, FunctionType):
                _write_code(walk, inner, name, path)
            return True
    return False


FUNCTIONS: Final[dict[str, Reader]] = {
    "builtins:function": read_function,
    "builtins:method": read_method,
    "builtins:builtin_function_or_method": read_builtin,
    "builtins:method-wrapper": read_builtin,
    "builtins:wrapper_descriptor": read_descriptor,
    "builtins:method_descriptor": read_descriptor,
    "builtins:classmethod_descriptor": read_descriptor,
    "builtins:getset_descriptor": read_descriptor,
    "builtins:member_descriptor": read_descriptor,
    "builtins:type": read_class,
    "builtins:module": read_module,
    "builtins:property": read_wrapper,
    "builtins:staticmethod": read_wrapper,
    "builtins:classmethod": read_wrapper,
    "functools:partial": read_partial,
    "functools:_lru_cache_wrapper": read_cached,
}
