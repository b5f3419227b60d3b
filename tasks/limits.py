"""Limits of one task inside the process that runs it: the time it takes, and the processor time it uses."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

REMINDER = 1.0
"""Seconds of further processor time after which a task that took no notice is told again."""


class ProcessorTimeExceeded(Exception):
    """Raised inside a task that has used more processor time than it may."""


@contextmanager
def limits(seconds: float | None, *processor_seconds: float | None) -> Iterator[None]:
    """Limit what runs inside; None is no limit, and of several limits of processor time the least counts."""
    with ExitStack() as stack:
        if seconds is not None:
            stack.enter_context(time_limit(seconds))
        given = [one for one in processor_seconds if one is not None]
        if given:
            stack.enter_context(processor_limit(min(given)))
        yield


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise SoftTimeLimitExceeded inside after some seconds, as Celery does for a message as a whole."""

    def interrupt(*_: Any) -> None:
        raise SoftTimeLimitExceeded(seconds)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def processor_limit(seconds: float) -> Iterator[None]:
    """Raise ProcessorTimeExceeded inside once this process has used so many seconds.

    All its threads count. Code that does not come back to Python is not interrupted: only the time limit of
    its message ends it.
    """

    def interrupt(*_: Any) -> None:
        raise ProcessorTimeExceeded(f"it used more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, seconds, REMINDER)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
