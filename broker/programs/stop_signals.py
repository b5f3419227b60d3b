"""The signals by which a program is told to stop."""

import asyncio
import signal
from collections.abc import Callable
from functools import partial


def on_stop_signals(
    ask: Callable[[signal.Signals], None], insist: Callable[[signal.Signals], None] = lambda _: None
) -> None:
    """Have the running loop call `ask` at the first SIGTERM, SIGINT (Ctrl-C) or SIGHUP, `insist` at others.

    A terminal that goes away sends SIGHUP, by way of its shell even twice: that asks and never insists.
    A program that nohup has started goes on.
    """
    asked = False

    def told(number: signal.Signals) -> None:
        nonlocal asked
        if not asked:
            asked = True
            ask(number)
        elif number is not signal.SIGHUP:
            insist(number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, partial(told, number))
