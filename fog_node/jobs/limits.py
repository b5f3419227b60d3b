"""How fast one device may submit, and how much it, or another node, may have open. No I/O, no clock.

How much all of them may have open together is in open_jobs.py.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass

from fog_node.jobs.job import Job

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
    """The limits of every device: tasks a second, and tasks without an outcome. 0 is no limit.

    `open_of_a_node` is how many tasks without an outcome another node may have handed over.
    """

    def __init__(self, *, rate: float, burst: int, open: int, open_of_a_node: int = 0) -> None:
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._open: Counter[str] = Counter()
        self._handed_over: Counter[str] = Counter()
        self.change(rate=rate, burst=burst, open=open, open_of_a_node=open_of_a_node)

    def change(self, *, rate: float, burst: int, open: int, open_of_a_node: int = 0) -> None:
        """Have these limits from now on; what devices have submitted and have open counts for them."""
        self._rate = rate
        self._burst = burst
        self._most_open = open
        self._most_of_a_node = open_of_a_node
        for bucket in self._buckets.values():
            bucket.rate, bucket.burst = rate, burst

    def refusal(self, job: Job, now: float) -> str | None:
        """Say why a device may not submit a task now; None lets it, and counts it against its rate.

        What another node hands over has been counted there; it has a bound here all the same, so that one
        gone wrong leaves room for others.
        """
        if job.origin:
            return self._refusal_of_a_node(job.origin)
        device = job.device
        if self._most_open and self._open[device] >= self._most_open:
            return f"{self._open[device]} of your tasks are open; wait for their outcomes"
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
            return f"more than {self._rate:g} a second: send this again in {wait:.3f} s"
        return None

    def _refusal_of_a_node(self, node: str) -> str | None:
        if not self._most_of_a_node or self._handed_over[node] < self._most_of_a_node:
            return None
        return f"{self._handed_over[node]} tasks that {node} handed over are open here, as many as may be"

    def opened(self, job: Job) -> None:
        """Note a task that has been taken in."""
        counter, name = (self._handed_over, job.origin) if job.origin else (self._open, job.device)
        counter[name] += 1

    def closed(self, job: Job) -> None:
        """Note that a task has its outcome."""
        counter, name = (self._handed_over, job.origin) if job.origin else (self._open, job.device)
        counter[name] -= 1
        if counter[name] <= 0:
            del counter[name]
