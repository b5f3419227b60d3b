"""What waits for one client: a queue with a bound on count, bytes and age."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from broker.engines.embedded.message import Entry

OVERHEAD = 200
"""Bytes that an entry costs beside its payload, so that empty messages count too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How much may wait for a client; `age` in seconds."""

    messages: int
    bytes: int
    age: float


class WaitingQueue:
    """First in, first out. What does not fit is refused: what came first has the older right."""

    __slots__ = ("_bytes", "_entries", "_limits")

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        # Most sessions never wait for anything, and an empty deque is 600 bytes.
        self._entries: deque[Entry] | None = None
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries) if self._entries is not None else 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries or ())

    def put(self, entry: Entry, *, beyond: int = 0) -> bool:
        """Add an entry; False if there is no room. `beyond` as many more may wait than usual."""
        size = len(entry.message.payload) + OVERHEAD
        if len(self) >= self._limits.messages + beyond:
            return False
        if not beyond and self._bytes + size > self._limits.bytes:
            return False
        self.restore(entry)
        return True

    def restore(self, entry: Entry) -> None:
        """Add an entry that was accepted before, by an earlier process."""
        if self._entries is None:
            self._entries = deque()
        self._entries.append(entry)
        self._bytes += len(entry.message.payload) + OVERHEAD

    def first(self) -> Entry | None:
        """The entry that waited longest."""
        return self._entries[0] if self._entries else None

    def take(self) -> Entry:
        """Take out the entry that waited longest."""
        assert self._entries
        entry = self._entries.popleft()
        self._bytes -= len(entry.message.payload) + OVERHEAD
        if not self._entries:
            self._entries = None
        return entry

    def too_old(self, entry: Entry, now: float) -> bool:
        """Whether an entry has waited for longer than it may; a retained message has no age."""
        return not entry.retain and now - entry.message.born > self._limits.age
