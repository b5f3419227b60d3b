"""The pools of all weights, and what is to be done with their jobs at a moment. No I/O, no clock."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from broker.contract.messages import Load
from broker.contract.topics import WEIGHTS, Weight
from fog_node.execution.in_flight import Revoke, SentMessage, Skip
from fog_node.execution.pool import Pool
from fog_node.jobs.job import Job
from fog_node.jobs.waits import Estimate, Queue


@dataclass(frozen=True, slots=True)
class Expired:
    """A job whose deadline passed before a worker began it; `orders` for workers that may have it already."""

    job: Job
    orders: tuple[Skip | Revoke, ...] = ()


class Pools(Mapping[Weight, Pool]):
    """One pool for each weight, as workers may come from other machines.

    `slots` are how many workers this node itself is to have, and `estimate` tells how long a job of some kind
    runs.
    """

    def __init__(self, slots: Mapping[Weight, int], estimate: Callable[[Weight, str], Estimate]) -> None:
        self._pools = {weight: Pool(slots.get(weight, 0), partial(estimate, weight)) for weight in WEIGHTS}

    def __getitem__(self, weight: Weight) -> Pool:
        return self._pools[weight]

    def __iter__(self) -> Iterator[Weight]:
        return iter(self._pools)

    def __len__(self) -> int:
        return len(self._pools)

    def configure(self, slots: Mapping[Weight, int]) -> list[Job]:
        """Have so many workers of this node's own from now on; returns the jobs that wait for none now."""
        for weight, pool in self._pools.items():
            pool.configured_slots = slots.get(weight, 0)
        stranded = (pool for pool in self._pools.values() if not (pool.configured_slots or pool.slots))
        return [job for pool in stranded for job in pool.clear()]

    @property
    def configured(self) -> list[Weight]:
        """The weights for which this node itself has workers."""
        return [weight for weight, pool in self._pools.items() if pool.configured_slots]

    def holding(self, ticket: str) -> tuple[Pool, SentMessage] | None:
        """The message with this ticket and its pool, if it is with Celery."""
        for pool in self._pools.values():
            message = pool.in_flight.get(ticket)
            if message is not None:
                return pool, message
        return None

    @property
    def waits(self) -> bool:
        """Whether a job waits to be sent to a worker."""
        return any(pool.waits for pool in self._pools.values())

    @property
    def in_flight(self) -> int:
        """How many jobs are with Celery."""
        return sum(pool.in_flight.jobs for pool in self._pools.values())

    def queue(self, weight: Weight) -> Queue | None:
        """What a further job of that weight would find, or None without workers for it."""
        pool = self._pools.get(weight)
        if pool is None or not (pool.configured_slots or pool.slots):
            return None
        # Workers that are about to start again count: what waits for them is not to be refused.
        return Queue(pool.jobs, max(pool.slots, pool.configured_slots), pool.estimated_wait)

    def queued(self) -> dict[Weight, int]:
        """How many jobs of each weight wait for a slot."""
        return {weight: pool.queued for weight, pool in self._pools.items()}

    def load(self) -> dict[Weight, Load]:
        """What waits and runs, by weight, as it is announced."""
        return {
            weight: Load(
                queued=pool.queued,
                running=pool.running,
                slots=pool.slots,
                estimated_wait_ms=round(1e3 * pool.estimated_wait, 3),
            )
            for weight, pool in self._pools.items()
            if pool.configured_slots or pool.slots or pool.jobs
        }

    def withdraw(self, job: Job) -> Skip | Revoke | None:
        """Take a job back, whether it waits or runs; say what its worker is to be told, if anything."""
        pool = self._pools.get(job.weight)
        if pool is None or pool.withdraw(job.key):
            return None
        message = pool.in_flight.of(job.key)
        return None if message is None else pool.call_back(message, job)

    def expire(self, now: float) -> list[Expired]:
        """Take out the jobs whose deadline has passed before a worker began them."""
        expired = []
        for pool in self._pools.values():
            for job in pool.expire(now):
                message = pool.in_flight.of(job.key)
                orders = () if message is None else (pool.call_back(message, job),)
                expired.append(Expired(job, orders))
        return expired

    def next_deadline(self) -> float | None:
        """When the next job expires that no worker has begun."""
        deadlines = (pool.next_deadline() for pool in self._pools.values())
        return min((at for at in deadlines if at is not None), default=None)

    def take(self) -> list[tuple[Pool, list[Job]]]:
        """Take the jobs that go to workers now, a list for each message."""
        return [(pool, jobs) for pool in self._pools.values() for jobs in pool.take()]
