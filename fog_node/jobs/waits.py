"""How long a job waits for a slot: the one formula by which a node announces, answers and decides. Pure."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

WIDEST = 4.0
"""The highest ratio of spread to mean that counts: one freak execution is no reason to expect hours."""


class Estimate(msgspec.Struct, frozen=True):
    """How long a task is thought to run, in seconds, give or take `spread`; 0 `seen` is a guess."""

    run: float
    spread: float
    seen: int

    @property
    def square(self) -> float:
        """The mean of the squared execution time. Too few executions are taken for exponential."""
        run, spread = self.run, self.spread
        if self.seen < 2:
            spread = run
        elif spread > WIDEST * run:
            spread = WIDEST * run
        return run * run + spread * spread


class Queue(NamedTuple):
    """The jobs of one weight that have no outcome, how many run at once, and how long one more would wait."""

    jobs: int
    slots: int
    wait: float


Kinds = Iterable[tuple[Estimate, int]]
"""Jobs: how long those of one kind run, and how many there are."""


def expected_wait(slots: int, waiting: Kinds, running: Kinds = ()) -> float:
    """Seconds until a slot is free for one more job.

    `running` are jobs of which it is known that they are in a slot; the other slots hold jobs of `waiting`.
    What a running job still takes is half of its time if that is always the same, and all of it if it is
    exponential (Pollaczek and Khinchine). Exact for exponential times at any number of slots, and for all
    times at one; a few per cent too short for constant times at many. Without slots it is infinite.
    """
    if slots < 1:
        return math.inf
    begun, begun_seconds, begun_squares = _sums(running)
    jobs, seconds, squares = _sums(waiting)
    others = max(0, slots - begun)
    if jobs < others:
        return 0.0
    left = begun * begun_squares / (2 * begun_seconds) if begun_seconds else 0.0
    ahead = 0.0
    if seconds:
        left += others * squares / (2 * seconds)
        ahead = (jobs - others) * seconds / jobs
    return (ahead + left / max(slots, begun)) / slots


def _sums(kinds: Kinds) -> tuple[int, float, float]:
    jobs, seconds, squares = 0, 0.0, 0.0
    for estimate, count in kinds:
        jobs += count
        seconds += count * estimate.run
        squares += count * estimate.square
    return jobs, seconds, squares
