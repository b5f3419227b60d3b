"""What is with a Celery application, and when it is to be looked for. No I/O, no clock.

Celery acknowledges a task before it runs, so a worker that is killed takes it along, and nobody tells. A
task of which nothing was heard for a lease is therefore asked for: whoever has it says so. If nobody has
it, and it cannot wait in its queue any more either, it is sent again.
"""

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass

from fog_tasks.progress import PROGRESS_INTERVAL

MOST_ATTEMPTS = 3
"""Times that a task is sent at most: it may be what ends its workers."""

SECOND_LOOK = 2.0
"""Seconds until a task is asked for once more that nobody had: it may have been on its way to a worker."""

EXPIRY_SLACK = 1.0
"""Seconds after its deadline until a task is asked for: Celery drops it then, and mostly says so."""


class Verdict(enum.Enum):
    """What is to be done about a task that was asked for."""

    WAIT = enum.auto()
    AGAIN = enum.auto()
    LOST = enum.auto()
    EXPIRED = enum.auto()


@dataclass(slots=True, kw_only=True)
class Entry:
    """A task that is with the application. `number` is its place in the order of sending; 0 was not sent."""

    ticket: str
    queue: str
    expires: float | None
    number: int = 0
    due: float = math.inf
    attempts: int = 0
    misses: int = 0
    sent: float | None = None
    began: float | None = None
    told: float = -math.inf

    def ran(self, now: float) -> float:
        """For how many seconds it has run; where nobody says when it began, since it was sent."""
        since = self.sent if self.began is None else self.began
        return 0.0 if since is None else now - since


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found of a task: whether some worker answered, has it, and runs it; how long its queue is.

    `waiting` is None where that could not be learned.
    """

    answered: bool
    held: bool = False
    active: bool = False
    waiting: int | None = None


class Pending:
    """The tasks whose end is not known; one is asked for after `lease` seconds without a word."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._entries: dict[str, Entry] = {}
        self._sent = 0
        self._ended: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._entries))

    def __contains__(self, ticket: str) -> bool:
        return ticket in self._entries

    def add(self, ticket: str, queue: str, *, expires: float | None) -> None:
        """Take a task in. Unless it expires, it is not asked for before it was sent, or may have been."""
        due = math.inf if expires is None else expires + EXPIRY_SLACK
        self._entries[ticket] = Entry(ticket=ticket, queue=queue, expires=expires, due=due)

    def sent(self, ticket: str, now: float, *, maybe: bool = False) -> None:
        """Note that a task was sent; if only `maybe`, it is asked for at once."""
        entry = self._entries.get(ticket)
        if entry is not None:
            self._sent += 1
            entry.number = self._sent
            entry.sent = now
            entry.attempts += not maybe
            entry.misses = 0
            entry.due = now if maybe else self._next(entry, now)

    def tells(self, ticket: str, percent: float, now: float) -> bool:
        """Whether it is to be told that a task is so far; a task may say so as often as it likes."""
        entry = self._entries.get(ticket)
        if entry is None or (percent < 100 and now - entry.told < PROGRESS_INTERVAL):
            return False
        entry.told = now
        return True

    def retried(self, ticket: str, now: float) -> None:
        """Note that the application itself has put a task back: behind all that was sent until now."""
        entry = self._entries.get(ticket)
        if entry is not None:
            self._sent += 1
            entry.number, entry.misses, entry.due = self._sent, 0, self._next(entry, now)

    def sign(self, ticket: str, now: float, *, running: bool = False) -> bool:
        """Note a sign of life; tell whether it is the first one that says that the task runs."""
        entry = self._entries.get(ticket)
        if entry is None:
            return False
        first = running and entry.began is None
        if first:
            entry.began = now
        entry.misses = 0
        entry.due = self._next(entry, now)
        return first

    def end(self, ticket: str) -> Entry | None:
        """Take a task out that has ended: it has left its queue, and those before it as well."""
        entry = self._entries.pop(ticket, None)
        if entry is not None:
            self._ended[entry.queue] = max(entry.number, self._ended.get(entry.queue, 0))
        return entry

    def drop(self, ticket: str) -> Entry | None:
        """Take a task out of which nobody wants to hear any more."""
        return self._entries.pop(ticket, None)

    def due(self, now: float) -> list[Entry]:
        """The tasks to be asked for now."""
        return [entry for entry in self._entries.values() if entry.due <= now]

    def judge(self, entry: Entry, found: Found, now: float) -> Verdict:
        """Say what is to be done about a task that was asked for."""
        entry.due = now + self._lease
        if found.active:
            entry.misses = 0
            return Verdict.WAIT
        if entry.expires is not None and now >= entry.expires:
            return Verdict.EXPIRED
        entry.due = self._next(entry, now)
        # A worker that is busy with a task in its only thread does not answer.
        waits = found.waiting is None or (found.waiting > 0 and not self._overtaken(entry))
        if found.held or not found.answered or waits:
            entry.misses = 0
            return Verdict.WAIT
        entry.misses += 1
        if entry.misses < 2:
            entry.due = now + SECOND_LOOK
            return Verdict.WAIT
        return Verdict.LOST if entry.attempts >= MOST_ATTEMPTS else Verdict.AGAIN

    def _overtaken(self, entry: Entry) -> bool:
        """Whether a task that was sent later has left the queue: then this one has left it too."""
        return self._ended.get(entry.queue, 0) > entry.number

    def _next(self, entry: Entry, now: float) -> float:
        due = now + self._lease
        if entry.expires is not None and entry.began is None and entry.expires + EXPIRY_SLACK > now:
            due = min(due, entry.expires + EXPIRY_SLACK)
        return due
