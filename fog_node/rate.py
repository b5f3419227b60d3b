"""How fast one device may submit, and how much it may have open. No I/O, no clock."""

from collections import Counter, OrderedDict
from dataclasses import dataclass

from fog_node.job import Job

MOST_DEVICES = 10_000
"""Devices whose rate is remembered; the one that was heard least recently is forgotten for a new one."""


@dataclass(slots=True)
class TokenBucket:
    """Lets `rate` through a second, and `burst` at once after a pause."""

    rate: float
    burst: float
    tokens: float
    at: float

    def take(self, now: float) -> float:
        """Take one; returns 0, or the seconds until there is one."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate


class DeviceLimits:
    """The limits of every device: tasks a second, and tasks without an outcome. 0 is no limit."""

    def __init__(self, *, rate: float, burst: int, open: int) -> None:
        self._rate = rate
        self._burst = burst
        self._most_open = open
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._open: Counter[str] = Counter()

    def refusal(self, job: Job, now: float) -> str | None:
        """Say why a device may not submit a task now; None lets it, and counts it against its rate.

        What another node hands over has been counted there.
        """
        device = job.device
        if job.origin:
            return None
        if self._most_open and self._open[device] >= self._most_open:
            return f"{self._open[device]} of your tasks are open, as many as may be; wait for their outcomes"
        if not self._rate:
            return None
        bucket = self._buckets.pop(device, None)
        if bucket is None:
            bucket = TokenBucket(self._rate, self._burst, self._burst, now)
            if len(self._buckets) >= MOST_DEVICES:
                self._buckets.popitem(last=False)
        self._buckets[device] = bucket
        wait = bucket.take(now)
        if wait:
            return f"a device may submit {self._rate:g} tasks a second; send it again in {wait:.3f} s"
        return None

    def opened(self, job: Job) -> None:
        """Note a task that has been taken in."""
        if not job.origin:
            self._open[job.device] += 1

    def closed(self, job: Job) -> None:
        """Note that a task has its outcome."""
        if not job.origin:
            self._open[job.device] -= 1
            if self._open[job.device] <= 0:
                del self._open[job.device]
