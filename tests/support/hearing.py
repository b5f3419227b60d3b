"""Counts what is published at a broker."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

from device_sim.client.listener import listen


@contextlib.asynccontextmanager
async def hearing(
    url: str, filters: Sequence[str], by: Callable[[str], str] = str
) -> AsyncIterator[Counter[str]]:
    """How often each topic is published, or what `by` makes of it."""
    heard = Counter[str]()

    def hear(topic: str, _payload: bytes) -> None:
        heard[by(topic)] += 1

    listening = asyncio.create_task(listen(url, filters, hear))
    try:
        yield heard
    finally:
        listening.cancel()
