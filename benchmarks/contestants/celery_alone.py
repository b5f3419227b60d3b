"""Celery alone: a caller that has N tasks outstanding over Redis, with the Redis result backend.

Its strong form: one thread, one connection for sending, results by the backend's own publish/subscribe
(`AsyncResult.then`), nothing polled; the workers as in settings.py.
"""

import asyncio
import contextlib
import json
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from celery import Celery

from benchmarks.children import celery_worker, child, private_redis, worker_started
from benchmarks.contestants.settings import REDIS_VARIABLE, SETTINGS, WORKER_OPTIONS
from benchmarks.errors import BenchmarkFailed
from benchmarks.load.device import TIMEOUT
from benchmarks.load.measured import Measured, Work
from benchmarks.load.pacing import regular_times
from benchmarks.parts import Parts
from benchmarks.percentiles import Latency

NAME = "Celery alone"


class CeleryCaller:
    """Submits tasks and takes results; everything happens in one thread beside the event loop."""

    def __init__(self, app: Celery, parts: Parts) -> None:
        self._app = app
        self._parts = parts
        self._producer: Any = None
        self._open: set[str] = set()
        self._ended: deque[float] = deque()

    async def closed(self, work: Work, *, outstanding: int, seconds: float, warm_up: float = 0.3) -> Measured:
        """Keep so many tasks outstanding, and count for some seconds after the warm-up."""

        def run() -> Measured:
            taken: list[float] = []
            with self._producing():
                for _ in range(outstanding):
                    self._send(work, time.monotonic())
                self._replace(work, time.monotonic() + warm_up, taken)
                taken.clear()
                before, began = self._parts.usage(), time.monotonic()
                self._replace(work, began + seconds, taken)
                ended, usage = time.monotonic(), self._parts.usage_since(before)
                self._drain()
            return Measured(
                finished=len(taken), seconds=ended - began, latency=Latency.of(taken), usage=usage
            )

        return await asyncio.to_thread(run)

    async def open(self, work: Work, *, rate: float, seconds: float, warm_up: float = 0.3) -> Measured:
        """Submit at a fixed rate, and wait for all answers."""

        def run() -> Measured:
            with self._producing():
                self._schedule(work, rate, warm_up)
                before, began = self._parts.usage(), time.monotonic()
                taken = self._schedule(work, rate, seconds)
            return Measured(
                finished=len(taken),
                seconds=time.monotonic() - began,
                latency=Latency.of(taken),
                usage=self._parts.usage_since(before),
            )

        return await asyncio.to_thread(run)

    @contextlib.contextmanager
    def _producing(self) -> Iterator[None]:
        # What the last measurement drained is not to be replaced in this one.
        self._ended.clear()
        with self._app.producer_pool.acquire(block=True) as self._producer:
            yield

    def _send(self, work: Work, due: float) -> None:
        arguments = (json.loads(work.payload),)
        result = self._app.send_task(work.task, arguments, producer=self._producer)
        self._open.add(result.id)
        result.then(self._taker(due), on_error=self._taker(due))

    def _taker(self, due: float) -> Callable[[Any], None]:
        def take(result: Any) -> None:
            if not result.successful():
                raise BenchmarkFailed(f"a task of Celery failed: {result.result}")
            self._open.discard(result.id)
            self._ended.append(time.monotonic() - due)

        return take

    def _replace(self, work: Work, until: float, taken: list[float]) -> None:
        while time.monotonic() < until:
            self._hear(TIMEOUT)
            if not self._ended:
                continue
            taken.extend(self._ended)
            for _ in range(len(self._ended)):
                self._send(work, time.monotonic())
            self._ended.clear()

    def _schedule(self, work: Work, rate: float, seconds: float) -> list[float]:
        for due in regular_times(rate, seconds, start=time.monotonic()):
            while (left := due - time.monotonic()) > 0:
                self._hear(left)
            self._send(work, due)
        self._drain()
        taken = list(self._ended)
        self._ended.clear()
        return taken

    def _drain(self) -> None:
        give_up = time.monotonic() + TIMEOUT
        while self._open:
            if time.monotonic() > give_up:
                raise BenchmarkFailed(f"{len(self._open)} tasks of Celery were not answered")
            self._hear(1.0)

    def _hear(self, timeout: float) -> None:
        # Looked up each time: Celery has a backend for each thread, and results come to the sender's.
        backend: Any = self._app.backend
        # That of AMQP says so where nothing came in time.
        with contextlib.suppress(TimeoutError):
            backend.result_consumer.drain_events(timeout=timeout)


@contextlib.asynccontextmanager
async def celery_alone() -> AsyncIterator[CeleryCaller]:
    """A worker, and a caller for it."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weighbridge-bench-")))
        url, redis = stack.enter_context(private_redis(folder))
        application = "benchmarks.contestants.celery_app"
        worker = stack.enter_context(
            child(celery_worker(application, WORKER_OPTIONS), environment={REDIS_VARIABLE: url})
        )
        await worker_started(worker)
        parts = Parts(
            {"redis": [redis], "worker": [worker], "worker processes": worker.children(recursive=True)}
        )
        app = Celery("bare", broker=url, backend=url, set_as_current=False)
        app.conf.update(SETTINGS)
        stack.callback(app.close)
        yield CeleryCaller(app, parts)
