"""Rules that the clock starts: at every so many seconds, or by a crontab, which is Celery's."""

import asyncio
import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from celery.schedules import crontab

from fog_node.errors import RuleFault
from fog_node.rules.language.faults import about
from fog_node.rules.rule import Cron, Every, Rule
from fog_node.rules.rulebook import Rulebook

Moments = TypeVar("Moments", Every, Cron)


class Clockwork:
    """Calls `tick` with each rule whose moment has come. What comes while the node is away is skipped."""

    def __init__(self, rulebook: Rulebook, tick: Callable[[Rule], None]) -> None:
        self._rulebook = rulebook
        self._tick = tick
        self._due: dict[tuple[str, Every], float] = {}
        self._minute: datetime | None = None
        self._known: set[tuple[str, Cron]] = set()
        self._renewed = asyncio.Event()

    def renew(self) -> None:
        """Look at once which rules there are: they have changed."""
        self._renewed.set()

    async def run(self) -> NoReturn:
        """Serve until cancelled."""
        while True:
            self._renewed.clear()
            pause = self.beat(time.monotonic(), datetime.now().astimezone())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if math.isinf(pause) else pause):
                    await self._renewed.wait()

    def beat(self, now: float, wall: datetime) -> float:
        """Start what is due, at `now` by a clock that nobody sets and by local time; return how long to wait.

        A rule of so many seconds begins with a pause, one of a crontab with the next minute.
        """
        return min(self._beat_seconds(now), self._beat_minutes(wall))

    def _beat_seconds(self, now: float) -> float:
        rules = {(rule.name, every): rule for rule, every in self._moments(Every)}
        self._due = {key: self._due.get(key, now + key[1].seconds) for key in rules}
        for key, due in self._due.items():
            if now >= due:
                seconds = key[1].seconds
                # The next one that is still to come, in the same rhythm.
                self._due[key] = due + seconds * (math.floor((now - due) / seconds) + 1)
                self._tick(rules[key])
        return min(self._due.values(), default=math.inf) - now

    def _beat_minutes(self, wall: datetime) -> float:
        """Each minute is looked at when it comes: so a clock that is set skips some, and loops over none."""
        minute = wall.replace(second=0, microsecond=0)
        rules = {(rule.name, cron): rule for rule, cron in self._moments(Cron)}
        # One that is new was not there when this minute came.
        known, self._known = self._known, set(rules)
        if self._minute not in (None, minute):
            for key, rule in rules.items():
                if key in known and _means(_parsed(key[1].fields), minute):
                    self._tick(rule)
        self._minute = minute
        return 60.0 - (wall - minute).total_seconds() if rules else math.inf

    def _moments(self, kind: type[Moments]) -> Iterator[tuple[Rule, Moments]]:
        for rule in self._rulebook.timed:
            for trigger in rule.on:
                if isinstance(trigger, kind):
                    yield rule, trigger


def check_moments(rules: Iterable[Rule]) -> None:
    """Raises RuleFault for a crontab that is none."""
    for rule in rules:
        for trigger in rule.on:
            if isinstance(trigger, Cron):
                with about(rule.source, rule.name, "on"):
                    try:
                        _parsed(trigger.fields)
                    except ValueError as fault:
                        raise RuleFault(
                            f"{str(trigger)!r} is no crontab: it has five fields, minute hour day month"
                            ' weekday, as in "cron */5 8-18 * * mon-fri"'
                        ) from fault


@functools.cache
def _parsed(fields: str) -> crontab:
    minute, hour, day, month, weekday = fields.split()
    return crontab(minute, hour, weekday, day, month)


def _means(cron: Any, minute: datetime) -> bool:  # celery-types leaves out what it is made of
    return (
        minute.minute in cron.minute
        and minute.hour in cron.hour
        and minute.day in cron.day_of_month
        and minute.month in cron.month_of_year
        and minute.isoweekday() % 7 in cron.day_of_week
    )
