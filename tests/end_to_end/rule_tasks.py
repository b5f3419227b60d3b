"""Three tasks of three weights that a chain of rules leads through, and one that takes its time."""

import os
import time

from weighbridge import task


@task(on="cam/{name}/moved")
def shout(name: str) -> str:
    """Say that something moved: by the rule that comes with the task."""
    return f"{name} moved"


@task
def look(name: str, size: int, slow: str = "") -> dict[str, object]:
    """See something."""
    return {"name": name, "seen": size, "slow": slow}


@task(weight="medium")
def detect(name: str, seen: int, slow: str = "") -> dict[str, object]:
    """Say what it is; wait while the file `slow` is there."""
    while slow and os.path.exists(slow):  # noqa: PTH110
        time.sleep(0.02)
    return {"name": name, "what": "cat" if seen > 1 else "mouse"}


@task(weight="heavy")
def describe(name: str, what: str) -> str:
    """Say it in words."""
    return f"a {what} at {name}"
