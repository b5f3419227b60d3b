"""One node with up to 50 neighbours that tell their state, and are too busy to be given anything.

Fifty real nodes would measure the machine. These neighbours are brokers of our own in one process, each with
a real link from the node and a client at the node's broker, and each tells its state once a second as a node
does. What is measured is what they cost a node that works: light tasks, which stay here, and medium
ones, for which it weighs all of them.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import psutil

from benchmarks.broker.brokers import free_ports
from benchmarks.children import START_TIMEOUT, child, python
from benchmarks.contestants.node import Node, node
from benchmarks.errors import BenchmarkFailed
from benchmarks.load.generator import Generator
from benchmarks.load.measured import Measured, Rounds, Work
from benchmarks.progress import progress
from benchmarks.report import Effort, Report, Table
from benchmarks.throughput import DEVICES, WARM_UP

COUNTS = (0, 10, 50)
OUTSTANDING = 64
WORKS = {"light": Work(), "medium": Work(weight="medium")}


async def measure(effort: Effort) -> Report:
    """Measure each number of neighbours, with a node for each, in rounds that take turns."""
    found: dict[tuple[int, str], list[Measured]] = {}
    async with contextlib.AsyncExitStack() as stack:
        with progress("neighbours", (1 + effort.rounds) * len(COUNTS)) as begin:
            generators = {}
            for count in COUNTS:
                begin(f"{count}, start")
                generators[count] = await stack.enter_async_context(_surrounded(count))
            for number in range(effort.rounds):
                for count in COUNTS[:: -1 if number % 2 else 1]:
                    begin(f"{count}")
                    for weight, work in WORKS.items():
                        one = await generators[count].closed(
                            work, outstanding=OUTSTANDING, seconds=effort.seconds
                        )
                        found.setdefault((count, weight), []).append(one)
    rows = []
    for count in COUNTS:
        cells = [str(count)]
        for weight in WORKS:
            rounds, base = Rounds(found[count, weight]), Rounds(found[COUNTS[0], weight])
            cells += [
                f"{rounds.rate:,.0f}",
                f"{rounds.times(base):.2f}",
                f"{rounds.cpu_us('node'):.0f}",
            ]
        rows.append(cells)
    columns = [
        "neighbours",
        *(f"{weight}: {what}" for weight in WORKS for what in ("tasks/s", "of none", "node's µs a task")),
    ]
    heading = f"Neighbours (echo, {OUTSTANDING} outstanding, embedded broker)"
    return Report(name="neighbours", tables=[Table(heading, columns, rows)])


@contextlib.asynccontextmanager
async def _surrounded(count: int) -> AsyncIterator[Generator]:
    """A node that is linked to so many neighbours, and warm, and devices that are connected to it."""
    own, *ports = free_ports(1 + count)
    options = ["--max-rate", "0", "--workers", "light=2,medium=2"]
    for port in ports:
        options += ["--neighbour", f"mqtt://127.0.0.1:{port}"]
    command = python("benchmarks.load.neighbours", str(own), *map(str, ports))
    with child(command, says_ready=True):
        async with node("embedded", *options, "--listen", f"127.0.0.1:{own}") as started:
            await _linked(started, set(ports))
            with contextlib.closing(await started.generator(DEVICES)) as generator:
                for work in WORKS.values():
                    await generator.closed(work, outstanding=OUTSTANDING, seconds=WARM_UP)
                yield generator


async def _linked(started: Node, ports: set[int]) -> None:
    """Return once the node is connected to all of them."""
    (process,) = started.parts.of("node")
    give_up = time.monotonic() + START_TIMEOUT
    while not ports <= _connected_to(process):
        if time.monotonic() > give_up:
            raise BenchmarkFailed(f"the node did not connect to {len(ports)} neighbours")
        await asyncio.sleep(0.1)


def _connected_to(process: psutil.Process) -> set[int]:
    connections = process.net_connections("tcp")
    return {one.raddr.port for one in connections if one.raddr and one.status == psutil.CONN_ESTABLISHED}
