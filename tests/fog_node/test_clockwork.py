"""Rules that the clock starts, by a clock that the test sets."""

import asyncio
import contextlib
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fog_node.clockwork import Clockwork, check_moments
from fog_node.errors import RuleFault
from fog_node.rules.reading import read_rules
from fog_node.rules.rule import Rule
from fog_node.rules.rulebook import Rulebook
from fog_tasks.builtin import echo
from tests.support.eventually import eventually

NOON = datetime(2024, 7, 31, 12, 0, tzinfo=UTC)


def rules(*on: str) -> list[Rule]:
    written = [{"name": f"r{number}", "on": one, "task": "echo"} for number, one in enumerate(on)]
    return read_rules(written, source="rules.toml")


def rulebook(*on: str) -> Rulebook:
    return Rulebook(rules(*on), {"echo": echo})


class Clock:
    """A clockwork, and what it has started."""

    def __init__(self, *on: str) -> None:
        self.rulebook = rulebook(*on)
        self.started: list[str] = []
        self.work = Clockwork(self.rulebook, lambda rule: self.started.append(rule.name))

    def at(self, now: float, wall: datetime = NOON) -> Sequence[str]:
        """What is started at a moment."""
        self.started.clear()
        self.pause = self.work.beat(now, wall)
        return tuple(self.started)


def test_a_rule_of_seconds_begins_with_a_pause_and_keeps_its_rhythm() -> None:
    clock = Clock("every 10s", "every 3s", "t/+")
    assert (clock.at(100.0), clock.pause) == ((), 3.0)
    assert (clock.at(103.5), clock.pause) == (("r1",), 2.5)
    assert (clock.at(110.0), clock.pause) == (("r0", "r1"), 2.0)


def test_what_came_while_nobody_looked_is_skipped() -> None:
    clock = Clock("every 10s")
    clock.at(0.0)
    assert (clock.at(47.0), clock.pause) == (("r0",), 3.0)


def test_without_rules_for_it_the_clock_waits_for_ever() -> None:
    clock = Clock("t/+")
    assert (clock.at(0.0), clock.pause) == ((), math.inf)


def test_a_crontab_means_minutes_of_local_time_once_each() -> None:
    clock = Clock("cron */5 * * * *", "cron 2 12 31 7 wed", "cron 2 12 * * 0")
    assert clock.at(0.0, NOON + timedelta(seconds=1.5)) == ()
    assert clock.pause == 58.5
    started = {}
    for second in range(60, 60 * 6, 20):
        if found := clock.at(second, NOON + timedelta(seconds=second)):
            started[second] = found
    assert started == {120: ("r1",), 300: ("r0",)}


def test_minutes_that_a_clock_was_set_over_are_skipped_and_none_comes_twice_for_it() -> None:
    clock = Clock("cron */5 * * * *")
    clock.at(0.0, NOON)
    assert clock.at(1.0, NOON + timedelta(hours=3, minutes=1)) == ()
    assert clock.at(2.0, NOON + timedelta(hours=3, minutes=5)) == ("r0",)
    assert clock.at(3.0, NOON + timedelta(hours=3, minutes=5, seconds=50)) == ()


def test_a_crontab_that_comes_while_the_clock_runs_begins_with_the_next_minute() -> None:
    clock = Clock("every 10s")
    clock.at(0.0)
    clock.rulebook.replace(rulebook("cron * * * * *"))
    assert clock.at(150.0, NOON + timedelta(seconds=150)) == ()
    assert (clock.at(180.0, NOON + timedelta(seconds=180)), clock.pause) == (("r0",), 60.0)


def test_an_hour_that_comes_twice_in_autumn_has_its_minutes_twice() -> None:
    clock, berlin = Clock("cron 30 * * * *"), ZoneInfo("Europe/Berlin")
    before = datetime(2024, 10, 27, 0, 0, tzinfo=UTC)
    hits = [
        wall.hour
        for minutes in range(4 * 60)
        if clock.at(minutes, wall := (before + timedelta(minutes=minutes)).astimezone(berlin))
    ]
    assert hits == [2, 2, 3, 4]


@pytest.mark.parametrize("fields", ["61 * * * *", "a * * * *", "*/0 * * * *", "0 0 31 2 *", "* * * * 8"])
def test_what_is_no_crontab_is_refused_with_its_rule(fields: str) -> None:
    with pytest.raises(RuleFault, match=r"rules.toml: rule 'r1': on: 'cron .*' is no crontab: "):
        check_moments(rules("every 1s", f"cron {fields}"))


async def test_rules_that_came_while_it_runs_are_taken_note_of() -> None:
    clock = Clock()
    running = asyncio.create_task(clock.work.run())
    try:
        await asyncio.sleep(0)
        clock.rulebook.replace(rulebook("every 10ms"))
        clock.work.renew()
        await eventually(lambda: len(clock.started) > 2)
        clock.rulebook.replace(Rulebook([], {}))
        clock.work.renew()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
