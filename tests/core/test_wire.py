"""The wire between a trial's process and its driver."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

import pytest

from pytest_mitosis.run.wire import DriversWire, Wire, failure


def test_events_and_requests_come_whole_and_in_order():
    async def talk() -> tuple[list[dict], list[dict]]:
        ours, theirs = socket.socketpair()
        wire, driver = Wire(theirs), DriversWire()
        requests: list[dict] = []
        listening = threading.Thread(target=wire.forward, args=(requests.append,))
        listening.start()
        await driver.open(ours)
        texts = ["", "short", "\ud800 \N{SNOWMAN}", "x" * 3_000_000, "last"]
        for text in texts:
            driver.send(text=text)
        # A thread of its own, as what is sent is more than a socket holds.
        sending = threading.Thread(
            target=lambda: [wire.send("stream", text=text, odd={1}) for text in texts]
        )
        sending.start()
        events = [await driver.told() for _ in texts]
        await asyncio.to_thread(sending.join)
        driver.close()
        await asyncio.to_thread(listening.join)
        theirs.close()
        return requests, events

    requests, events = asyncio.run(talk())
    texts = ["", "short", "\ud800 \N{SNOWMAN}", "x" * 3_000_000, "last"]
    assert requests == [{"text": text} for text in texts]
    assert events == [{"kind": "stream", "text": text, "odd": "{1}"} for text in texts]


def test_process_whose_driver_is_gone_is_told_by_the_wire_and_may_go_on_saving():
    ours, theirs = socket.socketpair()
    wire = Wire(theirs)
    ours.close()
    wire.send("stream", name="stdout", text="saving")
    assert wire.receive() is None
    theirs.close()


def test_fork_of_the_experiments_sends_nothing():
    ours, theirs = socket.socketpair()
    wire = Wire(theirs)
    pid = os.fork()
    if not pid:
        wire.send("done")
        os._exit(0)
    os.waitpid(pid, 0)
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        ours.recv(1)
    ours.close()
    theirs.close()


def test_what_cannot_say_what_it_is_is_told_all_the_same():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert failure(Mute()) == {"ename": "Mute", "evalue": "<unprintable>"}
    assert failure(KeyError("x")) == {"ename": "KeyError", "evalue": "'x'"}
