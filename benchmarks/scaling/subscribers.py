"""Devices that are connected and subscribed and do nothing, beside 16 that work."""

import contextlib

from benchmarks.contestants.node import ENGINES, node
from benchmarks.load.generator import Generator
from benchmarks.load.measured import Measured, Rounds
from benchmarks.progress import progress
from benchmarks.report import Effort, Report, Table
from benchmarks.throughput import DEVICES, ECHO, WARM_UP

IDLE = (0, 1_000, 5_000)
OUTSTANDING = 64


async def measure(effort: Effort) -> Report:
    """Measure with each number of idle subscribers, in rounds on one node for each engine."""
    found: dict[tuple[str, int], list[Measured]] = {}
    with progress("subscribers", len(ENGINES) * effort.rounds * len(IDLE)) as begin:
        for engine in ENGINES:
            # All come from one address here; from the default of 5,000 on it would be refused.
            async with node(engine, "--max-rate", "0", "--max-connections-per-address", "10000") as started:
                with contextlib.closing(await started.generator(DEVICES)) as generator:
                    await generator.closed(ECHO, outstanding=OUTSTANDING, seconds=WARM_UP)
                    for number in range(effort.rounds):
                        with contextlib.closing(Generator(started.parts)) as idle:
                            connected = 0
                            for count in IDLE:
                                begin(f"{engine}, {count:,}")
                                await idle.connect(
                                    started.port, count - connected, prefix=f"i{number}-{count}-"
                                )
                                connected = count
                                one = await generator.closed(
                                    ECHO, outstanding=OUTSTANDING, seconds=effort.seconds
                                )
                                found.setdefault((engine, count), []).append(one)
    rows = []
    for engine in ENGINES:
        base = Rounds(found[engine, 0])
        for count in IDLE:
            rounds = Rounds(found[engine, count])
            rows.append(
                (
                    engine,
                    f"{count:,}",
                    f"{rounds.rate:,.0f}",
                    f"{rounds.times(base):.2f}",
                    f"{rounds.latency.p50:.1f} / {rounds.latency.p99:.1f}",
                )
            )
    heading = f"Idle subscribers (echo, {OUTSTANDING} outstanding)"
    columns = ("engine", "idle", "tasks/s", "of none", "p50 / p99, ms")
    return Report(name="subscribers", tables=[Table(heading, columns, rows)])
