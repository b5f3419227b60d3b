"""Tasks a second with 1 to 256 outstanding: the node beside the hand-wired pipeline and Celery alone.

All with two worker processes and a private Redis of their own, one after the other, in turning order.
The load is the same raw MQTT clients for all but Celery alone. How the peers are tuned is told where they
are defined, in contestants/.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.contestants.celery_alone import celery_alone
from benchmarks.contestants.driver import Driver
from benchmarks.contestants.hand_wired import hand_wired
from benchmarks.contestants.node import node
from benchmarks.load.measured import Measured, Rounds, Work

OUTSTANDING = (1, 8, 64, 256)
DEVICES = 16
SECONDS = 2.0
ROUNDS = 3
HAND_WIRED = "hand-wired pipeline"
TARGETS = {"node, embedded broker": 3.0, "node, Mosquitto engine": 5.0}
"""How many times the hand-wired pipeline's rate each is to reach at 64 and at 256 outstanding."""

Start = Callable[[], AbstractAsyncContextManager[Driver]]


@dataclass(frozen=True, slots=True)
class Found:
    """The rounds of each contestant at each number of outstanding tasks."""

    rounds: dict[tuple[str, int], Rounds]

    def ratio(self, name: str, outstanding: int) -> float:
        """How many times the hand-wired pipeline's rate."""
        return self.rounds[name, outstanding].rate / self.rounds[HAND_WIRED, outstanding].rate


@contextlib.asynccontextmanager
async def _node(engine: str) -> AsyncIterator[Driver]:
    async with node(engine, "--max-rate", "0") as started:
        generator = await started.generator(DEVICES)
        try:
            yield generator
        finally:
            generator.close()


CONTESTANTS: dict[str, Start] = {
    HAND_WIRED: lambda: hand_wired(DEVICES),
    "Celery alone": celery_alone,
    "node, embedded broker": lambda: _node("embedded"),
    "node, Mosquitto engine": lambda: _node("mosquitto"),
}


async def measure() -> Found:
    """Run all rounds."""
    taken: dict[tuple[str, int], list[Measured]] = {}
    for number in track(range(ROUNDS), "throughput", console=Console(stderr=True)):
        names = list(CONTESTANTS)
        for name in names if number % 2 == 0 else reversed(names):
            async with CONTESTANTS[name]() as driver:
                await driver.closed(Work(), outstanding=8, seconds=1.0)
                for outstanding in OUTSTANDING:
                    found = await driver.closed(Work(), outstanding=outstanding, seconds=SECONDS)
                    taken.setdefault((name, outstanding), []).append(found)
    return Found({key: Rounds(rounds) for key, rounds in taken.items()})


async def run() -> bool:
    """Print the comparison; True if every target is met."""
    found = await measure()
    table = Table("echo, outstanding", *(str(outstanding) for outstanding in OUTSTANDING), "times hand-wired")
    for name in CONTESTANTS:
        rounds = [found.rounds[name, outstanding] for outstanding in OUTSTANDING]
        ratios = ", ".join(f"{found.ratio(name, outstanding):.1f}" for outstanding in OUTSTANDING)
        table.add_row(name, *(f"{one.rate:,.0f}/s, p50 {one.latency.p50:.1f} ms" for one in rounds), ratios)
    costs = Table("processor time, µs a task at 64", "")
    for name in CONTESTANTS:
        at_64 = found.rounds[name, 64]
        costs.add_row(name, ", ".join(f"{part} {at_64.cpu_us(part):.0f}" for part in at_64.parts))
    Console(width=150).print(table, costs)
    met = True
    for name, target in TARGETS.items():
        for outstanding in (64, 256):
            ratio = found.ratio(name, outstanding)
            met = met and ratio >= target
            print(f"{name} at {outstanding}: {ratio:.1f} x hand-wired (target {target:g})")
    return met
