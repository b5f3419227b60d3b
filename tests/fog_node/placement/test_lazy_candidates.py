"""What a place is decided on: no more of it is worked out than the decision needs."""

import random

import pytest

from broker.contract.messages import Load, NodeState
from broker.contract.topics import Weight
from fog_node.placement import Decision, Situation, Work, load_policy
from fog_node.placement.board import Board, View
from fog_node.placement.estimates import Estimates
from fog_node.placement.surroundings import Local, Surroundings


class CountingBoard(Board):
    """A board that counts how often it is asked for a neighbour."""

    looks = 0

    def view(self, node: str, weight: Weight, now: float) -> View | None:
        self.looks += 1
        return super().view(node, weight, now)


@pytest.fixture
def board() -> CountingBoard:
    made = CountingBoard()
    for number in range(50):
        load = dict.fromkeys(Weight, Load(queued=0, running=0, slots=2, estimated_wait_ms=0.0))
        made.hear(NodeState(node=f"n{number}", online=True, version="1", load=load), 0.0)
    return made


def situation(board: Board, weight: Weight, *, wait: float) -> tuple[Work, Situation]:
    work = Work(weight=weight, task="echo")
    known = Surroundings(node="here", estimates=Estimates(), board=board)
    return work, known.situation(
        work, Local(slots=2, wait=wait), 0.1, timeout=60.0, linked=lambda: board.nodes, cloud_linked=False
    )


@pytest.mark.parametrize(("weight", "wait"), [(Weight.LIGHT, 100.0), (Weight.MEDIUM, 0.0)])
def test_a_task_that_stays_here_does_not_pay_for_the_neighbours(
    board: CountingBoard, weight: Weight, wait: float
) -> None:
    decision = load_policy("deadline")(*situation(board, weight, wait=wait), random.Random(1))
    assert isinstance(decision, Decision)
    assert decision.node == "here"
    assert board.looks == 0


def test_neighbours_are_looked_at_once_however_often_they_are_asked_for(board: CountingBoard) -> None:
    _, found = situation(board, Weight.MEDIUM, wait=100.0)
    assert len(found.neighbours) == len(list(found.neighbours)) == 50
    assert found.neighbours[0].node == "n0"
    assert board.looks == 50
