"""LL(F, T): asks neighbours at the moment of decision, and so never decides on old figures.

Run here below the threshold T, else ask F random neighbours; one hop. Beraldi and Proietti Mattia,
"Power of random choices made efficient for fog computing", IEEE TCC 2020.
"""

import random
from dataclasses import dataclass
from itertools import islice

from fog_node.placement.policies.simple import is_shared, settled
from fog_node.placement.policies.situation import (
    Decision,
    Probe,
    Situation,
    Work,
    asked_neighbours,
    drawn_neighbours,
    obstacle,
)


@dataclass(frozen=True, slots=True)
class ProbeSome:
    """LL(F, T): a wait below `threshold` seconds keeps a task here, else `fan_out` neighbours are asked."""

    fan_out: int = 2
    threshold: float = 0.0

    def __call__(self, work: Work, situation: Situation, chance: random.Random, /) -> Decision | Probe:
        """Run it here, or name whom to ask, or choose among those that were asked."""
        if not is_shared(work, situation):
            return settled(work, situation, chance)
        here = situation.here if obstacle(work, situation.here) is None else None
        others = drawn_neighbours(work, situation, chance)
        first = next(others, None)
        if first is None:
            return settled(work, situation, chance)
        if here is not None and here.wait <= self.threshold:
            return Decision(here, "the wait here is below the threshold", situation)
        if not situation.probed:
            return Probe(tuple(one.node for one in (first, *islice(others, self.fan_out - 1))))
        asked = asked_neighbours(work, situation)
        choices = [here, *asked] if here is not None else asked or [first, *others]
        best = min(choices, key=lambda one: one.done)
        return Decision(best, f"the soonest of {len(asked)} asked and this node", situation)
