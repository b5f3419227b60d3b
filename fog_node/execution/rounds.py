"""When the next round of work is sent: as soon as there is some, and spaced out where there is much."""

import asyncio
import time

from broker.pace import Pacer

INTERVAL = 0.002
"""Seconds between two rounds while much is submitted."""

BUSY = 3
"""Jobs within that time that count as much. A device that waits for each outcome makes two at most."""


class Rounds:
    """Wakes whoever sends jobs. The clock is the monotonic one."""

    def __init__(self) -> None:
        self._work = asyncio.Event()
        self._pacer = Pacer(INTERVAL, BUSY)
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Note that there is something to do."""
        self._work.set()

    def wake_at(self, moment: float | None) -> None:
        """Wake at a moment, in place of the one that was given before; None is never."""
        self.close()
        if moment is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(moment - time.monotonic(), self._work.set)

    async def due(self) -> None:
        """Return when there is something to do, and the last round was long enough ago."""
        await self._work.wait()
        # What comes during the pause goes out together with the rest, the most urgent first.
        if (rest := self._pacer.rest(time.monotonic())) > 0:
            await asyncio.sleep(rest)
        self._work.clear()

    def begin(self, jobs: int) -> None:
        """Note that a round of so many jobs begins."""
        self._pacer.begin(jobs, time.monotonic())

    def close(self) -> None:
        """Wake at no moment any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
