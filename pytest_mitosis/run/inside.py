"""What happens in the trial's own process around the visible cells.

Runs in the kernel, called by hidden requests between cells (:func:`call`), with answers of JSON.
Imports nothing numerical by itself and leaves no name in the notebook's namespace.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mitosis.run import progress
from pytest_mitosis.run.forkserver import PRELOADED
from pytest_mitosis.run.printed import STREAMS, PrintedFile, Stream
from pytest_mitosis.run.stopping import STOPPING
from pytest_mitosis.run.wire import failure

if TYPE_CHECKING:
    from pytest_mitosis.identity.executed import Recorder
    from pytest_mitosis.run.watch import Watch
    from pytest_mitosis.run.wire import Wire

REPLY = ".reply.json"
OUTPUT = "output.txt"
RESULTS = "results"
# One trial runs in a process, between begin and finish.
_handlers: list[logging.Handler] = []
_recorders: list[Recorder] = []
_watches: list[Watch] = []
_hooks: list[Callable[[object], object]] = []  # those of the job, once loaded


def answer(wire: Wire, request: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Answer a request that came over a wire."""
    try:
        arguments = request["arguments"]
        reply = call(request["function"], request["folder"], arguments, namespace)
        wire.send("done", reply=reply)
    except BaseException as error:  # an object of the experiment's may raise anything
        wire.send("done", **failure(error))


def call(
    function: str, folder: str, arguments: dict[str, Any], namespace: dict[str, Any]
) -> dict[str, Any]:
    """Run one of this module's steps; its answer, or what it could not do."""
    steps: dict[str, Callable[..., dict[str, Any]]] = {
        "begin": begin,
        "survey": survey,
        "prove": prove,
        "keep": keep,
        "check": check,
        "explain": explain,
        "finish": finish,
        "mark": mark,
        "offer": offer,
        "adopt": adopt,
    }
    try:
        with STOPPING.shield():
            return steps[function](Path(folder), namespace, **arguments)
    except OSError as error:
        return {"os_error": [error.errno, error.strerror or str(error), error.filename]}
    except BaseException as error:  # what saves an object may end the interpreter
        return {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}


def leave(function: str, folder: str, arguments: dict[str, Any], namespace: dict[str, Any]) -> None:
    """As `call`; the answer is left in the trial's folder, where no wire leads out."""
    text = json.dumps(call(function, folder, arguments, namespace))
    try:
        beside = Path(folder, f"{REPLY}.part")
        beside.write_text(text, encoding="utf-8")
        beside.replace(Path(folder, REPLY))
    except OSError:  # the disk is full, and that has to be told all the same
        with spare_reply(Path(folder)).open("x", encoding="utf-8") as file:
            file.write(text)


def spare_reply(folder: Path) -> Path:
    """Where an answer is left that its trial's folder cannot take."""
    return Path(tempfile.gettempdir(), f"mitosis-{folder.name}{REPLY}")


def begin(
    folder: Path,
    namespace: dict[str, Any],
    *,
    debug: bool,
    sys_path: list[str],
    root: str,
    seed: int,
    has_seed: bool,
    cwd: str = "",
    environment: dict[str, str] | None = None,
    inline: bool = False,
) -> dict[str, Any]:
    """Send the root logger to ``log.txt`` and make the parent's import path hold here too.

    A process that was there before its trial gets the trial's folder and variables first. From
    here on calls and random numbers are watched.
    """
    if environment is not None:
        from pytest_mitosis.run.takeover import take_over

        take_over(environment, cwd, str(folder / OUTPUT))
    handler = _log_to(folder / "log.txt")
    if inline:  # the process, its streams and its settings belong to who started it
        _handlers.append(handler)
        sys.path.extend(path for path in sys_path if path not in sys.path)
        return {}
    logging.getLogger().setLevel(logging.DEBUG if debug else logging.INFO)
    for noisy in ("asyncio", "matplotlib", "PIL", "IPKernelApp", "Comm", "parso", "traitlets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    _echo_to(folder / OUTPUT)
    _end_forks_of(os.getpid(), namespace)
    STOPPING.listen()
    progress.begin(folder)
    from pytest_mitosis.identity.executed import Recorder

    _recorders.append(Recorder())
    _recorders[-1].start()
    # What the project had preloaded counts as what it imports itself would.
    _recorders[-1].loaded_before -= PRELOADED
    from pytest_mitosis.run.watch import Watch

    _watches.append(Watch(seed, Path(root), has_seed))
    _watches[-1].start()
    sys.path.extend(path for path in sys_path if path not in sys.path)
    return {}


def _log_to(file: Path) -> logging.Handler:
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s:%(lineno)d %(message)s")
    )
    logging.getLogger().addHandler(handler)
    return handler


