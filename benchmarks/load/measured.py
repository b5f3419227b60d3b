"""What is asked of whoever is measured, and what is found: the same for MQTT and for Celery alone."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.percentiles import Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The task that is submitted again and again; `payload` is JSON."""

    task: str = "echo"
    payload: bytes = b'"hello"'
    weight: str = "light"


@dataclass(frozen=True, slots=True)
class Usage:
    """What one part used: seconds of processor time meanwhile, bytes of memory at the end."""

    cpu: float
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round: how many tasks were finished in how many seconds, how long each took, what it cost whom."""

    finished: int
    seconds: float
    latency: Latency
    usage: Mapping[str, Usage] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return self.finished / self.seconds

    def cpu_us(self, part: str) -> float:
        """Microseconds of processor time of one part for one task."""
        return 1e6 * self.usage[part].cpu / self.finished if self.finished else math.nan


@dataclass(frozen=True, slots=True)
class Rounds:
    """Several rounds of the same; every figure is a median over them."""

    rounds: Sequence[Measured]

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return statistics.median(one.rate for one in self.rounds)

    def times(self, base: "Rounds", value: Callable[[Measured], float] = lambda one: one.rate) -> float:
        """How many times another's figure this one's is, the rate unless told otherwise: round by round.

        A machine that is now faster and now slower changes little between the two of one round.
        """
        pairs = zip(self.rounds, base.rounds, strict=True)
        return statistics.median(value(one) / value(other) for one, other in pairs)

    @property
    def latency(self) -> Latency:
        """Percentiles."""
        return Latency.median([one.latency for one in self.rounds])

    @property
    def parts(self) -> list[str]:
        """The parts whose use was taken."""
        return list(self.rounds[0].usage)

    def cpu_us(self, part: str) -> float:
        """Microseconds of processor time of one part for one task."""
        return statistics.median(one.cpu_us(part) for one in self.rounds)

    def memory(self, part: str) -> float:
        """Bytes of memory of one part."""
        return statistics.median(one.usage[part].memory for one in self.rounds)
