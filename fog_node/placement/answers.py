"""What other nodes answer when they are asked how long a task would wait there. No I/O, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.contract.topics import Weight
from fog_node.placement.board import Board

LONGEST_WAIT = 0.05
"""Seconds that a task waits for answers at most: then its place is chosen by what is known."""

SHORTEST_WAIT = 0.005
"""Seconds that answers get at least, however near the other nodes are: these are programs with work to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What another node has told, in seconds.

    `asked` is when it was asked. `wait` contains the jobs that were handed over before `known_until`; later
    ones had not arrived there.
    """

    weight: Weight
    task: str
    wait: float
    asked: float
    known_until: float
    round_trip: float


def wait_for_answers(round_trips: Sequence[float | None]) -> float:
    """Seconds to wait for answers of nodes at these distances: two round trips, within bounds."""
    measured = [one for one in round_trips if one is not None]
    if len(measured) < len(round_trips):
        return LONGEST_WAIT
    return min(LONGEST_WAIT, max(SHORTEST_WAIT, 2 * max(measured, default=0.0)))


class Figures(Protocol):
    """Takes down what is learned of another node by dealing with it."""

    def measured(self, round_trip: float) -> None:
        """It is that many seconds there and back."""

    def transferred(self, size: int, seconds: float) -> None:
        """So many bytes took so long to get there."""

    def answered(self, answer: Answer) -> None:
        """It was asked, and has answered."""


@dataclass(frozen=True, slots=True)
class NeighbourFigures:
    """What is learned of one neighbour."""

    board: Board
    node: str

    def measured(self, round_trip: float) -> None:
        self.board.measured(self.node, round_trip)

    def transferred(self, size: int, seconds: float) -> None:
        self.board.transferred(self.node, size, seconds)

    def answered(self, answer: Answer) -> None:
        self.board.measured(self.node, answer.round_trip)
        now = answer.asked + answer.round_trip
        self.board.told(self.node, answer.weight, answer.wait, now, known_until=answer.known_until)


@dataclass(frozen=True, slots=True)
class CloudFigures:
    """What is learned of the cloud: all its gateways are behind the one broker that was measured."""

    board: Board

    def measured(self, round_trip: float) -> None:
        for name in self.board.nodes:
            self.board.measured(name, round_trip)

    def transferred(self, size: int, seconds: float) -> None:
        for name in self.board.nodes:
            self.board.transferred(name, size, seconds)

    def answered(self, answer: Answer) -> None:
        """Nothing: the cloud is not asked, since any gateway might answer."""
