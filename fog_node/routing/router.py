"""Routes jobs: whole or in parts to their places, back from there, and on to another. No I/O, no clock."""

from typing import Any, Protocol

from broker.contract.messages import Outcome, TaskError
from broker.contract.topics import CLOUD
from fog_node.jobs.job import Job
from fog_node.placement.placer import Placer
from fog_node.placement.policies.situation import Decision, Place
from fog_node.routing.destinations import Destinations
from fog_node.routing.listener import Listener, ProgressTeller


class Scatter(Protocol):
    """Does tasks in parts."""

    def can_take(self, job: Job) -> bool:
        """Whether a job is of a kind that is done in parts."""

    def take(self, job: Job, now: float) -> bool:
        """Begin to do a job in parts, if it is of that kind and there are slots free; else return False."""

    def withdraw(self, job: Job) -> None:
        """Take back all the parts of a job; nothing more is heard of them."""

    def part_ended(self, part: Job, outcome: Outcome, now: float) -> None:
        """Hear the outcome of a part."""


class Router:
    """Sends each job to its place, and on to another as long as it has no outcome.

    With `shared_workers` this node's workers may be on other machines, which come when they come.
    """

    def __init__(
        self,
        placer: Placer,
        listener: Listener[Any],
        progress: ProgressTeller,
        *,
        destinations: Destinations,
        scatter: Scatter,
        shared_workers: bool = False,
    ) -> None:
        self._placer = placer
        self._listener = listener
        self._progress = progress
        self._destinations = destinations
        self._scatter = scatter
        self._shared_workers = shared_workers

    def start(self, job: Job, decision: Decision, now: float) -> bool:
        """Give a job to the workers before it is stored, if it is to run here in one piece; tell whether."""
        if decision.place is not Place.HERE or self._scatter.can_take(job):
            return False
        self._destinations.send(job, decision, now)
        return True

    def send(self, job: Job, decision: Decision, now: float) -> None:
        """Carry a decision out for a job that is stored."""
        if decision.place in {Place.HERE, Place.NEIGHBOUR} and self._scatter.take(job, now):
            self._progress.running(job)
        else:
            self._destinations.send(job, decision, now)

    def recall(self, job: Job) -> None:
        """Take a job back from wherever it is; nothing more is heard of it."""
        self._scatter.withdraw(job)
        self._destinations.recall(job)

    def place_anew(self, job: Job, now: float) -> None:
        """Find another place for a job of which another node says nothing any more.

        The cloud comes last: it may be the one that says nothing. Without another place the job waits for it.
        """
        if job.ended:
            return
        decision = self._placer.decide_now(job, now, without_cloud=True)
        if decision.chosen is None:
            decision = self._placer.decide_now(job, now)
        self.send(job, decision, now)

    def place_elsewhere(self, job: Job, now: float) -> bool:
        """Find a place for a job that another node has refused; False if there is none left."""
        if job.ended:
            return False
        decision = self._placer.decide_now(job, now, without_cloud=CLOUD in job.avoided)
        if decision.chosen is None:
            return False
        self.send(job, decision, now)
        return True

    def part_ended(self, part: Job, outcome: Outcome, now: float) -> None:
        """Hand the outcome of a part to whoever gathers them."""
        self._scatter.part_ended(part, outcome, now)

    def recover(self, job: Job, now: float, *, fault: TaskError | None) -> None:
        """Place a job that an earlier life of the node left open, or end it with its `fault`."""
        if fault is not None:
            self._listener.fail(job, fault.code, fault.message, now)
            return
        decision = self._placer.decide_now(job, now)
        if decision.place is Place.NOWHERE and self._shared_workers:
            # There were workers when it was accepted; they may only be slower to start than this node.
            self._destinations.execute(job)
        else:
            self.send(job, decision, now)
