"""The order of jobs, and what is given to workers when."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fog_node.execution.in_flight import SentMessage, may_have_had
from fog_node.execution.pool import (
    AHEAD,
    BATCH_BYTES,
    BATCH_JOBS,
    BATCH_SECONDS,
    HELLO_LIFETIME,
    SHORT,
    START_LEASE,
    WORTHWHILE,
    Pool,
)
from fog_node.jobs.job import AGEING, Job
from fog_node.jobs.waits import Estimate
from tests.support.jobs import job


def pool_with(slots: int) -> Pool:
    pool = Pool(slots, lambda _: Estimate(run=1.0, spread=1.0, seen=9))
    pool.hello("w", slots, now=0.0)
    return pool


def pool_that_knows_echo(slots: int, *, seconds: float) -> Pool:
    """A pool that has seen how long an echo takes."""
    pool = pool_with(slots)
    message = send(pool, [job(0)])
    pool.begin(message, "w", 0.0)
    pool.ended(message, 0, 0.0, ran=seconds)
    return pool


def send(pool: Pool, jobs: list[Job], now: float = 0.0) -> SentMessage:
    return pool.sent(f"t-{jobs[0].key}", jobs, [1.0] * len(jobs), now)


def keys(batches: list[list[Job]]) -> list[int]:
    return [one.key for batch in batches for one in batch]


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
    """Once it has aged a job without a deadline goes before any that came later with one."""
    pool = pool_that_knows_echo(1, seconds=WORTHWHILE)
    pool.push(job(1, received=0.0))
    pool.push(job(2, received=40.0, deadline=AGEING + 11.0))
    assert keys(pool.take()) == [1, 2]


def test_workers_get_as_many_short_jobs_as_keep_them_busy_and_no_more() -> None:
    pool = pool_that_knows_echo(2, seconds=0.9 * SHORT)
    for key in range(1, 11):
        pool.push(job(key))
    in_flight = [send(pool, batch) for batch in pool.take()]
    assert len(in_flight) == AHEAD * 2
    assert pool.take() == []
    pool.ended(in_flight[0], 0, 0.0)
    assert len(pool.take()) == 1


@pytest.mark.parametrize("seconds", [None, SHORT])
def test_what_may_be_long_waits_here_until_a_slot_is_free(seconds: float | None) -> None:
    pool = pool_with(2) if seconds is None else pool_that_knows_echo(2, seconds=seconds)
    for key in range(1, 6):
        pool.push(job(key))
    first, _ = (send(pool, batch) for batch in pool.take())
    pool.push(job(9, deadline=1.0))
    assert pool.take() == []
    pool.ended(first, 0, 0.0)
    assert keys(pool.take()) == [9]


def test_what_waits_is_shared_out_among_the_messages_there_is_room_for() -> None:
    pool = pool_that_knows_echo(2, seconds=WORTHWHILE)
    for key in range(1, 11):
        pool.push(job(key))
    assert [len(batch) for batch in pool.take()] == [3, 3, 3, 1]


def test_a_job_goes_alone_where_there_is_little_to_do() -> None:
    pool = pool_that_knows_echo(2, seconds=WORTHWHILE)
    for key in range(1, 5):
        pool.push(job(key))
    assert [len(batch) for batch in pool.take()] == [1, 1, 1, 1]


def test_jobs_that_take_less_than_a_message_costs_go_together() -> None:
    pool = pool_that_knows_echo(2, seconds=WORTHWHILE / 3.5)
    for key in range(1, 8):
        pool.push(job(key))
    assert [len(batch) for batch in pool.take()] == [3, 3, 1]


def test_a_message_holds_as_many_jobs_as_may_be_and_not_more() -> None:
    pool = pool_that_knows_echo(1, seconds=0.0)
    for key in range(1, 1001):
        pool.push(job(key))
    assert [len(batch) for batch in pool.take()] == [BATCH_JOBS, BATCH_JOBS]


def test_slow_jobs_do_not_go_together() -> None:
    pool = pool_that_knows_echo(1, seconds=BATCH_SECONDS / 3)
    for key in range(1, 11):
        pool.push(job(key))
    assert [len(batch) for batch in pool.take()] == [3, 3]


def test_jobs_whose_duration_is_not_known_go_alone() -> None:
    pool = pool_with(1)
    for key in range(10):
        pool.push(job(key))
    assert [len(batch) for batch in pool.take()] == [1]


def test_a_job_that_was_tried_before_goes_alone() -> None:
    """It may have killed its worker, and is not to take others along."""
    pool = pool_that_knows_echo(1, seconds=0.0001)
    pool.push(job(1, attempts=1))
    for key in range(2, 10):
        pool.push(job(key))
    assert keys(pool.take()[:1]) == [1]


def test_large_payloads_do_not_go_together() -> None:
    pool = pool_that_knows_echo(1, seconds=0.0001)
    for key in range(1, 10):
        pool.push(job(key, payload=bytes(BATCH_BYTES // 2)))
    assert [len(batch) for batch in pool.take()] == [2, 2]


def test_a_job_that_became_slow_is_known_as_slow_at_once() -> None:
    pool = pool_that_knows_echo(1, seconds=0.0001)
    message = send(pool, [job(1)])
    pool.ended(message, 0, 0.0, ran=1.0)
    for key in range(2, 10):
        pool.push(job(key))
    assert [len(batch) for batch in pool.take()] == [1]


def test_waiting_jobs_expire_at_their_deadline_and_not_before() -> None:
    pool = pool_with(1)
    pool.push(job(1, deadline=5.0))
    pool.push(job(2, deadline=7.0))
    assert pool.expire(4.999) == []
    assert pool.next_deadline() == 5.0
    assert keys([pool.expire(5.0)]) == [1]
    assert pool.next_deadline() == 7.0
    assert keys(pool.take()) == [2]


def test_what_a_worker_has_not_begun_expires_too_and_what_it_has_does_not() -> None:
    pool = pool_that_knows_echo(1, seconds=WORTHWHILE)
    for key in (1, 2):
        pool.push(job(key, deadline=5.0))
    begun, unread = [send(pool, batch) for batch in pool.take()]
    pool.begin(begun, "w", 1.0)
    assert keys([pool.expire(5.0)]) == [2]
    assert pool.in_flight.of(2) is unread
    assert pool.next_deadline() is None


def test_a_withdrawn_job_is_neither_taken_nor_expired() -> None:
    pool = pool_with(1)
    pool.push(job(1, deadline=5.0))
    assert pool.withdraw(1)
    assert not pool.withdraw(1)
    assert pool.take() == []
    assert pool.expire(10.0) == []
    assert pool.next_deadline() is None


def test_what_may_be_lost_with_a_worker_is_what_it_ran_and_what_nobody_runs() -> None:
    pool = pool_with(2)
    pool.hello("other", 1, now=0.0)
    one, other, unread = (send(pool, [job(key)]) for key in (1, 2, 3))
    pool.begin(one, "w", 0.0)
    pool.begin(other, "other", 0.0)
    assert pool.in_flight.of_workers(may_have_had("w")) == [one, unread]
    pool.forget("w")
    assert pool.slots == 1


def test_a_worker_that_leaves_keeps_its_slots_for_what_it_runs_and_gets_no_more() -> None:
    pool = pool_with(1)
    pool.begin(send(pool, [job(1)]), "w", 0.0)
    pool.hello("w", 1, now=0.0, leaving=True)
    pool.push(job(2))
    # Its slot is no room for others, and nobody counts on it.
    assert pool.slots == 0
    assert keys(pool.take()) == [2]
    pool.push(job(3))
    pool.hello("new", 1, now=0.0)
    send(pool, [job(2)])
    assert pool.take() == []
    pool.hello("w", 0, now=1.0, leaving=True)
    assert (pool.slots, pool.leaving_slots, pool.silent(99.0)) == (1, 0, ["new"])


def test_a_message_that_a_worker_leaves_to_others_waits_again() -> None:
    pool = pool_with(1)
    message = send(pool, [job(1), job(2)])
    pool.give_back(message.ticket)
    pool.give_back(message.ticket)
    assert pool.in_flight.jobs == 0
    assert keys(pool.take()) == [1]


def test_a_worker_is_silent_after_its_last_hello_has_aged() -> None:
    pool = pool_with(1)
    assert pool.silent(HELLO_LIFETIME) == []
    assert pool.silent(HELLO_LIFETIME + 0.1) == ["w"]


def test_workers_have_stalled_when_one_is_idle_and_a_message_lies_unread() -> None:
    pool = pool_with(1)
    message = send(pool, [job(1)], now=1.0)
    assert not pool.stalled(1.0 + START_LEASE)
    assert pool.stalled(1.1 + START_LEASE)
    pool.begin(message, "w", 12.0)
    send(pool, [job(2)], now=12.0)
    assert not pool.stalled(99.0)
    pool.ended(message, 0, 99.0)
    assert not pool.stalled(99.0 + START_LEASE)
    assert pool.stalled(99.1 + START_LEASE)


def test_the_estimated_wait_grows_with_what_is_ahead() -> None:
    pool = pool_with(2)
    pool.push(job(1))
    assert pool.estimated_wait == 0.0
    for key in range(2, 6):
        pool.push(job(key))
    assert pool.estimated_wait == pytest.approx((5 + 1 - 2) * 1.0 / 2)


def test_the_estimated_wait_knows_which_jobs_run_and_which_wait() -> None:
    """Behind a long job that runs it is half of it; in front of it a short one waits for a long one."""
    times = {"slow": Estimate(run=10.0, spread=0.0, seen=9), "quick": Estimate(run=0.1, spread=0.0, seen=9)}
    pool = Pool(1, times.__getitem__)
    slow, quick = job(1), job(2)
    slow.task, quick.task = "slow", "quick"
    pool.begin(send(pool, [slow]), "w", 0.0)
    pool.push(quick)
    assert pool.estimated_wait == pytest.approx(10.0 / 2 + 0.1)


class Bench:
    """A pool under random steps, and the keys that have to be inside it."""

    def __init__(self) -> None:
        self.pool = pool_that_knows_echo(2, seconds=0.0001)
        self.inside: set[int] = set()
        self.fresh = 0
        self.now = 0.0

    def push(self, number: int) -> None:
        for _ in range(number):
            self.fresh += 1
            self.pool.push(job(self.fresh, deadline=self.now + number if self.fresh % 2 else None))
            self.inside.add(self.fresh)

    def take(self, _number: int) -> None:
        for batch in self.pool.take():
            assert {one.key for one in batch} <= self.inside
            send(self.pool, batch, self.now)

    def begin(self, number: int) -> None:
        for message in self.pool.in_flight.unread()[:number]:
            self.pool.begin(message, "w", self.now)

    def ended(self, number: int) -> None:
        message = self.pool.in_flight.of(number)
        if message is not None:
            self.pool.ended(message, message.place(number), self.now, ran=0.0001)
            self.inside.discard(number)

    def withdraw(self, number: int) -> None:
        if self.pool.withdraw(number):
            self.inside.remove(number)

    def expire(self, number: int) -> None:
        self.now += number
        for one in self.pool.expire(self.now):
            message = self.pool.in_flight.of(one.key)
            if message is not None:
                self.pool.in_flight.ended(message, message.place(one.key))
            self.inside.remove(one.key)

    def ground(self, _number: int) -> None:
        for message in self.pool.in_flight.of_workers(lambda _: True):
            for one in self.pool.in_flight.end(message):
                self.pool.push(one)


STEPS = [Bench.push, Bench.take, Bench.begin, Bench.ended, Bench.withdraw, Bench.expire, Bench.ground]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9))))
def test_no_job_is_ever_lost_or_doubled(steps: list[tuple[Callable[[Bench, int], None], int]]) -> None:
    """Whatever happens, each pushed job is waiting, in a message, or was handed out exactly once."""
    bench = Bench()
    for step, number in steps:
        step(bench, number)
        pool, messages = bench.pool, list(bench.pool.in_flight._by_ticket.values())
        begun = [one for one in messages if one.worker is not None]
        assert pool.queued + pool.running == len(bench.inside)
        assert pool.running == pool.in_flight.begun.total() == len(begun)
        assert pool.in_flight.begun.total() + pool.in_flight.unbegun.total() == pool.jobs
        assert pool.in_flight.unread() == [one for one in messages if one.worker is None]
