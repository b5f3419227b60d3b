"""A Celery application that knows nothing of nodes: its own workers run these tasks."""

import datetime as dt
import os
import time
from pathlib import Path
from typing import Any

import celery
from celery.exceptions import Ignore

app = celery.Celery("door_tasks")


class LineBusy(Exception):
    """What the application tries again by itself."""


@app.task
def price(pounds: int, pence: int = 0) -> str:
    """Write a price."""
    return f"£{pounds}.{pence:02}"


@app.task(bind=True, autoretry_for=(LineBusy,), default_retry_delay=0)
def ring(self: Any, times: int) -> int:
    """Get through after so many attempts."""
    if self.request.retries < times:
        raise LineBusy
    return int(self.request.retries)


@app.task(bind=True)
def pack(self: Any, parcels: int) -> str:
    """Pack, and say how far it is."""
    for number in range(1, parcels + 1):
        self.update_state(state="PACKING", meta={"current": number, "total": parcels})
        time.sleep(0.15)
    return "packed"


@app.task
def weigh(grams: int) -> None:
    """Fail."""
    raise ValueError(f"{grams} g is too heavy")


@app.task
def wait_for(name: str, seconds: float = 60.0) -> str:
    """Note that it has begun, and wait until a file says that it may end."""
    folder = Path(os.environ["DOOR_TESTS"])
    with (folder / f"{name}.begun").open("a") as begun:
        begun.write("x")
    give_up = time.monotonic() + seconds
    while not (folder / f"{name}.go").exists():
        if time.monotonic() > give_up:
            raise TimeoutError(name)
        time.sleep(0.02)
    return name


@app.task
def weekday(day: dt.date) -> str:
    """Take what JSON has no type for."""
    return f"{type(day).__name__} {day:%A}"


@app.task
def measure(picture: bytes) -> int:
    """Take the payload as it is."""
    return len(picture)


@app.task
def largest(numbers: list[int]) -> int:
    """Take whatever is annotated as JSON has it."""
    return max(numbers)


@app.task
def fill(size: int) -> str:
    """Return a long text."""
    return size * "x"


@app.task(bind=True)
def give_up(self: Any, reason: str) -> None:
    """Say that it failed in words of its own, as many do, which no Celery client can read."""
    self.update_state(state="FAILURE", meta={"reason": reason})
    raise Ignore


@app.task(ignore_result=True)
def sweep() -> None:
    """What nobody would hear of."""
