"""The plain rule, on nothing but weights and slots."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from broker.topics import Weight
from fog_node.placement.situation import Place


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to choose from: the slots of each weight here, and whether there is a cloud."""

    slots: Mapping[Weight, int]
    cloud: bool = False


Policy = Callable[[Weight, Choices], Place]


def by_weight(weight: Weight, choices: Choices) -> Place:
    """Place by the plain rule: light and medium here, heavy in the cloud.

    What has no place of its own goes to the other one: heavy work stays here without a cloud, and
    light and medium work goes up where this node has no worker for it.
    """
    preferred, other = (Place.CLOUD, Place.HERE) if weight is Weight.HEAVY else (Place.HERE, Place.CLOUD)
    there = {Place.HERE: choices.slots.get(weight, 0) > 0, Place.CLOUD: choices.cloud}
    if there[preferred]:
        return preferred
    return other if there[other] else Place.NOWHERE


POLICIES: dict[str, Policy] = {"weight": by_weight}
