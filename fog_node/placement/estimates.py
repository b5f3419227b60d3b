"""How long tasks run, learned from those that have finished. No I/O, no clock."""

import math
from collections import deque
from collections.abc import Mapping

import msgspec

from broker.contract.topics import WEIGHTS, Weight
from fog_node.jobs.waits import Estimate
from fog_node.placement.policies.original import execution_time

PRIORS = {Weight.LIGHT: 0.01, Weight.MEDIUM: 0.5, Weight.HEAVY: 5.0}
"""Seconds that a task is assumed to run before one of its kind has finished. Any value is wrong; with 0 the
first hundred tasks would all seem to start at once."""

LATEST = 0.1
"""The share of the latest execution in the mean, from the tenth on: a task that has become slower is noticed
within some twenty executions, and one slow execution does not change the picture."""

MAX_KNOWN = 2_000
"""Execution times that are kept, by task, weight and place. The one updated longest ago goes first."""

HERE = ""
"""The place of what ran at this node."""


class _Row(msgspec.Struct, frozen=True):
    place: str
    weight: Weight
    task: str
    run: float
    variance: float
    seen: int


class _File(msgspec.Struct, frozen=True):
    rows: tuple[_Row, ...] = ()


_Key = tuple[str, Weight, str]


class Estimates:
    """Execution times by task, weight and the place that ran it."""

    def __init__(self) -> None:
        self._known: dict[_Key, _Row] = {}
        # What is asked for several times for each task, and changes once.
        self._estimates: dict[_Key, Estimate] = {}
        self._latest: dict[Weight, deque[float]] = {weight: deque(maxlen=3) for weight in WEIGHTS}
        self._original = dict.fromkeys(WEIGHTS, 0.0)

    def observe(self, weight: Weight, task: str, ran: float, *, place: str = HERE) -> None:
        """Learn from one execution of `ran` seconds."""
        if place == HERE:
            latest = self._latest[weight]
            latest.appendleft(ran)
            self._original[weight] = execution_time(latest)
        key = (place, weight, task)
        before = self._known.pop(key, None) or _Row(*key, run=ran, variance=0.0, seen=0)
        # An exponential mean and variance (Finch, 2009), plain averages until there are enough.
        share = max(LATEST, 1 / (before.seen + 1))
        error = ran - before.run
        run, variance = before.run + share * error, (1 - share) * (before.variance + share * error * error)
        self._keep(_Row(*key, run=run, variance=variance, seen=before.seen + 1))
        if len(self._known) > MAX_KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest], self._estimates[oldest]

    def of(self, weight: Weight, task: str, *, place: str = HERE, timeout: float = math.inf) -> Estimate:
        """How long a task runs at a place. If it never ran there, its time here counts, else a guess."""
        found = self._estimates.get((place, weight, task)) or self._estimates.get((HERE, weight, task))
        if found is None:
            guess = min(PRIORS[weight], timeout)
            found = Estimate(guess, guess / 2, 0)
        return found

    def original(self) -> Mapping[Weight, float]:
        """The original system's estimates: for each weight a weighted mean of its last three times here."""
        return self._original

    def typical_ms(self) -> dict[str, float]:
        """How long each task runs here, in milliseconds, to two significant digits so that it holds still.

        Of a task that ran under several weights the one seen most counts.
        """
        rows = sorted((row for row in self._known.values() if row.place == HERE), key=lambda row: row.seen)
        return {row.task: float(f"{1e3 * row.run:.2g}") for row in rows}

    def dump(self) -> bytes:
        """All that was learned, for the node's next start."""
        return msgspec.json.encode(_File(tuple(self._known.values())))

    def load(self, written: bytes) -> bool:
        """Take over what an earlier life wrote. False if it cannot be read; nothing changes then."""
        try:
            rows = msgspec.json.decode(written, type=_File).rows
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        for row in rows[-MAX_KNOWN:]:
            if _is_sound(row):
                self._keep(row)
        return True

    def _keep(self, row: _Row) -> None:
        key = (row.place, row.weight, row.task)
        self._known[key] = row
        self._estimates[key] = Estimate(row.run, math.sqrt(row.variance), row.seen)


def _is_sound(row: _Row) -> bool:
    numbers = (row.run, row.variance)
    return row.weight in WEIGHTS and row.seen > 0 and all(math.isfinite(n) and n >= 0 for n in numbers)