def prove(
    folder: Path,
    namespace: dict[str, Any],
    *,
    variable: str,
    digests: dict[str, str],
    hooks: list[str],
) -> dict[str, Any]:
    """Describe the arguments of a step here; tell which are not what the parent process saw.

    Before a step runs this proves that a name means the same value in another process; after it
    ran, that the experiment left its arguments alone.
    """
    from pytest_mitosis.identity import describe
    from pytest_mitosis.identity.hooks import load_hooks
    from pytest_mitosis.model import MitosisError

    differ: dict[str, Any] = {}
    for parameter, digest in digests.items():
        try:
            if hooks and not _hooks:
                _hooks.extend(load_hooks(hooks))
            description = describe(namespace[variable][parameter], hooks=_hooks)
        except (MitosisError, LookupError) as error:
            differ[parameter] = {"error": str(error)}
            continue
        if description.digest != digest:
            differ[parameter] = description.to_json()
    return {"differ": differ}


def _echo_to(file: Path) -> None:
    """Have printed text written at once: Jupyter's streams are lost if the process dies."""
    if STREAMS:
        Stream.file = PrintedFile(file)
        return
    raw = file.open("ab", buffering=0)
    echo = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
    for stream in (sys.stdout, sys.stderr):
        stream.echo = echo  # type: ignore[union-attr]  # ipykernel's OutStream


def _end_forks_of(pid: int, namespace: dict[str, Any]) -> None:
    """End a fork that comes out of a cell: it would answer in the trial's name."""

    def end_if_forked(*_: object) -> None:
        if os.getpid() != pid:
            os._exit(0)

    shell = namespace["get_ipython"]()
    shell.events.register("post_run_cell", end_if_forked)
    shell.events.register("pre_run_cell", STOPPING.before_cell)
    shell.events.register("post_run_cell", STOPPING.after_cell)


def survey(folder: Path, namespace: dict[str, Any]) -> dict[str, Any]:
    """The environment as it is once the experiment's modules are imported."""
    from pytest_mitosis.run.environment import collect_environment, scheduler_variables

    _look("")
    environment = collect_environment()
    return {
        "environment": {**environment.to_json(), "digest": environment.short_digest},
        "scheduler": scheduler_variables(),
    }


def keep(
    folder: Path, namespace: dict[str, Any], *, step: str, variable: str, last: bool
) -> dict[str, Any]:
    """Save what a step returned as soon as it ends, and tell whether it returned what it owes.

    A step owes a mapping, the last one with ``main``.
    """
    from pytest_mitosis.store.results import metrics_of, save_result

    _look(step)
    result = namespace[variable]
    try:
        (folder / RESULTS).mkdir(exist_ok=True)
        saved = save_result(result, folder / RESULTS, step)
    except OSError as error:
        told = [error.errno, error.strerror or str(error), error.filename]
        return {"os_error": told, "rescued": _rescue(result, folder, step)}
    notes = [f"{step}: {p.path} ({p.type}) is kept as a pickle" for p in saved.pickled]
    notes += [f"{step}: {p.path} ({p.type}) could not be kept: {p.reason}" for p in saved.unsaved]
    reply: dict[str, Any] = {
        "notes": notes,
        "metrics": {},
        "problem": "",
        "has_data": False,
        "has_metrics": False,
        "pickled": [part.path for part in saved.pickled],
        "unsaved": [part.path for part in saved.unsaved],
    }
    if not isinstance(result, Mapping):
        reply["problem"] = f"{step} returned {type(result).__name__}, not a dict with 'main'"
        return reply
    if last and "main" not in result:
        keys = ", ".join(sorted(map(_safe_key, result))) or "nothing"
        reply["problem"] = f"{step} returned a dict without 'main'; it has {keys}"
    has = {"has_data": "data" in result, "has_metrics": "metrics" in result}
    return {**reply, "metrics": metrics_of(result), **has}


