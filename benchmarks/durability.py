"""What durability costs: tasks a second with the journal synced to the disk at each commit, and without."""

import contextlib

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.contestants.node import node
from benchmarks.load.measured import Measured, Rounds, Work

MODES = ("full", "normal", "off")
OUTSTANDING = 64
ROUNDS = 3
SECONDS = 3.0
TARGET = 0.7
"""`full` is to reach this part of the rate of `off`."""


async def run() -> bool:
    """Print the comparison; True if the target is met."""
    taken: dict[str, list[Measured]] = {mode: [] for mode in MODES}
    for number in track(range(ROUNDS), "durability", console=Console(stderr=True)):
        for mode in MODES if number % 2 == 0 else reversed(MODES):
            async with node("embedded", "--max-rate", "0", "--synchronous", mode) as started:
                with contextlib.closing(await started.generator(16)) as generator:
                    taken[mode].append(
                        await generator.closed(Work(), outstanding=OUTSTANDING, seconds=SECONDS, warm_up=1.0)
                    )
    found = {mode: Rounds(rounds) for mode, rounds in taken.items()}
    table = Table(f"synchronous, {OUTSTANDING} outstanding", "tasks/s", "p50 ms", "of off")
    for mode, rounds in found.items():
        part = rounds.rate / found["off"].rate
        table.add_row(mode, f"{rounds.rate:,.0f}", f"{rounds.latency.p50:.1f}", f"{part:.2f}")
    Console().print(table)
    return found["full"].rate >= TARGET * found["off"].rate
