"""How long one task takes when nothing else runs: over MQTT through a node, and by Celery alone.

Both use the same Redis, Python, machine and minute, one task at a time, in rounds that take turns. The peer
is Celery at its strongest for this: `delay().get()` over the Redis result backend, one worker of two
processes, as the node's own. Both run `echo` with one short text.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from celery import Celery
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.percentiles import Latency
from benchmarks.progress import progress
from benchmarks.report import FULL, Bound, Effort, Report, Table, Target
from device_sim.demo.programs import Program
from fog_node.infrastructure.redis_server import redis_socket
from fog_tasks.redis_url import celery_url

TASKS = 300
WARM_UP = 100
TIMEOUT = 10.0
TARGET = 1.5
"""The node's p50 may be this many times bare Celery's: MQTT, the journal and the checks cost something."""


class MqttCaller:
    """A paho client that submits a task with QoS 1 and waits for its outcome."""

    def __init__(self, url: str) -> None:
        self._answered = threading.Event()
        self._count = 0
        subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda *_: self._answered.set()
        parts = urlsplit(url)
        self._client.connect(parts.hostname or "", parts.port or 1883)
        self._client.loop_start()
        self._client.subscribe("fog/results/bench/#", 1)
        if not subscribed.wait(TIMEOUT):
            sys.exit("the node did not confirm the subscription")

    def call(self) -> None:
        """Submit one task, and return when its outcome is here."""
        self._count += 1
        self._answered.clear()
        self._client.publish(f"fog/tasks/light/echo/bench/{os.getpid()}-{self._count}", b'"hello"', 1)
        if not self._answered.wait(TIMEOUT):
            sys.exit("the node did not answer")

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def bare_celery(redis_url: str) -> Iterator[Callable[[], object]]:
    """A Celery worker with one no-op task on the same Redis, in another database; gives what calls it."""
    url = f"{celery_url(redis_url)}?virtual_host=1"
    app = Celery("bare", broker=url, backend=url, set_as_current=False)
    options = [
        "--concurrency",
        "2",
        "--loglevel",
        "ERROR",
        "-O",
        "fair",
        "--without-gossip",
        "--without-mingle",
    ]
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "benchmarks.contestants.celery_app", "worker", *options],
        env={**os.environ, "BENCH_REDIS": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield lambda: app.send_task("echo", ("hello",)).get(timeout=30)
    finally:
        worker.terminate()
        worker.wait(30)


def timed(call: Callable[[], object], count: int) -> Latency:
    """Call again and again, and summarise how long each call took."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return Latency.of(taken)


def compare(node_url: str, redis_url: str, effort: Effort) -> dict[str, Latency]:
    """Measure both in turns; the medians over the rounds."""
    caller = MqttCaller(node_url)
    found: dict[str, list[Latency]] = {"Celery alone": [], "over MQTT": []}
    count = round(TASKS * effort.seconds / FULL.seconds)
    rounds = effort.rounds + 2
    with bare_celery(redis_url) as celery_call, progress("idle", rounds) as begin:
        for _ in range(WARM_UP):
            caller.call()
            celery_call()
        for _ in range(rounds):
            begin("")
            found["Celery alone"].append(timed(celery_call, count))
            found["over MQTT"].append(timed(caller.call, count))
    caller.close()
    return {name: Latency.median(taken) for name, taken in found.items()}


async def measure(effort: Effort) -> Report:
    """Compare a node with Celery alone."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as folder:
        data = Path(folder) / "data"
        arguments = ("--name", "bench", "--listen", "127.0.0.1:0", "--data", str(data))
        node = Program("fog_node", arguments, name="bench", logs=Path(folder))
        await node.start()
        try:
            found = await asyncio.to_thread(compare, node.url, f"unix://{redis_socket(data)}", effort)
        finally:
            await node.stop()
    base = found["Celery alone"].p50
    rows = [
        (name, *(f"{value:.2f}" for value in (one.p50, one.p95, one.p99)), f"{one.p50 / base:.2f}")
        for name, one in found.items()
    ]
    table = Table("echo, one at a time", ("", "p50 ms", "p95 ms", "p99 ms", "p50 ratio"), rows)
    target = Target("p50 over MQTT, times Celery alone", found["over MQTT"].p50 / base, Bound.AT_MOST, TARGET)
    return Report(name="idle", tables=[table], targets=[target])
