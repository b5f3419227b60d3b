import math

import pytest

from fog_node.jobs.waits import WIDEST, Estimate, expected_wait

EXPONENTIAL = Estimate(run=1.0, spread=1.0, seen=9)
CONSTANT = Estimate(run=1.0, spread=0.0, seen=9)


@pytest.mark.parametrize(
    ("jobs", "slots", "estimate", "wait"),
    [
        (0, 2, EXPONENTIAL, 0.0),
        (1, 2, EXPONENTIAL, 0.0),
        (1, 1, EXPONENTIAL, 1.0),
        (1, 1, CONSTANT, 0.5),
        (10, 2, EXPONENTIAL, 4.5),
        (10, 2, CONSTANT, 4.25),
        (40, 32, EXPONENTIAL, 9 / 32),
        (3, 0, CONSTANT, math.inf),
    ],
)
def test_the_wait_follows_from_the_queue_the_slots_and_the_spread(
    jobs: int, slots: int, estimate: Estimate, wait: float
) -> None:
    assert expected_wait(slots, [(estimate, jobs)]) == pytest.approx(wait)


@pytest.mark.parametrize("slots", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("load", [0.5, 0.8, 0.9])
def test_over_all_queues_of_exponential_jobs_it_is_erlangs_value(slots: int, load: float) -> None:
    """The queue that is found when all slots are busy is geometric; the mean wait then is 1/(c(1 - load))."""
    waits = (
        (1 - load) * load**queue * expected_wait(slots, [(EXPONENTIAL, slots + queue)])
        for queue in range(1000)
    )
    assert sum(waits) == pytest.approx(1 / (slots * (1 - load)))


def test_what_runs_counts_by_itself() -> None:
    long = Estimate(run=10.0, spread=0.0, seen=9)
    assert expected_wait(2, [(CONSTANT, 3)], [(long, 1)]) == pytest.approx(
        (2 * 1.0 + (10.0 / 2 + 1.0 / 2) / 2) / 2
    )


def test_one_execution_says_nothing_of_the_spread_and_a_freak_not_everything() -> None:
    assert expected_wait(1, [(Estimate(run=1.0, spread=0.0, seen=1), 1)]) == pytest.approx(1.0)
    freak = Estimate(run=1.0, spread=1e9, seen=9)
    assert expected_wait(1, [(freak, 1)]) == pytest.approx((1 + WIDEST**2) / 2)
