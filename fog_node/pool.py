"""The jobs of one weight: which wait, which are with a worker, and which goes next. No I/O, no clock."""

import heapq
from dataclasses import dataclass, field

from fog_node.job import Job

PATIENCE = 30.0
"""Seconds after which a job without a deadline is as urgent as one whose deadline has come, so that
a stream of urgent jobs cannot hold it back for ever."""

HELLO_LIFETIME = 10.0
"""Seconds after its last hello for which a worker counts as there: a loaded machine is slow to say it."""

AHEAD = 2
"""Jobs given out for each slot: one runs while the next is already there."""

AVERAGE_WEIGHT = 0.2
"""What the latest execution time counts in the running average."""


@dataclass(slots=True)
class Flight:
    """A job that was given to Celery: under which ticket, and which worker has started it."""

    job: Job
    ticket: str
    worker: str | None = None


@dataclass(slots=True)
class _Worker:
    slots: int
    seen: float


@dataclass(slots=True)
class Pool:
    """The waiting and the running jobs of one weight, and the workers that run them."""

    configured_slots: int
    _waiting: dict[int, Job] = field(default_factory=dict)
    _order: list[tuple[float, int]] = field(default_factory=list)
    _deadlines: list[tuple[float, int]] = field(default_factory=list)
    _flights: dict[int, Flight] = field(default_factory=dict)
    _workers: dict[str, _Worker] = field(default_factory=dict)
    _average: float | None = None

    def push(self, job: Job) -> None:
        """Let a job wait; the earliest deadline goes first, then the earliest accepted."""
        self._waiting[job.key] = job
        urgency = job.received + PATIENCE if job.deadline is None else job.deadline
        heapq.heappush(self._order, (urgency, job.key))
        if job.deadline is not None:
            heapq.heappush(self._deadlines, (job.deadline, job.key))

    def take(self) -> list[Job]:
        """Take the jobs that go to workers now: as many as keep every slot busy and one job ahead."""
        room = AHEAD * max(self.slots, 1) - len(self._flights)
        taken: list[Job] = []
        while self._order and len(taken) < room:
            _, key = heapq.heappop(self._order)
            job = self._waiting.pop(key, None)
            if job is not None:
                taken.append(job)
        return taken

    def fly(self, job: Job, ticket: str) -> None:
        """Note that a job is with Celery."""
        self._flights[job.key] = Flight(job, ticket)

    def flight(self, key: int) -> Flight | None:
        """The job with this key, if it is with Celery."""
        return self._flights.get(key)

    def land(self, key: int, *, ran: float | None = None) -> None:
        """Forget a job that has ended; `ran` is for how many seconds it was executed."""
        self._flights.pop(key, None)
        if ran is not None:
            before = ran if self._average is None else self._average
            self._average = before + AVERAGE_WEIGHT * (ran - before)

    def withdraw(self, key: int) -> bool:
        """Take back a job that waits; False if it does not."""
        return self._waiting.pop(key, None) is not None

    def expire(self, now: float) -> list[tuple[Job, str | None]]:
        """Take out the jobs whose deadline passed before a worker started them.

        Those that are with Celery already come with their tickets.
        """
        gone: list[tuple[Job, str | None]] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, key = heapq.heappop(self._deadlines)
            if (job := self._waiting.pop(key, None)) is not None:
                gone.append((job, None))
            elif self._is_unstarted(key):
                flight = self._flights.pop(key)
                gone.append((flight.job, flight.ticket))
        return gone

    def next_deadline(self) -> float | None:
        """When the next job expires that no worker has started."""
        while self._deadlines and not self._is_unstarted(self._deadlines[0][1]):
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def _is_unstarted(self, key: int) -> bool:
        flight = self._flights.get(key)
        return key in self._waiting or (flight is not None and flight.worker is None)

    def ground(self, worker: str | None = None) -> list[Flight]:
        """Take back what may be lost with a worker: what it runs, and what nobody is known to run.

        Without a worker's name, take back everything that is with Celery.
        """
        lost = [one for one in self._flights.values() if worker is None or one.worker in (None, worker)]
        for flight in lost:
            del self._flights[flight.job.key]
        if worker is not None:
            self._workers.pop(worker, None)
        return lost

    def hello(self, worker: str, slots: int, now: float) -> None:
        """Note that a worker is there."""
        self._workers[worker] = _Worker(slots, now)

    def silent(self, now: float) -> list[str]:
        """The workers that have not been heard for too long."""
        return [name for name, one in self._workers.items() if now - one.seen > HELLO_LIFETIME]

    @property
    def slots(self) -> int:
        """How many jobs the workers run at once."""
        return sum(one.slots for one in self._workers.values())

    @property
    def queued(self) -> int:
        """How many jobs have not been started."""
        return len(self._waiting) + len(self._flights) - self.running

    @property
    def running(self) -> int:
        """How many jobs a worker has started."""
        return sum(1 for flight in self._flights.values() if flight.worker is not None)

    @property
    def in_flight(self) -> int:
        """How many jobs are with Celery."""
        return len(self._flights)

    @property
    def estimated_wait(self) -> float:
        """Seconds until a job that comes now would start, by the average execution time so far."""
        slots = max(self.slots, self.configured_slots, 1)
        ahead = len(self._waiting) + len(self._flights) + 1 - slots
        return max(0, ahead) * (self._average or 0.0) / slots
