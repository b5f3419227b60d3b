"""Reads the reports of workers and updates the pools."""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

import redis.exceptions
import structlog

from broker.contract.topics import Weight
from fog_node.execution.canaries import Canaries
from fog_node.execution.in_flight import SentMessage
from fog_node.execution.ownership import Ownership
from fog_node.execution.pool import Pool
from fog_node.execution.pools import Pools
from fog_node.execution.recovery import OnReport, Recovery
from fog_node.execution.report_reader import ReportReader
from fog_tasks.reporting.reports import (
    Advanced,
    Done,
    Failed,
    Finishing,
    Hello,
    JobReport,
    Owner,
    Report,
    Running,
    Waiting,
)

log = structlog.get_logger()

RETRY_PAUSE = 0.3
"""Seconds before Redis is read again."""


class ReportConsumer:
    """Reads reports for as long as it runs.

    `on_report` is called with what becomes of each job, `on_hello` with each sign of life of a worker,
    `on_duty` with those that wait to be told to begin, or take no more messages;
    `changed` after reports, since a worker may have come or a job gone, and `redis_away` with whether Redis
    could be read.
    """

    def __init__(
        self,
        reader: ReportReader,
        pools: Pools,
        canaries: Canaries,
        recovery: Recovery,
        *,
        on_report: OnReport,
        on_hello: Callable[[Hello, float], None],
        on_duty: Callable[[Waiting | Finishing], None],
        changed: Callable[[], None],
        redis_away: Callable[[bool], None],
        ownership: Ownership | None,
    ) -> None:
        self._reader = reader
        self._pools = pools
        self._canaries = canaries
        self._recovery = recovery
        self._on_report = on_report
        self._on_hello = on_hello
        self._on_duty = on_duty
        self._changed = changed
        self._redis_away = redis_away
        self._ownership = ownership

    async def run(self) -> NoReturn:
        """Hear reports, until cancelled."""
        started = False
        while True:
            try:
                if not started:
                    await self._reader.start()
                    started = True
                reports = await self._reader.read()
                for report in reports:
                    self._hear(report, time.monotonic())
                if reports:
                    self._redis_away(False)
                    self._changed()
            except (redis.exceptions.RedisError, OSError) as fault:
                log.warning("reports_unreadable", reason=str(fault), next_try_s=RETRY_PAUSE)
                self._redis_away(True)
                await asyncio.sleep(RETRY_PAUSE)
                # Redis may have been started anew, with a stream that counts from the beginning again.
                self._reader.rewind()

    def _hear(self, report: Report, now: float) -> None:
        match report:
            case Hello():
                self._greet(report, now)
            case Waiting():
                self._on_duty(report)
            case Finishing(weight=weight, returned=returned):
                for ticket in returned:
                    self._pools[Weight(weight)].give_back(ticket)
                self._on_duty(report)
            case Owner():
                if self._ownership is not None:
                    self._ownership.hear(report, now)
            case Done(ticket=ticket) if self._canaries.back(ticket):
                pass
            case Running() | Advanced() | Done() | Failed():
                # Any other report is of a job that has ended or was taken back, or of an earlier life.
                if (found := self._pools.holding(report.ticket)) is not None:
                    self._hear_of(*found, report, now)

    def _greet(self, hello: Hello, now: float) -> None:
        pool = self._pools.get(Weight(hello.weight))
        if pool is not None:
            pool.hello(hello.worker, hello.slots, now, leaving=hello.leaving)
            self._on_hello(hello, now)

    def _hear_of(self, pool: Pool, message: SentMessage, report: JobReport, now: float) -> None:
        match report:
            case Running(worker=worker):
                if message.worker is None:
                    pool.begin(message, worker, now)
                    self._tell_running(message, now)
            case Failed(killed=True):
                self._recovery.crash(pool, message, report, now)
            case Advanced(index=index) if index in message.members:
                self._on_report(message.members[index], report, now)
            case Done(index=index, ran_ms=ran_ms) | Failed(index=index, ran_ms=ran_ms):
                if index in message.members:
                    job = pool.ended(message, index, now, ran=ran_ms / 1e3)
                    self._on_report(job, report, now)
                    self._tell_running(message, now)
            case _:
                pass

    def _tell_running(self, message: SentMessage, now: float) -> None:
        job = message.running
        if job is not None and message.worker is not None:
            self._on_report(job, Running(message.ticket, message.worker), now)
