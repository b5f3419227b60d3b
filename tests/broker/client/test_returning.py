"""When a client connects again, and when it suspects another one of its identifier."""

import random

import pytest

from broker.client.back_off import BackOff
from broker.client.returning import SOON, TIMES, Returning


@pytest.fixture
def returning() -> Returning:
    return Returning(BackOff(1.0, 1000.0))


def serve(returning: Returning, seconds: float, *, taken_over: bool = False) -> bool:
    returning.up(100.0)
    return returning.ended(100.0 + seconds, taken_over=taken_over)


def test_a_broker_that_says_so_is_believed(returning: Returning) -> None:
    assert serve(returning, 1000.0, taken_over=True)


def test_one_that_only_closes_is_suspected_when_it_has_done_so_soon_and_often(returning: Returning) -> None:
    for _ in range(2):
        assert [serve(returning, 0.5) for _ in range(TIMES)] == [False] * (TIMES - 1) + [True]


def test_a_connection_that_lasted_begins_the_count_anew(returning: Returning) -> None:
    for _ in range(TIMES):
        assert not any(serve(returning, 0.5) for _ in range(TIMES - 1))
        assert not serve(returning, SOON)


def test_a_broker_that_is_away_is_no_rival(returning: Returning) -> None:
    assert not any(returning.ended(float(now), taken_over=False) for now in range(10 * TIMES))


def test_pauses_grow_until_a_connection_has_lasted(
    returning: Returning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    pauses = [returning.pause() for _ in range(3)]
    assert pauses == [3.0, 9.0, 27.0]
    serve(returning, 0.5)
    assert returning.pause() == 81.0
    serve(returning, SOON)
    assert returning.pause() == 3.0
