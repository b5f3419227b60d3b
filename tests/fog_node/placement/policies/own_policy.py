"""A user's own policy."""

import random

from fog_node.placement import Decision, Situation, Work


def always_away(_work: Work, situation: Situation, _chance: random.Random) -> Decision:
    """Everything to the last neighbour."""
    return Decision(situation.neighbours[-1], "as far as possible", situation)
