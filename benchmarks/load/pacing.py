"""When the tasks of an open loop are due, and a clock that is precise enough to send them then."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

_LONGEST_SLEEP = 0.05
"""Seconds within which the pacer notices that it is to stop."""


def regular_times(rate: float, seconds: float, *, start: float) -> Iterator[float]:
    """The moments at which tasks are due: `rate` a second, evenly spaced, for so many seconds.

    They depend on nothing that was answered, so that a slow answer delays no later task.
    """
    return (start + number / rate for number in range(round(rate * seconds)))


class Pacer:
    """Calls back in the event loop at given moments of `time.monotonic`.

    The loop's own timers round to milliseconds, which would count as latency: a thread sleeps instead.
    """

    def __init__(self, times: Iterator[float], on_due: Callable[[float], None]) -> None:
        self._times = times
        self._on_due = on_due
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Return when the last moment was called back for."""
        thread = threading.Thread(target=self._pace, name="pacer", daemon=True)
        thread.start()
        try:
            await self._done.wait()
        finally:
            self._stopping = True

    def _pace(self) -> None:
        for due in self._times:
            while (left := due - time.monotonic()) > 0:
                time.sleep(min(left, _LONGEST_SLEEP))
            if self._stopping:
                return
            self._loop.call_soon_threadsafe(self._on_due, due)
        self._loop.call_soon_threadsafe(self._done.set)
