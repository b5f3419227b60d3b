"""Runs jobs on this node: gives workers as many as they can start, and listens to what becomes of them.

The pools decide which jobs go when. This module has what they do without: the clock, Redis, the workers.
"""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

import redis.exceptions
import structlog

from broker.contract.messages import ErrorCode
from broker.contract.topics import Weight
from broker.errors import BadPayload
from fog_node.errors import RedisAway
from fog_node.execution.canaries import Canaries
from fog_node.execution.in_flight import Revoke, Skip
from fog_node.execution.ownership import Ownership
from fog_node.execution.pool import Pool
from fog_node.execution.pools import Pools
from fog_node.execution.recovery import OnReport, Recovery
from fog_node.execution.report_consumer import ReportConsumer
from fog_node.execution.report_reader import ReportReader
from fog_node.execution.rounds import Rounds
from fog_node.execution.work_queue import Item, WorkMessage, WorkQueue
from fog_node.jobs.job import Job
from fog_tasks.declaration.registry import Registry
from fog_tasks.reporting.reports import Failed, Finishing, Hello, Waiting, stream_name
from fog_tasks.running.app import make_app
from fog_tasks.worker_names import crew_of

log = structlog.get_logger()

RETRY_PAUSE = 0.3
"""Seconds before Redis is tried again."""

WATCH_INTERVAL = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSettings:
    """Whose jobs run, and over which Redis."""

    node: str
    redis_url: str


