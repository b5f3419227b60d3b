"""The signals by which a program is told to stop."""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial


def on_stop_signals(
    ask: Callable[[signal.Signals], None],
    insist: Callable[[signal.Signals], None] = lambda _: None,
    *,
    on_hangup: Callable[[], bool] = lambda: False,
) -> None:
    """Have the running loop call `ask` at the first SIGTERM, SIGINT (Ctrl-C) or SIGHUP, `insist` at others.

    A terminal that goes away sends SIGHUP, by way of its shell even twice: that asks and never insists.
    A program that nohup has started goes on. If `on_hangup` returns True, it has done what SIGHUP is for.
    """
    asked = False

    def told(number: signal.Signals) -> None:
        nonlocal asked
        if number is signal.SIGHUP and not asked and on_hangup():
            return
        if not asked:
            asked = True
            ask(number)
        elif number is not signal.SIGHUP:
            insist(number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, partial(told, number))


def has_terminal() -> bool:
    """Whether the program was started in a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
