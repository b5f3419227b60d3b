"""Decides how long to let work gather before the next round of it. No I/O, no clock."""

import math


class Pacer:
    """Spaces out rounds while there is much work, and lets them begin at once while there is little.

    Every round has a fixed cost, however little is in it: a commit writes to the disk, a message wakes
    several processes. Small rounds one after the other would use up the processor at half the load that it
    can bear.

    `interval` is the seconds between rounds while more than `busy` items come within that time.
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
