"""Standard streams: one that can always be written to, and one whose lines are given on."""

import contextlib
import io
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

from broker.programs.output import Lines

FLUSH_INTERVAL = 1.0
"""Seconds between two times that a flush gives on what is no line yet: a bar of progress asks ten times as
often."""


def keep_standard_files() -> None:
    """Open those of the files 0 to 2 that are closed: the next file would be taken for one of them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def unfailing(descriptor: int) -> TextIO:
    """A stream of text that goes on where it cannot be written: a full disk, a closed terminal or pipe.

    What a program has to say must not end what it does. Whatever is written in one call is written at once.
    """
    file: Any = _Unfailing(descriptor, "w", closefd=False)
    return io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", write_through=True)


class _Unfailing(io.FileIO):
    def write(self, data: Any) -> int:
        left = memoryview(data)
        with contextlib.suppress(OSError):
            while left and (written := super().write(left)):
                left = left[written:]
        return len(data)


class LineStream(io.TextIOWrapper):
    """A stream of text in the place of a standard one, from the descriptor of which other programs write.

    `on_line` gets each line once it is finished. It cannot be closed: the next task has the same one.
    """

    def __init__(self, descriptor: int, on_line: Callable[[str], None]) -> None:
        self.file = LineFile(descriptor, on_line)
        super().__init__(self.file, encoding="utf-8", errors="backslashreplace", write_through=True)


class LineFile(io.RawIOBase):
    """What a LineStream writes to."""

    name = "<log>"

    def __init__(self, descriptor: int, on_line: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._on_line = on_line
        self._flushed = 0.0
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        # A forked process must not wait for a thread that it has not, nor write again what its parent has.
        self._lines = Lines()
        self._lock = threading.RLock()

    @property
    def unfinished(self) -> bytes:
        """What has been written and is no line yet."""
        return self._lines.unfinished

    def write(self, data: Any) -> int:
        with self._lock:
            self._give(self._lines.add(bytes(data)))
        return len(data)

    def flush(self) -> None:
        if self.unfinished and time.monotonic() - self._flushed >= FLUSH_INTERVAL:
            self._flushed = time.monotonic()
            self.end()

    def end(self) -> None:
        """Give on what was written last as if it were a line."""
        with self._lock:
            self._give(self._lines.end())

    def _give(self, lines: list[bytes]) -> None:
        for line in lines:
            self._on_line(as_shown(line))

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        pass


def as_shown(line: bytes) -> str:
    """A line as a terminal would show it: what a carriage return overwrites is gone."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "backslashreplace")
