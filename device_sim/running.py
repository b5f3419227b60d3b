"""Runs a command until it is done, or until Ctrl-C, SIGTERM or SIGHUP."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from broker.programs.stop_signals import on_stop_signals

Result = TypeVar("Result")


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> int:
    """Run `main(stop)` to its end and give its exit status, or 128 + the signal that set `stop`.

    The first SIGINT, SIGTERM or SIGHUP sets `stop`, so that `main` can end in order. A further SIGINT or
    SIGTERM cancels `main`, which then cleans up without waiting.
    """
    caught: list[int] = []

    async def body() -> int:
        stop, main_task = asyncio.Event(), asyncio.current_task()
        assert main_task is not None

        def ask(number: int) -> None:
            caught.append(number)
            stop.set()

        def insist(_: int) -> None:
            main_task.cancel()

        on_stop_signals(ask, insist)
        return await main(stop)

    try:
        status = asyncio.run(body())
    except asyncio.CancelledError:
        status = 0
    return 128 + caught[0] if caught else status


async def until(stop: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result | None:
    """Do `work` and return its result; if `stop` is set, cancel it, let it clean up, and return None."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait(), name="wait for a stop")
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
    return None if working.cancelled() else working.result()
