"""Tasks of an existing Celery application: over MQTT through a node's door, beside a bare Celery client.

The application's broker is a RabbitMQ, its results come by `rpc://` or by Redis. One worker of two processes
serves both; they take turns, and the order of the two alternates.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path

import psutil
from celery import Celery

from benchmarks.children import celery_worker, child, private_redis, worker_started
from benchmarks.contestants.celery_alone import CeleryCaller
from benchmarks.contestants.driver import Driver
from benchmarks.contestants.node import node
from benchmarks.contestants.settings import SETTINGS, WORKER_OPTIONS
from benchmarks.contestants.shop_app import BACKEND_VARIABLE, BROKER_VARIABLE, MODULE
from benchmarks.errors import BenchmarkFailed
from benchmarks.load.generator import generator
from benchmarks.load.measured import Measured, Rounds, Work
from benchmarks.parts import Parts
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Report, Table, Target, figure
from tests.support.rabbitmq import DEBIAN, RabbitMQ

ECHO = Work(task="shop.echo", weight="auto")
OUTSTANDING = 64
DEVICES = 16
WARM_UP = 1.0
"""Seconds of load before the first window: connections are made, a node learns how long its tasks take."""

BARE, DOOR = "Celery client", "over MQTT"
BACKENDS = {"rpc": "results by rpc://", "redis": "results by Redis"}
TARGET = 0.8
"""How much of a bare client's rate the door is to reach: MQTT, the journal and the checks cost something."""


@contextlib.asynccontextmanager
async def contestants(
    broker: str, backend: str, brokers: Mapping[str, Iterable[psutil.Process]]
) -> AsyncIterator[Mapping[str, Driver]]:
    """The application's worker, a bare client and a node in front of it; `brokers` are what they share."""
    with environment({BROKER_VARIABLE: broker, BACKEND_VARIABLE: backend}), contextlib.ExitStack() as stack:
        worker = stack.enter_context(child(celery_worker(MODULE, WORKER_OPTIONS)))
        await worker_started(worker)
        shared = {**brokers, "worker": [worker, *worker.children(recursive=True)]}
        app = stack.enter_context(Celery("bare", broker=broker, backend=backend, set_as_current=False))
        app.conf.update(SETTINGS)
        async with node("embedded", "--max-rate", "0", "--celery", f"{MODULE}:app") as started:
            own = {"node": started.parts.of("node"), "door": started.parts.of("other")}
            async with generator(started.port, Parts(shared | own), devices=DEVICES) as devices:
                yield {BARE: CeleryCaller(app, Parts(shared)), DOOR: devices}


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Meanwhile, what is started has these variables."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


async def find(
    broker: str, backend: str, effort: Effort, brokers: Mapping[str, Iterable[psutil.Process]]
) -> dict[str, Rounds]:
    """All rounds of both with one backend."""
    taken: dict[str, list[Measured]] = {BARE: [], DOOR: []}
    async with contestants(broker, backend, brokers) as drivers:
        for driver in drivers.values():
            await driver.closed(ECHO, outstanding=8, seconds=WARM_UP)
        # Two more than elsewhere: there is a single ratio, and nothing is started anew for a round.
        for number in range(effort.rounds + 2):
            for name in list(drivers)[:: -1 if number % 2 else 1]:
                one = await drivers[name].closed(ECHO, outstanding=OUTSTANDING, seconds=2 * effort.seconds)
                taken[name].append(one)
    return {name: Rounds(rounds) for name, rounds in taken.items()}


async def measure(effort: Effort) -> Report:
    """Compare both, with each backend."""
    if shutil.which("rabbitmq-server", path=f"{DEBIAN}:{os.environ['PATH']}") is None:
        raise BenchmarkFailed("rabbitmq-server is not installed (Debian: apt install rabbitmq-server)")
    found = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weighbridge-bench-")))
        rabbitmq = stack.enter_context(RabbitMQ(folder))
        redis, redis_process = stack.enter_context(private_redis(folder / "redis"))
        with progress("celery-door", len(BACKENDS)) as begin:
            for name, backend in (("rpc", "rpc://"), ("redis", redis)):
                begin(BACKENDS[name])
                brokers = {"RabbitMQ": [psutil.Process(rabbitmq.pid)], "Redis": [redis_process]}
                found[name] = await find(rabbitmq.url, backend, effort, brokers)
    rows = [
        (
            f"{who}, {BACKENDS[name]}",
            f"{rounds[who].rate:,.0f}",
            *(f"{value:.0f}" for value in (rounds[who].latency.p50, rounds[who].latency.p99)),
            figure(rounds[who].times(rounds[BARE])),
        )
        for name, rounds in found.items()
        for who in (BARE, DOOR)
    ]
    columns = ("", "tasks a second", "p50 ms", "p99 ms", "times the client's rate")
    targets = [
        Target(
            f"{DOOR}, {BACKENDS[name]}, times a Celery client",
            rounds[DOOR].times(rounds[BARE]),
            Bound.AT_LEAST,
            TARGET,
        )
        for name, rounds in found.items()
    ]
    table = Table(f"echo of an application on RabbitMQ, {OUTSTANDING} outstanding", columns, rows)
    return Report(name="celery-door", tables=[table, _processor(found)], targets=targets)


def _processor(found: Mapping[str, Mapping[str, Rounds]]) -> Table:
    parts = found["rpc"][DOOR].parts
    rows = [
        (
            f"{who}, {BACKENDS[name]}",
            *(f"{rounds[who].cpu_us(part) / 1e3:.2f}" if part in rounds[who].parts else "" for part in parts),
        )
        for name, rounds in found.items()
        for who in (BARE, DOOR)
    ]
    return Table("Processor time of each task, in milliseconds", ("", *parts), rows)
