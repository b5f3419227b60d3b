"""A node's connections to Redis, and how long it waits for an answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import redis.asyncio
import redis.exceptions

TIMEOUT = 5.0
"""Seconds without an answer after which Redis counts as away."""


def connect(url: str) -> redis.asyncio.Redis:
    """A client whose commands have no time limit of their own: make them in `time_limit`.

    redis-py keeps its limit with `asyncio.wait_for`. In Python 3.11 that may swallow a cancellation: what was
    cancelled would go on, and the node would never end.
    """
    return redis.asyncio.Redis.from_url(url, socket_timeout=None, socket_connect_timeout=TIMEOUT, protocol=2)


@contextlib.asynccontextmanager
async def time_limit() -> AsyncIterator[None]:
    """Bounds the commands made in it. Raises redis.TimeoutError."""
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except TimeoutError as fault:
        raise redis.exceptions.TimeoutError(f"there was no answer within {TIMEOUT:g} s") from fault
