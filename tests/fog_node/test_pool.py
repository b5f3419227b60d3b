"""The order of jobs, and what is given to workers when."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.topics import Weight
from fog_node.job import Job
from fog_node.pool import AHEAD, HELLO_LIFETIME, PATIENCE, Pool


def job(key: int, *, received: float = 0.0, deadline: float | None = None) -> Job:
    return Job(
        key=key,
        origin="",
        device="me",
        id=str(key),
        weight=Weight.LIGHT,
        task="echo",
        payload=b"",
        reply="fog/results/me/1",
        received=received,
        deadline=deadline,
    )


def pool_with(slots: int) -> Pool:
    pool = Pool(slots)
    pool.hello("w", slots, now=0.0)
    return pool


def keys(jobs: list[Job]) -> list[int]:
    return [one.key for one in jobs]


def test_jobs_without_deadline_go_in_the_order_they_came() -> None:
    pool = pool_with(5)
    for key in (1, 2, 3):
        pool.push(job(key))
    assert keys(pool.take()) == [1, 2, 3]


def test_the_earliest_deadline_goes_first() -> None:
    pool = pool_with(5)
    pool.push(job(1, deadline=9.0))
    pool.push(job(2, deadline=3.0))
    pool.push(job(3))
    assert keys(pool.take()) == [2, 1, 3]


def test_a_patient_job_is_not_held_back_for_ever() -> None:
    """After its patience a job without a deadline goes before any that came later with one."""
    pool = pool_with(1)
    pool.push(job(1, received=0.0))
    pool.push(job(2, received=40.0, deadline=PATIENCE + 11.0))
    assert keys(pool.take()) == [1, 2]


def test_workers_get_as_many_as_keep_them_busy_and_no_more() -> None:
    pool = pool_with(2)
    for key in range(10):
        pool.push(job(key))
    first = pool.take()
    assert len(first) == AHEAD * 2
    for one in first:
        pool.fly(one, f"t-{one.key}")
    assert pool.take() == []
    pool.land(first[0].key)
    assert len(pool.take()) == 1


def test_waiting_jobs_expire_at_their_deadline_and_not_before() -> None:
    pool = pool_with(1)
    pool.push(job(1, deadline=5.0))
    pool.push(job(2, deadline=7.0))
    assert pool.expire(4.999) == []
    assert pool.next_deadline() == 5.0
    assert [(one.key, ticket) for one, ticket in pool.expire(5.0)] == [(1, None)]
    assert pool.next_deadline() == 7.0
    assert keys(pool.take()) == [2]


def test_what_a_worker_has_not_started_expires_too_and_what_it_has_does_not() -> None:
    pool = pool_with(1)
    for key in (1, 2):
        pool.push(job(key, deadline=5.0))
    for one in pool.take():
        pool.fly(one, f"t-{one.key}")
    started = pool.flight(1)
    assert started is not None
    started.worker = "w"
    assert [(one.key, ticket) for one, ticket in pool.expire(5.0)] == [(2, "t-2")]
    assert pool.in_flight == 1
    assert pool.next_deadline() is None


def test_a_withdrawn_job_is_neither_taken_nor_expired() -> None:
    pool = pool_with(1)
    pool.push(job(1, deadline=5.0))
    assert pool.withdraw(1)
    assert not pool.withdraw(1)
    assert pool.take() == []
    assert pool.expire(10.0) == []
    assert pool.next_deadline() is None


def test_grounding_a_worker_takes_back_what_it_ran_and_what_nobody_runs() -> None:
    pool = pool_with(2)
    pool.hello("other", 1, now=0.0)
    for key in (1, 2, 3):
        pool.fly(job(key), f"t-{key}")
    one, other = pool.flight(1), pool.flight(2)
    assert one is not None
    assert other is not None
    one.worker, other.worker = "w", "other"
    assert sorted(flight.job.key for flight in pool.ground("w")) == [1, 3]
    assert pool.in_flight == 1
    assert pool.slots == 1


def test_a_worker_is_silent_after_its_last_hello_has_aged() -> None:
    pool = pool_with(1)
    assert pool.silent(HELLO_LIFETIME) == []
    assert pool.silent(HELLO_LIFETIME + 0.1) == ["w"]


def test_the_estimated_wait_grows_with_what_is_ahead() -> None:
    pool = pool_with(2)
    pool.land(0, ran=1.0)
    assert pool.estimated_wait == 0.0
    for key in range(5):
        pool.push(job(key))
    assert pool.estimated_wait == pytest.approx((5 + 1 - 2) * 1.0 / 2)


class Bench:
    """A pool under random steps, and the keys that have to be inside it."""

    def __init__(self) -> None:
        self.pool = pool_with(2)
        self.inside: set[int] = set()
        self.fresh = 0
        self.now = 0.0

    def push(self, number: int) -> None:
        self.fresh += 1
        self.pool.push(job(self.fresh, deadline=self.now + number if number % 2 else None))
        self.inside.add(self.fresh)

    def take(self, _number: int) -> None:
        for one in self.pool.take():
            assert one.key in self.inside
            self.pool.fly(one, "t")

    def land(self, number: int) -> None:
        if self.pool.flight(number) is not None:
            self.pool.land(number)
            self.inside.discard(number)

    def withdraw(self, number: int) -> None:
        if self.pool.withdraw(number):
            self.inside.remove(number)

    def expire(self, number: int) -> None:
        self.now += number
        for one, _ticket in self.pool.expire(self.now):
            self.inside.remove(one.key)

    def ground(self, _number: int) -> None:
        for flight in self.pool.ground():
            self.pool.push(flight.job)


STEPS = [Bench.push, Bench.take, Bench.land, Bench.withdraw, Bench.expire, Bench.ground]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9))))
def test_no_job_is_ever_lost_or_doubled(steps: list[tuple[Callable[[Bench, int], None], int]]) -> None:
    """Whatever happens, each pushed job is waiting, in flight, or was handed out exactly once."""
    bench = Bench()
    for step, number in steps:
        step(bench, number)
        assert bench.pool.queued + bench.pool.running == len(bench.inside)
