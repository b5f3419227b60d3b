"""The jobs of a Celery application: which wait here, which are with it. No I/O, no clock."""

import heapq
from collections.abc import Iterator

from fog_node.jobs.job import Job

_Place = tuple[float, int]


class ApplicationQueue:
    """At most `outstanding` jobs are with the application; the others wait here, the most urgent first.

    A job's ticket is its identifier at the application. It begins with `prefix`, and is the same in every
    life of the node: so what became of a job in between can be found out.
    """

    def __init__(self, prefix: str, outstanding: int) -> None:
        self._prefix = prefix
        self._outstanding = outstanding
        self._waiting: dict[int, Job] = {}
        self._order: list[_Place] = []
        self._deadlines: list[_Place] = []
        self._sent: dict[str, Job] = {}
        self._known: set[int] = set()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    @property
    def sent(self) -> int:
        """How many jobs are with the application."""
        return len(self._sent)

    def push(self, job: Job, *, known: bool = False) -> None:
        """Let a job wait for its turn; `known` says that an earlier life may have sent it."""
        self._waiting[job.key] = job
        heapq.heappush(self._order, (job.urgency, job.key))
        if known:
            self._known.add(job.key)
        elif job.deadline is not None:
            heapq.heappush(self._deadlines, (job.deadline, job.key))

    def take(self) -> Iterator[tuple[str, Job, bool]]:
        """Take what goes to the application now: ticket, job, and whether it may be there already."""
        while self._order and len(self._sent) < self._outstanding:
            _, key = heapq.heappop(self._order)
            job = self._waiting.pop(key, None)
            if job is not None:
                ticket = f"{self._prefix}{job.key}-{job.recalls}"
                self._sent[ticket] = job
                yield ticket, job, key in self._known
                self._known.discard(key)

    def of(self, ticket: str) -> Job | None:
        """The job that is with the application under a ticket."""
        return self._sent.get(ticket)

    def ended(self, ticket: str) -> Job | None:
        """Take out a job that has ended there."""
        return self._sent.pop(ticket, None)

    def withdraw(self, job: Job) -> str | None:
        """Take a job back; return its ticket if the application has it."""
        if self._waiting.pop(job.key, None) is not None:
            return None
        ticket = f"{self._prefix}{job.key}-{job.recalls}"
        return ticket if self._sent.pop(ticket, None) is not None else None

    def door_gone(self) -> None:
        """Let all that was sent wait again: the door that hears of it is gone."""
        jobs, self._sent = list(self._sent.values()), {}
        for job in jobs:
            self.push(job, known=True)

    def expire(self, now: float) -> list[Job]:
        """Take out the jobs whose deadline passed while they waited here."""
        gone = []
        while self._deadlines and self._deadlines[0][0] <= now:
            job = self._waiting.pop(heapq.heappop(self._deadlines)[1], None)
            if job is not None:
                gone.append(job)
        return gone

    def next_deadline(self) -> float | None:
        """When the next job expires that waits here."""
        while self._deadlines and self._deadlines[0][1] not in self._waiting:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None
