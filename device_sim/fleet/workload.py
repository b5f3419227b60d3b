"""What a fleet sends, and when: a schedule that follows from a seed. No I/O, no clock."""

import enum
import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from broker.contract.topics import Weight


class Pace(enum.StrEnum):
    """How one device spaces the tasks of one stream.

    REGULAR: evenly, from a random moment on, like a sensor with a timer. POISSON: independently of each
    other, like people, so that bursts occur.
    """

    REGULAR = "regular"
    POISSON = "poisson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One kind of task that every device sends; `requirement` is the time, in seconds, it may take."""

    weight: Weight
    task: str
    payload: Any = None
    per_minute: float
    requirement: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """One task that is due `at` seconds after the start, at the device of that number."""

    at: float
    device: int
    stream: Stream


REQUIREMENTS = {Weight.LIGHT: 0.2, Weight.MEDIUM: 2.0, Weight.HEAVY: 5.0}
"""The original's time requirement of each weight, in seconds."""

TASKS = {Weight.LIGHT: "light_power", Weight.MEDIUM: "medium_power", Weight.HEAVY: "heavy_power"}
"""The original's body of each weight; without arguments they do the original's amount of work."""


def arrivals(
    streams: Sequence[Stream], *, devices: int, seconds: float, seed: int, pace: Pace = Pace.REGULAR
) -> Iterator[Arrival]:
    """Give every task of a fleet in the order of time; the same seed gives the same schedule.

    Each device and stream has its own random source: another device or stream does not change the times of
    the others.
    """
    sources = (
        _one_source(stream, device, seconds, _random(seed, device, stream), pace)
        for stream in streams
        if stream.per_minute > 0
        for device in range(devices)
    )
    return heapq.merge(*sources, key=lambda arrival: arrival.at)


def _random(seed: int, device: int, stream: Stream) -> Random:
    return Random(f"{seed}/{device}/{stream.weight}/{stream.task}")  # noqa: S311


def _one_source(stream: Stream, device: int, seconds: float, random: Random, pace: Pace) -> Iterator[Arrival]:
    for at in itertools.takewhile(lambda at: at < seconds, _times(60.0 / stream.per_minute, random, pace)):
        yield Arrival(at, device, stream)


def _times(period: float, random: Random, pace: Pace) -> Iterator[float]:
    match pace:
        case Pace.REGULAR:
            start = random.uniform(0.0, period)
            # Multiplied, because the rounding errors of a sum would make a long schedule drift.
            return (start + number * period for number in itertools.count())
        case Pace.POISSON:
            return itertools.accumulate(random.expovariate(1.0 / period) for _ in itertools.count())
