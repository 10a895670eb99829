"""The launcher for debugging: cells run in this very process, so that a debugger sees their frames.

What it records is marked: no process of its own, so nothing is proven by it. Runs in the process
that starts trials, in the thread that waits for them; must not know pytest.
"""

from __future__ import annotations

import ast
import os
import sys
import time
import traceback
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nbformat import v4

from pytest_mitosis.model import Failure, Outcome, Status, StoreError
from pytest_mitosis.run.attempt import FILES
from pytest_mitosis.run.inside import call
from pytest_mitosis.run.kernel import INTERRUPTED, KernelRun, TrialFailed
from pytest_mitosis.run.notebook import TrialNotebook, build_notebook
from pytest_mitosis.run.outputs import CellFailed, save_notebook
from pytest_mitosis.run.sharing import Sharing
from pytest_mitosis.run.trial import finish_trial, record_fault
from pytest_mitosis.store.files import unwritable
from pytest_mitosis.store.folder import now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine
    from pathlib import Path

    from pytest_mitosis.model import Trial
    from pytest_mitosis.run.launcher import Handle, Order

TAINT = "it ran inside the process that started it (launcher inline), not in one of its own"
TRACE = "__trace__"


@dataclass
class InlineCells:
    """Runs the cells of one trial's notebook here."""

    built: TrialNotebook
    folder: Path
    trace: Callable[..., Any] | None = None
    step: str = "setup"
    error: BaseException | None = None
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "__trial__"})

    async def run(self, index: int) -> None:
        """Run a cell of the notebook; the value it ends in is put below it."""
        cell = self.built.notebook.cells[index]
        if cell.cell_type != "code":
            return
        tree = ast.parse(cell.source)
        if self.trace is not None and index in self.built.run_cells:
            self.namespace[TRACE] = self.trace
            tree = ast.fix_missing_locations(_Traced().visit(tree))
        shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        try:
            exec(compile(tree, f"<cell {index}>", "exec"), self.namespace)  # noqa: S102
            if shown is not None:
                self._show(cell, shown, index)
        except Exception as error:
            self.error = error
            words = f"{type(error).__name__}: {error}"
            shown_error = {"ename": type(error).__name__, "evalue": str(error)}
            cell.outputs = [v4.new_output("error", traceback=[words], **shown_error)]
            raise CellFailed(type(error).__name__, str(error)) from None

    async def ask(self, function: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a function unseen."""
        return call(function, str(self.folder), arguments, self.namespace)

    def save(self) -> None:
        """Write the notebook as it stands, in one step."""
        save_notebook(self.built.notebook, self.folder)

    def _show(self, cell: Any, shown: ast.Expr, index: int) -> None:
        code = compile(ast.Expression(shown.value), f"<cell {index}>", "eval")
        value = eval(code, self.namespace)  # noqa: S307  a cell of ours
        output = v4.new_output("execute_result", {"text/plain": repr(value)}, execution_count=index)
        cell.outputs = [output]


class _Traced(ast.NodeTransformer):
    """``result = action(...)`` as ``result = __trace__(action, ...)``."""

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        call = node.value
        if isinstance(call, ast.Call):
            name = ast.Name(TRACE, ast.Load())
            node.value = ast.Call(name, [call.func, *call.args], call.keywords)
        return node


@dataclass(eq=False)
class InlineHandle:
    """A trial that runs when it is waited for."""

    order: Order
    launcher: InlineLauncher
    ended: tuple[Trial, Outcome] | None = None
    fault: StoreError | None = None

    def is_done(self) -> bool:
        """Whether the trial has ended and is recorded."""
        return self.ended is not None or self.fault is not None

    def result(self) -> tuple[Trial, Outcome]:
        """The recorded trial and what its job left; runs it if that is to be done."""
        if not self.is_done():
            self.launcher.run(self)
        if self.fault is not None:
            raise self.fault
        assert self.ended is not None
        return self.ended


@dataclass
class InlineLauncher:
    """Runs one trial after the other here; ``trace`` calls a step's function under a debugger."""

    trace: Callable[..., Any] | None = None

    def submit(self, order: Order) -> InlineHandle:
        """Note a trial; it runs when it is waited for."""
        return InlineHandle(order, self)

    def wait(self, handles: Collection[Handle], timeout: float | None = None) -> list[Handle]:
        """Run the first that has not run, and return those that have."""
        if not any(one.is_done() for one in handles):
            self.run(next(one for one in handles if isinstance(one, InlineHandle)))
        return [one for one in handles if one.is_done()]

    def cancel(self, handle: Handle) -> None:
        """Record a trial that has not run as interrupted."""
        if isinstance(handle, InlineHandle) and not handle.is_done():
            outcome = Outcome(Status.INTERRUPTED, now(), now(), 0.0, failure=INTERRUPTED)
            order = handle.order
            handle.ended = finish_trial(order, outcome, build_notebook(order.job, order.facts))

    def close(self) -> None:
        """Nothing is held."""

    def run(self, handle: InlineHandle) -> None:
        """Run a trial here and record it."""
        order = handle.order
        built = build_notebook(order.job, order.facts)
        try:
            outcome = self._outcome(order, built)
            marked = replace(order, judge=lambda files: (TAINT, *order.judge(files)))
            handle.ended = finish_trial(marked, outcome, built)
        except OSError as error:
            record_fault(order, error)
            handle.fault = unwritable(order.store, error)

    def _outcome(self, order: Order, built: TrialNotebook) -> Outcome:
        folder, started, clock = order.folder, now(), time.perf_counter()
        (folder / FILES).mkdir(exist_ok=True)
        cells = InlineCells(built, folder, self.trace)
        # Whatever ran in this process is no step for others, nor is theirs what is to be debugged.
        sharing = Sharing(order.job, folder, order.store, order.judge, [])
        run = KernelRun(order.job, folder, built, cells, sharing)
        run.begins_with = {"inline": True}
        before, path = os.getcwd(), list(sys.path)  # noqa: PTH109  put back as it was
        os.chdir(order.job.cwd)
        status, failure = Status.DONE, None
        try:
            _drive(run.execute())
        except TrialFailed as end:
            status, failure = Status.CRASHED, _with_frames(end.failure, cells.error)
        except KeyboardInterrupt:
            status, failure = Status.INTERRUPTED, INTERRUPTED
            run.show(failure)
        finally:
            os.chdir(before)
            sys.path[:] = path
        _drive(run.finish())
        duration = round(time.perf_counter() - clock, 6)
        told = run.told(Outcome(status, started, now(), duration, failure=failure))
        return replace(told, proven=False, error=cells.error)


def _drive(steps: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits; no loop runs, so the experiment may run its own."""
    try:
        steps.send(None)
    except StopIteration:
        return
    raise RuntimeError("a cell waited")


def _with_frames(failure: Failure, error: BaseException | None) -> Failure:
    if error is None:
        return failure
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    error.__traceback__ = frames
    return replace(failure, traceback="".join(traceback.format_exception(error)).rstrip())
