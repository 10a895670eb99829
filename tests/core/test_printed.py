"""What a trial prints: all of it in one file, and shown in the order it was printed."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from pytest_mitosis.run import printed
from pytest_mitosis.run.printed import PrintedFile, Stream


@pytest.fixture
def streams(tmp_path, monkeypatch):
    """Streams of a process whose own output goes to a file, what they sent, and the file."""
    file = tmp_path / "output.txt"
    sent: list[tuple[str, str]] = []
    number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    pair = [Stream(name, number, lambda *one: sent.append(one)) for name in ("stdout", "stderr")]
    monkeypatch.setattr(printed, "STREAMS", pair)
    monkeypatch.setattr(Stream, "file", PrintedFile(file))
    yield *pair, sent, file
    os.close(number)


def joined(sent, name):
    return "".join(text for stream, text in sent if stream == name)


def test_what_others_print_is_shown_in_its_place_and_kept_once(streams):
    out, err, sent, file = streams
    out.write("one\n")
    os.write(out.fileno(), b"past python\n")
    out.write("two\n")
    os.write(out.fileno(), b"again \xff\n")
    err.write("warned\n")
    os.write(out.fileno(), b"last\n")
    out.flush()
    err.flush()
    shown = "one\npast python\ntwo\nagain \ufffd\nlast\n"
    assert joined(sent, "stdout") == shown
    assert joined(sent, "stderr") == "warned\n"
    assert file.read_bytes() == b"one\npast python\ntwo\nagain \xff\nwarned\nlast\n"


def test_a_fork_prints_to_the_file_and_its_parent_shows_it(streams):
    out, _, sent, file = streams
    out.write("parent\n")
    pid = os.fork()
    if not pid:
        out.write("fork \ud800\n")
        out.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    out.write("parent again\n")
    out.flush()
    assert joined(sent, "stdout") == "parent\nfork \\ud800\nparent again\n"
    assert file.read_text() == "parent\nfork \\ud800\nparent again\n"


def test_what_is_sent_is_bounded_by_cell_and_the_file_is_not(streams, monkeypatch):
    monkeypatch.setattr(printed, "SENT_CHARACTERS", 100)
    out, _, sent, file = streams
    for _ in range(100):
        out.write("0123456789\n")
    os.write(out.fileno(), b"nobody asks any more\n")
    out.flush()
    assert 100 <= len(joined(sent, "stdout")) <= 200
    sent.clear()
    printed.begin_cell()
    out.write("next\n")
    os.write(out.fileno(), b"past python\n")
    out.flush()
    assert joined(sent, "stdout") == "next\npast python\n"
    assert file.stat().st_size == 1100 + 21 + 5 + 12


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_is_no_error_of_the_experiments(streams, monkeypatch):
    out, _, sent, file = streams
    out.write("before\n")
    with monkeypatch.context() as full:
        full.setattr(os, "write", no_space)
        out.write("lost\n")
    out.write("after\n")
    out.flush()
    assert joined(sent, "stdout") == "before\nlost\nafter\n"
    assert file.read_text() == "before\nafter\n"
    assert out.file.problem == "No space left on device"


def test_only_text_is_printed(streams):
    out = streams[0]
    with pytest.raises(TypeError, match="must be str, not bytes"):
        out.write(b"bytes")
    assert print("as ever", file=out) is None
    assert not out.isatty()
    assert out.writable()


def test_what_an_experiment_puts_in_a_streams_place_is_flushed_too(streams, monkeypatch):
    class Shout:
        def __init__(self, inner):
            self.inner, self.text = inner, ""

        def write(self, text):
            self.text += text.upper()

        def flush(self):
            self.inner.write(self.text)
            self.text = ""

    out, _, sent, _ = streams
    monkeypatch.setattr(sys, "stdout", Shout(out))
    monkeypatch.setattr(sys, "stderr", None)
    print("quiet")
    printed.flush_streams()
    assert joined(sent, "stdout") == "QUIET\n"
