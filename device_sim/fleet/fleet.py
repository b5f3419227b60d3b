"""Fleets: many devices in one process, which send at scheduled times whether the node keeps up or not."""

import asyncio
import contextlib
from array import array
from collections.abc import AsyncIterator, Sequence

from broker.contract.topics import Weight
from device_sim.client.device import Device, DeviceSettings
from device_sim.errors import NodeUnreachable, UnreadableAnswer
from device_sim.fleet.report import FleetReport, Tally, percentile
from device_sim.fleet.settings import FleetSettings
from device_sim.fleet.workload import Stream, arrivals
from device_sim.running import until

OUTSTANDING_PER_DEVICE = 1000
"""A device goes on sending to a slow node; this bounds the memory. Beyond it sending waits, and the waiting
counts as response time."""


class Fleet:
    """One run of a workload. Used once; `tallies` may be read while it runs."""

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._streams = settings.streams()
        self.tallies: dict[Weight, Tally] = {one.weight: Tally(one.requirement) for one in self._streams}
        self.started_at: float | None = None
        self._send_lags = array("d")

    async def run(self, stop: asyncio.Event) -> FleetReport:
        """Send everything, wait for late answers, and report; when `stop` is set, report at once.

        Raises NodeUnreachable if not all devices can connect at the start.
        """
        async with self._connected() as devices:
            finished = await until(stop, self._work(devices))
            return self.report(interrupted=not finished)

    def report(self, *, interrupted: bool = False) -> FleetReport:
        """Sum up the run so far."""
        settings = self._settings
        lag = percentile(sorted(self._send_lags), 99)
        return FleetReport(
            nodes=tuple(settings.node),
            devices=settings.devices,
            seconds=settings.seconds,
            seed=settings.seed,
            pace=settings.pace,
            interrupted=interrupted,
            send_lag_p99_ms=None if lag is None else round(lag * 1000, 3),
            weights={weight.value: tally.report() for weight, tally in self.tallies.items()},
        )

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Sequence[Device]]:
        nodes, settings = self._settings.node, DeviceSettings(max_outstanding=OUTSTANDING_PER_DEVICE)
        devices = [
            Device(
                nodes[number % len(nodes)],
                name=f"{self._settings.prefix}-{number}",
                settings=settings,
                mqtt=self._settings.mqtt,
            )
            for number in range(self._settings.devices)
        ]
        async with contextlib.AsyncExitStack() as stack:
            entering = (stack.enter_async_context(device) for device in devices)
            # All of them are waited for, so that those that have connected are closed when one has not.
            for entered in await asyncio.gather(*entering, return_exceptions=True):
                if isinstance(entered, BaseException):
                    raise entered
            yield devices

    async def _work(self, devices: Sequence[Device]) -> bool:
        settings, clock = self._settings, asyncio.get_running_loop().time
        started_at = self.started_at = clock()
        schedule = arrivals(
            self._streams,
            devices=settings.devices,
            seconds=settings.seconds,
            seed=settings.seed,
            pace=settings.pace,
        )
        last_call = started_at + settings.seconds + settings.grace
        async with asyncio.TaskGroup() as group:
            for arrival in schedule:
                due = started_at + arrival.at
                # By the schedule, not by the last answer: a slow node must not make its own load lighter.
                await asyncio.sleep(max(0.0, due - clock()))
                self._send_lags.append(clock() - due)
                self.tallies[arrival.stream.weight].add_sent()
                group.create_task(self._one(devices[arrival.device], arrival.stream, due, last_call))
        return True

    async def _one(self, device: Device, stream: Stream, due: float, last_call: float) -> None:
        tally = self.tallies[stream.weight]
        deadline = stream.requirement if self._settings.deadlines else None
        try:
            async with asyncio.timeout_at(last_call):
                outcome = await device.outcome(
                    stream.weight, stream.task, stream.payload, deadline=deadline, timeout=None
                )
        except TimeoutError:
            tally.add_lost()
        except UnreadableAnswer:
            tally.add_unreadable()
        except NodeUnreachable:
            tally.add_refused()
        else:
            tally.add_outcome(outcome, asyncio.get_running_loop().time() - due)
