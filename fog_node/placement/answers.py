"""What another node has told when it was asked, and how long to wait for that. No I/O, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.contract.topics import Weight

LONGEST_PATIENCE = 0.05
"""Seconds that a task waits for answers at most: then its place is chosen by what is known."""

SHORTEST_PATIENCE = 0.005
"""Seconds that answers get at least, however near the other nodes are: these are programs with work to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What another node has told, in seconds.

    `asked` is when it was asked; it could know of what was handed over before `known_until`.
    """

    weight: Weight
    task: str
    wait: float
    asked: float
    known_until: float
    round_trip: float


def patience(round_trips: Sequence[float | None]) -> float:
    """Seconds to wait for answers of nodes at these distances: two round trips, within bounds."""
    measured = [one for one in round_trips if one is not None]
    if len(measured) < len(round_trips):
        return LONGEST_PATIENCE
    return min(LONGEST_PATIENCE, max(SHORTEST_PATIENCE, 2 * max(measured, default=0.0)))
