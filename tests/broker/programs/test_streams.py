"""Streams that can always be written to, and streams whose lines are given on."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from broker.programs.streams import FLUSH_INTERVAL, LineStream, unfailing

FULL = Path("/dev/full")

PROGRAM = """
import sys, warnings
from broker.programs.logs import LogFormat, LogLevel, set_up_logs

set_up_logs(level=LogLevel.INFO, format=LogFormat.AUTO, program="test")
warnings.warn("told to stderr")
raise SystemExit(len(open(sys.argv[1]).read()))
"""


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def stream(heard: list[str]) -> LineStream:
    return LineStream(1, heard.append)


def test_lines_are_given_on_when_they_end(stream: LineStream, heard: list[str]) -> None:
    print("one", 2, file=stream)
    stream.write("th")
    assert heard == ["one 2"]
    stream.write("ree\n\nfour")
    assert heard == ["one 2", "three", ""]
    stream.file.end()
    stream.file.end()
    assert heard[3:] == ["four"]


def test_what_no_terminal_would_show_is_not_given_on(stream: LineStream, heard: list[str]) -> None:
    stream.write(" 10 %\r 50 %\r100 %\nwindows\r\n")
    stream.buffer.write(b"\xff\n")
    stream.write("\udcff\n")
    assert heard == ["100 %", "windows", "\\xff", "\\udcff"]


def test_what_is_flushed_before_it_is_a_line_is_given_on_now_and_then(
    stream: LineStream, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    for _ in range(10):
        print(".", end="", file=stream, flush=True)
    assert heard == ["."]
    now += FLUSH_INTERVAL
    stream.flush()
    assert heard == [".", "." * 9]


def test_who_closes_it_does_not_close_it_for_the_next(stream: LineStream, heard: list[str]) -> None:
    stream.close()
    print("goes on", file=stream)
    assert heard == ["goes on"]
    assert (stream.fileno(), stream.isatty()) == (1, False)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_waits_for_no_thread_and_repeats_nothing(tmp_path: Path) -> None:
    told = tmp_path / "told"
    inside, leave = threading.Event(), threading.Event()

    def on_line(line: str) -> None:
        if line == "wait":
            inside.set()
            leave.wait(30)
        with told.open("a") as file:
            file.write(f"{line} ")

    stream = LineStream(1, on_line)
    thread = threading.Thread(target=lambda: stream.write("wait\nunfinished"))
    thread.start()
    try:
        assert inside.wait(30)
        if (child := os.fork()) == 0:
            stream.write("child\n")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert told.read_text() == "child "
    finally:
        leave.set()
        thread.join()
    stream.file.end()
    assert told.read_text() == "child wait unfinished "


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_stream_to_a_full_disk_takes_everything() -> None:
    with FULL.open("w") as full:
        stream = unfailing(full.fileno())
        assert stream.write("lost\n") == 5
        stream.flush()


def test_a_stream_to_a_pipe_that_nobody_reads_any_more_takes_everything() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        print("lost", file=unfailing(writer), flush=True)
    finally:
        os.close(writer)


def test_a_program_whose_standard_files_are_closed_keeps_its_own_files_for_itself(tmp_path: Path) -> None:
    """A file would get the number of standard error, and the log with it."""
    store = tmp_path / "store"
    store.write_text("x" * 7)
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", PROGRAM, str(store)],
        timeout=30,
        check=False,
    )
    assert (closed.returncode, store.read_text()) == (7, "x" * 7)
