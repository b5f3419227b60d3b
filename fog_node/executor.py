"""Runs jobs on this node: keeps them in order, gives workers as many as they can start, hears what became."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import redis.exceptions
import structlog
from celery import Celery

from broker.messages import ErrorCode, Load
from broker.topics import Weight
from fog_node.celery_sender import CelerySender, Order
from fog_node.job import Job
from fog_node.pool import Flight, Pool
from fog_node.report_reader import ReportReader
from tasks.app import make_app
from tasks.registry import Registry
from tasks.reports import Advanced, Done, Failed, Hello, Report, Running, stream_name

log = structlog.get_logger()

ATTEMPTS = 3
"""How often a job is tried whose worker process dies under it."""

RETRY_PAUSE = 0.3
"""Seconds before Redis is tried again."""

TRIM_INTERVAL = 1.0
CANARY_TIMEOUT = 5.0

JobReport = Running | Advanced | Done | Failed
OnReport = Callable[[Job, JobReport], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSettings:
    """Whose jobs run, over which Redis, and how many of each weight at once."""

    node: str
    redis_url: str
    slots: dict[Weight, int]


class Executor:
    """The workers of one node, as the node sees them.

    `on_report` is called with what becomes of each job; after Done or Failed the job is out of the
    executor's hands.
    """

    def __init__(self, settings: ExecutorSettings, registry: Registry, on_report: OnReport) -> None:
        stream = stream_name(settings.node)
        app: Celery = make_app(settings.redis_url, node=settings.node, registry=registry)
        self._registry = registry
        self._on_report = on_report
        self._sender = CelerySender(app, node=settings.node, stream=stream)
        self._reader = ReportReader(settings.redis_url, stream)
        self._pools = {weight: Pool(count) for weight, count in settings.slots.items() if count > 0}
        # Tells this life's tickets from those of tasks that an earlier life gave to Celery.
        self._life = secrets.token_hex(4)
        self._work = asyncio.Event()
        self._canaries: dict[str, asyncio.Event] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self._holding = False
        self._landed = asyncio.Event()
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
        flight = pool.flight(job.key)
        if flight is not None:
            pool.land(job.key)
            self._sender.revoke(flight.ticket)
            self._work.set()
            self._landed.set()

    def hold(self) -> None:
        """Give no further jobs to workers; what is with them goes on."""
        self._holding = True

    def ground(self, weight: Weight) -> None:
        """Place again all that was with Celery, for one weight: its workers are gone."""
        self._ground(self._pools[weight], None)

    def ground_all(self) -> None:
        """Place again all that was with Celery: Redis has lost what it held."""
        for pool in self._pools.values():
            self._ground(pool, None)

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

    def slots(self) -> dict[Weight, int]:
        """How many jobs of each weight this node is meant to run at once."""
        return {weight: pool.configured_slots for weight, pool in self._pools.items()}

    async def wait_landed(self) -> None:
        """Return once no job is with Celery."""
        while self.in_flight:
            self._landed.clear()
            await self._landed.wait()

    @property
    def in_flight(self) -> int:
        """How many jobs are with Celery."""
        return sum(pool.in_flight for pool in self._pools.values())

    async def run(self) -> None:
        """Send jobs and hear reports, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_jobs(), name="send jobs")
                group.create_task(self._hear_reports(), name="hear reports")
                group.create_task(self._watch_workers(), name="watch workers")
        finally:
            if self._expiry is not None:
                self._expiry.cancel()
            await self._reader.close()
            await self._sender.close()

    async def check(self) -> None:
        """Return once a worker of every weight has run a task and its answer has come back."""
        async with asyncio.TaskGroup() as group:
            for weight in self._pools:
                group.create_task(self._check(weight), name=f"check {weight} workers")

    async def _check(self, weight: Weight) -> None:
        ticket = f"canary-{self._life}-{secrets.token_hex(4)}"
        answered = self._canaries[ticket] = asyncio.Event()
        order = Order(task="echo", weight=weight, ticket=ticket, timeout=CANARY_TIMEOUT)
        try:
            await self._sender.send([order])
            await answered.wait()
        finally:
            del self._canaries[ticket]

    async def _send_jobs(self) -> NoReturn:
        while True:
            await self._work.wait()
            self._work.clear()
            self._expire()
            if not self._holding:
                for pool in self._pools.values():
                    await self._send(pool, pool.take())

    async def _send(self, pool: Pool, jobs: list[Job]) -> None:
        if not jobs:
            return
        orders = []
        for job in jobs:
            ticket = f"{self._life}-{job.key}-{job.attempts}"
            pool.fly(job, ticket)
            orders.append(self._order(job, ticket))
        sent = await self._sender.send(orders)
        self.redis_away = sent < len(jobs)
        if self.redis_away:
            for job in jobs[sent:]:
                pool.land(job.key)
                pool.push(job)
            await asyncio.sleep(RETRY_PAUSE)
            self._work.set()

    def _order(self, job: Job, ticket: str) -> Order:
        task = self._registry[job.task]
        arguments, named = task.read(job.payload)
        return Order(
            task=job.task,
            weight=job.weight,
            ticket=ticket,
            timeout=task.timeout,
            arguments=arguments,
            named=named,
        )

    async def _hear_reports(self) -> NoReturn:
        fresh = False
        while True:
            try:
                if not fresh:
                    await self._reader.start()
                    fresh = True
                for report in await self._reader.read():
                    self._hear(report)
            except (redis.exceptions.RedisError, OSError) as fault:
                log.warning("reports_unreadable", reason=str(fault), next_try_s=RETRY_PAUSE)
                self.redis_away = True
                await asyncio.sleep(RETRY_PAUSE)
                # Redis may have been started anew, with a stream that counts from the beginning again.
                self._reader.rewind()

    def _hear(self, report: Report) -> None:
        self.redis_away = False
        match report:
            case Hello():
                self._greet(report)
            case Done(ticket=ticket) if ticket in self._canaries:
                self._canaries[ticket].set()
            case Running() | Advanced() | Done() | Failed():
                self._hear_of_job(report)

    def _greet(self, hello: Hello) -> None:
        pool = self._pools.get(Weight(hello.weight))
        if pool is not None:
            pool.hello(hello.worker, hello.slots, time.monotonic())
            self._work.set()

    def _hear_of_job(self, report: JobReport) -> None:
        found = self._find(report.ticket)
        if found is None:
            # Of a job that has ended or was taken back meanwhile, or of an earlier life's.
            return
        pool, flight = found
        match report:
            case Running(worker=worker):
                flight.worker = worker
            case Failed(worker_lost=True):
                pool.land(flight.job.key)
                self._retry(flight, report)
                return
            case Done(ran_ms=ran_ms) | Failed(ran_ms=ran_ms):
                pool.land(flight.job.key, ran=ran_ms / 1e3)
                self._work.set()
                self._landed.set()
        self._on_report(flight.job, report)

    def _find(self, ticket: str) -> tuple[Pool, Flight] | None:
        life, _, rest = ticket.partition("-")
        key = rest.partition("-")[0]
        if life != self._life or not key.isdecimal():
            return None
        for pool in self._pools.values():
            flight = pool.flight(int(key))
            if flight is not None:
                return pool, flight
        return None

    def _retry(self, flight: Flight, report: Failed) -> None:
        job = flight.job
        job.attempts += 1
        if job.attempts < ATTEMPTS:
            log.warning(
                "job_retried", job=job.key, task=job.task, attempts=job.attempts, reason=report.message
            )
            self.submit(job)
        else:
            message = f"{report.message}; it was tried {job.attempts} times"
            self._on_report(job, Failed(report.ticket, report.code, message, report.ran_ms))

    def _ground(self, pool: Pool, worker: str | None) -> None:
        for flight in pool.ground(worker):
            if flight.worker is None:
                self.submit(flight.job)
            else:
                lost = Failed(flight.ticket, ErrorCode.FAILED, "the worker that ran it died", 0.0)
                self._retry(flight, lost)

    async def _watch_workers(self) -> NoReturn:
        while True:
            await asyncio.sleep(TRIM_INTERVAL)
            now = time.monotonic()
            for weight, pool in self._pools.items():
                for worker in pool.silent(now) if not self.redis_away else ():
                    log.warning("worker_silent", worker=worker, weight=weight)
                    self._ground(pool, worker)
            with contextlib.suppress(redis.exceptions.RedisError, OSError):
                await self._reader.trim()

    def _expire(self) -> None:
        """Answer what has expired in the queues, and be woken for the next."""
        now = time.monotonic()
        for pool in self._pools.values():
            for job, ticket in pool.expire(now):
                if ticket is not None:
                    self._sender.revoke(ticket)
                    self._landed.set()
                late = Failed("", ErrorCode.EXPIRED, "its deadline passed before a worker was free", 0.0)
                self._on_report(job, late)
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        deadlines = [at for pool in self._pools.values() if (at := pool.next_deadline()) is not None]
        if deadlines:
            self._expiry = asyncio.get_running_loop().call_later(min(deadlines) - now, self._work.set)
