"""Limits for one task in the process that runs it: its time, and its processor time."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from celery.exceptions import SoftTimeLimitExceeded

REMINDER = 1.0
"""Seconds of further processor time after which a task that has caught the error is interrupted again."""


class ProcessorTimeExceeded(Exception):
    """Raised inside a task that has used more processor time than it may."""


def limits(seconds: float | None, *processor_seconds: float | None) -> AbstractContextManager[None]:
    """Limit the code inside the context. None is no limit; of several processor times the least counts."""
    given = [one for one in processor_seconds if one is not None]
    if not given:
        return nullcontext() if seconds is None else time_limit(seconds)
    processor = processor_limit(min(given))
    if seconds is None:
        return processor
    return _both(time_limit(seconds), processor)


def time_limit(seconds: float) -> AbstractContextManager[None]:
    """Raise SoftTimeLimitExceeded inside after some seconds, as Celery does for a whole message."""
    return _Alarm(signal.SIGALRM, signal.ITIMER_REAL, seconds, 0.0, partial(SoftTimeLimitExceeded, seconds))


def processor_limit(seconds: float) -> AbstractContextManager[None]:
    """Raise ProcessorTimeExceeded inside once this process has used so many seconds.

    All its threads count. Code that does not return to Python, as in a C library, is not interrupted: only
    the time limit of its message ends it.
    """
    fault = partial(ProcessorTimeExceeded, f"it used more than {seconds:g} s of processor time")
    return _Alarm(signal.SIGPROF, signal.ITIMER_PROF, seconds, REMINDER, fault)


class _Alarm(AbstractContextManager[None]):
    """A timer whose signal raises inside the block, and every `again` seconds (0: once).

    Not a generator as `_both` is: every task pays for it.
    """

    __slots__ = ("_again", "_before", "_fault", "_seconds", "_signal", "_timer")

    def __init__(
        self,
        number: signal.Signals,
        timer: int,
        seconds: float,
        again: float,
        fault: Callable[[], Exception],
    ) -> None:
        self._signal = number
        self._timer = timer
        self._seconds = seconds
        self._again = again
        self._fault = fault
        self._before: Any = signal.SIG_DFL

    def __enter__(self) -> None:
        self._before = signal.signal(self._signal, self._interrupt)
        signal.setitimer(self._timer, self._seconds, self._again)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(self._timer, 0)
        signal.signal(self._signal, self._before)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> NoReturn:
        raise self._fault()


@contextmanager
def _both(first: AbstractContextManager[None], second: AbstractContextManager[None]) -> Iterator[None]:
    with first, second:
        yield
