"""The pipeline that one would wire by hand: Mosquitto, a paho subscriber, Celery workers that publish.

Its strong form. Mosquitto: `set_tcp_nodelay true`, nothing on disk, no limits on what is on its way. The
subscriber: one producer for all, results ignored. The workers: as many processes as the node has, each with a
connection of its own and paho's thread to serve it, TCP_NODELAY, up to 1,000 messages on their way; Celery as
in settings.py. What it does not do: it stores nothing, checks nothing, and knows no deadlines.
"""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from benchmarks.broker import brokers
from benchmarks.children import celery_worker, child, private_redis, python, worker_started
from benchmarks.contestants.settings import BROKER_PORT_VARIABLE, REDIS_VARIABLE, WORKER_OPTIONS
from benchmarks.load.generator import Generator
from benchmarks.parts import Parts

UNLIMITED = ("max_inflight_messages 0", "max_queued_messages 0", "persistence false")
"""Settings of Mosquitto: with its defaults it would throw messages away beyond 1,000."""

NAME = "hand-wired"


@contextlib.asynccontextmanager
async def hand_wired(devices: int) -> AsyncIterator[Generator]:
    """The pipeline, and devices that are connected to it."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weighbridge-bench-")))
        url, redis = stack.enter_context(private_redis(folder))
        broker = stack.enter_context(brokers.mosquitto(*UNLIMITED))
        environment = {REDIS_VARIABLE: url, BROKER_PORT_VARIABLE: str(broker.port)}
        module = "benchmarks.contestants.hand_wired"
        worker = stack.enter_context(
            child(celery_worker(f"{module}_app", WORKER_OPTIONS), environment=environment)
        )
        subscriber = stack.enter_context(
            child(python(f"{module}_subscriber"), environment=environment, says_ready=True)
        )
        await worker_started(worker)
        parts = Parts(
            {
                "broker": [psutil.Process(broker.pid)],
                "subscriber": [subscriber],
                "redis": [redis],
                "worker": [worker],
                "worker processes": worker.children(recursive=True),
            }
        )
        generator = Generator(parts)
        stack.callback(generator.close)
        await generator.connect(broker.port, devices)
        yield generator
