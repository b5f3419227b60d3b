"""What a node hears of others of its name."""

import pytest

from broker.contract.messages import NodeState
from broker.namesakes import MOST_PLACES, SILENCE, Namesakes

HERE, THERE = "the broker here", "the broker there"


@pytest.fixture
def namesakes() -> Namesakes:
    return Namesakes("pi", 5)


def state(birth: int, *, online: bool = True) -> NodeState:
    return NodeState(node="pi", online=online, version="", birth=birth)


def test_what_the_node_says_itself_is_no_trouble(namesakes: Namesakes) -> None:
    namesakes.hear(state(5), HERE, 1.0)
    assert namesakes.trouble(1.0) == []


def test_a_namesake_is_told_where_it_is_for_as_long_as_it_speaks(namesakes: Namesakes) -> None:
    namesakes.hear(state(4), HERE, 1.0)
    namesakes.hear(state(6), THERE, 1.0)
    assert [HERE in one or THERE in one for one in namesakes.trouble(1.0)] == [True, True]
    namesakes.hear(state(4), HERE, 4.0)
    (left,) = namesakes.trouble(1.1 + SILENCE)
    assert HERE in left
    assert namesakes.trouble(4.1 + SILENCE) == []


def test_its_last_will_ends_it_and_that_of_another_life_does_not(namesakes: Namesakes) -> None:
    namesakes.hear(state(4), HERE, 1.0)
    namesakes.hear(state(3, online=False), HERE, 1.0)
    namesakes.hear(state(5, online=False), HERE, 1.0)
    assert namesakes.trouble(1.0)
    namesakes.hear(state(4, online=False), HERE, 1.0)
    assert not namesakes.trouble(1.0)


def test_the_one_that_was_started_last_is_newer(namesakes: Namesakes) -> None:
    namesakes.hear(state(4), HERE, 1.0)
    assert not namesakes.newer(HERE, 1.0)
    namesakes.hear(state(6), HERE, 1.0)
    # Of three, an older one does not hide the newest.
    namesakes.hear(state(4), HERE, 2.0)
    assert namesakes.newer(HERE, 2.0)
    assert not namesakes.newer(THERE, 2.0)
    assert not namesakes.newer(HERE, 1.1 + SILENCE)


def test_one_that_waits_says_so(namesakes: Namesakes) -> None:
    namesakes.hear(state(6), HERE, 1.0)
    assert "waits" not in namesakes.trouble(1.0)[0]
    namesakes.waits_at = HERE
    assert "waits" in namesakes.trouble(1.0)[0]


def test_one_that_was_met_is_there_until_it_is_gone(namesakes: Namesakes) -> None:
    namesakes.met(THERE)
    assert namesakes.trouble(1e9)
    namesakes.gone(THERE)
    namesakes.gone(THERE)
    assert not namesakes.trouble(1e9)


def test_whoever_makes_up_namesakes_cannot_fill_the_state(namesakes: Namesakes) -> None:
    for number in range(2 * MOST_PLACES):
        namesakes.met(f"place {number}")
    assert len(namesakes.trouble(1.0)) == MOST_PLACES
