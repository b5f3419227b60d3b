"""Decides where a job goes: puts before the policy what this node knows. No I/O, no clock."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from fog_node.jobs.job import Job
from fog_node.placement.answers import wait_for_answers
from fog_node.placement.here import Here
from fog_node.placement.policies.situation import Decision, Policy, Probe, Situation, Work, obstacle
from fog_node.placement.surroundings import Surroundings

DEFAULT_HOPS = 2
"""Neighbours that a task is handed on to at most, unless it says itself how many."""

IDLE = 0.005
"""Seconds of wait up to which a neighbour is given parts of a task; to a policy a slot is free at 0."""


class Neighbours(Protocol):
    """The neighbours that hand-offs can go to."""

    def linked(self) -> Collection[str]:
        """Those whose brokers can be reached now."""


class Cloud(Protocol):
    """The cloud that hand-offs can go to."""

    @property
    def reachable(self) -> bool:
        """Whether its broker can be reached."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Neighbours to be asked before the place is chosen, and how many seconds they get to answer."""

    nodes: tuple[str, ...]
    seconds: float


Note = Callable[[Job, Work, Decision], None]


class Placer:
    """Asks the policy where a job goes. `note` is told of each decision; the policy draws from `chance`.

    Whoever has a placer may ask its `here` what a job would find at this node.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        here: Here,
        known: Surroundings,
        neighbours: Neighbours,
        cloud: Cloud | None,
        chance: random.Random,
        note: Note,
    ) -> None:
        self._policy = policy
        self.here = here
        self._known = known
        self._neighbours = neighbours
        self._cloud = cloud
        self._chance = chance
        self._note = note

    def decide(self, job: Job, now: float) -> Decision | Asking:
        """Ask the policy for a place. If it wants neighbours asked first, `decide_now` comes after that."""
        work = work_of(job, now)
        situation, found = self._consult(work, now)
        if isinstance(found, Probe):
            round_trips = [self._known.board.round_trip(node) for node in found.nodes]
            return Asking(found.nodes, wait_for_answers(round_trips))
        return self._noted(job, work, self._settled(situation, found))

    def decide_now(
        self, job: Job, now: float, *, probed: tuple[str, ...] = (), without_cloud: bool = False
    ) -> Decision:
        """Ask the policy for a place, on what is known by now; `probed` neighbours were asked before."""
        work = work_of(job, now)
        return self._noted(job, work, self.decide_on(work, now, probed=probed, without_cloud=without_cloud))

    def decide_on(
        self, work: Work, now: float, *, probed: tuple[str, ...] = (), without_cloud: bool = False
    ) -> Decision:
        """Say where a task like this would go now."""
        situation, found = self._consult(work, now, probed=probed, without_cloud=without_cloud)
        if isinstance(found, Probe) and not probed:
            situation, found = self._consult(work, now, probed=found.nodes, without_cloud=without_cloud)
        if isinstance(found, Probe):
            found = Decision(None, "the policy asks again and again", situation)
        return self._settled(situation, found, without_cloud=without_cloud)

    def decide_for(self, job: Job, node: str, now: float) -> Decision:
        """The decision for that node if it can take a job now, else the policy's."""
        work = work_of(job, now)
        situation = self._situation(work, now)
        chosen = next((one for one in situation if one.node == node and obstacle(work, one) is None), None)
        if chosen is None:
            return self.decide_now(job, now)
        return self._noted(job, work, Decision(chosen, "a slot is free there", situation))

    def placed(self, job: Job, decision: Decision, now: float) -> None:
        """Note that a decision is carried out."""
        chosen = decision.chosen
        if chosen is not None:
            job.placed(decision.why, chosen.done)
            self._known.sent(chosen, job.weight, now)

    def free_slots(self, job: Job, now: float) -> list[str]:
        """Where more jobs like this could start at once, here and at neighbours: a node for each free slot.

        Every node once before any node twice; empty if nothing can run here.
        """
        at_once = self.here.free_slots(job.weight)
        if at_once is None:
            return []
        free = {self._known.node: at_once}
        # What may not be handed on as a whole is not handed on in parts either.
        for name in self._neighbours.linked() if work_of(job, now).hops_left else ():
            view = self._known.board.view(name, job.weight, now)
            if view is not None and view.alive and view.wait < IDLE:
                free[name] = view.slots
        rounds = range(max(free.values()))
        return [name for taken in rounds for name, slots in free.items() if taken < slots]

    def _consult(
        self, work: Work, now: float, *, probed: tuple[str, ...] = (), without_cloud: bool = False
    ) -> tuple[Situation, Decision | Probe]:
        situation = self._situation(work, now, probed=probed, without_cloud=without_cloud)
        return situation, self._policy(work, situation, self._chance)

    def _situation(
        self, work: Work, now: float, *, probed: tuple[str, ...] = (), without_cloud: bool = False
    ) -> Situation:
        return self._known.situation(
            work,
            self.here.local(work.weight),
            now,
            timeout=self.here.timeout_of(work.task),
            linked=self._neighbours.linked,
            cloud_linked=self._cloud is not None and self._cloud.reachable and not without_cloud,
            probed=probed,
        )

    def _settled(self, situation: Situation, found: Decision, *, without_cloud: bool = False) -> Decision:
        if found.chosen is None and situation.cloud is not None and not without_cloud:
            # Only the cloud has workers for it, and is away: it waits for the cloud in the outbox.
            waits = replace(situation.cloud, alive=True)
            found = Decision(waits, "waits for the cloud, the only place that can run it", situation)
        return found

    def _noted(self, job: Job, work: Work, decision: Decision) -> Decision:
        self._note(job, work, decision)
        return decision


def work_of(job: Job, now: float) -> Work:
    """A job as a policy sees it."""
    limit = DEFAULT_HOPS if job.max_hops is None else job.max_hops
    return Work(
        weight=job.weight,
        task=job.kind,
        size=len(job.payload),
        budget=job.remaining(now),
        hops_left=max(0, limit - len(job.route)),
        visited=(*job.route, *job.avoided),
    )
