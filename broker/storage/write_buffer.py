"""The writes that wait for a commit, and when it is due. No I/O, no clock."""

import asyncio
import math
from collections.abc import Hashable

import msgspec

COMMIT_SIZE = 2_000
"""The most writes of one commit. It bounds how long the first of them waits for the last."""

ENOUGH = 16
"""Writes at which a commit begins at once, even if all of them could wait longer.

A client has 20 messages unacknowledged at most, unless somebody has changed that (Mosquitto, paho). It would
stand still while as many of them wait here.
"""

SLACK = 0.002
"""Seconds by which a timer of the event loop may be early: it has whole milliseconds, and rounds."""


class Write(msgspec.Struct, frozen=True):
    """A statement with its values, `size` bytes in them, `due` to be committed from some moment on."""

    statement: str
    values: tuple[object, ...]
    size: int
    due: float
    done: asyncio.Future[None]


class WriteBuffer:
    """Writes by name, in the order in which they came. While it is `closing` all of them are due."""

    def __init__(self) -> None:
        self._writes: dict[Hashable, Write] = {}
        self.closing = False

    def get(self, name: Hashable) -> Write | None:
        """The write of that name, if it waits."""
        return self._writes.get(name)

    def put(self, name: Hashable, write: Write) -> float:
        """Let a write wait, in the place of the one that has its name; return when a commit is due for it."""
        self._writes[name] = write
        return -math.inf if self._enough else write.due

    def due(self) -> float:
        """When the next commit is due; never while nothing waits."""
        if self._enough:
            return -math.inf
        return min((write.due for write in self._writes.values()), default=math.inf)

    def take(self, now: float) -> list[Write]:
        """Take out what is due, in the order in which it came; the first of it where that is too much."""
        due = math.inf if self._enough else now + SLACK
        names = [name for name, write in self._writes.items() if write.due <= due][:COMMIT_SIZE]
        return [self._writes.pop(name) for name in names]

    @property
    def _enough(self) -> bool:
        return bool(self._writes) and (self.closing or len(self._writes) >= ENOUGH)
