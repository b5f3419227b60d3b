"""The jobs of one weight: which wait, which are with a worker, which goes next. No I/O, no clock."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fog_node.execution.in_flight import InFlight, Revoke, SentMessage, Skip
from fog_node.jobs.job import Job
from fog_node.jobs.waits import Estimate, expected_wait

HELLO_LIFETIME = 10.0
"""Seconds without a hello after which a worker counts as lost: on a loaded machine a hello may be late."""

START_LEASE = 10.0
"""Seconds that a message may lie unread while a worker of its weight is idle; then the worker has stalled."""

AHEAD = 2
"""Messages given out for each slot where they are short: one runs while the next is already there."""

SHORT = 0.1
"""Only a message of fewer estimated seconds is given out before a slot is free for it. An urgent job may
have to wait behind it for so long. Without it the slot is idle for a millisecond or two: less than 2 % of a
longer message."""

BATCH_SECONDS = 0.05
"""Estimated seconds of all jobs in one message at most, since an urgent job may have to wait behind it."""

WORTHWHILE = 0.002
"""Jobs of fewer estimated seconds in all stay in one message: each message costs half of that by itself."""

BATCH_JOBS = 64
"""Jobs in one message at most. More would save next to nothing: the message's own cost is shared by 64."""

BATCH_BYTES = 256 * 1024
"""Payload bytes in one message at most, unless it holds a single job: Redis keeps the messages in memory."""

LATEST = 0.2
"""The share of the latest execution time when the time falls that a task is expected not to exceed."""


@dataclass(slots=True)
class _Worker:
    slots: int
    seen: float
    leaving: bool


@dataclass(slots=True)
class _Batch:
    """A message that is being put together."""

    jobs: list[Job]
    seconds: float
    size: int

    def takes(self, job: Job, seconds: float, share: int) -> bool:
        """Whether one more job may go with this message."""
        return (
            len(self.jobs) < BATCH_JOBS
            and (len(self.jobs) < share or self.seconds + seconds <= WORTHWHILE)
            and self.seconds + seconds <= BATCH_SECONDS
            and self.size + len(job.payload) <= BATCH_BYTES
        )


