"""The default policy: the nearest place that will meet the deadline; where none will, the soonest.

A neighbour's figures may be older than a task is long. So the policy never takes the minimum of all: it
draws two neighbours, and asks these first if their figures are older than the task takes (Mitzenmacher,
"How useful is old information", IEEE TPDS 11(1), 2000).
"""

import random
from dataclasses import dataclass
from itertools import islice

from broker.contract.topics import Weight
from fog_node.placement.policies.situation import (
    Candidate,
    Decision,
    Place,
    Probe,
    Situation,
    Work,
    asked_neighbours,
    drawn_neighbours,
    obstacle,
    usable,
)

NO_PLACE = "no place can run it"


@dataclass(frozen=True, slots=True)
class Deadline:
    """Weighs wait, execution and transfer against what is left of a task's deadline.

    `margin` is the part of the deadline that estimates may fill, since they err. `gain` is how much sooner
    another node has to be done, as a part of what it takes here, before a task without a promise is
    moved. `cloud_factor` bounds how much slower than the fog the cloud may be for heavy work without a
    deadline. Figures older than `fresh` seconds, and than the task takes, are asked for anew.
    """

    margin: float = 0.8
    gain: float = 0.1
    cloud_factor: float = 3.0
    fresh: float = 0.05

    def __call__(self, work: Work, situation: Situation, chance: random.Random, /) -> Decision | Probe:
        """Choose by weight: light stays, medium is shared, heavy goes up while that is good."""
        match work.weight:
            case Weight.LIGHT if obstacle(work, situation.here) is None:
                return Decision(situation.here, "light tasks run where they arrive", situation)
            case Weight.HEAVY:
                return self._heavy(work, situation, chance)
            case _:
                return self._shared(work, situation, chance)

    def _heavy(self, work: Work, situation: Situation, chance: random.Random) -> Decision | Probe:
        cloud = situation.cloud
        if cloud is None or obstacle(work, cloud) is not None:
            return self._shared(work, situation, chance)
        if work.budget is not None:
            if self._meets(work, cloud):
                return Decision(cloud, "heavy, and the cloud meets the deadline", situation)
            return self._shared(work, situation, chance)
        fog = [one for one in usable(work, situation) if one.place is not Place.CLOUD]
        if not fog or cloud.done <= self.cloud_factor * min(one.done for one in fog):
            return Decision(cloud, "heavy tasks go to the cloud", situation)
        return self._shared(work, situation, chance)

    def _shared(self, work: Work, situation: Situation, chance: random.Random) -> Decision | Probe:
        here: Candidate | None = situation.here
        if obstacle(work, situation.here) is not None:
            here = None
        if here is not None and work.budget is not None and self._meets(work, here):
            return Decision(here, "nearest that meets the deadline", situation)
        if here is not None and work.budget is None and here.wait <= 0:
            return Decision(here, "a slot is free here", situation)
        drawn = self._draw(work, situation, chance)
        if self._should_ask(drawn, here, situation):
            return Probe(tuple(one.node for one in drawn))
        return self._choose(work, situation, here, drawn)

    def _draw(self, work: Work, situation: Situation, chance: random.Random) -> list[Candidate]:
        """Two neighbours: those that were asked, else two of those that look as if they meet the deadline."""
        if situation.probed:
            return asked_neighbours(work, situation)
        neighbours = drawn_neighbours(work, situation, chance)
        if work.budget is None:
            return list(islice(neighbours, 2))
        # The only one that meets the deadline may be the last; two that do end the search.
        fit: list[Candidate] = []
        others: list[Candidate] = []
        for one in neighbours:
            (fit if self._meets(work, one) else others).append(one)
            if len(fit) == 2:
                break
        return fit or others[:2]

    def _should_ask(self, drawn: list[Candidate], here: Candidate | None, situation: Situation) -> bool:
        """Whether two neighbours' figures are too old for this task, and asking can pay off."""
        if situation.probed or len(drawn) < 2:
            return False
        stale = any(one.age > max(self.fresh, one.run) for one in drawn)
        # An answer costs one more round trip.
        pays = here is None or min(one.transfer + one.run + one.transfer for one in drawn) < here.done
        return stale and pays

    def _choose(
        self, work: Work, situation: Situation, here: Candidate | None, drawn: list[Candidate]
    ) -> Decision:
        cloud = situation.cloud
        up = [cloud] if cloud is not None and obstacle(work, cloud) is None else []
        if work.budget is not None:
            for tier in (drawn, up):
                fit = [one for one in tier if self._meets(work, one)]
                if fit:
                    soonest = min(fit, key=lambda one: one.done)
                    return Decision(soonest, "nearest that meets the deadline", situation)
        # Heavy work without a deadline comes here because the cloud is too slow for it.
        best = min([*drawn, *up], key=lambda one: one.done, default=None)
        if here is None:
            return Decision(best, NO_PLACE if best is None else "soonest", situation)
        if best is not None and best.done < here.done * (1 - self.gain):
            return Decision(best, "soonest", situation)
        return Decision(here, "soonest", situation)

    def _meets(self, work: Work, candidate: Candidate) -> bool:
        return work.budget is not None and candidate.cautious <= self.margin * work.budget
