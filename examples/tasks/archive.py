"""A logger publishes its archive, a CSV of many days; a summary of each day comes back.

fog-node --tasks examples/tasks/archive.py --neighbour mqtt://hall:1883
mosquitto_pub -t fog/tasks/medium/daily/logger/1 -q 1 -f archive.csv

The node divides the archive among itself and its idle neighbours: `split` cuts it between lines, and `merge`
puts the days together that were cut in two.
"""

import csv
from dataclasses import asdict, dataclass
from typing import Any

from weighbridge import task


@dataclass
class Day:
    """The readings of one day."""

    day: str
    readings: int
    lowest: float
    highest: float
    total: float

    @property
    def mean(self) -> float:
        """The mean of the day."""
        return self.total / self.readings


def cut(arguments: dict[str, Any], parts: int) -> list[dict[str, Any]]:
    """Divide the lines among the parts, in their order."""
    lines = arguments["archive"].splitlines(keepends=True)
    size = -(-len(lines) // parts)
    chunks = [b"".join(lines[start : start + size]) for start in range(0, len(lines), size)]
    return [{"archive": chunk} for chunk in chunks or [b""]]


def put_together(results: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Add up what several parts have of the same day."""
    days: dict[str, Day] = {}
    for result in results:
        for one in result:
            _add(days, Day(one["day"], one["readings"], one["lowest"], one["highest"], one["total"]))
    return _shown(days)


@task(weight="medium", timeout=60, split=cut, merge=put_together)
def daily(archive: bytes) -> list[dict[str, Any]]:
    """Summarise a CSV of `2026-11-23T10:00:00,4.1` lines by the day."""
    days: dict[str, Day] = {}
    for number, row in enumerate(csv.reader(archive.decode().splitlines()), 1):
        try:
            stamp, text = row
            reading = float(text)
        except ValueError as fault:
            raise ValueError(f"line {number}, {','.join(row)!r}, is not TIME,READING") from fault
        _add(days, Day(stamp[:10], 1, reading, reading, reading))
    return _shown(days)


def _add(days: dict[str, Day], more: Day) -> None:
    day = days.setdefault(more.day, Day(more.day, 0, more.lowest, more.highest, 0.0))
    day.readings += more.readings
    day.lowest = min(day.lowest, more.lowest)
    day.highest = max(day.highest, more.highest)
    day.total += more.total


def _shown(days: dict[str, Day]) -> list[dict[str, Any]]:
    return [
        {**asdict(day), "total": round(day.total, 6), "mean": round(day.mean, 3)}
        for _, day in sorted(days.items())
    ]
