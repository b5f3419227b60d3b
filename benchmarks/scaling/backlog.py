"""What a task costs with a backlog in front of it: 100, 10,000 or 100,000 tasks that wait.

The workers are stopped while the backlog is queued. Then they go on, and each task that ends is replaced,
so that the backlog stays as long as it is while the cost is measured: intake, queue, work and result
of one task each, whatever waits. In each round one node gets a longer and a longer backlog, so that the
longest also meets the largest journal. In the end nothing is replaced, and the drain is timed for as long.
"""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.contestants.node import Node, node
from benchmarks.load.measured import Measured, Rounds
from benchmarks.parts import Parts
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Lines, Report, Table, Target
from benchmarks.throughput import DEVICES, ECHO, WARM_UP

BACKLOG = (100, 10_000, 100_000)
TARGET = 1.2
"""The cost of a task with the longest backlog, times that with the shortest."""

_SETTLE = 2.0
"""Seconds of load after the workers go on: a node that has not heard a worker for ten seconds gives it less
until its next hello, which comes once a second."""


@dataclass(slots=True)
class Found:
    """What all rounds found."""

    steady: dict[int, list[Measured]] = field(default_factory=dict)
    intake: list[float] = field(default_factory=list)
    """Tasks a second that were taken in while the workers stood still, up to the longest backlog."""

    drain: list[float] = field(default_factory=list)
    """Tasks a second while nothing new came, down from the longest backlog."""


async def measure(effort: Effort) -> Report:
    """Measure each length, with a new node in each round."""
    found = Found()
    with progress("backlog", effort.rounds * len(BACKLOG)) as begin:
        for _ in range(effort.rounds):
            options = ("--max-rate", "0", "--max-burst", "1000000", "--drain", "0")
            async with node("embedded", *options) as started:
                await _round(started, found, effort.seconds, begin)
    rates = {count: Rounds(rounds).rate for count, rounds in found.steady.items()}
    return Report(
        name="backlog",
        tables=[_table(found, rates)],
        targets=[
            Target(
                f"cost of a task with {BACKLOG[-1]:,} in the backlog, times that with {BACKLOG[0]}",
                rates[BACKLOG[0]] / rates[BACKLOG[-1]],
                Bound.AT_MOST,
                TARGET,
            )
        ],
        pictures=[
            Lines(
                name="backlog",
                title="Microseconds for one task, with a backlog in front of it",
                x="tasks that wait",
                y="",
                series={"node": [(count, 1e6 / rate) for count, rate in rates.items()]},
                log_x=True,
            )
        ],
    )


async def _round(started: Node, found: Found, seconds: float, begin: Callable[[str], None]) -> None:
    with contextlib.closing(await started.generator(DEVICES)) as generator:
        await generator.closed(ECHO, outstanding=100, seconds=WARM_UP)
        for count in BACKLOG:
            begin(f"{count:,}")
            with _stopped(started.parts):
                more, began = count - generator.outstanding, time.monotonic()
                await generator.submit(ECHO, more)
                intake = more / (time.monotonic() - began)
            steady = await generator.closed(
                ECHO, outstanding=count, seconds=2 * seconds, warm_up=_SETTLE, drain=False
            )
            found.steady.setdefault(count, []).append(steady)
        found.intake.append(intake)
        waiting, began = generator.stop_replacing(), time.monotonic()
        await asyncio.sleep(seconds)
        found.drain.append((waiting - generator.outstanding) / (time.monotonic() - began))


@contextlib.contextmanager
def _stopped(parts: Parts) -> Iterator[None]:
    workers = parts.of("worker", "worker processes")
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in reversed(workers):
            worker.resume()


def _table(found: Found, rates: dict[int, float]) -> Table:
    rows = []
    for count, taken in found.steady.items():
        rounds = Rounds(taken)
        rows.append(
            (
                f"{count:,}",
                f"{1e6 / rates[count]:.0f}",
                f"{rates[BACKLOG[0]] / rates[count]:.2f}",
                f"{rounds.cpu_us('node'):.0f}",
                f"{rounds.memory('node') / 2**20:.0f}",
            )
        )
    intake, drain = statistics.median(found.intake), statistics.median(found.drain)
    heading = (
        "Backlog that stays as long as it is (echo, embedded broker); the longest was taken in at"
        f" {intake:,.0f} a second with the workers stopped, and drained at {drain:,.0f}"
    )
    columns = ("backlog", "µs a task", f"times that with {BACKLOG[0]}", "node's CPU, µs a task", "node's MiB")
    return Table(heading, columns, rows)
