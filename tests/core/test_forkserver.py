"""The fork server: what a fork finds in memory, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from pytest_mitosis.run.forks import ForkServer, ForkServerError
from pytest_mitosis.run.shells import Shells
from pytest_mitosis.run.wire import DriversWire

NUMERICAL = {"numpy", "pandas", "scipy", "matplotlib", "sklearn", "pyarrow", "torch", "numba"}
NOT_NEEDED = {"debugpy", "pydevd", "sqlite3", "nbclient", "nbconvert", "nbformat", "pytest", "git"}


async def told(wire: DriversWire, source: str) -> str:
    """What code prints in a process."""
    await wire.ask(source=source, numbered=False)
    text = ""
    while (event := await wire.told())["kind"] != "done":
        text += event.get("text", "")
    return text


async def running_server(folder: Path) -> ForkServer:
    server = ForkServer.spawn((), folder / "ipython")
    await server.ready()
    return server


def test_fork_finds_jupyter_and_nothing_of_the_user_in_memory(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise RuntimeError('a folder of the user is searched')")
    monkeypatch.chdir(tmp_path)

    async def modules() -> dict[str, str | None]:
        server = await running_server(tmp_path)
        shell = await Shells().start(server, tmp_path)
        source = "import sys, json; print(json.dumps({n: getattr(m, '__file__', None)"
        found = json.loads(
            await told(shell.wire, f"{source} for n, m in list(sys.modules.items())}}))")
        )
        path = json.loads(await told(shell.wire, "print(json.dumps(sys.path))"))
        assert "" not in path
        await shell.end()
        await server.close()
        return found

    found = asyncio.run(modules())
    tops = {name.partition(".")[0] for name in found}
    assert "IPython" in tops
    assert "ipykernel" in tops
    assert not tops & (NUMERICAL | NOT_NEEDED)
    own = str(Path(__file__).parents[2] / "pytest_mitosis")
    places = (sys.prefix, sys.base_prefix, own)
    strangers = [one for one in found.values() if one and not one.startswith(places)]
    assert strangers == []


def test_forks_end_with_the_server_and_its_parent(tmp_path):
    async def pids() -> list[int]:
        server = await running_server(tmp_path)
        shells = [await Shells().start(server, tmp_path) for _ in range(2)]
        await shells[0].wire.ask(source="import time; time.sleep(1000)", numbered=False)
        server._channel.close()  # as if this process were gone
        await asyncio.wait([shell.process.died for shell in shells])
        await server.close()
        for shell in shells:
            await shell.end()
        return [shell.process.pid for shell in shells]

    for pid in asyncio.run(pids()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


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
        shell = await Shells().start(server, tmp_path)
        await shell.wire.ask(source=source, numbered=False)
        died = await shell.process.died
        await shell.end()
        await server.close()
        return died

    assert asyncio.run(ends()) == code


def test_server_that_is_gone_is_told(tmp_path):
    async def fork() -> None:
        server = await running_server(tmp_path)
        server.process.kill()
        server.process.wait()
        try:
            await server.fork("process", {"stray": str(tmp_path / "output")})
        finally:
            await server.close()

    with pytest.raises(ForkServerError):
        asyncio.run(fork())
