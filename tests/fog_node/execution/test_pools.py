"""The pools of all weights, on a clock of the tests' own."""

import pytest

from broker.contract.messages import Load
from broker.contract.topics import Weight
from fog_node.execution.in_flight import Revoke, SentMessage
from fog_node.execution.pools import Expired, Pools
from fog_node.jobs.job import Job
from fog_node.jobs.waits import Estimate, Queue
from tests.support.jobs import job

LIGHT, MEDIUM, HEAVY = Weight.LIGHT, Weight.MEDIUM, Weight.HEAVY


@pytest.fixture
def pools() -> Pools:
    """Two workers for medium tasks, which run a second, and one for light ones."""
    made = Pools({MEDIUM: 2, LIGHT: 1, HEAVY: 0}, lambda *_: Estimate(run=1.0, spread=0.0, seen=9))
    made[MEDIUM].hello("w", 2, now=0.0)
    made[LIGHT].hello("l", 1, now=0.0)
    return made


def send(pools: Pools, *jobs: Job) -> SentMessage:
    """Give jobs to the workers in one message."""
    return pools[jobs[0].weight].sent(f"t-{jobs[0].key}", jobs, [9.0] * len(jobs), 0.0)


def test_a_weight_without_workers_takes_no_jobs_and_is_not_announced(pools: Pools) -> None:
    assert set(pools.configured) == set(pools.load()) == {MEDIUM, LIGHT}
    assert pools.queue(HEAVY) is None
    assert pools.withdraw(job(weight=HEAVY)) is None


def test_workers_of_another_machine_count_as_soon_as_they_answer_and_for_as_long(pools: Pools) -> None:
    pools[HEAVY].hello("elsewhere", 2, now=0.0)
    assert pools.queue(HEAVY) == Queue(jobs=0, slots=2, wait=0.0)
    assert pools.load()[HEAVY].slots == 2
    pools[HEAVY].push(job(1, weight=HEAVY))
    pools[HEAVY].forget("elsewhere")
    assert pools.queue(HEAVY) is None
    # What was taken on waits for them, and can be seen to.
    load = pools.load()[HEAVY]
    assert (load.queued, load.slots) == (1, 0)


def test_a_queue_counts_what_waits_and_what_is_with_the_workers(pools: Pools) -> None:
    message = send(pools, job(1))
    pools[MEDIUM].begin(message, "w", 0.0)
    send(pools, job(2))
    pools[MEDIUM].push(job(3))
    queue = pools.queue(MEDIUM)
    assert queue is not None
    assert (queue.jobs, queue.slots) == (3, 2)
    assert queue.wait > 0
    assert pools.queued() == {LIGHT: 0, MEDIUM: 2, HEAVY: 0}
    assert pools.in_flight == 2


def test_workers_that_start_again_count_in_the_queue_and_not_in_what_is_announced(pools: Pools) -> None:
    for worker in ("w", "l"):
        for pool in pools.values():
            pool.forget(worker)
    assert pools.queue(MEDIUM) == Queue(jobs=0, slots=2, wait=0.0)
    assert pools.load()[MEDIUM] == Load(queued=0, running=0, slots=0, estimated_wait_ms=0.0)


def test_a_job_that_waits_is_taken_back_without_a_word_to_the_workers(pools: Pools) -> None:
    one = job()
    pools[MEDIUM].push(one)
    assert pools.waits
    assert pools.withdraw(one) is None
    assert not pools.waits


def test_a_job_that_is_with_the_workers_is_called_back(pools: Pools) -> None:
    one = job()
    send(pools, one)
    assert pools.withdraw(one) == Revoke("t-1")
    assert pools.in_flight == 0


def test_a_job_that_is_not_here_is_not_called_back(pools: Pools) -> None:
    assert pools.withdraw(job(99)) is None


def test_what_expires_is_told_of_all_weights_with_what_workers_are_to_leave(pools: Pools) -> None:
    waiting, unread, late = job(1, deadline=5.0), job(2, deadline=6.0, weight=LIGHT), job(3, deadline=7.0)
    pools[MEDIUM].push(waiting)
    pools[LIGHT].push(unread)
    pools.take()
    send(pools, unread)
    pools[MEDIUM].push(waiting)
    pools[MEDIUM].push(late)
    assert pools.next_deadline() == 5.0
    assert pools.expire(6.0) == [Expired(unread, (Revoke("t-2"),)), Expired(waiting)]
    assert pools.next_deadline() == 7.0


def test_what_runs_does_not_expire(pools: Pools) -> None:
    one = job(deadline=5.0)
    pools[MEDIUM].push(one)
    pools.take()
    pools[MEDIUM].begin(send(pools, one), "w", 0.0)
    assert pools.expire(9.0) == []
    assert pools.next_deadline() is None


def test_each_weight_gives_to_its_own_workers(pools: Pools) -> None:
    medium, light = job(1), job(2, weight=LIGHT)
    pools[MEDIUM].push(medium)
    pools[LIGHT].push(light)
    assert [(pool is pools[jobs[0].weight], jobs) for pool, jobs in pools.take()] == [
        (True, [light]),
        (True, [medium]),
    ]
