"""A task in parts that waits rather than computes, and the same one undivided."""

import time
from typing import Any

from weighbridge import task


def deal(arguments: dict[str, Any], parts: int) -> list[dict[str, Any]]:
    """Divide the pieces among the parts as one deals cards."""
    pieces = arguments["pieces"]
    return [{**arguments, "pieces": pieces[start::parts]} for start in range(min(parts, len(pieces)))]


@task(weight="medium", timeout=60, split=deal, merge=sum)
def in_parts(pieces: list[int], seconds: float) -> int:
    """Add numbers up, each in its time."""
    time.sleep(seconds * len(pieces))
    return sum(pieces)


@task(weight="medium", timeout=60)
def whole(pieces: list[int], seconds: float) -> int:
    """Add numbers up, each in its time."""
    time.sleep(seconds * len(pieces))
    return sum(pieces)
