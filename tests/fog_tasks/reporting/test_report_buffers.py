"""What a worker's processes write down is read by their parent, alive or dead: with real processes."""

import os
import signal
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fog_tasks.reporting.report_buffers import SIZE, SPARE, Note, ReportBuffers

NOTE = ("fog:a:reports", b"\x93\x01")
OTHER = ("fog:b:reports", b"other")


def in_a_child(do: Callable[[], None]) -> int:
    """Fork a process that does something and is killed; return its number."""
    pid = os.fork()
    if not pid:
        try:
            do()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    return pid


def write(buffers: ReportBuffers, index: int, *notes: Note) -> None:
    buffer = buffers.claim(index, os.getpid())
    for note in notes:
        assert buffer.add(note)


def test_what_a_killed_process_has_written_down_is_there() -> None:
    buffers = ReportBuffers(2)
    first = in_a_child(lambda: write(buffers, 0, NOTE, OTHER))
    second = in_a_child(lambda: write(buffers, 1, OTHER))
    assert buffers.news(second) == [OTHER]
    assert buffers.news(first) == [NOTE, OTHER]


def test_what_was_wiped_is_gone() -> None:
    buffers = ReportBuffers(1)
    buffer = buffers.claim(0, 17)
    buffer.add(NOTE)
    buffer.wipe()
    assert buffers.news(17) == []
    buffer.add(OTHER)
    assert buffers.news(17) == [OTHER]


def test_nothing_is_told_twice() -> None:
    buffers = ReportBuffers(1)
    buffer = buffers.claim(0, 17)
    buffer.add(NOTE)
    assert buffers.news(17) == [NOTE]
    assert buffers.news(17) == []
    buffer.add(OTHER)
    assert buffers.news(17) == [OTHER]


def test_a_process_in_a_dead_ones_place_leaves_its_words_alone() -> None:
    buffers = ReportBuffers(2)
    dead = [in_a_child(lambda: write(buffers, 1, NOTE)) for _ in range(SPARE - 1)]
    own = buffers.claim(1, 17)
    own.add(OTHER)
    assert [buffers.news(pid) for pid in dead] == [[NOTE]] * (SPARE - 1)
    assert buffers.news(17) == [OTHER]


def test_a_full_slate_takes_no_more_and_keeps_what_it_has() -> None:
    buffers = ReportBuffers(1)
    buffer = buffers.claim(0, 17)
    assert buffer.add(NOTE)
    assert not buffer.add(("fog:a:reports", bytes(SIZE)))
    assert buffers.news(17) == [NOTE]


def test_the_word_of_a_process_that_wipes_it_meanwhile_is_not_taken() -> None:
    buffers = ReportBuffers(1)
    buffer = buffers.claim(0, 17)
    buffer.add(NOTE)
    head = buffer.head
    assert buffer.read(head, 0) == [NOTE]
    buffer.wipe()
    buffer.add(OTHER)
    buffer.add(OTHER)
    assert buffer.read(head, 0) == []
    assert buffers.news(17) == [OTHER, OTHER]


def test_what_is_added_meanwhile_is_news_the_next_time() -> None:
    buffers = ReportBuffers(1)
    buffer = buffers.claim(0, 17)
    buffer.add(NOTE)
    head = buffer.head
    buffer.add(OTHER)
    assert buffer.read(head, 0) == [NOTE]


@given(st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=200)), max_size=20))
def test_notes_come_back_as_they_were(notes: list[Note]) -> None:
    buffers = ReportBuffers(1)
    buffer = buffers.claim(0, 17)
    for note in notes:
        assert buffer.add(note)
    assert buffers.news(17) == notes


@pytest.mark.parametrize("index", [0, 1, 5])
def test_each_index_has_slates_of_its_own(index: int) -> None:
    buffers = ReportBuffers(6)
    write(buffers, index, NOTE)
    for other in set(range(6)) - {index}:
        buffers.claim(other, 17 + other).add(OTHER)
    assert buffers.news(os.getpid()) == [NOTE]
