"""What a task costs with a backlog in front of it: 100, 10,000 or 100,000 tasks that wait.

The workers are stopped while the backlog is queued. Then they go on, and each task that ends is replaced,
so that the backlog stays as long as it is while the cost is measured: intake, queue, work and result
of one task each, whatever waits. After that nothing is replaced, and the drain is timed for as long.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.contestants.node import Node, node
from benchmarks.load.measured import Measured, Rounds
from benchmarks.parts import Parts
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Lines, Report, Table, Target
from benchmarks.throughput import DEVICES, ECHO, WARM_UP

BACKLOG = (100, 10_000, 100_000)
TARGET = 1.2
"""The cost of a task with the longest backlog, times that with the shortest."""

_SETTLE = 0.7
"""Seconds of load after the workers go on: what was under way when they stopped has to come to its end."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round with one backlog."""

    intake: float
    """Tasks a second that were taken in while the workers stood still."""

    steady: Measured
    drain: float
    """Tasks a second while nothing new came; not a number where all were done at once."""


async def measure(effort: Effort) -> Report:
    """Measure each length, with a new node each time."""
    found: dict[int, list[Round]] = {count: [] for count in BACKLOG}
    with progress("backlog", effort.rounds * len(BACKLOG)) as begin:
        for number in range(effort.rounds):
            for count in BACKLOG[:: -1 if number % 2 else 1]:
                begin(f"{count:,}")
                options = ("--max-rate", "0", "--max-burst", "1000000", "--drain", "0")
                async with node("embedded", *options) as started:
                    found[count].append(await _round(started, count, effort.seconds))
    rates = {count: Rounds([one.steady for one in rounds]).rate for count, rounds in found.items()}
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


async def _round(started: Node, count: int, seconds: float) -> Round:
    with contextlib.closing(await started.generator(DEVICES)) as generator:
        await generator.closed(ECHO, outstanding=100, seconds=WARM_UP)
        with _stopped(started.parts):
            began = time.monotonic()
            await generator.submit(ECHO, count)
            intake = count / (time.monotonic() - began)
        steady = await generator.closed(
            ECHO, outstanding=count, seconds=2 * seconds, warm_up=_SETTLE, drain=False
        )
        waiting, began = generator.stop_replacing(), time.monotonic()
        await asyncio.sleep(seconds)
        done = waiting - generator.outstanding
        drain = done / (time.monotonic() - began) if generator.outstanding else float("nan")
    return Round(intake, steady, drain)


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


def _table(found: dict[int, list[Round]], rates: dict[int, float]) -> Table:
    rows = []
    for count, rounds in found.items():
        steady = Rounds([one.steady for one in rounds])
        middle = sorted(rounds, key=lambda one: one.steady.rate)[len(rounds) // 2]
        rows.append(
            (
                f"{count:,}",
                f"{1e6 / rates[count]:.0f}",
                f"{rates[BACKLOG[0]] / rates[count]:.2f}",
                f"{steady.cpu_us('node'):.0f}",
                f"{steady.memory('node') / 2**20:.0f}",
                f"{middle.intake:,.0f}",
                "" if middle.drain != middle.drain else f"{middle.drain:,.0f}",
            )
        )
    columns = (
        "backlog",
        "µs a task",
        f"times that with {BACKLOG[0]}",
        "node's processor time, µs a task",
        "node's memory, MiB",
        "taken in per second, workers stopped",
        "drained per second",
    )
    return Table("Backlog that stays as long as it is (echo, embedded broker)", columns, rows)
