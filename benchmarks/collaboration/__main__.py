"""Fog nodes that share their work, measured as programs; the tasks wait rather than burn CPU.

`python -m benchmarks.collaboration`: the throughput of three nodes beside one, tasks in time at twice one
node's capacity under each policy, how a burst spreads, the original's default workload, and a task done in
parts by one, two and three nodes.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.collaboration.nodes import SLOTS, nodes
from benchmarks.collaboration.original import SECONDS, Row, original
from benchmarks.collaboration.scatter import scatter
from broker.contract.messages import Outcome
from fog_node.placement import NAMED
from weighbridge import Device

RUN = 0.05
CAPACITY = SLOTS / RUN
DEADLINE = 0.5
BURST = 300
TIMEOUT = 60.0
IN_TIME, QUICK_IN_TIME = 8.0, 3.0
QUICK_ORIGINAL = 30.0
"""Seconds for which tasks are offered; of the original's workload two minutes are wanted otherwise."""

THROUGHPUT_TARGET = 2.7
IN_TIME_TARGET = 0.95
HERDING_TARGET = 1.3


async def submit(device: Device, count: int, *, rate: float | None, deadline: float | None) -> list[Outcome]:
    """Offer tasks at a rate, or all at once; their outcomes."""
    pending = []
    began = time.monotonic()
    for number in range(count):
        if rate is not None:
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        pending.append(await device.send("medium", "sleep", RUN, deadline=deadline))
    return [await one.outcome(timeout=TIMEOUT) for one in pending]


async def warm_up(device: Device) -> None:
    """Let the nodes hear of each other, and learn how long the task takes."""
    await submit(device, 60, rate=0.9 * CAPACITY, deadline=None)


async def throughput(folder: Path, count: int) -> float:
    """Tasks a second of so many nodes, all offered at the first."""
    async with nodes(folder, count, "deadline") as (first, *_), Device(first.url, name="bench") as device:
        await warm_up(device)
        began = time.monotonic()
        await submit(device, BURST * count, rate=None, deadline=None)
        return BURST * count / (time.monotonic() - began)


async def in_time(folder: Path, policy: str, seconds: float) -> float:
    """The share of tasks that were answered within their deadline, offered at twice one node's capacity."""
    async with nodes(folder, 3, policy) as (first, *_), Device(first.url, name="bench") as device:
        await warm_up(device)
        outcomes = await submit(device, int(2 * CAPACITY * seconds), rate=2 * CAPACITY, deadline=DEADLINE)
    return sum(one.ok and one.total_ms <= 1e3 * DEADLINE for one in outcomes) / len(outcomes)


async def burst(folder: Path) -> Counter[str]:
    """Who ran how many of a burst at one of four idle nodes."""
    async with nodes(folder, 4, "deadline") as (first, *_), Device(first.url, name="bench") as device:
        await warm_up(device)
        outcomes = await submit(device, BURST, rate=None, deadline=None)
    return Counter(one.node for one in outcomes)


async def shared_work(folder: Path, *, quick: bool) -> list[Row]:
    """How nodes share many small tasks."""
    one, three = await throughput(folder, 1), await throughput(folder, 3)
    gain = three / one
    rows = [
        Row("throughput, 3 nodes to 1", f"{gain:.2f}", f">= {THROUGHPUT_TARGET}", gain >= THROUGHPUT_TARGET)
    ]
    for policy in NAMED:
        share = await in_time(folder, policy, QUICK_IN_TIME if quick else IN_TIME)
        name = f"in time at twice the capacity, {policy}"
        if policy == "deadline":
            rows.append(Row(name, f"{share:.1%}", f">= {IN_TIME_TARGET:.0%}", share >= IN_TIME_TARGET))
        else:
            rows.append(Row(name, f"{share:.1%}"))
    ran = await burst(folder)
    neighbours = [ran[name] for name in ("n1", "n2", "n3")]
    herding = max(neighbours) / max(1.0, statistics.mean(neighbours))
    met = herding <= HERDING_TARGET
    rows.append(Row("burst: busiest neighbour to the mean", f"{herding:.2f}", f"<= {HERDING_TARGET}", met))
    rows.append(Row("burst: tasks of each", str(dict(sorted(ran.items())))))
    return rows


async def run(*, quick: bool, parts_alone: bool, original_alone: bool, computing: bool) -> bool:
    """Print what was measured; True if all targets are met."""
    everything = not parts_alone and not original_alone
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-") as name:
        folder = Path(name)
        if everything:
            rows += await shared_work(folder, quick=quick)
        if everything or original_alone:
            seconds = QUICK_ORIGINAL if quick else SECONDS
            rows += await original(folder, computing=computing, seconds=seconds)
        _show(rows)
        if everything or parts_alone:
            Console().print(await scatter(folder, quick=quick))
    return all(row.met for row in rows)


def _show(rows: Sequence[Row]) -> None:
    table = Table("measure", "found", "target")
    for row in rows:
        table.add_row(row.measure, row.found, row.target)
    if rows:
        Console().print(table)


def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A short round of each.")] = False,
    scatter: Annotated[bool, typer.Option("--scatter", help="Only tasks that are done in parts.")] = False,
    original: Annotated[bool, typer.Option("--original", help="Only beside the original's policy.")] = False,
    computing: Annotated[
        bool,
        typer.Option("--computing", help="Beside the original, with tasks that compute."),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="End with status 1 if a target is missed.")] = False,
) -> None:
    """Measure nodes that share their work: seven minutes, on loopback."""
    found = run(quick=quick, parts_alone=scatter, original_alone=original, computing=computing)
    if not asyncio.run(found) and check:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
