"""A policy for tests: medium tasks go to a neighbour as long as one can take them."""

import random

from fog_node.placement import Decision, Situation, Work, open_neighbours


def away(work: Work, situation: Situation, _chance: random.Random) -> Decision:
    """The first neighbour, or here."""
    neighbours = open_neighbours(work, situation) if work.weight == "medium" else []
    return Decision(neighbours[0] if neighbours else situation.here, "away if it can be", situation)
