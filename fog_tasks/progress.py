"""How a running task says how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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


@contextmanager
def reporting(reporter: Reporter) -> Iterator[None]:
    """Within this context, `progress` calls `reporter`."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)
