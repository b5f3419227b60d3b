from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.topics import Weight
from device_sim.fleet.workload import Arrival, Pace, Stream, arrivals

LIGHT = Stream(weight=Weight.LIGHT, task="a", per_minute=200, requirement=0.2)
MEDIUM = Stream(weight=Weight.MEDIUM, task="b", per_minute=40, requirement=2)


def times(schedule: list[Arrival], stream: Stream, device: int) -> list[float]:
    return [one.at for one in schedule if one.stream is stream and one.device == device]


@given(st.integers(), st.sampled_from(Pace), st.integers(1, 4), st.floats(0.1, 60))
def test_the_schedule_is_in_order_inside_the_run_and_repeatable(
    seed: int, pace: Pace, devices: int, seconds: float
) -> None:
    def make() -> list[Arrival]:
        return list(arrivals([LIGHT, MEDIUM], devices=devices, seconds=seconds, seed=seed, pace=pace))

    schedule = make()
    assert schedule == make()
    assert all(0 <= one.at < seconds for one in schedule)
    assert all(before.at <= after.at for before, after in pairwise(schedule))


@pytest.mark.parametrize("pace", Pace)
def test_the_rate_is_each_devices_own(pace: Pace) -> None:
    schedule = list(arrivals([LIGHT, MEDIUM], devices=3, seconds=600, seed=1, pace=pace))
    for device in range(3):
        assert len(times(schedule, LIGHT, device)) == pytest.approx(2000, rel=0.1)
        assert len(times(schedule, MEDIUM, device)) == pytest.approx(400, rel=0.2)


def test_regular_tasks_are_evenly_spaced_and_devices_are_not_in_step() -> None:
    schedule = list(arrivals([LIGHT], devices=2, seconds=60, seed=1))
    first, second = times(schedule, LIGHT, 0), times(schedule, LIGHT, 1)
    assert [after - before for before, after in pairwise(first)] == pytest.approx([0.3] * (len(first) - 1))
    assert first[0] != second[0]


def test_another_device_or_stream_leaves_the_times_of_the_rest() -> None:
    small = list(arrivals([LIGHT], devices=1, seconds=60, seed=7, pace=Pace.POISSON))
    large = list(arrivals([MEDIUM, LIGHT], devices=5, seconds=60, seed=7, pace=Pace.POISSON))
    assert times(small, LIGHT, 0) == times(large, LIGHT, 0)


def test_a_rate_of_nothing_sends_nothing_and_a_long_run_is_made_as_it_goes() -> None:
    none = Stream(weight=Weight.HEAVY, task="c", per_minute=0, requirement=5)
    assert list(arrivals([none], devices=5, seconds=60, seed=1)) == []
    assert len(list(islice(arrivals([LIGHT], devices=5, seconds=1e9, seed=1), 100))) == 100
