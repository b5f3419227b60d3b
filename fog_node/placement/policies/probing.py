"""Asking at the moment of decision: LL(F, T), which needs no board and so never decides on stale figures.

Run here below the threshold T, else ask F random neighbours; one hop. Beraldi and Proietti Mattia,
"Power of random choices made efficient for fog computing", IEEE TCC 2020.
"""

import random
from dataclasses import dataclass

from fog_node.placement.policies.simple import settled, share
from fog_node.placement.policies.situation import Decision, Place, Probe, Situation, Work


@dataclass(frozen=True, slots=True)
class ProbeSome:
    """LL(F, T): a wait below `threshold` seconds keeps a task here, else `fan_out` neighbours are asked."""

    fan_out: int = 2
    threshold: float = 0.0

    def __call__(self, work: Work, situation: Situation, chance: random.Random, /) -> Decision | Probe:
        """Run it here, or name whom to ask, or choose among those that were asked."""
        fog = share(work, situation)
        others = [one for one in fog if one.place is Place.NEIGHBOUR]
        if not others:
            return settled(work, situation, chance)
        stays_possible = fog[0].place is Place.HERE
        if stays_possible and situation.here.wait <= self.threshold:
            return Decision(situation.here, "the wait here is below the threshold", situation)
        if not situation.probed:
            drawn = chance.sample(others, min(self.fan_out, len(others)))
            return Probe(tuple(one.node for one in drawn))
        asked = [one for one in others if one.node in situation.probed]
        choices = [situation.here, *asked] if stays_possible else asked or others
        best = min(choices, key=lambda one: one.done)
        return Decision(best, f"the soonest of {len(asked)} asked and this node", situation)
