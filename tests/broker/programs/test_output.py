"""What a program writes reaches who wants to know, whole lines at a time."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from broker.programs.output import LONGEST_LINE, Output


@contextmanager
def opened() -> Iterator[tuple[Output, list[bytes]]]:
    heard: list[bytes] = []
    with closing(Output(heard.extend)) as output:
        yield output, heard


def test_lines_come_whole_however_they_were_written() -> None:
    with opened() as (output, heard):
        assert not output.read()
        os.write(output.writer, b"one\ntw")
        assert output.read()
        assert heard == [b"one"]
        os.write(output.writer, b"o\n\nthree\n")
        output.read()
        assert heard == [b"one", b"two", b"", b"three"]


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    with opened() as (output, heard):
        for _ in range(3):
            os.write(output.writer, b"x" * LONGEST_LINE)
            output.read()
        assert sum(map(len, heard)) >= 2 * LONGEST_LINE


def test_what_was_written_last_is_read_before_it_closes() -> None:
    with opened() as (output, heard):
        os.write(output.writer, b"the end\n")
    assert heard == [b"the end"]
