"""How long a job waits for a slot: the one formula by which a node announces, answers and decides. Pure."""

import math
from collections.abc import Iterable

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
        spread = min(self.spread, WIDEST * self.run) if self.seen > 1 else self.run
        return self.run * self.run + spread * spread


class Work:
    """Seconds of work of several jobs, and what a running one of them still takes on average."""

    __slots__ = ("_squares", "jobs", "seconds")

    def __init__(self, kinds: Iterable[tuple[Estimate, int]] = ()) -> None:
        self.jobs, self.seconds, self._squares = 0, 0.0, 0.0
        for estimate, count in kinds:
            self.jobs += count
            self.seconds += count * estimate.run
            self._squares += count * estimate.square

    @property
    def mean(self) -> float:
        """Seconds of one job."""
        return self.seconds / self.jobs if self.jobs else 0.0

    @property
    def left(self) -> float:
        """Seconds that one of them, seen at any moment of its run, still takes (Pollaczek and Khinchine).

        That is half its time if it is always the same, and all of it if it is exponential.
        """
        return self._squares / (2 * self.seconds) if self.seconds else 0.0


def expected_wait(slots: int, waiting: Work, running: Work | None = None) -> float:
    """Seconds until a slot is free for one more job.

    `running` are jobs of which it is known that they are in a slot; those in the other slots are of the same
    mix as `waiting`, and among these. Exact for exponential times at any number of slots, and for any times
    at one; a few per cent too long for constant times at many. Without slots it is infinite.
    """
    if slots < 1:
        return math.inf
    begun = running or Work()
    others = slots - begun.jobs
    ahead = waiting.jobs - others
    if ahead < 0:
        return 0.0
    left = begun.jobs * begun.left + max(0, others) * waiting.left
    return (ahead * waiting.mean + left / max(slots, begun.jobs)) / slots
