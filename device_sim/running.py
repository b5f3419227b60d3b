"""Runs a command until it is done, or until Ctrl-C or SIGTERM."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> int:
    """Run `main(stop)` to its end and give its exit status, or 128 + the signal that set `stop`.

    The first SIGINT or SIGTERM sets `stop`, so that `main` can end in order. Each further one cancels `main`,
    which then cleans up without waiting.
    """
    caught: list[int] = []

    async def body() -> int:
        loop, stop, main_task = asyncio.get_running_loop(), asyncio.Event(), asyncio.current_task()
        assert main_task is not None

        def on_signal(number: int) -> None:
            if stop.is_set():
                main_task.cancel()
            caught.append(number)
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal, number)
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
