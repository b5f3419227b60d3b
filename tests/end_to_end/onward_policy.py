"""A policy for tests: every task goes as far as it may, to the first neighbour by name that can take it."""

import random

from fog_node.placement import Decision, Situation, Work, open_neighbours


def onward(work: Work, situation: Situation, _chance: random.Random) -> Decision:
    """Hand on what can be handed on."""
    others = sorted(open_neighbours(work, situation), key=lambda one: one.node)
    return Decision(others[0] if others else situation.here, "as far as it may go", situation)
