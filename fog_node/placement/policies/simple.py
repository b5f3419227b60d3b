"""The simple policies: by weight alone, always here, always up, at random, and by the reported wait.

Those that share work share it once: a task that a neighbour has handed over runs where it arrived.
"""

import random
from itertools import islice

from broker.contract.topics import Weight
from fog_node.placement.policies.situation import (
    Candidate,
    Decision,
    Place,
    Situation,
    Work,
    in_random_order,
    obstacle,
    usable,
)


def first_usable(work: Work, situation: Situation, *wanted: Candidate | None, why: str) -> Decision:
    """The first of `wanted` that can take the task, else whatever can, else nowhere."""
    for place, candidate in enumerate(wanted):
        if candidate is not None and obstacle(work, candidate) is None:
            return Decision(candidate, why if place == 0 else "the place it belongs to is away", situation)
    for candidate in usable(work, situation):
        return Decision(candidate, "no other place can run it", situation)
    return Decision(None, "no place can run it", situation)


def weight(work: Work, situation: Situation, _chance: random.Random, /) -> Decision:
    """Light and medium tasks here, heavy ones in the cloud."""
    if work.weight is Weight.HEAVY:
        return first_usable(
            work, situation, situation.cloud, situation.here, why="heavy tasks go to the cloud"
        )
    why = f"{work.weight} tasks run where they arrive"
    return first_usable(work, situation, situation.here, situation.cloud, why=why)


def local(work: Work, situation: Situation, _chance: random.Random, /) -> Decision:
    """Everything here."""
    return first_usable(work, situation, situation.here, why="everything runs here")


def cloud(work: Work, situation: Situation, _chance: random.Random, /) -> Decision:
    """Everything in the cloud."""
    return first_usable(work, situation, situation.cloud, situation.here, why="everything goes to the cloud")


def is_shared(work: Work, situation: Situation) -> bool:
    """Whether a task may go to this node or to any neighbour; else its place is settled."""
    heavy_goes_up = work.weight is Weight.HEAVY and _can_go_up(work, situation)
    return not (work.weight is Weight.LIGHT or heavy_goes_up or work.visited)


def _draw(work: Work, situation: Situation, count: int, chance: random.Random) -> list[Candidate]:
    """So many of this node and its neighbours, each as likely; none if the place is settled."""
    if not is_shared(work, situation):
        return []
    here, neighbours = situation.here, situation.neighbours
    fog = (neighbours[place - 1] if place else here for place in in_random_order(1 + len(neighbours), chance))
    return list(islice((one for one in fog if obstacle(work, one) is None), count))


def at_random(work: Work, situation: Situation, chance: random.Random, /) -> Decision:
    """A medium task to this node or any neighbour, each as likely."""
    drawn = _draw(work, situation, 1, chance)
    if not drawn:
        return settled(work, situation, chance)
    return Decision(drawn[0], "drawn at random", situation)


def two_choices(work: Work, situation: Situation, chance: random.Random, /) -> Decision:
    """Draw two of this node and its neighbours, and take the one where it would be done first."""
    drawn = _draw(work, situation, 2, chance)
    if not drawn:
        return settled(work, situation, chance)
    return Decision(min(drawn, key=lambda one: one.done), "the sooner of two drawn at random", situation)


def least_wait(work: Work, situation: Situation, chance: random.Random, /) -> Decision:
    """The node that reports the shortest wait: good while reports are fresh, a herd when they are not."""
    fog = [one for one in usable(work, situation) if one.place is not Place.CLOUD]
    if not fog or not is_shared(work, situation):
        return settled(work, situation, chance)
    return Decision(min(fog, key=lambda one: one.wait), "the shortest wait reported", situation)


def settled(work: Work, situation: Situation, chance: random.Random) -> Decision:
    """Where a task goes that is not shared: by its weight, or here if a neighbour handed it over."""
    if work.visited and work.weight is not Weight.HEAVY:
        why = "a neighbour handed it over"
        return first_usable(work, situation, situation.here, situation.cloud, why=why)
    return weight(work, situation, chance)


def _can_go_up(work: Work, situation: Situation) -> bool:
    return situation.cloud is not None and obstacle(work, situation.cloud) is None
