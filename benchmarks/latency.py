"""Round trips at fixed rates, counted from the moment at which each task was due (open loop).

A task that is due is sent whatever was answered, so a pause of the one measured counts for all who come in
it. The rates are parts of what the node with the embedded broker does at most with 64 outstanding in the same
round, and they are the same for all. Idle is one task at a time, in the same round.
"""

import statistics
from dataclasses import dataclass, field

from benchmarks.load.measured import Measured, Rounds
from benchmarks.progress import progress
from benchmarks.report import Bound, Effort, Lines, Report, Table, Target
from benchmarks.throughput import CONTESTANTS, ECHO, EMBEDDED, HAND_WIRED, MOSQUITTO, WARM_UP

PARTS = (0.1, 0.25, 0.5, 0.75)
NAMES = (EMBEDDED, MOSQUITTO, HAND_WIRED)
OVERLOADED = 0.9
"""Who needs longer than this allows to answer what came within a window could not keep the rate."""

P99_TARGET = 5.0
"""p99 at half of the maximum rate may be this many times the idle p50."""


@dataclass(slots=True)
class Found:
    """The rounds of each contestant: at most, idle, and at each part of the maximum rate."""

    most: dict[str, list[Measured]] = field(default_factory=dict)
    idle: dict[str, list[Measured]] = field(default_factory=dict)
    at: dict[tuple[str, float], list[Measured]] = field(default_factory=dict)


async def find(effort: Effort) -> Found:
    """Run all rounds; the embedded broker comes first in each, since its maximum sets the rates."""
    found = Found()
    with progress("latency", effort.rounds * len(NAMES)) as begin:
        for _ in range(effort.rounds):
            for name in NAMES:
                begin(name)
                async with CONTESTANTS[name]() as driver:
                    await driver.closed(ECHO, outstanding=8, seconds=WARM_UP)
                    most = await driver.closed(ECHO, outstanding=64, seconds=effort.seconds)
                    found.most.setdefault(name, []).append(most)
                    idle = await driver.closed(ECHO, outstanding=1, seconds=effort.seconds)
                    found.idle.setdefault(name, []).append(idle)
                    reference = found.most[EMBEDDED][-1].rate
                    for part in PARTS:
                        # A rate beyond its own maximum would only measure how long it was offered.
                        if part * reference < OVERLOADED * most.rate:
                            rate = part * reference
                            one = await driver.open(ECHO, rate=rate, seconds=2 * effort.seconds)
                            found.at.setdefault((name, part), []).append(one)
    return found


async def measure(effort: Effort) -> Report:
    """Compare the node with the hand-wired pipeline, idle and at fixed rates."""
    found = await find(effort)
    idle = {name: Rounds(rounds) for name, rounds in found.idle.items()}
    tails = [half.latency.p99 for half in found.at[EMBEDDED, 0.5]]
    tail = statistics.median(
        p99 / one.latency.p50 for p99, one in zip(tails, found.idle[EMBEDDED], strict=True)
    )
    targets = [
        Target(
            f"idle p50, {name}, times hand-wired",
            idle[name].times(idle[HAND_WIRED], lambda one: one.latency.p50),
            Bound.AT_MOST,
            1.0,
        )
        for name in (EMBEDDED, MOSQUITTO)
    ]
    targets.append(
        Target(
            "p99 at half of the maximum rate, times idle p50, embedded broker",
            tail,
            Bound.AT_MOST,
            P99_TARGET,
        )
    )
    reference = statistics.median(one.rate for one in found.most[EMBEDDED])
    return Report(
        name="latency",
        tables=[_table(found, reference)],
        targets=targets,
        pictures=[_picture(found, reference)],
    )


def _table(found: Found, reference: float) -> Table:
    rows = []
    for name in NAMES:
        rows.append((name, "idle", _told(found.idle[name])))
        for part in PARTS:
            rounds = found.at.get((name, part))
            told = "more than it can take" if rounds is None else _told(rounds)
            rows.append((name, f"{part:.0%}, {part * reference:,.0f}/s", told))
    heading = f"Round trip of echo at fixed rates; 100% is {reference:,.0f} tasks a second"
    return Table(heading, ("", "rate", "p50 / p95 / p99, ms"), rows)


def _told(rounds: list[Measured]) -> str:
    latency = Rounds(rounds).latency
    return f"{latency.p50:.2f} / {latency.p95:.2f} / {latency.p99:.2f}"


def _picture(found: Found, reference: float) -> Lines:
    series = {
        name: [
            (part * reference, Rounds(found.at[name, part]).latency.p99)
            for part in PARTS
            if (name, part) in found.at
        ]
        for name in NAMES
    }
    return Lines(
        name="latency",
        title="The slowest of a hundred: p99 in milliseconds (echo, open loop)",
        x="tasks a second",
        y="",
        series={name: points for name, points in series.items() if points},
        log_y=True,
    )
