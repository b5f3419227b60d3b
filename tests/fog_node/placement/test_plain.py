"""The plain rule."""

import pytest

from broker.topics import Weight
from fog_node.placement import Choices, Place, by_weight

ALL = {Weight.LIGHT: 1, Weight.MEDIUM: 1, Weight.HEAVY: 1}


@pytest.mark.parametrize(
    ("weight", "slots", "cloud", "place"),
    [
        (Weight.LIGHT, ALL, True, Place.HERE),
        (Weight.MEDIUM, ALL, True, Place.HERE),
        (Weight.HEAVY, ALL, True, Place.CLOUD),
        (Weight.HEAVY, ALL, False, Place.HERE),
        (Weight.HEAVY, {Weight.LIGHT: 1}, False, Place.NOWHERE),
        (Weight.MEDIUM, {Weight.LIGHT: 1}, True, Place.CLOUD),
        (Weight.LIGHT, {}, False, Place.NOWHERE),
    ],
)
def test_by_weight(weight: Weight, slots: dict[Weight, int], cloud: bool, place: Place) -> None:
    assert by_weight(weight, Choices(slots=slots, cloud=cloud)) is place
