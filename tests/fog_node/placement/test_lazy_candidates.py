"""What a place is decided on: no more of it is worked out than the decision needs."""

import random
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from broker.contract.messages import Load, NodeState
from broker.contract.topics import Weight
from fog_node.placement import Decision, Situation, Work, load_policy
from fog_node.placement.board import Board, View
from fog_node.placement.estimates import Estimates
from fog_node.placement.policies.situation import asked_neighbours, in_random_order
from fog_node.placement.surroundings import Local, Surroundings

IDLE = Load(queued=0, running=0, slots=2, estimated_wait_ms=0.0)


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
        load = dict.fromkeys(Weight, IDLE)
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


@pytest.mark.parametrize(
    ("policy", "looks"), [("deadline", 2), ("two-choices", 2), ("random", 1), ("probe", 2)]
)
def test_a_policy_looks_at_no_more_neighbours_than_it_draws(
    board: CountingBoard, policy: str, looks: int
) -> None:
    for seed in range(20):
        board.looks = 0
        load_policy(policy)(*situation(board, Weight.MEDIUM, wait=100.0), random.Random(seed))
        assert board.looks <= looks


def test_answers_are_found_without_a_look_at_the_others(board: CountingBoard) -> None:
    work, before = situation(board, Weight.MEDIUM, wait=100.0)
    answered = replace(before, probed=("n7", "n49"))
    assert [one.node for one in asked_neighbours(work, answered)] == ["n7", "n49"]
    assert board.looks == 2


def test_one_neighbour_that_meets_the_deadline_is_found_among_many(board: CountingBoard) -> None:
    work, found = situation(board, Weight.MEDIUM, wait=100.0)
    busy = Load(queued=9, running=2, slots=2, estimated_wait_ms=9e4)
    for name in set(board.nodes) - {"n33"}:
        board.hear(NodeState(node=name, online=True, version="1", load=dict.fromkeys(Weight, busy)), 0.1)
    board.hear(NodeState(node="n33", online=True, version="1", load=dict.fromkeys(Weight, IDLE)), 0.1)
    decision = load_policy("deadline")(replace(work, budget=5.0), found, random.Random(1))
    assert isinstance(decision, Decision)
    assert decision.node == "n33"


@given(st.integers(0, 40), st.integers())
def test_a_random_order_has_each_number_once(count: int, seed: int) -> None:
    assert sorted(in_random_order(count, random.Random(seed))) == list(range(count))


def test_each_pair_is_drawn_as_often() -> None:
    chance = random.Random(1)
    pairs = Counter(tuple(islice(in_random_order(4, chance), 2)) for _ in range(12_000))
    assert len(pairs) == 4 * 3
    assert all(abs(count - 1000) < 150 for count in pairs.values())


def test_neighbours_are_looked_at_once_however_often_they_are_asked_for(board: CountingBoard) -> None:
    _, found = situation(board, Weight.MEDIUM, wait=100.0)
    assert len(found.neighbours) == len(list(found.neighbours)) == 50
    assert found.neighbours[0].node == "n0"
    assert board.looks == 50
