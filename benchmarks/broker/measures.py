"""What is measured: how fast, how large, and what a stalled subscriber costs the others."""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.broker.brokers import Broker
from benchmarks.broker.load import Client, Publisher, Subscriber, idle_subscribers

PAYLOAD = bytes(100)
WINDOW = 100
SETTLE = 0.5
"""Seconds for a broker's memory to come to rest."""

PATIENCE = 120.0


@dataclass(frozen=True)
class Stalled:
    """What one subscriber that reads nothing does."""

    growth: int
    rate: float
    rate_without: float


async def rate(broker: Broker, messages: int, version: int = 4) -> float:
    """Messages a second from one publisher to one subscriber, QoS 1 both ways."""
    publisher = await Publisher.connect(broker.port, version)
    subscriber = await Subscriber.connect(broker.port, version)
    await subscriber.subscribe("rate/x", 1)
    subscriber.expect("rate/x", PAYLOAD, qos=1, limit=messages)
    began = time.perf_counter()
    published = publisher.run("rate/x", PAYLOAD, window=WINDOW, limit=messages, readers=[subscriber])
    assert subscriber.done is not None
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(published, subscriber.done)
    taken = time.perf_counter() - began
    publisher.close()
    subscriber.close()
    return messages / taken


async def bytes_per_connection(broker: Broker, count: int, version: int) -> float:
    """What an idle subscriber costs, once the broker has seen a few."""
    async with idle_subscribers(broker.port, 100, version=version):
        await asyncio.sleep(SETTLE)
        before = broker.memory
        async with idle_subscribers(broker.port, count, version=version):
            await asyncio.sleep(SETTLE)
            return (broker.memory - before) / count


async def with_stalled(broker: Broker, messages: int, size: int) -> Stalled:
    """Publish to three subscribers and one more: first it reads, then it does not.

    The growth counts from before any load, so that nothing hides in memory that the first part had used.
    """
    before = broker.memory
    without = await _fan_out(broker, messages, bytes(size), stalled=False)
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, broker.memory)
            await asyncio.sleep(0.02)

    watcher = asyncio.create_task(watch(), name="memory watcher")
    try:
        rate_with = await _fan_out(broker, messages, bytes(size), stalled=True)
    finally:
        watcher.cancel()
    return Stalled(peak - before, rate_with, without)


async def _fan_out(broker: Broker, messages: int, payload: bytes, *, stalled: bool) -> float:
    readers = [await _subscriber(broker, payload, messages) for _ in range(3)]
    extra = await _subscriber(broker, payload, messages)
    if stalled:
        extra.stall()
    publisher = await Publisher.connect(broker.port)
    began = time.perf_counter()
    waited_for: Sequence[Subscriber] = readers if stalled else [*readers, extra]
    published = publisher.run("fan/out", payload, window=WINDOW, limit=messages, readers=waited_for)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(published, *(one.done for one in waited_for if one.done is not None))
    taken = time.perf_counter() - began
    for client in (*readers, extra, publisher):
        client.close()
    return messages / taken


async def _subscriber(broker: Broker, payload: bytes, messages: int) -> Subscriber:
    subscriber = await Subscriber.connect(broker.port)
    await subscriber.subscribe("fan/out", 1)
    subscriber.expect("fan/out", payload, qos=1, limit=messages)
    return subscriber


async def many_connections(broker: Broker, count: int) -> tuple[float, int, int]:
    """Seconds until `count` clients are connected; how many answer a ping; how many get a message."""
    began = time.perf_counter()
    async with idle_subscribers(broker.port, count, also="all") as clients:
        taken = time.perf_counter() - began
        pinged = await _count(client.ping() for client in clients)
        publisher = await Client.connect(broker.port)
        served = [client.read(len(b"\x30\x07\0\x03all") + 2) for client in clients]
        gathered = asyncio.gather(*served, return_exceptions=True)
        publisher.write(b"\x30\x07\0\x03allhi")
        async with asyncio.timeout(PATIENCE):
            answers = await gathered
        publisher.close()
        return taken, pinged, sum(answer == b"\x30\x07\0\x03allhi" for answer in answers)


async def _count(attempts: Iterable[Coroutine[object, object, None]]) -> int:
    async with asyncio.timeout(PATIENCE):
        results = await asyncio.gather(*attempts, return_exceptions=True)
    return sum(result is None for result in results)
