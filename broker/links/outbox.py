"""What waits to be sent over a link: on disk, so that it survives a restart, and the most urgent first.

    (unknown) --put--> waiting --take--> leaving --remove--> (unknown)
                          ^                 |
                          +----give_back----+

An entry stays on disk until the other side has acknowledged it. One whose time has passed is not taken out
but dropped, and whoever put it there is told; so is one that has waited too long. A full outbox refuses
new messages, since those that it holds were promised first.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from broker.errors import OutboxFull
from broker.storage.group_commit import GroupCommit

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    link TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    urgency REAL NOT NULL,
    expires_at REAL,
    put_at REAL NOT NULL,
    PRIMARY KEY (link, topic)
) WITHOUT ROWID;
"""
_PUT = "INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?)"
_LOAD = "SELECT topic, length(payload), urgency, expires_at, put_at FROM outbox WHERE link = ?"
_READ = "SELECT payload FROM outbox WHERE link = ? AND topic = ?"
_PUT_AHEAD = (
    "UPDATE outbox SET urgency = urgency - put_at + ?, expires_at = expires_at - put_at + ?, put_at = ?"
    " WHERE put_at > ?"
)
_REMOVE = "DELETE FROM outbox WHERE link = ? AND topic = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """How much may wait for one link, and for how long: bytes, messages, seconds."""

    size: int = 256 * 1024 * 1024
    messages: int = 200_000
    age: float = 24 * 3600.0


@dataclass(slots=True, eq=False)
class OutboxEntry:
    """A message that waits. `urgency` and `expires` are running times; the lower urgency goes first.

    `topic` is its name: a second message of the same topic takes the first one's place. Its payload is
    on disk, or here while the disk has not taken it yet.
    """

    topic: str
    size: int
    urgency: float
    expires: float | None
    put: float
    payload: bytes | None = None
    removed: bool = False


@dataclass(slots=True)
class OutboxCounters:
    """What became of the entries that were not sent."""

    expired: int = 0
    too_old: int = 0
    refused: int = 0


@dataclass(slots=True)
class Outbox:
    """The messages for one link. Used on the event loop; `store` may serve several outboxes.

    `clock` tells the running time.
    """

    store: GroupCommit
    link: str
    clock: Callable[[], float]
    limits: OutboxLimits = field(default_factory=OutboxLimits)
    on_dropped: Callable[[str], None] = lambda _: None
    counters: OutboxCounters = field(default_factory=OutboxCounters)
    size: int = 0
    _entries: dict[str, OutboxEntry] = field(default_factory=dict)
    _order: list[tuple[float, int, OutboxEntry]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def load(self) -> int:
        """Take over what an earlier life left; return how many messages those are. Raises StorageError."""
        for topic, size, urgency, expires, put in self.store.read(_LOAD, self.link):
            self._add(OutboxEntry(topic, size, urgency, expires, put))
        return len(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def full(self) -> bool:
        """Whether nothing more is taken at present."""
        return len(self._entries) >= self.limits.messages or self.size >= self.limits.size

    def put(
        self, topic: str, payload: bytes, *, urgency: float, expires: float | None = None
    ) -> asyncio.Future[None]:
        """Let a message wait; the future is done once it is durable. Raises OutboxFull."""
        if topic not in self._entries and self.full:
            self.counters.refused += 1
            raise OutboxFull(f"{len(self)} messages of {self.size} bytes wait for {self.link} already")
        now = self.clock()
        self._drop(topic)
        entry = OutboxEntry(topic, len(payload), urgency, expires, now, payload)
        self._add(entry)
        stored = self.store.write(_PUT, self.link, topic, payload, urgency, expires, now, size=len(payload))
        stored.add_done_callback(lambda done: _stored(entry, done))
        return stored

    async def take(self) -> tuple[OutboxEntry, bytes]:
        """Wait for the most urgent message, and take it out; it stays on disk until it is removed."""
        while True:
            while self._order:
                _, _, entry = heapq.heappop(self._order)
                if self._is_due(entry):
                    return entry, self._payload(entry)
            self._filled.clear()
            await self._filled.wait()

    def give_back(self, entry: OutboxEntry) -> None:
        """Put a message back that could not be sent: it has its old place, before all that is less urgent."""
        if not entry.removed:
            self._queue(entry)

    def remove(self, topic: str) -> asyncio.Future[None] | None:
        """Forget a message, since it was acknowledged or is wanted no longer; None where there is none."""
        return self.store.write(_REMOVE, self.link, topic) if self._drop(topic) else None

    def __contains__(self, topic: str) -> bool:
        return topic in self._entries

    def _is_due(self, entry: OutboxEntry) -> bool:
        if entry.removed:
            return False
        now = self.clock()
        if entry.expires is not None and now >= entry.expires:
            self.counters.expired += 1
        elif now - entry.put > self.limits.age:
            self.counters.too_old += 1
        else:
            return True
        self.remove(entry.topic)
        self.on_dropped(entry.topic)
        return False

    def _payload(self, entry: OutboxEntry) -> bytes:
        if entry.payload is not None:
            return entry.payload
        payload: bytes = self.store.read(_READ, self.link, entry.topic).fetchone()[0]
        return payload

    def _add(self, entry: OutboxEntry) -> None:
        self._entries[entry.topic] = entry
        self.size += entry.size
        self._queue(entry)

    def _queue(self, entry: OutboxEntry) -> None:
        heapq.heappush(self._order, (entry.urgency, next(self._numbers), entry))
        self._filled.set()

    def _drop(self, topic: str) -> bool:
        entry = self._entries.pop(topic, None)
        if entry is None:
            return False
        entry.removed = True
        self.size -= entry.size
        return True


@asynccontextmanager
async def opened_store(path: Path, *, now: float, synchronous: str = "full") -> AsyncIterator[GroupCommit]:
    """The file of a node's outboxes, for as long as the context lasts. Raises StorageError.

    What was put there later than `now`, by another clock, counts as put there now.
    """
    async with GroupCommit.opened(path, _SCHEMA, name="outbox", synchronous=synchronous) as store:
        await store.write(_PUT_AHEAD, now, now, now, now)
        yield store


def _stored(entry: OutboxEntry, done: asyncio.Future[None]) -> None:
    # Where the disk has refused it, it is sent from memory: it is no worse off than without an outbox.
    if not done.cancelled() and done.exception() is None:
        entry.payload = None
