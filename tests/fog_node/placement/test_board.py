import pytest

from broker.contract.messages import Load, NodeState
from broker.contract.topics import Weight
from fog_node.placement.board import GRACE, MAX_NODES, Board, Change, View

MEDIUM = Weight.MEDIUM


def state(node: str = "b", *, wait_ms: float = 0.0, birth: int = 1, online: bool = True) -> NodeState:
    load = {MEDIUM: Load(queued=0, running=0, slots=2, estimated_wait_ms=wait_ms)}
    return NodeState(node=node, online=online, version="1", birth=birth, load=load)


def seen(board: Board, now: float) -> View:
    view = board.view("b", MEDIUM, now)
    assert view is not None
    return view


def test_a_state_is_told_with_its_age() -> None:
    board = Board()
    assert board.hear(state(wait_ms=250), 10.0) is Change.JOINED
    assert seen(board, 10.5) == View(slots=2, wait=0.25, age=0.5, backlog=0.0, round_trip=None, alive=True)


def test_a_stale_state_counts_as_worse() -> None:
    board = Board()
    board.hear(state(), 10.0)
    assert seen(board, 11.0).wait == 0.0
    assert seen(board, 13.0).wait > 0.5


def test_a_node_is_forgotten_after_three_missed_states_and_taken_back_when_it_returns() -> None:
    board = Board()
    board.hear(state(), 10.0)
    assert board.sweep(13.1) == []
    assert board.sweep(13.6) == ["b"]
    assert "b" not in board.nodes
    assert board.hear(state(), 20.0) is Change.JOINED
    assert "b" in board.nodes


def test_a_will_makes_a_node_doubtful_and_after_the_grace_time_forgotten() -> None:
    board = Board()
    board.hear(state(), 10.0)
    assert board.hear(state(online=False), 10.5) is Change.DOUBTED
    assert not seen(board, 10.6).alive
    assert board.sweep(10.5 + GRACE - 0.1) == []
    assert board.sweep(10.5 + GRACE + 0.1) == ["b"]


def test_a_blip_is_no_death() -> None:
    board = Board()
    board.hear(state(), 10.0)
    board.hear(state(online=False), 10.5)
    assert board.hear(state(), 11.0) is Change.KNOWN
    assert seen(board, 11.0).alive
    assert board.sweep(12.9) == []


def test_a_late_will_cannot_end_a_newer_life() -> None:
    board = Board()
    board.hear(state(birth=1), 10.0)
    assert board.hear(state(birth=2), 10.5) is Change.REBORN
    assert board.hear(state(birth=1, online=False), 11.0) is Change.LATE
    assert seen(board, 11.0).alive


def test_a_late_state_of_a_dead_life_does_not_bring_a_node_back() -> None:
    board = Board()
    board.hear(state(birth=2), 10.0)
    assert board.sweep(14.0) == ["b"]
    assert board.hear(state(birth=1), 15.0) is Change.LATE
    assert board.nodes == ()


def test_an_earlier_life_that_goes_on_is_heard_when_the_later_one_has_long_been_silent() -> None:
    board = Board()
    for now in range(100, 160):
        board.hear(state(birth=2), float(now))
        assert board.hear(state(birth=1), now + 0.5) is Change.LATE
    board.sweep(169.0)
    assert board.hear(state(birth=1), 170.0) is Change.JOINED


def test_own_sends_add_to_the_wait_and_are_worked_off() -> None:
    board = Board()
    board.hear(state(), 10.0)
    for _ in range(4):
        board.sent("b", MEDIUM, 0.1, 10.0)
    assert seen(board, 10.0).wait == pytest.approx(0.2)
    assert seen(board, 10.15).wait == pytest.approx(0.05)
    assert seen(board, 10.3).wait == 0.0


def test_a_report_contains_what_was_sent_a_round_trip_before_it() -> None:
    board = Board()
    board.hear(state(), 10.0)
    board.measured("b", 0.01)
    board.sent("b", MEDIUM, 2.0, 10.5)
    board.sent("b", MEDIUM, 2.0, 10.995)
    board.hear(state(wait_ms=1000), 11.0)
    assert seen(board, 11.0).wait == pytest.approx(2.0)


def test_what_a_node_tells_between_its_states_is_younger() -> None:
    board = Board()
    board.hear(state(wait_ms=9000), 10.0)
    board.sent("b", MEDIUM, 2.0, 10.1)
    board.told("b", MEDIUM, 0.3, 10.5)
    assert seen(board, 10.6).wait == pytest.approx(0.3)
    assert seen(board, 10.6).age == pytest.approx(0.1)
    board.hear(state(wait_ms=100), 11.0)
    assert seen(board, 11.0).wait == pytest.approx(0.1)


@pytest.mark.parametrize("by_state", [False, True])
def test_what_a_node_tells_knows_only_of_what_has_arrived_there(by_state: bool) -> None:
    board = Board()
    board.hear(state(), 10.0)
    board.sent("b", MEDIUM, 2.0, 10.1)
    board.sent("b", MEDIUM, 2.0, 10.2)
    if by_state:
        board.hear(state(wait_ms=1000), 10.3, known_until=10.15)
    else:
        board.told("b", MEDIUM, 1.0, 10.3, known_until=10.15)
    assert seen(board, 10.3).wait == pytest.approx(2.0)


def test_the_round_trip_is_smoothed() -> None:
    board = Board()
    board.hear(state(), 10.0)
    board.measured("b", 0.01)
    board.measured("b", 0.09)
    assert seen(board, 10.0).round_trip == pytest.approx(0.02)


def test_the_rate_is_learned_from_large_payloads() -> None:
    board = Board()
    board.hear(state(), 10.0)
    assumed = seen(board, 10.0).rate
    board.transferred("b", 1000, 5.0)
    assert seen(board, 10.0).rate == assumed
    for _ in range(40):
        board.transferred("b", 1_000_000, 1.0)
    assert seen(board, 10.0).rate == pytest.approx(1e6, rel=0.1)


def test_the_number_of_nodes_is_bounded() -> None:
    board = Board()
    for number in range(2 * MAX_NODES):
        board.hear(state(f"n{number}"), 10.0)
    assert len(board.nodes) == MAX_NODES


def test_nothing_is_known_of_a_stranger() -> None:
    board = Board()
    board.sent("b", MEDIUM, 1.0, 1.0)
    board.told("b", MEDIUM, 1.0, 1.0)
    board.measured("b", 1.0)
    assert board.hear(state(online=False), 1.0) is Change.LATE
    assert board.view("b", MEDIUM, 1.0) is None
