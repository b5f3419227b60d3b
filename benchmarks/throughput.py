"""Tasks a second with 1 to 256 outstanding: the node beside the hand-wired pipeline and Celery alone.

All with two worker processes and a private Redis of their own, one after the other, in turning order.
The load is the same raw MQTT clients for all but Celery alone. How the peers are tuned is told where they
are defined, in contestants/.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from benchmarks.contestants.celery_alone import celery_alone
from benchmarks.contestants.driver import Driver
from benchmarks.contestants.hand_wired import hand_wired
from benchmarks.contestants.limit import broker_limit
from benchmarks.contestants.node import node
from benchmarks.load.measured import Measured, Rounds, Work
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Lines, Report, Table, Target, figure

OUTSTANDING = (1, 8, 64, 256)
DEVICES = 16
WARM_UP = 1.0
"""Seconds of load before the first window: a node learns how long its tasks take."""

ECHO = Work()
LIGHT_POWER = Work(task="light_power", payload=b"3423")

HAND_WIRED = "hand-wired pipeline"
CELERY = "Celery alone"
EMBEDDED = "node, embedded broker"
MOSQUITTO = "node, Mosquitto engine"
TARGETS = {EMBEDDED: 3.0, MOSQUITTO: 5.0}
"""How many times the hand-wired pipeline's rate each is to reach at 64 and at 256 outstanding."""

Start = Callable[[], AbstractAsyncContextManager[Driver]]
Key = tuple[str, str, int]
"""A contestant, a task, and how many are outstanding."""


@contextlib.asynccontextmanager
async def node_driver(engine: str, *options: str, devices: int = DEVICES) -> AsyncIterator[Driver]:
    """A node without a limit on what a device may send, and devices that are connected to it."""
    async with node(engine, "--max-rate", "0", *options) as started:
        generator = await started.generator(devices)
        try:
            yield generator
        finally:
            generator.close()


CONTESTANTS: dict[str, Start] = {
    HAND_WIRED: lambda: hand_wired(DEVICES),
    CELERY: celery_alone,
    EMBEDDED: lambda: node_driver("embedded"),
    MOSQUITTO: lambda: node_driver("mosquitto"),
}
LIMITS: dict[str, Start] = {
    "limit: embedded broker": lambda: broker_limit("embedded", DEVICES),
    "limit: Mosquitto": lambda: broker_limit("mosquitto", DEVICES),
}


@dataclass(frozen=True, slots=True)
class Found:
    """The rounds of each contestant under each load."""

    rounds: dict[Key, Rounds]

    def ratio(self, name: str, task: str, outstanding: int) -> float:
        """How many times the hand-wired pipeline's rate."""
        return self.rounds[name, task, outstanding].times(self.rounds[HAND_WIRED, task, outstanding])


async def find(effort: Effort) -> Found:
    """Run all rounds."""
    taken: dict[Key, list[Measured]] = {}
    with progress("throughput", effort.rounds * len(CONTESTANTS) + len(LIMITS)) as begin:
        for number in range(effort.rounds):
            # The limits stand for comparison only, and a round of them is enough.
            names = [*CONTESTANTS, *(() if number else LIMITS)]
            # The order alternates, since whoever comes later finds a warmer machine.
            for name in names[:: -1 if number % 2 else 1]:
                begin(name)
                async with (CONTESTANTS | LIMITS)[name]() as driver:
                    await driver.closed(ECHO, outstanding=8, seconds=WARM_UP)
                    for task, outstanding in _loads(name):
                        one = await driver.closed(task, outstanding=outstanding, seconds=effort.seconds)
                        taken.setdefault((name, task.task, outstanding), []).append(one)
    return Found({key: Rounds(rounds) for key, rounds in taken.items()})


def _loads(name: str) -> list[tuple[Work, int]]:
    echo = [(ECHO, outstanding) for outstanding in OUTSTANDING]
    return echo if name in LIMITS else [*echo, (LIGHT_POWER, 64)]


async def measure(effort: Effort) -> Report:
    """Compare all of them."""
    found = await find(effort)
    targets = [
        Target(f"{name}, {outstanding} outstanding, times hand-wired", ratio, Bound.AT_LEAST, wanted)
        for name, wanted in TARGETS.items()
        for outstanding in (64, 256)
        if (ratio := found.ratio(name, "echo", outstanding))
    ]
    picture = Lines(
        name="throughput",
        title="Tasks a second (echo)",
        x="tasks outstanding",
        y="",
        series={
            name: [(outstanding, found.rounds[name, "echo", outstanding].rate) for outstanding in OUTSTANDING]
            for name in CONTESTANTS
        },
        log_x=True,
    )
    return Report(
        name="throughput",
        tables=[_rates(found), _ratios(found), _latencies(found), _processor(found), _memory(found)],
        targets=targets,
        pictures=[picture],
    )


def _rates(found: Found) -> Table:
    columns = ("", *(f"echo, {count}" for count in OUTSTANDING), "light_power, 64")
    rows = []
    for name in (*CONTESTANTS, *LIMITS):
        rates = [
            found.rounds[key].rate if (key := (name, work.task, count)) in found.rounds else None
            for work, count in (*((ECHO, count) for count in OUTSTANDING), (LIGHT_POWER, 64))
        ]
        rows.append((name, *("" if rate is None else f"{rate:,.0f}" for rate in rates)))
    return Table("Tasks a second, by task and number outstanding", columns, rows)


def _ratios(found: Found) -> Table:
    columns = ("", *(f"echo, {count}" for count in OUTSTANDING), "light_power, 64")
    rows = [
        (
            name,
            *(figure(found.ratio(name, "echo", count)) for count in OUTSTANDING),
            figure(found.ratio(name, "light_power", 64)),
        )
        for name in CONTESTANTS
    ]
    return Table("Times the hand-wired pipeline's rate", columns, rows)


def _latencies(found: Found) -> Table:
    rows = []
    for name in CONTESTANTS:
        latencies = [found.rounds[name, "echo", count].latency for count in OUTSTANDING]
        rows.append((name, *(f"{one.p50:.1f} / {one.p99:.1f}" for one in latencies)))
    columns = ("p50 / p99, ms", *(f"{count} outstanding" for count in OUTSTANDING))
    return Table("Round trip of echo", columns, rows)


def _processor(found: Found) -> Table:
    rows = []
    for name in CONTESTANTS:
        rounds = found.rounds[name, "echo", 64]
        parts = {part: rounds.cpu_us(part) / 1e3 for part in rounds.parts}
        told = ", ".join(f"{part} {seconds:.2f}" for part, seconds in parts.items() if seconds >= 0.005)
        rows.append((name, f"{sum(parts.values()):.2f}", told))
    return Table(
        "Seconds of processor time for 1,000 tasks (echo, 64 outstanding)", ("", "in all", "by part"), rows
    )


def _memory(found: Found) -> Table:
    rows = []
    for name in CONTESTANTS:
        rounds = found.rounds[name, "echo", 64]
        parts = {part: rounds.memory(part) / 2**20 for part in rounds.parts if part != "load generator"}
        told = ", ".join(f"{part} {mebibytes:.0f}" for part, mebibytes in parts.items())
        rows.append((name, f"{sum(parts.values()):.0f}", told))
    return Table(
        "Memory in MiB (resident; what processes share counts in each)", ("", "in all", "by part"), rows
    )
