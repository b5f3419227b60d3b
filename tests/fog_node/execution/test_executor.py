"""Jobs given to workers over a real Redis; the test is the worker, so that it can be any worker."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio

from broker.contract.messages import ErrorCode
from broker.contract.topics import Weight
from fog_node.execution.executor import Executor, ExecutorSettings
from fog_node.execution.pools import Pools
from fog_node.jobs.job import Job
from fog_node.jobs.waits import Estimate
from fog_tasks.builtin import echo
from fog_tasks.declaration.registry import Registry
from fog_tasks.reporting.reports import (
    FIELD,
    Advanced,
    Done,
    Failed,
    Finishing,
    Hello,
    JobReport,
    Report,
    Running,
    encode_report,
    stream_name,
)
from fog_tasks.running.app import queue_name
from tests.support.eventually import eventually
from tests.support.jobs import job
from tests.support.redis import private_redis

MEDIUM = Weight.MEDIUM


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with private_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


class Worker:
    """An executor, and the one worker of its node, which the test is."""

    def __init__(self, url: str, node: str) -> None:
        self.node, self.redis = node, redis.asyncio.Redis.from_url(url)
        self.pools = Pools({MEDIUM: 1}, lambda *_: Estimate(run=1.0, spread=0.0, seen=9))
        self.heard: list[tuple[int, JobReport]] = []
        self.executor = Executor(
            ExecutorSettings(node=node, redis_url=url),
            Registry([echo]),
            self.pools,
            on_report=lambda one, report, _: self.heard.append((one.key, report)),
            on_hello=lambda *_: None,
            on_duty=lambda _: None,
            on_stall=lambda _: None,
        )

    async def tell(self, *reports: Report) -> None:
        """Report to the node."""
        for report in reports:
            await self.redis.xadd(stream_name(self.node), {FIELD: encode_report(report)})

    async def hello(self) -> None:
        """Be there, and be heard."""
        async with asyncio.timeout(10):
            while not self.pools[MEDIUM].slots:
                await self.tell(Hello("w", MEDIUM, 1))
                await asyncio.sleep(0.02)

    async def take(self) -> str:
        """Take the next message; return its ticket."""
        found = await self.redis.brpop([queue_name(self.node, MEDIUM)], timeout=10)
        assert found is not None
        ticket: str = json.loads(found[1])["headers"]["id"]
        return ticket

    def submit(self, *jobs: Job) -> None:
        for one in jobs:
            self.executor.submit(one)


@pytest.fixture
async def worker(redis_url: str, tmp_path: Path) -> AsyncIterator[Worker]:
    made = Worker(redis_url, tmp_path.name)
    running = asyncio.create_task(made.executor.run())
    await made.hello()
    yield made
    running.cancel()
    await asyncio.wait([running])
    await made.redis.aclose()


async def test_a_job_runs_and_what_becomes_of_it_is_heard_in_order(worker: Worker) -> None:
    worker.submit(job())
    ticket = await worker.take()
    reports = (Running(ticket, "w"), Advanced(ticket, 50.0), Done(ticket, b"1", 2.0))
    await worker.tell(*reports)
    await eventually(lambda: len(worker.heard) == 3)
    assert worker.heard == [(1, report) for report in reports]
    await asyncio.wait_for(worker.executor.wait_ended(), 5)


@pytest.mark.parametrize("garbage", [b"", b"\xff\xff", encode_report(Done("nobody's", b"1", 1.0))])
async def test_a_report_that_says_nothing_of_a_job_here_is_ignored(worker: Worker, garbage: bytes) -> None:
    worker.submit(job())
    ticket = await worker.take()
    await worker.redis.xadd(stream_name(worker.node), {FIELD: garbage, b"other": b"field"})
    await worker.tell(Done(ticket, b"1", 2.0), Done(ticket, b"2", 2.0))
    await eventually(lambda: worker.heard)
    assert worker.heard == [(1, Done(ticket, b"1", 2.0))]


async def test_a_job_that_is_taken_back_is_not_heard_of(worker: Worker) -> None:
    one, other = job(1), job(2)
    worker.submit(one)
    ticket = await worker.take()
    worker.executor.withdraw(one)
    worker.submit(other)
    second = await worker.take()
    await worker.tell(Done(ticket, b"1", 1.0), Done(second, b"2", 1.0))
    await eventually(lambda: worker.heard)
    assert worker.heard == [(2, Done(second, b"2", 1.0))]


async def test_a_job_that_expires_before_a_worker_begins_it_is_told(worker: Worker) -> None:
    worker.submit(job(deadline=0.0))
    await eventually(lambda: worker.heard)
    ((key, report),) = worker.heard
    assert key == 1
    assert isinstance(report, Failed)
    assert report.code is ErrorCode.EXPIRED


async def test_a_job_whose_process_dies_goes_to_a_worker_again(worker: Worker) -> None:
    worker.submit(job())
    first = await worker.take()
    died = Failed(first, ErrorCode.FAILED, "it died", 0.0, killed=True, worker_lost=True)
    await worker.tell(Running(first, "w"), died)
    second = await worker.take()
    assert second != first
    await worker.tell(Done(second, b"1", 1.0))
    await eventually(lambda: len(worker.heard) == 2)
    assert worker.heard[-1] == (1, Done(second, b"1", 1.0))


async def test_jobs_of_workers_that_are_gone_are_sent_again(worker: Worker) -> None:
    worker.submit(job())
    first = await worker.take()
    worker.executor.redis_gone()
    await worker.hello()
    assert await worker.take() != first


async def test_a_node_that_drains_gives_workers_nothing_new(worker: Worker) -> None:
    worker.executor.hold()
    worker.submit(job(1, deadline=0.0), job(2))
    await eventually(lambda: worker.heard)
    assert worker.pools[MEDIUM].queued == 1
    assert await worker.redis.llen(queue_name(worker.node, MEDIUM)) == 0


async def test_workers_answer_when_a_canary_comes_back(worker: Worker) -> None:
    checking = asyncio.create_task(worker.executor.check())
    ticket = await worker.take()
    assert not checking.done()
    await worker.tell(Done(ticket, b"null", 1.0))
    await asyncio.wait_for(checking, 10)
    assert worker.heard == []


async def test_what_no_worker_has_begun_goes_out_again_and_what_others_have_sent_stays(
    worker: Worker,
) -> None:
    """As a worker gives it back that takes no more messages, and as it lies in Redis."""
    worker.submit(job(1))
    ticket = await worker.take()
    await worker.tell(Finishing("w", MEDIUM, (ticket, "nobody's")))
    again = await worker.take()
    await worker.tell(Done(ticket, b"0", 2.0), Done(again, b"1", 2.0))
    await eventually(lambda: worker.heard)
    assert worker.heard == [(1, Done(again, b"1", 2.0))]

    queue, others = queue_name(worker.node, MEDIUM), [b'{"properties": {"correlation_id": "x"}}', b"garbage"]
    await worker.redis.lpush(queue, *others)
    worker.submit(job(2))
    await eventually(lambda: worker.pools.in_flight)
    worker.executor.hold()
    # What is on its way to Redis by now arrives first.
    await worker.executor.take_back()
    assert worker.pools.in_flight == 0
    assert await worker.redis.lrange(queue, 0, -1) == others[::-1]
    await worker.redis.delete(queue)
    worker.executor.go_on()
    await worker.take()


async def test_a_job_ends_when_its_turn_comes_if_its_task_is_gone_or_takes_it_no_more(worker: Worker) -> None:
    worker.submit(job(1, task="gone"), job(2, payload=b"no JSON"), job(3))
    ticket = await worker.take()
    await worker.tell(Done(ticket, b"1", 2.0))
    await eventually(lambda: len(worker.heard) == 3)
    codes = {key: report.code for key, report in worker.heard if isinstance(report, Failed)}
    assert codes == {1: ErrorCode.UNKNOWN_TASK, 2: ErrorCode.BAD_PAYLOAD}
