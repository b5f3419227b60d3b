"""Reads what other programs write, and passes it on line by line."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

if sys.platform == "linux":
    from fcntl import F_SETPIPE_SZ, fcntl

BUSY_INTERVAL = 0.02
"""Seconds between two reads while a program writes. Woken for each line, a node would do little else."""

IDLE_INTERVAL = 0.1
"""Seconds between two reads while nothing is written: quick enough for a log, and costs nothing."""

CAPACITY = 1 << 20
"""Bytes that may be unread, where the system grants it; beyond it the program waits with its next line."""

LONGEST_LINE = 16 * 1024
"""Bytes of a line that are kept; what it has beyond them counts as a line of its own."""


class Lines:
    """Puts lines together from portions of bytes."""

    def __init__(self) -> None:
        self.unfinished = b""

    def add(self, portion: bytes) -> list[bytes]:
        """The lines that a portion finishes."""
        *lines, self.unfinished = (self.unfinished + portion).split(b"\n")
        if len(self.unfinished) > LONGEST_LINE:
            lines += self.end()
        return lines

    def end(self) -> list[bytes]:
        """What has begun as a line, as if it had ended."""
        unfinished, self.unfinished = self.unfinished, b""
        return [unfinished] if unfinished else []


class Output:
    """A pipe that programs write to, for as long as it is not closed."""

    def __init__(self, on_lines: Callable[[list[bytes]], None]) -> None:
        self._on_lines = on_lines
        self._lines = Lines()
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        if sys.platform == "linux":
            # Where this user's share of the system's pipes is used up, it stays as small as pipes are.
            with contextlib.suppress(OSError):
                fcntl(self.writer, F_SETPIPE_SZ, CAPACITY)

    async def follow(self) -> NoReturn:
        """Pass on what is written, until cancelled."""
        while True:
            interval = BUSY_INTERVAL if self.read() else IDLE_INTERVAL
            await asyncio.sleep(interval)

    def read(self) -> bool:
        """Pass on what has been written so far; tell whether there was anything."""
        found = False
        while self.read_some(CAPACITY):
            found = True
        return found

    def read_some(self, most: int) -> bool:
        """Pass on at most so many bytes of what has been written; tell whether there were any."""
        portion = self._portion(most)
        if portion:
            self._on_lines(self._lines.add(portion))
        return bool(portion)

    def end_line(self) -> None:
        """Pass on what was written last, although it is no line yet."""
        self._on_lines(self._lines.end())

    def close(self) -> None:
        """Pass on what was written last, and close the pipe."""
        self.read()
        os.close(self.reader)
        os.close(self.writer)

    def _portion(self, most: int) -> bytes:
        try:
            return os.read(self.reader, most)
        except BlockingIOError:
            return b""
