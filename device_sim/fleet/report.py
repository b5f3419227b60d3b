"""Counts how a fleet's tasks end, and sums them up for each weight. No I/O, no clock.

Response times count from the moment when a task was due, not when it could be sent: otherwise a slow node
would look better by slowing down its senders (coordinated omission). Percentiles are nearest-rank: p95 is the
smallest response time that at least 95 % of the done tasks did not exceed.
"""

import math
from array import array
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from broker.contract.messages import Outcome, TaskError
from broker.contract.topics import Weight

RECENT = 500
"""Response times in the live view, which sorts them several times a second: all of them would be too many."""

UNREADABLE, REFUSED = "unreadable", "refused"
"""Counted like error codes: an answer that is no outcome, and a task that the broker did not take."""


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile of sorted numbers; None of none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightReport:
    """One weight. Always sent = done + failed + lost + open.

    `in_time` compares the response time with the requirement. `in_time_original` compares the waiting
    (response - execution), as the original system did. Both count done tasks; their shares are of all sent
    tasks. Times are in milliseconds, of done tasks; None if there were none.
    """

    requirement_ms: float
    sent: int
    answered: int
    done: int
    failed: dict[str, int]
    lost: int
    open: int
    in_time: int
    in_time_original: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    ran_at: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReport:
    """The whole run. `send_lag_p99_ms` tells how late the simulator itself was in sending."""

    nodes: tuple[str, ...]
    devices: int
    seconds: float
    seed: int
    pace: str
    interrupted: bool
    send_lag_p99_ms: float | None
    weights: dict[str, WeightReport]

    @property
    def lost(self) -> int:
        """How many tasks were sent and never answered."""
        return sum(one.lost for one in self.weights.values())


@dataclass(slots=True)
class Tally:
    """Counts the tasks of one weight; `requirement` is in seconds, as all arguments are."""

    requirement: float
    sent: int = 0
    done: int = 0
    lost: int = 0
    in_time: int = 0
    in_time_original: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    ran_at: Counter[str] = field(default_factory=Counter)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _responses: "array[float]" = field(default_factory=lambda: array("d"))

    @property
    def answered(self) -> int:
        """How many came back, done or failed."""
        return self.done + self.failed.total()

    @property
    def open(self) -> int:
        """How many are still on their way."""
        return self.sent - self.answered - self.lost

    def add_sent(self) -> None:
        """Count a task as sent; one of the other methods counts its end."""
        self.sent += 1

    def add_outcome(self, outcome: Outcome, response: float) -> None:
        """Count an answer that came `response` seconds after its task was due."""
        if isinstance(outcome.error, TaskError):
            self.failed[outcome.error.code] += 1
            return
        self.done += 1
        self.in_time += response <= self.requirement
        self.in_time_original += response - outcome.ran_ms / 1000 <= self.requirement
        self.ran_at[outcome.route[0] if outcome.route else outcome.node] += 1
        self._responses.append(response)
        self.recent.append(response)

    def add_unreadable(self) -> None:
        """Count an answer that is no outcome."""
        self.failed[UNREADABLE] += 1

    def add_refused(self) -> None:
        """Count a task that the broker did not take, for reasons of its own."""
        self.failed[REFUSED] += 1

    def add_lost(self) -> None:
        """Count a task as never answered."""
        self.lost += 1

    def report(self) -> WeightReport:
        """Sum up what was counted so far."""
        ordered = sorted(self._responses)
        return WeightReport(
            requirement_ms=self.requirement * 1000,
            sent=self.sent,
            answered=self.answered,
            done=self.done,
            failed=dict(self.failed.most_common()),
            lost=self.lost,
            open=self.open,
            in_time=self.in_time,
            in_time_original=self.in_time_original,
            mean_ms=_milliseconds(math.fsum(ordered) / len(ordered) if ordered else None),
            p50_ms=_milliseconds(percentile(ordered, 50)),
            p95_ms=_milliseconds(percentile(ordered, 95)),
            p99_ms=_milliseconds(percentile(ordered, 99)),
            ran_at=dict(self.ran_at.most_common()),
        )


Tallies = Mapping[Weight, Tally]


def loss_sentence(report: FleetReport) -> str:
    """Say which tasks were lost."""
    parts = ", ".join(f"{one.lost} {weight}" for weight, one in report.weights.items() if one.lost)
    sent = sum(one.sent for one in report.weights.values())
    return f"{report.lost} of {sent} tasks were sent and never answered: {parts}."


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
