"""How a worker ends: when its node says so.

A service manager that stops a node sends SIGTERM to every process of it, at once. The node then lets what
runs finish, for which it needs its workers. So they only note such a signal; STOP is the node's own.

A worker's child that alone is told to end does so, and what it ran runs again. So does a task that fails
after all were told to end: a program that it had started may have ended of it.
"""

import math
import os
import signal
import time
from multiprocessing.sharedctypes import RawValue
from types import FrameType

STOP = signal.SIGUSR2
"""By which a node tells a worker to finish what it runs, and to end."""

_ENDINGS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

ALONE_AFTER = 0.5
"""Seconds for which a child that is told to end waits for its worker to be told so too. A service manager
takes milliseconds for all of them."""

TOLD_FOR = 10.0
"""Seconds for which a task that fails may have failed because all programs were told to end. Later on it has
failed by itself, though its worker goes on: it may have been told alone, by mistake."""

LOOK_INTERVAL = 0.01


class Stopping:
    """What the signals do in one worker and its children. Made before the worker forks."""

    def __init__(self) -> None:
        # When the worker was told last. In memory that its children share.
        self._told_at = RawValue("d", -math.inf)

    def guard_worker(self) -> None:
        """Once Celery is up: let STOP do what SIGTERM did until now, and only note SIGTERM and the like.

        A second call does nothing.
        """
        stop = signal.getsignal(signal.SIGTERM)
        if stop == self._note:
            return
        signal.signal(STOP, stop)
        for number in (*_ENDINGS, signal.SIGINT):
            signal.signal(number, self._note)
        _unblock()

    def guard_child(self) -> None:
        """Let a child that alone is told to end die at once, and report nothing."""

        def told(number: int, _frame: FrameType | None) -> None:
            if self._worker_told(ALONE_AFTER):
                return
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        for number in _ENDINGS:
            signal.signal(number, told)
        _unblock()

    def die_if_told(self) -> None:
        """End this child, which then has answered nothing, if its worker was told to end from elsewhere."""
        if self._worker_told(0):
            os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._told_at.value = time.monotonic()

    def _worker_told(self, within: float) -> bool:
        """Whether the worker was told lately, or is told `within` seconds."""
        give_up = time.monotonic() + within
        while (now := time.monotonic()) - self._told_at.value > TOLD_FOR:
            if now >= give_up:
                return False
            time.sleep(LOOK_INTERVAL)
        return True


def _unblock() -> None:
    """Take in what came, and was kept back, while there was no handler (broker/programs/guard.py)."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
