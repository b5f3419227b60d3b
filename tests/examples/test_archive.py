"""The archive example: a month of readings, whole or in parts, gives the same summary."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fog_tasks.declaration.splitting import MergeStep, SplitStep
from fog_tasks.loading import load

DAILY = load([str(Path(__file__).parents[2] / "examples/tasks/archive.py")])["daily"]


def archive(days: int) -> bytes:
    """A generated archive of a cold room: a reading a minute, a compressor's saw tooth and some noise."""
    chance, start = random.Random(1), datetime(2026, 11, 1, tzinfo=UTC)
    return "".join(
        f"{start + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%S},"
        f"{4 + minute % 40 / 20 + chance.gauss(0, 0.05):.2f}\n"
        for minute in range(days * 24 * 60)
    ).encode()


def summary(payload: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DAILY.run(*DAILY.read(payload)))
    return found


def test_each_day_is_summarised() -> None:
    found = summary(archive(30))
    assert [day["day"] for day in found] == [f"2026-11-{number:02}" for number in range(1, 31)]
    assert {day["readings"] for day in found} == {24 * 60}
    assert all(3.5 < day["lowest"] < day["mean"] < day["highest"] < 6.5 for day in found)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_in_parts_it_is_the_same(count: int) -> None:
    payload = archive(10)
    split, merge = SplitStep(DAILY), MergeStep(DAILY)
    parts = DAILY.split({"archive": payload}, count) if DAILY.split else []
    assert len(parts) == count
    assert b"".join(part["archive"] for part in parts) == payload
    values = [DAILY.run(*DAILY.read(part["archive"])) for part in parts]
    assert json.loads(merge.run(*merge.read(MergeStep.payload(values)))) == summary(payload)
    assert split.name == "daily/split"


def test_an_empty_archive_has_no_days() -> None:
    assert summary(b"") == []


def test_a_line_that_is_no_reading_is_named() -> None:
    with pytest.raises(ValueError, match=r"line 2, '2026-11-01T00:01:00,warm', is not TIME,READING"):
        summary(b"2026-11-01T00:00:00,4.1\n2026-11-01T00:01:00,warm\n")
