"""The live pool in virtual time, without event loop or clock, and what queueing theory says beside it."""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from broker.contract.topics import Weight
from fog_node.execution.in_flight import SentMessage
from fog_node.execution.pool import Pool
from fog_node.jobs.job import Job
from fog_node.jobs.waits import Estimate

Draw = Callable[[random.Random], tuple[str, float, float | None]]
"""Says of one job its kind, how long it runs, and how soon it is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One job: when it comes, how long it runs, what it is called, and how soon it is due."""

    at: float
    run: float
    kind: str = "task"
    due: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One job's wait, what the pool announced when the job came, and whether all slots were busy then."""

    arrival: Arrival
    real: float
    announced: float
    all_busy: bool


@dataclass(slots=True)
class VirtualPool:
    """One pool and as many workers as it has slots; each message is with them at once."""

    slots: int
    known: Callable[[str], Estimate]
    waits: list[Wait] = field(default_factory=list)

    def run(self, arrivals: Iterator[Arrival]) -> list[Wait]:
        """Let all of them run, and tell how long each waited, in the order of their starts."""
        pool = Pool(self.slots, self.known)
        pool.hello("w", self.slots, now=0.0)
        unread: deque[SentMessage] = deque()
        ends: list[tuple[float, int, SentMessage]] = []
        came: dict[int, tuple[Arrival, float, bool]] = {}
        keys = itertools.count()
        following = next(arrivals, None)
        while following is not None or ends:
            if following is not None and (not ends or following.at <= ends[0][0]):
                now, key = following.at, next(keys)
                came[key] = (following, pool.estimated_wait, pool.queued + pool.running >= self.slots)
                pool.push(_job(key, following))
                following = next(arrivals, None)
            else:
                now, key, message = heapq.heappop(ends)
                ran = came.pop(key)[0]
                pool.ended(message, message.place(key), now, ran=ran.run)
                if message.members:
                    self._begin(message, now, ends, came)
            for batch in pool.take():
                unread.append(pool.sent(f"t{batch[0].key}", batch, [60.0] * len(batch), now))
            while unread and len(ends) < self.slots:
                message = unread.popleft()
                pool.begin(message, "w", now)
                self._begin(message, now, ends, came)
        return self.waits

    def _begin(
        self,
        message: SentMessage,
        now: float,
        ends: list[tuple[float, int, SentMessage]],
        came: dict[int, tuple[Arrival, float, bool]],
    ) -> None:
        job = message.running
        assert job is not None
        arrival, announced, all_busy = came[job.key]
        self.waits.append(
            Wait(arrival=arrival, real=now - arrival.at, announced=announced, all_busy=all_busy)
        )
        heapq.heappush(ends, (now + arrival.run, job.key, message))


def poisson(count: int, rate: float, draw: Draw, *, seed: int) -> Iterator[Arrival]:
    """Jobs at random moments, `rate` of them in a second."""
    chance = random.Random(seed)
    now = 0.0
    for _ in range(count):
        now += chance.expovariate(rate)
        kind, run, due = draw(chance)
        yield Arrival(at=now, run=run, kind=kind, due=due)


def exponential(chance: random.Random) -> tuple[str, float, None]:
    """A task whose execution time is exponential around 1."""
    return "task", chance.expovariate(1.0), None


def constant(_chance: random.Random) -> tuple[str, float, None]:
    """A task that always runs for 1."""
    return "task", 1.0, None


def exact_exponential(slots: int, load: float) -> float:
    """The mean wait of those that find all slots busy in M/M/c: Erlang's C cancels out."""
    return 1 / (slots * (1 - load))


def exact_constant(slots: int, load: float, *, seed: int, count: int = 1_000_000) -> float:
    """The same in M/D/c, by the recursion of Kiefer and Wolfowitz: each takes the slot that is free first."""
    free = [0.0] * slots
    waits = []
    for one in poisson(count, slots * load, constant, seed=seed):
        starts = max(free[0], one.at)
        heapq.heapreplace(free, starts + 1.0)
        if starts > one.at:
            waits.append(starts - one.at)
    return sum(waits) / len(waits)


def _job(key: int, arrival: Arrival) -> Job:
    return Job(
        key=key,
        origin="",
        device="d",
        id=str(key),
        weight=Weight.MEDIUM,
        task=arrival.kind,
        payload=b"",
        reply="",
        received=arrival.at,
        deadline=None if arrival.due is None else arrival.at + arrival.due,
    )
