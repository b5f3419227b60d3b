"""Fog nodes that share their work, measured as programs; the tasks wait rather than burn CPU.

`python -m benchmarks.collaboration [--check]`: the throughput of three nodes beside one, tasks in time
at twice one node's capacity under each policy, and how a burst spreads.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from broker.messages import Outcome
from device_sim import Device
from device_sim._programs import Program
from fog_node.placement import NAMED

RUN = 0.05
SLOTS = 2
CAPACITY = SLOTS / RUN
DEADLINE = 0.5
BURST = 300
TIMEOUT = 60.0

THROUGHPUT_TARGET = 2.7
IN_TIME_TARGET = 0.95
HERDING_TARGET = 1.3


@contextlib.asynccontextmanager
async def nodes(folder: Path, count: int, policy: str) -> AsyncIterator[list[Program]]:
    """Some nodes, the first of which knows all the others."""
    async with contextlib.AsyncExitStack() as stack:
        started: list[Program] = []
        for number in reversed(range(count)):
            name = f"n{number}"
            data = folder / f"{policy}-{count}-{name}"
            words = [
                "--name",
                name,
                "--listen",
                "127.0.0.1:0",
                "--data",
                str(data),
            ]
            words += ["--workers", f"light=1,medium={SLOTS}", "--policy", policy]
            for other in started if number == 0 else ():
                words += ["--neighbour", other.url]
            node = Program("fog_node", tuple(words), name=name, logs=folder)
            await node.start()
            stack.push_async_callback(node.stop)
            started.append(node)
        yield started[::-1]


async def submit(device: Device, count: int, *, rate: float | None, deadline: float | None) -> list[Outcome]:
    """Offer tasks at a rate, or all at once; their outcomes."""
    pending = []
    began = time.monotonic()
    for number in range(count):
        if rate is not None:
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        pending.append(await device.send("medium", "sleep", RUN, deadline=deadline))
    return [await one.outcome(timeout=TIMEOUT) for one in pending]


async def warm_up(device: Device) -> None:
    """Let the nodes hear of each other, and learn how long the task takes."""
    await submit(device, 60, rate=0.9 * CAPACITY, deadline=None)


async def throughput(folder: Path, count: int) -> float:
    """Tasks a second of so many nodes, all offered at the first."""
    async with nodes(folder, count, "deadline") as (first, *_), Device(first.url, name="bench") as device:
        await warm_up(device)
        began = time.monotonic()
        await submit(device, BURST * count, rate=None, deadline=None)
        return BURST * count / (time.monotonic() - began)


async def in_time(folder: Path, policy: str, seconds: float = 8.0) -> float:
    """The share of tasks that were answered within their deadline, offered at twice one node's capacity."""
    async with nodes(folder, 3, policy) as (first, *_), Device(first.url, name="bench") as device:
        await warm_up(device)
        outcomes = await submit(device, int(2 * CAPACITY * seconds), rate=2 * CAPACITY, deadline=DEADLINE)
    return sum(one.ok and one.total_ms <= 1e3 * DEADLINE for one in outcomes) / len(outcomes)


async def burst(folder: Path) -> Counter[str]:
    """Who ran how many of a burst at one of four idle nodes."""
    async with nodes(folder, 4, "deadline") as (first, *_), Device(first.url, name="bench") as device:
        await warm_up(device)
        outcomes = await submit(device, BURST, rate=None, deadline=None)
    return Counter(one.node for one in outcomes)


async def run() -> bool:
    """Print what was measured; True if all targets are met."""
    table = Table("measure", "found", "target")
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as name:
        folder = Path(name)
        one, three = await throughput(folder, 1), await throughput(folder, 3)
        table.add_row("throughput, 3 nodes to 1", f"{three / one:.2f}", f">= {THROUGHPUT_TARGET}")
        shares = {policy: await in_time(folder, policy) for policy in NAMED}
        for policy, share in shares.items():
            target = f">= {IN_TIME_TARGET:.0%}" if policy == "deadline" else ""
            table.add_row(f"in time at twice the capacity, {policy}", f"{share:.1%}", target)
        ran = await burst(folder)
        neighbours = [ran[name] for name in ("n1", "n2", "n3")]
        herding = max(neighbours) / max(1.0, statistics.mean(neighbours))
        table.add_row("burst: busiest neighbour to the mean", f"{herding:.2f}", f"<= {HERDING_TARGET}")
        table.add_row("burst: tasks of each", str(dict(sorted(ran.items()))), "")
    Console().print(table)
    met = three / one >= THROUGHPUT_TARGET, shares["deadline"] >= IN_TIME_TARGET, herding <= HERDING_TARGET
    return all(met)


if __name__ == "__main__":
    met = asyncio.run(run())
    sys.exit(0 if met or "--check" not in sys.argv else 1)
