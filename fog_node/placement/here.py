"""What a task would find at this node: how long it would wait, and how long run. No I/O, no clock."""

from collections.abc import Callable, Mapping
from typing import Protocol

from broker.contract.topics import Weight
from fog_node.jobs.job import Job
from fog_node.jobs.waits import Queue
from fog_node.placement.estimates import Estimates
from fog_node.placement.policies.original import backlog
from fog_node.placement.surroundings import Local

NEVER = 3600.0
"""The wait, in seconds, that a node tells which has no workers for a weight. JSON has no infinity."""


class Queues(Protocol):
    """The queues of this node."""

    def queue(self, weight: Weight) -> Queue | None:
        """What a further job of that weight would find, or None without workers for it."""

    def queued(self) -> Mapping[Weight, int]:
        """How many jobs of each weight wait for a slot."""


class Here:
    """The node itself as a place for tasks. `timeout_of` tells for how many seconds a task may run."""

    def __init__(self, queues: Queues, estimates: Estimates, timeout_of: Callable[[str], float]) -> None:
        self._queues = queues
        self._estimates = estimates
        self.timeout_of = timeout_of

    def local(self, weight: Weight) -> Local:
        """The queue that a task of this weight would join."""
        queue = self._queues.queue(weight)
        if queue is None:
            return Local(slots=0, wait=0.0)
        return Local(slots=queue.slots, wait=queue.wait, backlog=self._backlog)

    def wait_of(self, weight: Weight) -> float:
        """Seconds that one more task of this weight would wait here."""
        local = self.local(weight)
        return min(local.wait, NEVER) if local.slots else NEVER

    def run_of(self, job: Job) -> float:
        """Seconds that a job is thought to run here."""
        return self._estimates.of(job.weight, job.kind, timeout=self.timeout_of(job.task)).run

    def free_slots(self, weight: Weight) -> int | None:
        """How many jobs could start at once; None without workers for that weight."""
        queue = self._queues.queue(weight)
        return None if queue is None else max(0, queue.slots - queue.jobs)

    def _backlog(self) -> float:
        return backlog(self._queues.queued(), self._estimates.original())