@dataclass(slots=True)
class Pool:
    """The waiting and the running jobs of one weight, and the workers that run them.

    `known` tells how long a kind of job runs here, `slots` how many jobs the workers that are there run at
    once; `configured_slots` are to be there. Workers that leave run jobs in `leaving_slots`, and get none.
    """

    configured_slots: int
    known: Callable[[str], Estimate]
    in_flight: InFlight = field(default_factory=InFlight)
    slots: int = 0
    leaving_slots: int = 0
    _waiting: dict[int, Job] = field(default_factory=dict)
    _order: list[tuple[float, int]] = field(default_factory=list)
    _deadlines: list[tuple[float, int]] = field(default_factory=list)
    _workers: dict[str, _Worker] = field(default_factory=dict)
    _typical: dict[str, float] = field(default_factory=dict)
    _moved: float = 0.0

    def push(self, job: Job) -> None:
        """Let a job wait; the earliest deadline goes first, then the earliest accepted."""
        self._waiting[job.key] = job
        self.in_flight.unbegun[job.kind] += 1
        heapq.heappush(self._order, (job.urgency, job.key))
        if job.deadline is not None:
            heapq.heappush(self._deadlines, (job.deadline, job.key))

    def take(self) -> list[list[Job]]:
        """Take the jobs that go to workers now, as messages: one for every slot, and a short one ahead.

        What waits is shared out among the messages there is room for, so that a job goes alone where there
        is little to do. Only jobs whose execution time is known and short go together.
        """
        slots = max(self.slots, 1)
        free = slots + self.leaving_slots - len(self.in_flight)
        room = free + (AHEAD - 1) * slots
        share = -(-len(self._waiting) // room) if room > 0 else 0
        batches: list[_Batch] = []
        while share and self._order:
            entry = heapq.heappop(self._order)
            job = self._waiting.get(entry[1])
            if job is None:
                continue
            seconds = self._seconds(job)
            if batches and batches[-1].takes(job, seconds, share):
                batches[-1].jobs.append(job)
                batches[-1].seconds += seconds
                batches[-1].size += len(job.payload)
            elif len(batches) < (room if seconds < SHORT else free):
                batches.append(_Batch([job], seconds, len(job.payload)))
            else:
                heapq.heappush(self._order, entry)
                break
            self._leave(job.key)
        return [batch.jobs for batch in batches]

    def sent(self, ticket: str, jobs: Sequence[Job], limits: Sequence[float], now: float) -> SentMessage:
        """Note that jobs go to Celery in one message; `limits` are the seconds that each may run."""
        return self.in_flight.add(ticket, jobs, limits, now)

    def begin(self, message: SentMessage, worker: str, now: float) -> None:
        """Note that a worker has begun with a message."""
        self.in_flight.begin(message, worker, now)
        self._moved = now

    def ended(self, message: SentMessage, index: int, now: float, *, ran: float | None = None) -> Job:
        """Take a job out of its message: it has ended. `ran` is for how many seconds it was executed."""
        job = self.in_flight.ended(message, index)
        message.moved = self._moved = now
        if ran is not None:
            kind = job.kind
            typical = self._typical.get(kind, 0.0)
            # It rises at once and falls slowly: if it is too low, a batch is too long and others wait for it.
            self._typical[kind] = max(ran, typical + LATEST * (ran - typical))
        return job

    def withdraw(self, key: int) -> bool:
        """Take back a job that waits; False if it does not."""
        return self._leave(key) is not None

    def call_back(self, message: SentMessage, job: Job) -> Skip | Revoke:
        """Take one job out of a message that is with the workers already; say what they are to be told."""
        runs = message.running is job
        index = message.place(job.key)
        self.in_flight.ended(message, index)
        if message.members and not runs:
            return Skip(message.ticket, index)
        self.push_all(self.in_flight.end(message))
        return Revoke(message.ticket)

    def clear(self) -> list[Job]:
        """Take out all jobs that wait."""
        return [job for key in list(self._waiting) if (job := self._leave(key)) is not None]

    def take_back_unread(self) -> list[Revoke]:
        """Queue again the jobs of messages that no worker has begun; say which messages are to be dropped."""
        unread = self.in_flight.unread()
        for message in unread:
            self.push_all(self.in_flight.end(message))
        return [Revoke(message.ticket) for message in unread]

    def push_all(self, jobs: Iterable[Job]) -> None:
        """Let jobs wait again."""
        for job in jobs:
            self.push(job)

    def expire(self, now: float) -> list[Job]:
        """Take out the waiting jobs whose deadline has passed, and return them with those in unread messages.

        The latter stay in their messages: the caller has to call these back.
        """
        # By key, since a job that was placed again has two entries in the heap.
        gone: dict[int, Job] = {}
        while self._deadlines and self._deadlines[0][0] <= now:
            _, key = heapq.heappop(self._deadlines)
            if (job := self._leave(key)) is not None:
                gone[key] = job
            elif (message := self._unread(key)) is not None:
                gone[key] = message.members[message.place(key)]
        return list(gone.values())

    def next_deadline(self) -> float | None:
        """When the next job expires that no worker has started."""
        while self._deadlines:
            key = self._deadlines[0][1]
            if key in self._waiting or self._unread(key) is not None:
                return self._deadlines[0][0]
            heapq.heappop(self._deadlines)
        return None

    def hello(self, worker: str, slots: int, now: float, *, leaving: bool = False) -> None:
        """Note that a worker is there; without slots it has left."""
        self._workers[worker] = _Worker(slots, now, leaving)
        if slots:
            self._count_slots()
        else:
            self.forget(worker)

    def forget(self, worker: str) -> None:
        """Count no longer on a worker."""
        self._workers.pop(worker, None)
        self._count_slots()

    def give_back(self, ticket: str) -> None:
        """Queue again the jobs of a message that a worker has left to others."""
        message = self.in_flight.get(ticket)
        if message is not None:
            self.push_all(self.in_flight.end(message))

    def silent(self, now: float) -> list[str]:
        """The workers that have not been heard for too long."""
        return [name for name, one in self._workers.items() if now - one.seen > HELLO_LIFETIME]

    def stalled(self, now: float) -> bool:
        """Whether messages lie unread although a worker is there and idle: it has stopped consuming."""
        since = self.in_flight.unstarted_since()
        idle = self.in_flight.started < self.slots + self.leaving_slots
        return since is not None and idle and now - max(since, self._moved) > START_LEASE

    @property
    def waits(self) -> bool:
        """Whether a job waits to be sent to a worker."""
        return bool(self._waiting)

    @property
    def jobs(self) -> int:
        """How many jobs have no end."""
        return len(self._waiting) + self.in_flight.jobs

    @property
    def queued(self) -> int:
        """How many jobs have not been started."""
        return self.jobs - self.running

    @property
    def running(self) -> int:
        """How many jobs a worker has started."""
        return self.in_flight.started

    @property
    def estimated_wait(self) -> float:
        """Seconds until a job that comes now would start, by how long the jobs before it usually run."""
        # Workers that are about to start again count.
        slots = max(self.slots, self.configured_slots, 1)
        if self.jobs < slots:
            return 0.0
        known, jobs = self.known, self.in_flight
        waiting = [(known(kind), count) for kind, count in jobs.unbegun.items() if count]
        return expected_wait(slots, waiting, [(known(kind), n) for kind, n in jobs.begun.items() if n])

    def _count_slots(self) -> None:
        # Kept, and not counted when asked for: that is several times for each job.
        self.slots = sum(one.slots for one in self._workers.values() if not one.leaving)
        self.leaving_slots = sum(one.slots for one in self._workers.values() if one.leaving)

    def _leave(self, key: int) -> Job | None:
        job = self._waiting.pop(key, None)
        if job is not None:
            self.in_flight.unbegun[job.kind] -= 1
        return job

    def _seconds(self, job: Job) -> float:
        """How long a job may take; so long that it goes alone if it is unknown or was tried before."""
        alone = 2 * BATCH_SECONDS
        return alone if job.attempts else self._typical.get(job.kind, alone)

    def _unread(self, key: int) -> SentMessage | None:
        message = self.in_flight.of(key)
        return message if message is not None and message.worker is None else None
