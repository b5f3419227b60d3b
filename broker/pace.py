"""Spaces out rounds of work while there is much of it, so that each does more at once. No I/O, no clock."""

import math


class Pacer:
    """Tells how long to let work gather before the next round.

    A round costs something whatever is in it: a commit a write to the disk, a message a turn of several
    processes. Done at once, rounds of few would use up the processor at half the load it can bear, and
    every round wait for the one before. While little comes there is nothing to wait for.

    `interval` is the seconds between rounds while more than `busy` things come within that time.
    """

    def __init__(self, interval: float, busy: float) -> None:
        self._interval = interval
        self._busy = busy
        self._level = 0.0
        self._began = -math.inf

    def rest(self, now: float) -> float:
        """Seconds until the next round should begin: none, or what is left of the interval."""
        since = now - self._began
        return self._interval - since if since < self._interval and self.busy(now) else 0.0

    def busy(self, now: float) -> bool:
        """Whether there is much to do."""
        return self._level * math.exp((self._began - now) / self._interval) > self._busy

    def begin(self, count: int, now: float) -> None:
        """Note that a round of so many begins. What came is forgotten exponentially, over the interval."""
        self._level = self._level * math.exp(-(now - self._began) / self._interval) + count
        self._began = now
