"""Percentiles of round trips, and their medians over rounds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed (nearest rank); of nothing, not a number."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of some round trips, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        """Summarise round trips given in seconds."""
        ordered = sorted(seconds)
        return cls(*(1e3 * percentile(ordered, percent) for percent in (50, 95, 99)))

    @classmethod
    def median(cls, rounds: Sequence["Latency"]) -> "Latency":
        """The median of each percentile over some rounds."""
        return cls(
            *(statistics.median(getattr(one, name) for one in rounds) for name in ("p50", "p95", "p99"))
        )
