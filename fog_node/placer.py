"""Decides where a job goes: puts before the policy what this node knows, and learns from what came of it."""

import logging
import math
import random
import time
from dataclasses import asdict, replace

import structlog

from broker.messages import Outcome, Report
from broker.topics import CLOUD, Weight
from fog_node.estimates import expected_wait
from fog_node.executor import Executor
from fog_node.handoff import Peer
from fog_node.job import Job
from fog_node.neighbourhood import Neighbourhood
from fog_node.placement import Decision, Place, Policy, Probe, Situation, Work, explain
from fog_node.placement.original import backlog
from fog_node.surroundings import Local, Surroundings
from tasks.registry import Registry

log = structlog.get_logger()

DEFAULT_HOPS = 2
"""Neighbours that a task is handed on to at most, unless it says itself how many."""

NEVER = 3600.0
"""The wait, in seconds, that a node tells which has no workers for a weight; infinity is no JSON."""


class Placer:
    """Asks the policy where a job goes, and keeps the figures on which it decides."""

    def __init__(
        self,
        policy: Policy,
        *,
        executor: Executor,
        registry: Registry,
        known: Surroundings,
        neighbourhood: Neighbourhood,
        cloud: Peer | None,
    ) -> None:
        self._policy = policy
        self._executor = executor
        self._registry = registry
        self._known = known
        self._neighbourhood = neighbourhood
        self._cloud = cloud
        self._chance = random.Random()  # noqa: S311

    def decide(self, job: Job, *, without_cloud: bool = False) -> Decision:
        """Ask the policy for a place. A policy that wants to ask neighbours first is given the board."""
        return self.decide_on(_work(job, time.monotonic()), without_cloud=without_cloud)

    def decide_on(self, work: Work, *, without_cloud: bool = False) -> Decision:
        """Say where a task like this would go now."""
        now, known = time.monotonic(), self._known
        known.linked = self._neighbourhood.linked()
        known.cloud_linked = self._cloud is not None and self._cloud.reachable and not without_cloud
        timeout = self._timeout(work.task)
        local = self._local(work.weight, work.task, timeout)
        situation = known.situation(work, local, now, timeout=timeout)
        found = self._ask(work, situation)
        if found.chosen is None and situation.cloud is not None and not without_cloud:
            # Only the cloud has workers for it, and is away: it waits for the cloud in the outbox.
            waits = replace(situation.cloud, alive=True)
            found = Decision(waits, "waits for the cloud, the only place that can run it", situation)
        if log.is_enabled_for(logging.DEBUG):
            candidates = [asdict(line) for line in explain(work, found)]
            log.debug("placed", task=work.task, weight=work.weight, why=found.why, candidates=candidates)
        return found

    def placed(self, job: Job, decision: Decision) -> None:
        """Note that a decision is carried out."""
        chosen = decision.chosen
        if chosen is None:
            return
        job.why, job.predicted = decision.why, chosen.done
        if chosen.place is Place.NEIGHBOUR:
            self._known.board.sent(chosen.node, job.weight, chosen.run, time.monotonic())

    def ran_here(self, job: Job, seconds: float) -> None:
        """Learn from a job that was executed at this node."""
        self._known.estimates.observe(job.weight, job.task, seconds)

    def reported(self, job: Job, report: Report) -> None:
        """Learn from what another node tells of a job."""
        outcome = report.outcome
        if outcome is None:
            return
        place = self._place_of(outcome)
        if report.wait_ms is not None:
            self._known.board.told(place, job.weight, report.wait_ms / 1e3, time.monotonic())
        if outcome.ok:
            self._known.estimates.observe(job.weight, job.task, outcome.ran_ms / 1e3, place=place)

    def wait_here(self, job: Job) -> float:
        """Seconds that one more job like this would wait here."""
        return min(self._local(job.weight, job.task, self._timeout(job.task)).wait, NEVER)

    def _ask(self, work: Work, situation: Situation) -> Decision:
        found = self._policy(work, situation, self._chance)
        if isinstance(found, Probe):
            found = self._policy(work, replace(situation, probed=found.nodes), self._chance)
        if isinstance(found, Probe):
            return Decision(None, "the policy asks again and again", situation)
        return found

    def _timeout(self, name: str) -> float:
        task = self._registry.get(name)
        # A job of an earlier life may be of a task that is not loaded any more.
        return math.inf if task is None else task.timeout

    def _local(self, weight: Weight, task: str, timeout: float) -> Local:
        queue = self._executor.queue(weight)
        if queue is None:
            return Local(slots=0, wait=0.0)
        run = self._known.estimates.of(weight, task, timeout=timeout).run
        return Local(
            slots=queue.slots,
            wait=expected_wait(queue.jobs, queue.jobs * run, queue.slots),
            backlog=backlog(self._executor.queued(), self._known.estimates.original()),
        )

    def _place_of(self, outcome: Outcome) -> str:
        """The node that was chosen, though another may have run it; the cloud's gateways are one place."""
        handed_to = outcome.route[-1] if outcome.route else outcome.node
        return handed_to if self._neighbourhood.peer(handed_to) is not None else CLOUD


def _work(job: Job, now: float) -> Work:
    limit = DEFAULT_HOPS if job.max_hops is None else job.max_hops
    return Work(
        weight=job.weight,
        task=job.task,
        size=len(job.payload),
        budget=job.remaining(now),
        hops_left=max(0, limit - len(job.route)),
        visited=job.route,
    )
