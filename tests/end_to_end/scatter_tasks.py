"""Tasks done in parts that wait rather than compute, and that write down where each part ran."""

import os
import time
from pathlib import Path
from typing import Any

from weighbridge import task


def deal(arguments: dict[str, Any], parts: int) -> list[dict[str, Any]]:
    pieces = arguments["pieces"]
    return [{**arguments, "pieces": pieces[start::parts]} for start in range(min(parts, len(pieces)))]


@task(weight="medium", timeout=30, split=deal, merge=sum)
def add_slowly(pieces: list[int], seconds: float = 0.05) -> int:
    """Add numbers up, each in its time."""
    time.sleep(seconds * len(pieces))
    return sum(pieces)


@task(weight="medium", timeout=30, split=deal, merge=sum)
def fails_at(pieces: list[int], bad: int, notes: str, times: int = 1000) -> int:
    """Fail where `bad` is among the pieces, as often as `times`; each failure leaves a file in `notes`."""
    if bad in pieces:
        folder = Path(notes)
        if len(list(folder.iterdir())) < times:
            (folder / f"{time.time_ns()}-{os.getpid()}").touch()
            raise ValueError(f"{bad} cannot be added")
    return sum(pieces)


def refuses(_arguments: dict[str, Any], _parts: int) -> list[dict[str, Any]]:
    """A split that fails."""
    raise ValueError("these cannot be divided")


@task(weight="medium", split=refuses, merge=sum)
def undivided(pieces: list[int]) -> int:
    """Add numbers up."""
    return sum(pieces)
