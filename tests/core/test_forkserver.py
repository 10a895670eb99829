"""The fork server: what a fork finds in memory, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from nbformat import v4

from pytest_mitosis.run.forks import ForkServer, ForkServerError
from pytest_mitosis.run.kernels import Kernels
from pytest_mitosis.run.shells import Shells

if TYPE_CHECKING:
    from pytest_mitosis.run.warm import Warm

NUMERICAL = {"numpy", "pandas", "scipy", "matplotlib", "sklearn", "pyarrow", "torch", "numba"}
NOT_NEEDED = {"debugpy", "pydevd", "sqlite3", "nbclient", "nbconvert", "nbformat", "pytest", "git"}
KINDS = {"kernel": Kernels, "process": Shells}


async def asked(warm: Warm, folder: Path, expression: str) -> Any:
    """What an expression is in a process."""
    answer = folder / "answer.json"
    await ran(warm, f"import json; open({str(answer)!r}, 'w').write(json.dumps({expression}));")
    return json.loads(answer.read_text())


async def ran(warm: Warm, source: str) -> int:
    """Run a cell in a process; returns its number."""
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source)])
    await warm.cells(notebook, Path()).run(0)
    number: int = notebook.cells[0].execution_count
    return number


async def running_server(folder: Path, kind: str = "process") -> ForkServer:
    private = folder / "private"
    private.mkdir()
    server = ForkServer.spawn(kind, (), private)
    await server.ready()
    return server


@pytest.mark.parametrize("kind", KINDS)
def test_fork_finds_libraries_and_nothing_of_the_user_in_memory(tmp_path, monkeypatch, kind):
    (tmp_path / "numpy.py").write_text("raise RuntimeError('a folder of the user is searched')")
    monkeypatch.chdir(tmp_path)

    async def modules() -> dict[str, str | None]:
        server = await running_server(tmp_path, kind)
        warm = await KINDS[kind]().start(server, tmp_path / "output")
        source = "{n: getattr(m, '__file__', None) for n, m in __import__('sys').modules.items()}"
        found = await asked(warm, tmp_path, source)
        path = await asked(warm, tmp_path, "__import__('sys').path")
        assert ("" in path) == (kind == "kernel")  # as in any kernel
        await warm.end()
        await server.close()
        return found

    found = asyncio.run(modules())
    tops = {name.partition(".")[0] for name in found}
    assert "IPython" in tops
    assert ("ipykernel" in tops) == (kind == "kernel")
    assert not tops & (NUMERICAL | NOT_NEEDED)
    own = str(Path(__file__).parents[2] / "pytest_mitosis")
    places = (sys.prefix, sys.base_prefix, own)
    strangers = [one for one in found.values() if one and not one.startswith(places)]
    assert strangers == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "value"), [("PYTHONSAFEPATH", "1"), ("PYTHONWARNINGS", "error")])
def test_forks_do_with_what_a_person_has_python_do(tmp_path, monkeypatch, kind, name, value):
    monkeypatch.setenv(name, value)

    async def seen() -> Any:
        server = await running_server(tmp_path, kind)
        warm = await KINDS[kind]().start(server, tmp_path / "output")
        found = await asked(warm, tmp_path, f"__import__('os').environ[{name!r}]")
        await warm.end()
        await server.close()
        return found

    assert asyncio.run(seen()) == value


@pytest.mark.parametrize("kind", KINDS)
def test_no_cell_has_run_in_a_fork_and_none_sees_what_runs_in_another(tmp_path, kind):
    async def seen() -> tuple[list[int], list[bool]]:
        server = await running_server(tmp_path, kind)
        forks = [await KINDS[kind]().start(server, tmp_path / f"{n}.output") for n in range(2)]
        counts = [await ran(one, "left = 1") for one in forks[:1] * 2 + forks[1:]]
        await ran(forks[1], "del left")
        has = [await asked(one, tmp_path, "'left' in globals()") for one in forks]
        for one in forks:
            await one.end()
        await server.close()
        return counts, has

    assert asyncio.run(seen()) == ([1, 2, 1], [True, False])


def test_forks_end_with_the_server_and_its_parent(tmp_path):
    async def pids() -> list[int]:
        server = await running_server(tmp_path)
        shells = [await Shells().start(server, tmp_path / "output") for _ in range(2)]
        shells[0].wire.send(cell="import time; time.sleep(1000)")
        server._channel.close()  # as if this process were gone
        await asyncio.wait([shell.process.died for shell in shells])
        await server.close()
        for shell in shells:
            await shell.end()
        return [shell.process.pid for shell in shells]

    for pid in asyncio.run(pids()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not (tmp_path / "private").exists()  # which nobody else is there to remove


def test_server_whose_parent_is_gone_before_it_is_up_removes_what_it_made(tmp_path):
    private = tmp_path / "private"
    private.mkdir()
    server = ForkServer.spawn("kernel", (), private)
    server._channel.close()
    assert server.process.wait(60) == 0
    assert not private.exists()


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import os; os._exit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
    ],
)
def test_end_of_a_fork_is_told_with_its_code(tmp_path, source, code):
    async def ends() -> int | None:
        server = await running_server(tmp_path)
        shell = await Shells().start(server, tmp_path / "output")
        shell.wire.send(cell=source)
        died = await shell.process.died
        await shell.end()
        await server.close()
        return died

    assert asyncio.run(ends()) == code


def test_fork_that_is_given_up_halfway_is_not_taken_for_the_next(tmp_path):
    async def numbers() -> tuple[int, int]:
        server = await running_server(tmp_path)
        os.kill(server.process.pid, signal.SIGSTOP)
        given_up = asyncio.create_task(server.fork(tmp_path / "first"))
        await asyncio.sleep(0.1)
        given_up.cancel()
        await asyncio.wait([given_up])
        os.kill(server.process.pid, signal.SIGCONT)
        shell = await Shells().start(server, tmp_path / "second")
        own = await asked(shell, tmp_path, "__import__('os').getpid()")
        await shell.end()
        await server.close()
        return shell.process.pid, own

    pid, own = asyncio.run(numbers())
    assert pid == own


def test_server_that_is_gone_is_told(tmp_path):
    async def fork() -> None:
        server = await running_server(tmp_path)
        server.process.kill()
        server.process.wait()
        try:
            await server.fork(tmp_path / "output")
        finally:
            await server.close()

    with pytest.raises(ForkServerError):
        asyncio.run(fork())
