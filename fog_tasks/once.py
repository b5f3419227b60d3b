"""What each process has for itself, such as a connection: what is opened before a fork is shared."""

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class _Once(Generic[Value]):
    """Calls `make` the first time, and returns what that returned from then on; in each process anew."""

    def __init__(self, make: Callable[[], Value]) -> None:
        functools.update_wrapper(self, make)
        self._make = make
        self._made: list[Value] = []
        self._inherited: list[Value] = []
        self._lock = threading.RLock()
        # Weakly: what is registered stays for ever, and a node may read a module many times.
        begin_anew = weakref.WeakMethod(self._begin_anew)
        os.register_at_fork(after_in_child=lambda: _call(begin_anew))

    def __call__(self) -> Value:
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]

    def _begin_anew(self) -> None:
        # Kept, and not used: to let go of it might say goodbye on the connection of the parent.
        self._inherited += self._made
        self._made = []
        # Another thread may have held the lock when the parent forked.
        self._lock = threading.RLock()


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    there = method()
    if there is not None:
        there()


def once_per_process(make: Callable[[], Value]) -> Callable[[], Value]:
    """Make a function without parameters run once in each process, when it is first called there.

    Later calls return the same object, and threads that call it meanwhile wait for it. If it raises, the next
    call tries again. Put it above a function that opens what processes must not share: a connection, a
    client, a model on a graphics card.
    """
    return _Once(make)
