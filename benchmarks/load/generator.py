"""Drives a node, or a pipeline that takes the same topics, with many devices from one process.

Closed loop: so many tasks are outstanding in all, and each that ends is replaced at once by one of the next
device. Open loop: tasks are sent at given moments, and their latency counts from the moment at which they
were due, not from when they were sent.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable

from benchmarks.errors import BenchmarkFailed
from benchmarks.load.device import TIMEOUT, Device
from benchmarks.load.frames import PublishTemplate
from benchmarks.load.measured import Measured, Work
from benchmarks.load.pacing import Pacer, regular_times
from benchmarks.parts import Parts
from benchmarks.percentiles import Latency

_CONNECTING_AT_ONCE = 50


class Generator:
    """Devices that are connected to one broker; one measurement at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._devices: list[Device] = []
        self._turn: itertools.cycle[tuple[Device, PublishTemplate]] = itertools.cycle(())
        self._numbers = itertools.count(1)
        self._due: dict[int, float] = {}
        self._on_end: Callable[[float], None] = lambda _: None
        self._fault: BenchmarkFailed | None = None
        self._heard = asyncio.Event()
        self.duplicates = 0

    async def connect(self, port: int, devices: int, *, prefix: str = "d", version: int = 4) -> None:
        """Connect that many more devices, by that version's protocol level."""
        slots = asyncio.Semaphore(_CONNECTING_AT_ONCE)

        async def add(number: int) -> None:
            async with slots:
                device = await Device.connect(port, f"{prefix}{number}", self._take, version)
                self._devices.append(device)

        async with asyncio.TaskGroup() as group:
            for number in range(devices):
                group.create_task(add(number), name=f"connect device {number}")

    def close(self) -> None:
        """Disconnect all devices."""
        for device in self._devices:
            device.close()
        self._devices.clear()

    async def closed(
        self, work: Work, *, outstanding: int, seconds: float, warm_up: float = 0.3, drain: bool = True
    ) -> Measured:
        """Keep so many tasks outstanding, and count for some seconds after the warm-up.

        Without `drain` what is outstanding stays so, for the next measurement to go on with.
        """
        taken: list[float] = []
        going_on = True

        def replace(took: float) -> None:
            if going_on:
                self._send(time.monotonic())
                taken.append(took)

        self._prepare(work, replace)
        missing = outstanding - len(self._due)
        for _ in range(missing):
            self._send(time.monotonic())
        await self._wait(warm_up)
        first = len(taken)
        before, began = self._parts.usage(), time.monotonic()
        await self._wait(seconds)
        ended, last = time.monotonic(), len(taken)
        usage = self._parts.usage_since(before)
        if drain:
            going_on = False
            await self._drain()
        return Measured(
            finished=last - first,
            seconds=ended - began,
            latency=Latency.of(taken[first:last]),
            usage=usage,
        )

    async def open(self, work: Work, *, rate: float, seconds: float, warm_up: float = 0.3) -> Measured:
        """Submit at a fixed rate, whatever is answered, and wait for all answers."""
        taken: list[float] = []
        self._prepare(work, taken.append)
        lead = regular_times(rate, warm_up, start=time.monotonic())
        await Pacer(lead, self._send).run()
        await self._drain()
        taken.clear()
        before, began = self._parts.usage(), time.monotonic()
        await Pacer(regular_times(rate, seconds, start=began), self._send).run()
        await self._drain()
        return Measured(
            finished=len(taken),
            seconds=time.monotonic() - began,
            latency=Latency.of(taken),
            usage=self._parts.usage_since(before),
        )

    async def submit(self, work: Work, count: int, *, at_once: int = 500) -> None:
        """Submit that many, and do not wait for their results but for the broker to take them.

        Bursts of `at_once` leave the loop of this process and the broker room for what else they do.
        """
        self._prepare(work, lambda _: None)
        for start in range(0, count, at_once):
            for _ in range(min(at_once, count - start)):
                self._send(time.monotonic())
            await self.acknowledged()

    def stop_replacing(self) -> int:
        """Let what is outstanding end without replacing it; returns how many tasks that is."""
        self._on_end = lambda _: None
        return len(self._due)

    async def acknowledged(self) -> None:
        """Return once the broker has acknowledged all tasks that were sent."""
        for device in self._devices:
            await device.acknowledged()

    @property
    def outstanding(self) -> int:
        """How many tasks have no result yet."""
        return len(self._due)

    def _prepare(self, work: Work, on_end: Callable[[float], None]) -> None:
        self._turn = itertools.cycle(
            [
                (
                    device,
                    PublishTemplate(
                        f"fog/tasks/{work.weight}/{work.task}/{device.name}/", work.payload, device.version
                    ),
                )
                for device in self._devices
            ]
        )
        self._on_end = on_end

    def _send(self, due: float) -> None:
        device, template = next(self._turn)
        number = next(self._numbers)
        self._due[number] = due
        device.send(template, number)

    def _take(self, number: int, outcome: bytes) -> None:
        due = self._due.pop(number, None)
        if due is None:
            self.duplicates += 1
            return
        if not outcome.startswith(b'{"ok":true'):
            self._fault = BenchmarkFailed(f"a task was answered {outcome[:200].decode(errors='replace')}")
        self._heard.set()
        self._on_end(time.monotonic() - due)

    async def _wait(self, seconds: float) -> None:
        """Let that much time pass. Raises BenchmarkFailed if meanwhile a task failed or nothing was heard."""
        self._heard.clear()
        await asyncio.sleep(seconds)
        if not self._heard.is_set():
            await self._next_result()
        self._check()

    async def _drain(self) -> None:
        while self._due:
            self._heard.clear()
            await self._next_result()
        self._check()

    async def _next_result(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._heard.wait()
        except TimeoutError:
            raise BenchmarkFailed(f"nothing was answered for {TIMEOUT:g} s") from None

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault


@contextlib.asynccontextmanager
async def generator(port: int, parts: Parts, *, devices: int) -> AsyncIterator[Generator]:
    """A generator with connected devices."""
    made = Generator(parts)
    try:
        await made.connect(port, devices)
        yield made
    finally:
        made.close()
