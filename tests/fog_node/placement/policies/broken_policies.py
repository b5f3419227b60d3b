"""Users' policies that are mistaken in one way each."""

import random

import msgspec

from fog_node.placement import Decision, Place, Probe, Situation, Work


def raises(_work: Work, _situation: Situation, _chance: random.Random) -> Decision:
    """Fail, as a missing key does."""
    raise KeyError("wait")


def leaves(_work: Work, _situation: Situation, _chance: random.Random) -> Decision:
    """End the program."""
    raise SystemExit(3)


def forgets(_work: Work, _situation: Situation, _chance: random.Random) -> None:
    """Return nothing."""


def names(_work: Work, situation: Situation, _chance: random.Random) -> str:
    """Return a name in place of a decision."""
    return situation.here.node


def invents(_work: Work, situation: Situation, _chance: random.Random) -> Decision:
    """Choose a node that there is not."""
    mars = msgspec.structs.replace(situation.here, node="mars", place=Place.NEIGHBOUR)
    return Decision(mars, "far away", situation)


def gives_up(_work: Work, situation: Situation, _chance: random.Random) -> Decision:
    """Choose no place though there is one."""
    return Decision(None, "no idea", situation)


def goes_back(_work: Work, situation: Situation, _chance: random.Random) -> Decision:
    """Choose the last neighbour, visited or not."""
    return Decision(situation.neighbours[-1], "as far as possible", situation)


def asks_on(_work: Work, situation: Situation, _chance: random.Random) -> Probe:
    """Ask, whatever was answered."""
    return Probe((situation.neighbours[0].node,))


def asks_nobody(_work: Work, _situation: Situation, _chance: random.Random) -> Probe:
    """Ask a node that is no neighbour."""
    return Probe(("mars",))


def takes_one(_work: Work) -> None:
    """Take too few arguments."""


async def waits(_work: Work, situation: Situation, _chance: random.Random) -> Decision:
    """Return what nobody awaits."""
    return Decision(situation.here, "later", situation)
