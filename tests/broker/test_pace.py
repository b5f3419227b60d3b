"""Rounds that are spaced out while there is much to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.pace import Pacer

INTERVAL = 0.002
BUSY = 8


def rounds(pace: Pacer, arrivals: float, *, seconds: float = 1.0, cost: float = 0.0004) -> list[int]:
    """How many things each round had that came at that rate, where a round takes `cost` seconds."""
    found, now, taken = [], 0.0, 0
    while now < seconds:
        now = max(now, (taken + 1) / arrivals)
        now += pace.rest(now)
        count = int(now * arrivals + 1e-9) - taken
        pace.begin(count, now)
        taken += count
        found.append(count)
        now += cost
    return found


def test_what_comes_one_by_one_does_not_wait() -> None:
    assert set(rounds(Pacer(INTERVAL, BUSY), arrivals=1_000)) == {1}


def test_what_comes_fast_goes_together() -> None:
    gathered = rounds(Pacer(INTERVAL, BUSY), arrivals=7_000)
    assert set(gathered[10:]) <= {13, 14, 15}


def test_it_does_not_wait_any_more_when_the_rush_is_over() -> None:
    pace = Pacer(INTERVAL, BUSY)
    rounds(pace, arrivals=50_000, seconds=0.1)
    assert pace.rest(0.1 + 3 * INTERVAL) == 0.0


@given(
    st.lists(st.tuples(st.floats(0, 0.01), st.integers(0, 2_000)), max_size=50),
    st.floats(0, 0.01),
)
def test_nothing_waits_longer_than_the_interval(history: list[tuple[float, int]], later: float) -> None:
    pace, now = Pacer(INTERVAL, BUSY), 0.0
    for pause, count in history:
        now += pause
        pace.begin(count, now)
    assert 0.0 <= pace.rest(now + later) <= INTERVAL


@pytest.mark.parametrize("arrivals", [500, 5_000, 50_000])
def test_there_are_no_more_rounds_than_there_is_work(arrivals: int) -> None:
    assert all(rounds(Pacer(INTERVAL, BUSY), arrivals=arrivals))
