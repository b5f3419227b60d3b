"""Runs jobs on this node: keeps them in order, gives workers as many as they can start, hears what became."""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, NoReturn

import redis.exceptions
import structlog

from broker.contract.messages import ErrorCode, Load
from broker.contract.topics import Weight
from broker.pace import Pacer
from fog_node.errors import RedisAway
from fog_node.execution.canaries import Canaries
from fog_node.execution.in_flight import SentMessage
from fog_node.execution.pool import Pool
from fog_node.execution.recovery import OnReport, Recovery
from fog_node.execution.report_consumer import ReportConsumer
from fog_node.execution.report_reader import ReportReader
from fog_node.execution.work_queue import Item, WorkMessage, WorkQueue
from fog_node.jobs.job import Job
from fog_node.placement.estimates import Estimates
from fog_tasks.declaration.registry import Registry
from fog_tasks.reporting.reports import Failed, stream_name
from fog_tasks.running.app import make_app

log = structlog.get_logger()

RETRY_PAUSE = 0.3
"""Seconds before Redis is tried again."""

WATCH_INTERVAL = 1.0

SEND_INTERVAL = 0.002
"""Seconds between two rounds of messages to the workers while much is submitted."""

BUSY = 3
"""Jobs within that time that are much: one after the other makes up to two."""


class Queue(NamedTuple):
    """The jobs of one weight that have no outcome, how many run at once, and how long one more would wait."""

    jobs: int
    slots: int
    wait: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSettings:
    """Whose jobs run, over which Redis, and how many of each weight at once."""

    node: str
    redis_url: str
    slots: dict[Weight, int]


