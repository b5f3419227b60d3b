"""The tasks that every node has."""

import time
from typing import Annotated, Any

from msgspec import Meta

from fog_tasks.declaration.task import task
from fog_tasks.progress import progress

Exponent = Annotated[int, Meta(ge=0, le=10_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]

_BASE = 3_523_523_523
_STEPS = 10


@task
def echo(*values: Any, **named: Any) -> Any:
    """Return the payload."""
    if named:
        return named
    match values:
        case ():
            return None
        case (value,):
            return value
        case _:
            return list(values)


@task(name="sum")
def total(*numbers: int | float) -> int | float:
    """Add numbers."""
    return sum(numbers)


@task(weight="medium", timeout=3601)
def sleep(seconds: Seconds) -> float:
    """Wait without using the processor, and tell how far it is."""
    for step in range(_STEPS):
        time.sleep(seconds / _STEPS)
        progress(100 * (step + 1) / _STEPS)
    return seconds


# The bodies of the 2018 original's three tasks, with its own numbers as defaults.


@task(weight="light")
def light_power(n: Exponent = 3_423) -> int:
    """Raise a large number to the power n, modulo 4: about 1 ms of computing by default."""
    return _power(n)


@task(weight="medium")
def medium_power(n: Exponent = 342_323) -> int:
    """Raise a large number to the power n, modulo 4: about 1 s of computing by default."""
    return _power(n)


@task(weight="heavy")
def heavy_power(n: Exponent = 442_323) -> int:
    """Raise a large number to the power n, modulo 4: about 2 s of computing by default."""
    return _power(n)


def _power(n: int) -> int:
    # Not pow(base, n, 4), which would take no time: the computing is the point.
    power: int = pow(_BASE, n) % 4
    return power
