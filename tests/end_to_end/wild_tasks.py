"""Tasks that behave as badly as tasks can."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from weighbridge import progress, task


@task
def raising(word: str) -> None:
    """Raise an error."""
    raise ValueError(word)


class Unspeakable(Exception):
    """An error that cannot even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@task
def unspeakable() -> None:
    """Raise an error that cannot be told."""
    raise Unspeakable


@task
def leaving(status: int = 3) -> None:
    """Leave the program."""
    sys.exit(status)


@task
def dying() -> None:
    """Kill the process that runs it."""
    os.kill(os.getpid(), 9)


@task
def patient(stop: str) -> bool:
    """Wait until a file is there."""
    while not Path(stop).exists():
        time.sleep(0.01)
    return True


@task
def obsessed(stop: str) -> bool:
    """Wait until a file is there, deaf to all signals meanwhile."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        return patient(stop)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())


@task
def returning_an_object() -> Any:
    """Return what is not JSON."""
    return object()


@task
def not_a_number() -> Any:
    """Return, deep inside, what is no number in JSON."""
    return {"a": [None, float("nan")]}


@task(timeout=0.3)
def looping() -> None:
    """Run past the time limit."""
    while True:
        time.sleep(0.01)


@task(timeout=20, cpu=0.2)
def burning() -> None:
    """Use more processor time than it may, long before its time is up."""
    while True:
        pass


@task
def hungry() -> int:
    """Ask for more memory than its process may have."""
    return len(bytearray(4 << 30))


@task(timeout=0.3)
def stubborn() -> None:
    """Run past the time limit and ignore being told so."""
    while True:
        try:
            time.sleep(10)
        except Exception:  # noqa: BLE001  # this is what makes it stubborn
            continue


@task
def shout(text: str, times: int = 1) -> str:
    """Repeat a text in capitals."""
    return text.upper() * times


@task
def length(data: bytes) -> int:
    """Count the bytes of a raw payload."""
    return len(data)


@task(weight="medium")
def halves() -> str:
    """Report that half is done, then all."""
    progress(50)
    time.sleep(0.15)
    progress(100)
    return "done"
