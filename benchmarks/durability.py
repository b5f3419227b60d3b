"""What durability costs: tasks a second with the journal synced to the disk at each commit, and without."""

from benchmarks.load.measured import Measured, Rounds, Work
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Report, Table, Target
from benchmarks.throughput import WARM_UP, node_driver

MODES = ("full", "normal", "off")
OUTSTANDING = 64
TARGET = 0.7
"""`full` is to reach this part of the rate of `off`."""


async def measure(effort: Effort) -> Report:
    """Compare the modes in rounds that take turns."""
    taken: dict[str, list[Measured]] = {mode: [] for mode in MODES}
    with progress("durability", effort.rounds * len(MODES)) as begin:
        for number in range(effort.rounds):
            for mode in MODES[:: -1 if number % 2 else 1]:
                begin(mode)
                async with node_driver("embedded", "--synchronous", mode) as driver:
                    await driver.closed(Work(), outstanding=8, seconds=WARM_UP)
                    taken[mode].append(
                        await driver.closed(Work(), outstanding=OUTSTANDING, seconds=2 * effort.seconds)
                    )
    found = {mode: Rounds(rounds) for mode, rounds in taken.items()}
    off = found["off"].rate
    rows = [
        (mode, f"{rounds.rate:,.0f}", f"{rounds.latency.p50:.1f}", f"{rounds.rate / off:.2f}")
        for mode, rounds in found.items()
    ]
    table = Table(
        f"echo, {OUTSTANDING} outstanding, embedded broker",
        ("synchronous", "tasks/s", "p50 ms", "of off"),
        rows,
    )
    target = Target("rate with synchronous=full, of off", found["full"].rate / off, Bound.AT_LEAST, TARGET)
    return Report(name="durability", tables=[table], targets=[target])