def check(
    folder: Path, namespace: dict[str, Any], *, actions: list[str], variable: str
) -> dict[str, Any]:
    """Ask the experiment whether its result supports its hypothesis."""
    from pytest_mitosis.run.support import supports

    def found(name: str) -> Any:  # Any: a callable of the user's
        first, *rest = name.split(".")
        return functools.reduce(getattr, rest, namespace[first])

    return supports([found(name) for name in actions], namespace[variable])


def mark(folder: Path, namespace: dict[str, Any]) -> dict[str, Any]:
    """Note what was imported for a step, see :func:`pytest_mitosis.run.handover.mark`."""
    from pytest_mitosis.run import handover

    return handover.mark(_recorders[-1])


def offer(folder: Path, namespace: dict[str, Any], **which: Any) -> dict[str, Any]:
    """Look at what a step left, see :func:`pytest_mitosis.run.handover.offer`."""
    from pytest_mitosis.run import handover

    findings = [found for watch in _watches for found in watch.findings]
    return handover.offer(folder, namespace, _recorders[-1], findings, **which)


def adopt(folder: Path, namespace: dict[str, Any], **which: Any) -> dict[str, Any]:
    """Take over what another trial's step left."""
    from pytest_mitosis.run import handover

    reply = handover.adopt(folder, namespace, **which)
    for watch in _watches:
        watch.forget()
    return reply


def _rescue(result: object, folder: Path, step: str) -> str:
    """Save a result elsewhere, if that can be; where it is."""
    from pytest_mitosis.store.results import save_result

    place = Path(tempfile.mkdtemp(prefix=f"mitosis-rescued-{folder.name}-"))
    try:
        (place / RESULTS).mkdir()
        save_result(result, place / RESULTS, step)
    except OSError:
        shutil.rmtree(place, ignore_errors=True)
        return ""
    return str(place)


def explain(folder: Path, namespace: dict[str, Any]) -> dict[str, Any]:
    """The last exception and its causes as Python prints them, without IPython's frames."""
    error = getattr(sys, "last_value", None)
    if error is None:
        return {"frames": ""}
    told = traceback.TracebackException.from_exception(error)
    _drop_frames_of_ipython(told)
    return {"frames": "".join(told.format()).rstrip()}


def _drop_frames_of_ipython(told: traceback.TracebackException) -> None:
    """Leave the experiment's own frames, in an exception and in those it came from."""
    told.stack = traceback.StackSummary.from_list(
        [
            frame
            for frame in told.stack
            if "IPython" not in Path(frame.filename).parts and "ipykernel" not in frame.filename
        ]
    )
    for before in (told.__cause__, told.__context__):
        if before is not None:
            _drop_frames_of_ipython(before)


def _look(step: str) -> None:
    for watch in _watches:
        watch.look(step)


def finish(folder: Path, namespace: dict[str, Any], *, root: str, step: str) -> dict[str, Any]:
    """The code this process imported and ran, and what it used; ``step`` may not have ended."""
    from pytest_mitosis.identity.code import code_identity
    from pytest_mitosis.identity.imported import imported_files

    _look(step)
    if _handlers:
        handler = _handlers.pop()
        logging.getLogger().removeHandler(handler)
        handler.close()
    else:
        logging.shutdown()
    for watch in _watches:
        watch.stop()
    for recorder in _recorders:
        recorder.stop()
    files = imported_files()
    code = code_identity(Path(root), _recorders[-1] if _recorders else None, files=files)
    return {
        "code": {**code.to_json(), "digest": code.digest},
        "files": [file.to_json() for file in files],
        "randomness": [asdict(found) for watch in _watches for found in watch.findings],
        "notes": _unprinted(),
        "seeded": [name for watch in _watches for name in watch.seeded],
        **_usage(),
    }


def _unprinted() -> list[str]:
    if Stream.file is None or not Stream.file.problem:
        return []
    return [f"{OUTPUT} lacks some of what was printed: {Stream.file.problem}"]


def _usage() -> dict[str, Any]:
    """Processor seconds and peak memory in bytes of this process and its children."""
    try:
        import resource
    except ImportError:  # not on this platform
        return {}
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu_s": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak_memory": max(own.ru_maxrss, children.ru_maxrss) * unit,
    }


def _safe_key(key: object) -> str:
    return repr(key) if isinstance(key, str | int | float) else type(key).__name__
