"""What a reload costs who is being served: round trips while a node reloads, beside those in between."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.contestants.node import Node, node
from benchmarks.errors import BenchmarkFailed
from benchmarks.percentiles import Latency
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Report, Table, Target
from device_sim.errors import DeviceError, NoAnswer
from fog_node.inspection.control import AskReload, Reloaded, ask
from weighbridge import Device

RELOADS = 20
OUTSTANDING = 8
WARM_UP = 2.0
TIMEOUT = 120.0


@dataclass(slots=True)
class _Load:
    """So many tasks at once, each followed by another; when each ended, and how long it took."""

    device: Device
    over: bool = False
    lost: int = 0
    failed: int = 0
    ended: list[tuple[float, float]] = field(default_factory=list)

    async def run(self) -> None:
        """Submit until it is over, and hear the last outcomes."""
        async with asyncio.TaskGroup() as group:
            for _ in range(OUTSTANDING):
                group.create_task(self._one_after_the_other())

    async def _one_after_the_other(self) -> None:
        while not self.over:
            began = time.monotonic()
            try:
                await self.device.submit("light", "echo", "hello", timeout=TIMEOUT)
            except NoAnswer:
                self.lost += 1
            except DeviceError:
                self.failed += 1
            else:
                now = time.monotonic()
                self.ended.append((now, now - began))


async def measure(effort: Effort) -> Report:
    """Reload a node again and again while tasks run."""
    reloads = RELOADS if effort.rounds > 1 else 2
    spans: list[tuple[float, float]] = []
    async with node("embedded") as served, Device(f"mqtt://127.0.0.1:{served.port}", name="bench") as device:
        load = _Load(device)
        running = asyncio.create_task(load.run())
        with progress("reload", reloads) as begin:
            await asyncio.sleep(WARM_UP)
            first = time.monotonic()
            for number in range(reloads):
                begin(f"reload {number + 1}")
                await asyncio.sleep(effort.seconds)
                spans.append(await _reload(served))
        load.over = True
        await running
    return _report(load, first, spans)


async def _reload(served: Node) -> tuple[float, float]:
    """Have the node reload; return from when to when that lasted."""
    began = time.monotonic()
    found = await ask(served.data, AskReload(new_workers=True), Reloaded, timeout=TIMEOUT)
    if found.fault:
        raise BenchmarkFailed(found.fault)
    return began, time.monotonic()


def _report(load: _Load, first: float, spans: list[tuple[float, float]]) -> Report:
    meanwhile = [took for end, took in load.ended if any(a < end and end - took < b for a, b in spans)]
    counted = [took for end, took in load.ended if end > first]
    between = list((Counter(counted) - Counter(meanwhile)).elements())
    lasted = sum(b - a for a, b in spans)
    whole = spans[-1][1] - first
    rows = [
        _row("between reloads", between, whole - lasted),
        _row("while it reloads", meanwhile, lasted),
    ]
    heading = (
        f"echo, {OUTSTANDING} outstanding, embedded broker, {len(spans)} reloads of"
        f" {lasted / len(spans):.1f} s each: {load.lost} lost, {load.failed} failed"
    )
    table = Table(heading, ("", "tasks/s", "p50 ms", "p95 ms", "p99 ms"), rows)
    targets = [
        Target(f"tasks lost in {len(spans)} reloads", load.lost, Bound.AT_MOST, 0),
        Target(f"tasks failed in {len(spans)} reloads", load.failed, Bound.AT_MOST, 0),
    ]
    return Report(name="reload", tables=[table], targets=targets)


def _row(name: str, times: list[float], seconds: float) -> tuple[str, ...]:
    latency = Latency.of(times)
    figures = (latency.p50, latency.p95, latency.p99)
    return (name, f"{len(times) / seconds:,.0f}", *(f"{one:.1f}" for one in figures))