class Executor:
    """The workers of one node, as the node sees them.

    `on_report` hears what becomes of each job; after Done or Failed the job is out of the executor's
    hands. `on_hello` hears each worker every second, `on_duty` those that wait to begin or take no more.
    `on_stall` is called with the weight of workers that have stopped consuming. `ownership` is for a Redis
    that other nodes may use.
    """

    def __init__(
        self,
        settings: ExecutorSettings,
        registry: Registry,
        pools: Pools,
        *,
        on_report: OnReport,
        on_hello: Callable[[Hello, float], None],
        on_duty: Callable[[Waiting | Finishing], None],
        on_stall: Callable[[Weight], None],
        ownership: Ownership | None = None,
    ) -> None:
        stream = stream_name(settings.node)
        # Only its way to tell workers something is used here.
        app = make_app(settings.redis_url, node=settings.node, registry=Registry(()))
        self._registry = registry
        self._pools = pools
        self._on_report = on_report
        self._on_stall = on_stall
        self._ownership = ownership
        self._queue = WorkQueue(settings.redis_url, app, node=settings.node, stream=stream)
        self._reader = ReportReader(settings.redis_url, stream)
        # Tells this life's tickets from those of messages that an earlier life gave to Celery.
        self._life = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._rounds = Rounds()
        self._recovery = Recovery(on_report, self._freed)
        self._canaries = Canaries(self._queue, life=self._life)
        self._consumer = ReportConsumer(
            self._reader,
            pools,
            self._canaries,
            self._recovery,
            on_report=on_report,
            on_hello=on_hello,
            on_duty=on_duty,
            changed=self._freed,
            redis_away=self._note_redis,
            ownership=ownership,
        )
        self._holding = False
        self._changed = asyncio.Event()
        self.redis_away = False

    def submit(self, job: Job) -> None:
        """Let a job run as soon as its turn comes."""
        self._pools[job.weight].push(job)
        self._rounds.wake()

    def withdraw(self, job: Job) -> None:
        """Take a job back, whether it waits or runs; nothing more is reported of it."""
        order = self._pools.withdraw(job)
        if order is not None:
            self._carry_out([order])

    def hold(self) -> None:
        """Give no further jobs to workers; what is with them goes on."""
        self._holding = True

    def go_on(self) -> None:
        """Give jobs to workers again."""
        self._holding = False
        self._rounds.wake()

    def workers_gone(self, weight: Weight, crew: str, *, unread: bool) -> None:
        """Queue again what was with the workers of one weight and crew, which are gone.

        With `unread`, they may have had messages that nobody has begun.
        """

        def those(worker: str | None) -> bool:
            return unread if worker is None else crew_of(worker) == crew

        self._recovery.give_back(self._pools[weight], time.monotonic(), those)

    def redis_gone(self) -> None:
        """Queue again all that was with Celery: Redis has lost what it held."""
        for pool in self._pools.values():
            self._recovery.give_back(pool, time.monotonic())

    async def take_back(self) -> None:
        """Queue again what lies in Redis and was taken by no worker. Raises RedisAway."""
        for weight, pool in self._pools.items():
            for ticket in await self._queue.take_back(weight, f"{self._life}-"):
                pool.give_back(ticket)

    async def wait_ended(self) -> None:
        """Return once no job is with Celery."""
        while self._pools.in_flight:
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """Send jobs and hear reports, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_jobs(), name="send jobs")
                group.create_task(self._consumer.run(), name="hear reports")
                group.create_task(self._watch_workers(), name="watch workers")
        finally:
            self._rounds.close()
            await self._reader.close()
            await self._queue.close()

    async def check(self) -> None:
        """Return once a worker of each weight that the node has workers for has run a task and answered."""
        await self._canaries.check(self._pools.configured)

    async def _send_jobs(self) -> NoReturn:
        while True:
            await self._rounds.due()
            self._expire()
            if not self._holding:
                await self._send(self._pools.take())

    async def _send(self, batches: list[tuple[Pool, list[Job]]]) -> None:
        if not batches:
            return
        self._rounds.begin(sum(len(jobs) for _, jobs in batches))
        messages = [message for pool, jobs in batches if (message := self._message(pool, jobs)) is not None]
        try:
            await self._queue.send(messages)
        except RedisAway as fault:
            log.warning("jobs_unsent", reason=str(fault), messages=len(messages), next_try_s=RETRY_PAUSE)
            self.redis_away = True
            for message in messages:
                # Some may be there all the same, and have been reported even; what comes later is ignored.
                self._pools[message.weight].give_back(message.ticket)
            await asyncio.sleep(RETRY_PAUSE)
            self._rounds.wake()
        else:
            self.redis_away = False

    def _message(self, pool: Pool, jobs: list[Job]) -> WorkMessage | None:
        """The message with these jobs; those end here that the node has no task for any more."""
        sent, items = [], []
        for job in jobs:
            item = self._item(job)
            if item is not None:
                sent.append(job)
                items.append(item)
        if not items:
            return None
        ticket = f"{self._life}-{next(self._numbers)}"
        pool.sent(ticket, sent, [item.timeout for item in items], time.monotonic())
        return WorkMessage(ticket, sent[0].weight, items)

    def _item(self, job: Job) -> Item | None:
        task = self._registry.runnable(job.task)
        try:
            if task is not None:
                return Item(job.task, *task.read(job.payload), task.timeout, (job.device, job.id))
            failed = Failed("", ErrorCode.UNKNOWN_TASK, f"task {job.task!r} is not loaded any more", 0.0)
        except BadPayload as fault:
            # The task takes another kind of payload since it was read again.
            failed = Failed("", ErrorCode.BAD_PAYLOAD, str(fault), 0.0)
        self._on_report(job, failed, time.monotonic())
        # Another may go in its place.
        self._freed()
        return None

    def _carry_out(self, orders: Iterable[Skip | Revoke]) -> None:
        """Tell workers what they are to leave; what else was with them waits again."""
        for order in orders:
            match order:
                case Skip(ticket=ticket, index=index):
                    self._queue.skip(ticket, index)
                case Revoke(ticket=ticket):
                    self._queue.revoke(ticket)
            self._freed()

    def _note_redis(self, away: bool) -> None:
        self.redis_away = away

    def _freed(self) -> None:
        if self._pools.waits:
            self._rounds.wake()
        self._changed.set()

    async def _watch_workers(self) -> NoReturn:
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            if not self.redis_away:
                for weight, pool in self._pools.items():
                    self._watch(weight, pool, time.monotonic())
            with contextlib.suppress(redis.exceptions.RedisError, OSError, RedisAway):
                await self._keep_up(self._ownership, time.monotonic())

    async def _keep_up(self, ownership: Ownership | None, now: float) -> None:
        """What is due at Redis each second. Raises RedisAway, redis.RedisError."""
        if ownership is None:
            await self._queue.keep_open()
        else:
            await self._queue.report(ownership.claim)
        # What was read here may be unread by another; Redis keeps no more than so much in any case.
        if ownership is None or not ownership.is_shared(now):
            await self._reader.trim()

    def _watch(self, weight: Weight, pool: Pool, now: float) -> None:
        self._carry_out(self._recovery.search(weight, pool, now))
        if pool.stalled(now):
            log.warning("workers_stalled", weight=weight, messages=len(pool.in_flight))
            self._carry_out(pool.take_back_unread())
            self._on_stall(weight)

    def _expire(self) -> None:
        """Answer what has expired in the queues, and be woken for the next."""
        now = time.monotonic()
        for expired in self._pools.expire(now):
            self._carry_out(expired.orders)
            late = Failed("", ErrorCode.EXPIRED, "its deadline passed before a worker was free", 0.0)
            self._on_report(expired.job, late, now)
        self._rounds.wake_at(self._pools.next_deadline())