class Executor:
    """The workers of one node, as the node sees them.

    `on_report` is called with what becomes of each job; after Done or Failed the job is out of the
    executor's hands. `on_stall` is called with the weight of workers that have stopped consuming.
    """

    def __init__(
        self, settings: ExecutorSettings, registry: Registry, estimates: Estimates, on_report: OnReport
    ) -> None:
        stream = stream_name(settings.node)
        app = make_app(settings.redis_url, node=settings.node, registry=registry)
        self._registry = registry
        self._on_report = on_report
        self._queue = WorkQueue(settings.redis_url, app, node=settings.node, stream=stream)
        self._reader = ReportReader(settings.redis_url, stream)
        self._pools = {
            weight: Pool(count, partial(estimates.of, weight))
            for weight, count in settings.slots.items()
            if count > 0
        }
        # Tells this life's tickets from those of messages that an earlier life gave to Celery.
        self._life = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._work = asyncio.Event()
        self._pacer = Pacer(SEND_INTERVAL, BUSY)
        self._recovery = Recovery(on_report, self._freed)
        self._canaries = Canaries(self._queue, life=self._life)
        self._consumer = ReportConsumer(
            self._reader,
            self._pools,
            self._canaries,
            self._recovery,
            on_report=on_report,
            changed=self._freed,
            redis_away=self._note_redis,
        )
        self._expiry: asyncio.TimerHandle | None = None
        self._holding = False
        self._none_left = asyncio.Event()
        self.on_stall: Callable[[Weight], None] = lambda _: None
        self.redis_away = False

    def submit(self, job: Job) -> None:
        """Let a job run as soon as its turn comes."""
        self._pools[job.weight].push(job)
        self._work.set()

    def withdraw(self, job: Job) -> None:
        """Take a job back, whether it waits or runs; nothing more is reported of it."""
        pool = self._pools.get(job.weight)
        if pool is None or pool.withdraw(job.key):
            return
        message = pool.in_flight.of(job.key)
        if message is not None:
            self._call_back(pool, message, job)

    def hold(self) -> None:
        """Give no further jobs to workers; what is with them goes on."""
        self._holding = True

    def ground(self, weight: Weight) -> None:
        """Place again all that was with Celery, for one weight: its workers are gone."""
        self._recovery.ground(self._pools[weight], time.monotonic())

    def ground_all(self) -> None:
        """Place again all that was with Celery: Redis has lost what it held."""
        for pool in self._pools.values():
            self._recovery.ground(pool, time.monotonic())

    def load(self) -> dict[Weight, Load]:
        """The backlog of each weight."""
        return {
            weight: Load(
                queued=pool.queued,
                running=pool.running,
                slots=pool.slots,
                estimated_wait_ms=round(1e3 * pool.estimated_wait, 3),
            )
            for weight, pool in self._pools.items()
        }

    def queue(self, weight: Weight) -> Queue | None:
        """What a further job of that weight would find, or None without workers for it."""
        pool = self._pools.get(weight)
        if pool is None:
            return None
        # Workers that are about to start again count: what waits for them is not to be refused.
        return Queue(pool.queued + pool.running, max(pool.slots, pool.configured_slots), pool.estimated_wait)

    def queued(self) -> dict[Weight, int]:
        """How many jobs of each weight wait for a slot."""
        return {weight: pool.queued for weight, pool in self._pools.items()}

    async def wait_ended(self) -> None:
        """Return once no job is with Celery."""
        while self.in_flight:
            self._none_left.clear()
            await self._none_left.wait()

    @property
    def in_flight(self) -> int:
        """How many jobs are with Celery."""
        return sum(pool.in_flight.jobs for pool in self._pools.values())

    async def run(self) -> None:
        """Send jobs and hear reports, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_jobs(), name="send jobs")
                group.create_task(self._consumer.run(), name="hear reports")
                group.create_task(self._watch_workers(), name="watch workers")
        finally:
            if self._expiry is not None:
                self._expiry.cancel()
            await self._reader.close()
            await self._queue.close()

    async def check(self) -> None:
        """Return once a worker of every weight has run a task and its answer has come back."""
        await self._canaries.check(self._pools)

    async def _send_jobs(self) -> NoReturn:
        while True:
            await self._work.wait()
            # While it waits nothing else would be sent either: what is urgent goes first of what gathers.
            if (rest := self._pacer.rest(time.monotonic())) > 0:
                await asyncio.sleep(rest)
            self._work.clear()
            self._expire()
            if not self._holding:
                await self._send([(pool, jobs) for pool in self._pools.values() for jobs in pool.take()])

    async def _send(self, batches: list[tuple[Pool, list[Job]]]) -> None:
        if not batches:
            return
        self._pacer.begin(sum(len(jobs) for _, jobs in batches), time.monotonic())
        messages = [self._message(pool, jobs) for pool, jobs in batches]
        try:
            await self._queue.send(messages)
        except RedisAway as fault:
            log.warning("jobs_unsent", reason=str(fault), messages=len(messages), next_try_s=RETRY_PAUSE)
            self.redis_away = True
            for (pool, _), message in zip(batches, messages, strict=True):
                sent = pool.in_flight.get(message.ticket)
                # Some may be there all the same, and have been reported even; what comes later is ignored.
                self._place_again(pool, [] if sent is None else pool.in_flight.end(sent))
            await asyncio.sleep(RETRY_PAUSE)
            self._work.set()
        else:
            self.redis_away = False

    def _message(self, pool: Pool, jobs: list[Job]) -> WorkMessage:
        items = []
        for job in jobs:
            task = self._registry.runnable(job.task)
            assert task is not None
            items.append(Item(job.task, *task.read(job.payload), task.timeout))
        ticket = f"{self._life}-{next(self._numbers)}"
        pool.sent(ticket, jobs, [item.timeout for item in items], time.monotonic())
        return WorkMessage(ticket, jobs[0].weight, items)

    def _call_back(self, pool: Pool, message: SentMessage, job: Job) -> None:
        """Take one job out of a message that is with the workers already."""
        runs = message.running is job
        index = message.place(job.key)
        pool.in_flight.ended(message, index)
        if message.members and not runs:
            self._queue.skip(message.ticket, index)
        else:
            self._place_again(pool, pool.in_flight.end(message))
            self._queue.revoke(message.ticket)
        self._freed()

    def _place_again(self, pool: Pool, jobs: list[Job]) -> None:
        for job in jobs:
            pool.push(job)
        self._work.set()

    def _note_redis(self, away: bool) -> None:
        self.redis_away = away

    def _freed(self) -> None:
        if any(pool.waits for pool in self._pools.values()):
            self._work.set()
        self._none_left.set()

    async def _watch_workers(self) -> NoReturn:
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            if not self.redis_away:
                for weight, pool in self._pools.items():
                    self._watch(weight, pool, time.monotonic())
            with contextlib.suppress(redis.exceptions.RedisError, OSError):
                await self._reader.trim()

    def _watch(self, weight: Weight, pool: Pool, now: float) -> None:
        for ticket in self._recovery.search(weight, pool, now):
            self._queue.revoke(ticket)
        if pool.stalled(now):
            log.warning("workers_stalled", weight=weight, messages=len(pool.in_flight))
            for message in pool.in_flight.unread():
                self._queue.revoke(message.ticket)
                self._place_again(pool, pool.in_flight.end(message))
            self.on_stall(weight)

    def _expire(self) -> None:
        """Answer what has expired in the queues, and be woken for the next."""
        now = time.monotonic()
        for pool in self._pools.values():
            for job in pool.expire(now):
                message = pool.in_flight.of(job.key)
                if message is not None:
                    self._call_back(pool, message, job)
                late = Failed("", ErrorCode.EXPIRED, "its deadline passed before a worker was free", 0.0)
                self._on_report(job, late)
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        deadlines = [at for pool in self._pools.values() if (at := pool.next_deadline()) is not None]
        if deadlines:
            self._expiry = asyncio.get_running_loop().call_later(min(deadlines) - now, self._work.set)
