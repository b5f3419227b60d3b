"""Running time: seconds that go on over restarts, and that no jump of the machine's clock moves.

Many small computers have no clock of their own. They wake up in the past, and jump as soon as they hear the
time, maybe by years. What is kept on disk for an hour is kept for an hour of this time.
"""

import time
from collections.abc import Callable

import msgspec

MOST_OFF = 600.0
"""Seconds that count at most of a time in which the machine was off: only its clock tells how long it was."""


class Reading(msgspec.Struct, frozen=True):
    """What the clocks said at one moment; `boot` names the time since the machine was switched on."""

    running: float
    wall: float
    monotonic: float
    boot: str


class RunningTime:
    """Goes on from `saved`, a reading of an earlier life, or else begins with the machine's clock.

    `wall`, `monotonic` and `boot` are the clocks of this life. While the machine is on, `monotonic` counts
    also between two lives.
    """

    def __init__(
        self,
        saved: Reading | None = None,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        boot: str = "",
    ) -> None:
        self._wall, self._monotonic, self._boot = wall, monotonic, boot
        now = monotonic()
        if saved is None:
            running = wall()
        elif boot and saved.boot == boot and saved.monotonic <= now:
            running = saved.running + now - saved.monotonic
        else:
            running = saved.running + min(max(0.0, wall() - saved.wall), MOST_OFF)
        self._ahead = running - now

    def now(self) -> float:
        """The running time now."""
        return self._monotonic() + self._ahead

    def of(self, monotonic: float) -> float:
        """The running time at a moment of the monotonic clock."""
        return monotonic + self._ahead

    def monotonic(self, running: float) -> float:
        """The moment of the monotonic clock at a running time."""
        return running - self._ahead

    def read(self) -> Reading:
        """What a later life needs to go on."""
        monotonic = self._monotonic()
        return Reading(self.of(monotonic), self._wall(), monotonic, self._boot)
