"""The scheduler of the original system, fact for fact, to be compared with.

It knows no slots: its measure of a node is `backlog`, all queued tasks one after the other. Its
wait is 0 until the first task is done, and it takes the minimum of a board that is a second old.
"""

import random
from collections.abc import Mapping, Sequence

from broker.contract.topics import Weight
from fog_node.placement.policies.simple import first_usable
from fog_node.placement.policies.situation import (
    Candidate,
    Decision,
    Situation,
    Work,
    obstacle,
    open_neighbours,
)

REQUIREMENTS = {Weight.LIGHT: 0.2, Weight.MEDIUM: 2.0, Weight.HEAVY: 5.0}
"""The waiting time in seconds that it allows a task that asks for none."""

_MIXES = {0: (), 1: (1.0,), 2: (0.7, 0.3), 3: (0.5, 0.3, 0.2)}


def execution_time(latest: Sequence[float]) -> float:
    """Its estimate from the last execution times, the latest first: at most three count."""
    shares = _MIXES[min(len(latest), 3)]
    return sum(share * time for share, time in zip(shares, latest, strict=False))


def backlog(queued: Mapping[Weight, int], times: Mapping[Weight, float]) -> float:
    """Its estimated wait: over all weights, the tasks queued times the estimate of each."""
    return sum(count * times.get(weight, 0.0) for weight, count in queued.items())


def original(work: Work, situation: Situation, _chance: random.Random, /) -> Decision:
    """Here if the wait meets the requirement, else the neighbour with the least wait and delay, else up."""
    here, cloud = situation.here, situation.cloud
    if work.for_cloud:
        return first_usable(work, situation, cloud, here, why="marked for the cloud")
    requirement = REQUIREMENTS[work.weight] if work.budget is None else work.budget
    waits = situation.backlog()
    if waits <= requirement:
        return first_usable(work, situation, here, cloud, why="the wait here meets the requirement")
    if work.hops_left < 1:
        return _stay_or_up(work, situation, "it has used up its hops")
    neighbours = open_neighbours(work, situation)
    best = min(neighbours, key=_cost, default=None)
    if best is None or _cost(best) >= waits:
        return _stay_or_up(work, situation, "no neighbour is faster")
    return Decision(best, "the neighbour with the least cost", situation)


def _cost(neighbour: Candidate) -> float:
    return neighbour.backlog + neighbour.transfer


def _stay_or_up(work: Work, situation: Situation, why: str) -> Decision:
    here, cloud = situation.here, situation.cloud
    if work.weight is Weight.HEAVY and cloud is not None and obstacle(work, cloud) is None:
        return Decision(cloud, f"heavy, and {why}", situation)
    return first_usable(work, situation, here, cloud, why=why)
