"""The original's default workload, on what it was measured on: one device, two fog nodes, a cloud."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from benchmarks.collaboration.nodes import cloud_node, nodes
from broker.contract.topics import WEIGHTS, Weight
from device_sim.fleet.fleet import Fleet
from device_sim.fleet.report import FleetReport
from device_sim.fleet.settings import FleetSettings

SECONDS = 120.0
WAITING = ("light=sleep 0.001", "medium=sleep 1.2", "heavy=sleep 1.8")
"""As long as the original's bodies take, without the processor: all the nodes share one."""

IN_TIME = {Weight.LIGHT: 0.99, Weight.MEDIUM: 0.99}
THEIRS = {
    Weight.LIGHT: "99.2 %, p50 59 ms",
    Weight.MEDIUM: "86 %, p50 1590 ms",
    Weight.HEAVY: "100 %, p50 2400 ms",
}
"""The original's own, measured with its computing bodies; beside waiting ones it would not be fair."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    measure: str
    found: str
    target: str = ""
    met: bool = True


async def original(folder: Path, *, computing: bool, seconds: float) -> list[Row]:
    """Run the workload; the share in time is that of all tasks sent, by their whole response time."""
    report = await _run(folder, computing=computing, seconds=seconds)
    rows = [_row(weight, report, theirs=THEIRS[weight] if computing else "") for weight in WEIGHTS]
    sent = sum(one.sent for one in report.weights.values())
    failed = sum(sum(one.failed.values()) for one in report.weights.values())
    found = f"{report.lost} lost, {failed} failed of {sent}"
    return [*rows, Row("original's workload, lost", found, "0", report.lost == 0)]


async def _run(folder: Path, *, computing: bool, seconds: float) -> FleetReport:
    async with (
        cloud_node(folder) as cloud,
        nodes(folder, 2, "deadline", cloud=cloud.url, slots=1) as (first, _),
    ):
        tasks = [] if computing else list(WAITING)
        await _warm_up(first.url, tasks)
        settings = FleetSettings(node=[first.url], seconds=seconds, task=tasks)
        return await Fleet(settings).run(asyncio.Event())


async def _warm_up(url: str, tasks: list[str]) -> None:
    """Let the nodes hear of each other."""
    settings = FleetSettings(node=[url], seconds=3.0, light=60, medium=20, heavy=20, task=tasks)
    await Fleet(settings).run(asyncio.Event())


def _row(weight: Weight, report: FleetReport, *, theirs: str) -> Row:
    found = report.weights[weight]
    share = found.in_time / found.sent
    name = f"original's workload, {weight} in {found.requirement_ms / 1e3:g} s"
    if theirs:
        name += f" (the original: {theirs})"
    text = f"{share:.1%}, p50 {found.p50_ms or 0:.0f} ms"
    if weight not in IN_TIME:
        return Row(name, text)
    return Row(name, text, f">= {IN_TIME[weight]:.0%}", share >= IN_TIME[weight])
