"""The messages that are with Celery, and the jobs in each. No I/O, no clock."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fog_node.jobs.job import Job
from fog_tasks.declaration.task import HARD_LIMIT_GRACE

LEASE_MARGIN = 2.0
"""Seconds beyond a task's limits after which the node no longer waits for the worker's report."""


@dataclass(slots=True)
class SentMessage:
    """A message for the workers, from sending to the end of the last of its jobs.

    `members` are the jobs without an end, by their place in the message; they run in that order, one
    at a time, once a `worker` has begun. `moved` is when the message was sent, or the running job began.
    """

    ticket: str
    members: dict[int, Job]
    limits: Sequence[float]
    moved: float
    worker: str | None = None

    @property
    def running(self) -> Job | None:
        """The job that the worker is at."""
        return None if self.worker is None else next(iter(self.members.values()), None)

    def place(self, key: int) -> int:
        """Where in the message a job is."""
        return next(index for index, job in self.members.items() if job.key == key)

    def lease_ends(self) -> float:
        """Until when the worker must have reported how the running job ended."""
        index = next(iter(self.members))
        return self.moved + self.limits[index] + HARD_LIMIT_GRACE + LEASE_MARGIN


@dataclass(frozen=True, slots=True)
class Skip:
    """The workers are to leave one job of a message out."""

    ticket: str
    index: int


@dataclass(frozen=True, slots=True)
class Revoke:
    """The workers are to drop a message, or to end its process if it runs."""

    ticket: str


def may_have_had(lost: str) -> Callable[[str | None], bool]:
    """Whether messages of a worker, or of nobody yet, may be lost with this worker."""
    return lambda worker: worker in (None, lost)


@dataclass(slots=True)
class InFlight:
    """All the messages of one weight that are with Celery.

    `begun` counts the jobs that a worker has started, by kind; `unbegun` all others, to which the pool adds
    those that it has not sent yet. They are kept as states change: a cloud has thousands of messages, and is
    asked for its wait at each task.
    """

    begun: Counter[str] = field(default_factory=Counter)
    unbegun: Counter[str] = field(default_factory=Counter)
    _by_ticket: dict[str, SentMessage] = field(default_factory=dict)
    _by_key: dict[int, SentMessage] = field(default_factory=dict)
    _unread: dict[str, SentMessage] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_ticket)

    @property
    def jobs(self) -> int:
        """How many jobs are with Celery."""
        return len(self._by_key)

    @property
    def started(self) -> int:
        """How many messages a worker has begun; it is at one job of each."""
        return len(self._by_ticket) - len(self._unread)

    def add(self, ticket: str, jobs: Sequence[Job], limits: Sequence[float], now: float) -> SentMessage:
        """Note a message that goes out."""
        message = SentMessage(ticket, dict(enumerate(jobs)), limits, now)
        self._by_ticket[ticket] = self._unread[ticket] = message
        self._by_key.update((job.key, message) for job in jobs)
        for job in jobs:
            self.unbegun[job.kind] += 1
        return message

    def begin(self, message: SentMessage, worker: str, now: float) -> None:
        """Note that a worker has begun with a message, which nobody had."""
        del self._unread[message.ticket]
        message.worker, message.moved = worker, now
        self._start_next(message)

    def get(self, ticket: str) -> SentMessage | None:
        """The message with this ticket, if it is still out."""
        return self._by_ticket.get(ticket)

    def of(self, key: int) -> SentMessage | None:
        """The message that holds this job, if one does."""
        return self._by_key.get(key)

    def ended(self, message: SentMessage, index: int) -> Job:
        """Take one job out of its message; the last one ends the message."""
        ran = message.running
        job = message.members.pop(index)
        del self._by_key[job.key]
        counts = self.begun if job is ran else self.unbegun
        counts[job.kind] -= 1
        if not message.members:
            del self._by_ticket[message.ticket]
            self._unread.pop(message.ticket, None)
        elif job is ran:
            self._start_next(message)
        return job

    def end(self, message: SentMessage) -> list[Job]:
        """Take back a whole message: the jobs in it that had no end."""
        jobs = list(message.members.values())
        for index in list(message.members):
            self.ended(message, index)
        return jobs

    def of_workers(self, those: Callable[[str | None], bool]) -> list[SentMessage]:
        """The messages of those workers; asked with None, it is about the messages that nobody has begun."""
        return [one for one in self._by_ticket.values() if those(one.worker)]

    def overdue(self, now: float) -> list[SentMessage]:
        """The messages whose running job should have ended long ago."""
        return [one for one in self._by_ticket.values() if one.worker is not None and now > one.lease_ends()]

    def unstarted_since(self) -> float | None:
        """When the oldest message was sent that nobody has begun."""
        return next((one.moved for one in self._unread.values()), None)

    def unread(self) -> list[SentMessage]:
        """The messages that nobody has begun, the oldest first."""
        return list(self._unread.values())

    def _start_next(self, message: SentMessage) -> None:
        job = message.running
        assert job is not None
        self.unbegun[job.kind] -= 1
        self.begun[job.kind] += 1
