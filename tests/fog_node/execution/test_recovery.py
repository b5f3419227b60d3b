"""Jobs whose worker is lost, on a clock of the tests' own."""

import pytest

from broker.contract.messages import ErrorCode
from broker.contract.topics import Weight
from fog_node.execution.in_flight import Revoke, SentMessage, may_have_had
from fog_node.execution.pool import HELLO_LIFETIME, Pool
from fog_node.execution.recovery import ATTEMPTS, Recovery
from fog_node.jobs.job import Job
from fog_node.jobs.waits import Estimate
from fog_tasks.reporting.reports import Failed, JobReport
from tests.support.jobs import job

DIED = Failed("t", ErrorCode.FAILED, "the process died", 5.0, killed=True, worker_lost=True)
TIMED_OUT = Failed("t", ErrorCode.TIMED_OUT, "too long", 9000.0, killed=True)


class Recovering:
    """A pool of two workers' slots, and what its recovery tells."""

    def __init__(self) -> None:
        self.pool = Pool(2, lambda _: Estimate(run=1.0, spread=0.0, seen=9))
        self.pool.hello("w", 2, now=0.0)
        self.reports: list[tuple[Job, JobReport]] = []
        self.changes = 0
        self.recovery = Recovery(lambda one, report, _: self.reports.append((one, report)), self.change)

    def change(self) -> None:
        self.changes += 1

    def send(self, *jobs: Job, worker: str | None = None) -> SentMessage:
        message = self.pool.sent(f"t-{jobs[0].key}", jobs, [9.0] * len(jobs), 0.0)
        if worker is not None:
            self.pool.begin(message, worker, 0.0)
        return message

    @property
    def waiting(self) -> list[int]:
        return sorted(one.key for jobs in self.pool.take() for one in jobs)


@pytest.fixture
def node() -> Recovering:
    return Recovering()


def test_a_job_whose_process_died_is_tried_again(node: Recovering) -> None:
    one = job()
    node.recovery.crash(node.pool, node.send(one, worker="w"), DIED, 1.0)
    assert (node.reports, one.attempts, node.waiting) == ([], 1, [1])
    assert node.changes > 0


def test_a_job_is_not_tried_for_ever(node: Recovering) -> None:
    one = job(attempts=ATTEMPTS - 1)
    node.recovery.crash(node.pool, node.send(one, worker="w"), DIED, 1.0)
    ((told, report),) = node.reports
    assert told is one
    assert isinstance(report, Failed)
    assert report.worker_lost
    assert report.message == f"the process died; it was tried {ATTEMPTS} times"
    assert node.waiting == []


def test_a_job_that_was_ended_on_purpose_is_not_tried_again(node: Recovering) -> None:
    one = job()
    node.recovery.crash(node.pool, node.send(one, worker="w"), TIMED_OUT, 1.0)
    assert node.reports == [(one, TIMED_OUT)]
    assert one.attempts == 0


def test_jobs_that_were_to_come_after_it_wait_again_without_blame(node: Recovering) -> None:
    jobs = [job(1), job(2), job(3)]
    node.recovery.crash(node.pool, node.send(*jobs, worker="w"), TIMED_OUT, 1.0)
    assert node.waiting == [2, 3]
    assert [one.attempts for one in jobs] == [0, 0, 0]


def test_a_lost_worker_loses_what_it_ran_and_what_nobody_has_begun(node: Recovering) -> None:
    ran, unread, others = job(1), job(2), job(3)
    node.send(ran, worker="w")
    node.send(unread)
    node.send(others, worker="other")
    node.recovery.give_back(node.pool, 1.0, may_have_had("w"))
    assert node.pool.in_flight.jobs == 1
    assert [ran.attempts, unread.attempts] == [1, 0]
    assert node.pool.queued == 2


def test_workers_that_are_all_gone_lose_everything(node: Recovering) -> None:
    node.send(job(1), worker="w")
    node.send(job(2), worker="other")
    node.recovery.give_back(node.pool, 1.0)
    assert node.pool.in_flight.jobs == 0


def test_a_silent_worker_is_lost(node: Recovering) -> None:
    node.send(job(), worker="w")
    assert node.recovery.search(Weight.MEDIUM, node.pool, HELLO_LIFETIME) == []
    assert node.pool.slots == 2
    node.recovery.search(Weight.MEDIUM, node.pool, HELLO_LIFETIME + 0.1)
    assert node.pool.slots == 0
    assert node.waiting == [1]


def test_a_message_past_its_lease_ends_its_job_and_is_dropped(node: Recovering) -> None:
    one = job()
    message = node.send(one, worker="w")
    late = message.lease_ends() + 0.1
    node.pool.hello("w", 2, now=late)
    assert node.recovery.search(Weight.MEDIUM, node.pool, late) == [Revoke("t-1")]
    ((told, report),) = node.reports
    assert told is one
    assert isinstance(report, Failed)
    assert report.code is ErrorCode.TIMED_OUT
