"""Waiting for something to become true, in place of a fixed sleep."""

import asyncio
from collections.abc import Callable


async def eventually(check: Callable[[], object], timeout: float = 30.0) -> None:
    """Return as soon as `check()` is true; fail after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        while not check():  # noqa: ASYNC110  # it is for conditions that have no event
            await asyncio.sleep(0.01)
