"""What a worker's processes write down is read by their parent, alive or dead: with real processes."""

import os
import signal
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fog_tasks.reporting.report_buffers import SIZE, SPARE, Note, Slates

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


def write(slates: Slates, index: int, *notes: Note) -> None:
    slate = slates.claim(index, os.getpid())
    for note in notes:
        assert slate.add(note)


def test_what_a_killed_process_has_written_down_is_there() -> None:
    slates = Slates(2)
    first = in_a_child(lambda: write(slates, 0, NOTE, OTHER))
    second = in_a_child(lambda: write(slates, 1, OTHER))
    assert slates.news(second) == [OTHER]
    assert slates.news(first) == [NOTE, OTHER]


def test_what_was_wiped_is_gone() -> None:
    slates = Slates(1)
    slate = slates.claim(0, 17)
    slate.add(NOTE)
    slate.wipe()
    assert slates.news(17) == []
    slate.add(OTHER)
    assert slates.news(17) == [OTHER]


def test_nothing_is_told_twice() -> None:
    slates = Slates(1)
    slate = slates.claim(0, 17)
    slate.add(NOTE)
    assert slates.news(17) == [NOTE]
    assert slates.news(17) == []
    slate.add(OTHER)
    assert slates.news(17) == [OTHER]


def test_a_process_in_a_dead_ones_place_leaves_its_words_alone() -> None:
    slates = Slates(2)
    dead = [in_a_child(lambda: write(slates, 1, NOTE)) for _ in range(SPARE - 1)]
    own = slates.claim(1, 17)
    own.add(OTHER)
    assert [slates.news(pid) for pid in dead] == [[NOTE]] * (SPARE - 1)
    assert slates.news(17) == [OTHER]


def test_a_full_slate_takes_no_more_and_keeps_what_it_has() -> None:
    slates = Slates(1)
    slate = slates.claim(0, 17)
    assert slate.add(NOTE)
    assert not slate.add(("fog:a:reports", bytes(SIZE)))
    assert slates.news(17) == [NOTE]


def test_the_word_of_a_process_that_wipes_it_meanwhile_is_not_taken() -> None:
    slates = Slates(1)
    slate = slates.claim(0, 17)
    slate.add(NOTE)
    head = slate.head
    assert slate.read(head, 0) == [NOTE]
    slate.wipe()
    slate.add(OTHER)
    slate.add(OTHER)
    assert slate.read(head, 0) == []
    assert slates.news(17) == [OTHER, OTHER]


def test_what_is_added_meanwhile_is_news_the_next_time() -> None:
    slates = Slates(1)
    slate = slates.claim(0, 17)
    slate.add(NOTE)
    head = slate.head
    slate.add(OTHER)
    assert slate.read(head, 0) == [NOTE]


@given(st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=200)), max_size=20))
def test_notes_come_back_as_they_were(notes: list[Note]) -> None:
    slates = Slates(1)
    slate = slates.claim(0, 17)
    for note in notes:
        assert slate.add(note)
    assert slates.news(17) == notes


@pytest.mark.parametrize("index", [0, 1, 5])
def test_each_index_has_slates_of_its_own(index: int) -> None:
    slates = Slates(6)
    write(slates, index, NOTE)
    for other in set(range(6)) - {index}:
        slates.claim(other, 17 + other).add(OTHER)
    assert slates.news(os.getpid()) == [NOTE]
