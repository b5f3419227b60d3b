"""Decides where a job goes: puts before the policy what this node knows, and learns from what came of it."""

import asyncio
import logging
import math
import random
import time
from dataclasses import asdict, dataclass

import structlog
from msgspec.structs import replace

from broker.contract.messages import Report
from broker.contract.topics import CLOUD, Weight
from fog_node.execution.executor import Executor
from fog_node.jobs.job import Job
from fog_node.mesh.neighbourhood import Neighbourhood
from fog_node.mesh.peer import Peer
from fog_node.mesh.questions import all_or_late
from fog_node.placement import Decision, Policy, Probe, Situation, Work, explain
from fog_node.placement.answers import patience
from fog_node.placement.policies.original import backlog
from fog_node.placement.policies.situation import obstacle
from fog_node.placement.surroundings import Local, Surroundings
from fog_tasks.declaration.registry import Registry

log = structlog.get_logger()

DEFAULT_HOPS = 2
"""Neighbours that a task is handed on to at most, unless it says itself how many."""

IDLE = 0.005
"""Seconds of wait up to which a neighbour counts as idle."""

NEVER = 3600.0
"""The wait, in seconds, that a node tells which has no workers for a weight; infinity is no JSON."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Neighbours that are being asked; `answered` is done when they have answered, or had time enough."""

    nodes: tuple[str, ...]
    answered: asyncio.Future[None]


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
        known.linked = neighbourhood.linked

    def decide(self, job: Job) -> "Decision | Asking":
        """Ask the policy for a place; where it wants to ask neighbours first, they are asked."""
        work = _work(job, time.monotonic())
        situation, found = self._consult(work)
        if isinstance(found, Decision):
            return _logged(job, work, self._settled(situation, found))
        return self._ask(job, found.nodes) or self.decide_now(job, probed=found.nodes)

    def decide_now(self, job: Job, *, probed: tuple[str, ...] = (), without_cloud: bool = False) -> Decision:
        """Ask the policy for a place, on what is known by now; `probed` neighbours were asked before."""
        work = _work(job, time.monotonic())
        return _logged(job, work, self.decide_on(work, probed=probed, without_cloud=without_cloud))

    def decide_on(self, work: Work, *, probed: tuple[str, ...] = (), without_cloud: bool = False) -> Decision:
        """Say where a task like this would go now."""
        situation, found = self._consult(work, probed=probed, without_cloud=without_cloud)
        if isinstance(found, Probe) and not probed:
            situation, found = self._consult(work, probed=found.nodes, without_cloud=without_cloud)
        if isinstance(found, Probe):
            found = Decision(None, "the policy asks again and again", situation)
        return self._settled(situation, found, without_cloud=without_cloud)

    def _consult(
        self, work: Work, *, probed: tuple[str, ...] = (), without_cloud: bool = False
    ) -> tuple[Situation, Decision | Probe]:
        situation = self._situation(work, probed=probed, without_cloud=without_cloud)
        return situation, self._policy(work, situation, self._chance)

    def _situation(
        self, work: Work, *, probed: tuple[str, ...] = (), without_cloud: bool = False
    ) -> Situation:
        now, known = time.monotonic(), self._known
        known.cloud_linked = self._cloud is not None and self._cloud.reachable and not without_cloud
        timeout = self._timeout(work.task)
        return known.situation(work, self._local(work.weight), now, timeout=timeout, probed=probed)

    def _settled(self, situation: Situation, found: Decision, *, without_cloud: bool = False) -> Decision:
        if found.chosen is None and situation.cloud is not None and not without_cloud:
            # Only the cloud has workers for it, and is away: it waits for the cloud in the outbox.
            waits = replace(situation.cloud, alive=True)
            found = Decision(waits, "waits for the cloud, the only place that can run it", situation)
        return found

    def placed(self, job: Job, decision: Decision) -> None:
        """Note that a decision is carried out."""
        chosen = decision.chosen
        if chosen is None:
            return
        job.why, job.predicted = decision.why, chosen.done
        self._known.sent(chosen, job.weight, time.monotonic())

    def knows(self, task: str) -> bool:
        """Whether this node has a task of that name."""
        return task in self._registry

    def run_here(self, job: Job) -> float:
        """Seconds that a job is thought to run here."""
        return self._known.estimates.of(job.weight, _kind(job), timeout=self._timeout(job.task)).run

    def free_slots(self, job: Job) -> list[str]:
        """Where more jobs like this could start at once, here and at neighbours: a node for each free slot.

        Every node once before any node twice; empty if nothing can run here.
        """
        queue = self._executor.queue(job.weight)
        if queue is None:
            return []
        now, board = time.monotonic(), self._known.board
        free = {self._known.node: max(0, queue.slots - queue.jobs)}
        for name in self._neighbourhood.linked():
            view = board.view(name, job.weight, now)
            if view is not None and view.alive and view.wait < IDLE:
                free[name] = view.slots
        rounds = range(max(free.values()))
        return [name for taken in rounds for name, slots in free.items() if taken < slots]

    def decide_for(self, job: Job, node: str) -> Decision:
        """The decision for that node if it can take a job now, else the policy's."""
        work = _work(job, time.monotonic())
        situation = self._situation(work)
        chosen = next((one for one in situation if one.node == node and obstacle(work, one) is None), None)
        if chosen is None:
            return self.decide_now(job)
        return _logged(job, work, Decision(chosen, "a slot is free there", situation))

    def ran_here(self, job: Job, seconds: float) -> None:
        """Learn from a job that was executed at this node."""
        self._known.estimates.observe(job.weight, _kind(job), seconds)

    def reported(self, job: Job, report: Report) -> None:
        """Learn from what another node tells of a job."""
        outcome = report.outcome
        if outcome is None:
            return
        via = outcome.route[-1] if outcome.route else outcome.node
        # The one that was chosen, though another may have run it; the cloud's gateways are one place.
        neighbour = self._neighbourhood.peer(via)
        peer, place = (self._cloud, CLOUD) if neighbour is None else (neighbour, via)
        if report.wait_ms is not None and peer is not None:
            now = time.monotonic()
            board = self._known.cloud if neighbour is None else self._known.board
            known_until = peer.known_until(now - (board.round_trip(via) or 0.0))
            board.told(via, job.weight, report.wait_ms / 1e3, now, known_until=known_until)
        if outcome.ok:
            self._known.estimates.observe(job.weight, _kind(job), outcome.ran_ms / 1e3, place=place)

    def wait_here(self, job: Job) -> float:
        """Seconds that one more job like this would wait here."""
        return self.wait_of(job.weight)

    def wait_of(self, weight: Weight) -> float:
        """Seconds that one more job of this weight would wait here."""
        local = self._local(weight)
        return min(local.wait, NEVER) if local.slots else NEVER

    def _ask(self, job: Job, nodes: tuple[str, ...]) -> "Asking | None":
        """Ask neighbours what the job would wait for there; None where none of them can be asked."""
        peers = [peer for peer in map(self._neighbourhood.peer, nodes) if peer is not None]
        answers = [peer.questions.ask(job.weight, job.task) for peer in peers]
        open_ = [answer for answer in answers if answer is not None]
        if not open_:
            return None
        seconds = patience([self._known.board.round_trip(peer.address) for peer in peers])
        return Asking(nodes, all_or_late(open_, seconds))

    def _timeout(self, name: str) -> float:
        task = self._registry.get(name)
        # A job of an earlier life may be of a task that is not loaded any more.
        return math.inf if task is None else task.timeout

    def _local(self, weight: Weight) -> Local:
        queue = self._executor.queue(weight)
        if queue is None:
            return Local(slots=0, wait=0.0)
        return Local(
            slots=queue.slots,
            wait=queue.wait,
            backlog=backlog(self._executor.queued(), self._known.estimates.original()),
        )


def _logged(job: Job, work: Work, decision: Decision) -> Decision:
    if log.is_enabled_for(logging.DEBUG):
        candidates = [{**asdict(line), "place": str(line.place)} for line in explain(work, decision)]
        log.debug(
            "placed",
            device=job.device,
            id=job.id,
            task=job.task,
            weight=job.weight,
            why=decision.why,
            candidates=candidates,
        )
    return decision


def _kind(job: Job) -> str:
    """Under which name it is remembered how long a job runs: a part does not run as long as the whole."""
    return job.kind


def _work(job: Job, now: float) -> Work:
    limit = DEFAULT_HOPS if job.max_hops is None else job.max_hops
    return Work(
        weight=job.weight,
        task=_kind(job),
        size=len(job.payload),
        budget=job.remaining(now),
        hops_left=max(0, limit - len(job.route)),
        visited=(*job.route, *job.avoided),
    )
