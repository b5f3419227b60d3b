"""What durability costs: tasks a second with the journal synced to the disk at each commit, and without."""

import contextlib

from benchmarks.contestants.driver import Driver
from benchmarks.load.measured import Measured, Rounds
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Report, Table, Target
from benchmarks.throughput import ECHO, WARM_UP, node_driver

MODES = ("full", "normal", "off")
OUTSTANDING = 64
TARGET = 0.7
"""`full` is to reach this part of the rate of `off`."""


async def measure(effort: Effort) -> Report:
    """Compare the modes in rounds that take turns."""
    taken: dict[str, list[Measured]] = {mode: [] for mode in MODES}
    async with contextlib.AsyncExitStack() as stack:
        drivers: dict[str, Driver] = {}
        with progress("durability", effort.rounds * len(MODES)) as begin:
            for mode in MODES:
                driver = node_driver("embedded", "--synchronous", mode)
                drivers[mode] = await stack.enter_async_context(driver)
                await drivers[mode].closed(ECHO, outstanding=OUTSTANDING, seconds=WARM_UP)
            for number in range(effort.rounds):
                for mode in MODES[:: -1 if number % 2 else 1]:
                    begin(mode)
                    one = await drivers[mode].closed(
                        ECHO, outstanding=OUTSTANDING, seconds=2 * effort.seconds
                    )
                    taken[mode].append(one)
    found = {mode: Rounds(rounds) for mode, rounds in taken.items()}
    off = found["off"]
    rows = [
        (mode, f"{rounds.rate:,.0f}", f"{rounds.latency.p50:.1f}", f"{rounds.times(off):.2f}")
        for mode, rounds in found.items()
    ]
    table = Table(
        f"echo, {OUTSTANDING} outstanding, embedded broker",
        ("synchronous", "tasks/s", "p50 ms", "of off"),
        rows,
    )
    target = Target("rate with synchronous=full, of off", found["full"].times(off), Bound.AT_LEAST, TARGET)
    return Report(name="durability", tables=[table], targets=[target])
