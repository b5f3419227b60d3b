"""Active devices: the same load in all, spread over more and more connections."""

import contextlib

from benchmarks.contestants.node import ENGINES, node
from benchmarks.load.measured import Measured, Rounds
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Lines, Report, Table, Target
from benchmarks.throughput import ECHO, WARM_UP

DEVICES = (1, 4, 100, 500, 2_000)
FEW = 4
OUTSTANDING = 256
TARGET = 0.85
"""The rate with the most devices, of that with a few."""


async def measure(effort: Effort) -> Report:
    """Measure each number of devices, in rounds that take turns on one node for each engine."""
    found: dict[tuple[str, int], list[Measured]] = {}
    with progress("devices", len(ENGINES) * effort.rounds * len(DEVICES)) as begin:
        for engine in ENGINES:
            async with node(engine, "--max-rate", "0") as started:
                with contextlib.closing(await started.generator(FEW)) as generator:
                    await generator.closed(ECHO, outstanding=OUTSTANDING, seconds=WARM_UP)
                for number in range(effort.rounds):
                    for count in DEVICES[:: -1 if number % 2 else 1]:
                        begin(f"{engine}, {count:,}")
                        with contextlib.closing(await started.generator(count)) as generator:
                            one = await generator.closed(
                                ECHO, outstanding=OUTSTANDING, seconds=effort.seconds, warm_up=0.5
                            )
                            found.setdefault((engine, count), []).append(one)
    all_rounds = {key: Rounds(rounds) for key, rounds in found.items()}
    of_few = {
        (engine, count): one.times(all_rounds[engine, FEW]) for (engine, count), one in all_rounds.items()
    }
    rows = [
        (
            engine,
            f"{count:,}",
            f"{all_rounds[engine, count].rate:,.0f}",
            f"{of_few[engine, count]:.2f}",
            f"{all_rounds[engine, count].cpu_us('node'):.0f}",
        )
        for engine in ENGINES
        for count in DEVICES
    ]
    heading = f"Active devices (echo, {OUTSTANDING} outstanding in all)"
    columns = ("engine", "devices", "tasks/s", f"of {FEW}", "node's processor time, µs a task")
    targets = [
        Target(
            f"rate with {DEVICES[-1]:,} active devices, of that with {FEW}, {engine}",
            of_few[engine, DEVICES[-1]],
            Bound.AT_LEAST,
            TARGET,
        )
        for engine in ENGINES
    ]
    picture = Lines(
        name="devices",
        title=f"Tasks a second with more devices ({OUTSTANDING} outstanding in all)",
        x="active devices",
        y="",
        series={engine: [(count, all_rounds[engine, count].rate) for count in DEVICES] for engine in ENGINES},
        log_x=True,
    )
    return Report(name="devices", tables=[Table(heading, columns, rows)], targets=targets, pictures=[picture])
