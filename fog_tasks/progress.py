"""How a running task says how far it is."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeGuard

PROGRESS_INTERVAL = 0.1
"""Seconds between two percentages of one task that are sent; 100 is always sent."""

Reporter = Callable[[float], None]

_reporter: ContextVar[Reporter | None] = ContextVar("progress reporter", default=None)


def progress(percent: float) -> None:
    """Tell the device that the running task has come this far, 0 to 100.

    It is sent at most ten times a second; 100 is always sent. Outside a worker nothing happens, so that a
    task can be called and tested as a plain function. Nor does anything in threads that the task starts.
    """
    reporter = _reporter.get()
    if reporter is not None:
        reporter(min(100.0, max(0.0, float(percent))))


def percent_in(meta: object) -> float | None:
    """How far a task is by what Celery's `update_state` is told: `percent`, or `current` of `total`."""
    if not isinstance(meta, Mapping):
        return None
    percent, current, total = map(meta.get, ("percent", "current", "total"))
    if not _is_number(percent) and _is_number(current) and _is_number(total) and total:
        percent = 100 * current / total
    return percent if _is_number(percent) else None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@contextmanager
def reporting(reporter: Reporter) -> Iterator[None]:
    """Within this context, `progress` calls `reporter`."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)
