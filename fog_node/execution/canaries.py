"""Tasks of no account that show whether workers run what they are given."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterable

from broker.contract.topics import Weight
from fog_node.errors import RedisAway
from fog_node.execution.work_queue import Item, WorkMessage, WorkQueue

TIMEOUT = 5.0


class Canaries:
    """Sends a canary to the workers of a weight, until one comes back."""

    def __init__(self, queue: WorkQueue, *, life: str) -> None:
        self._queue = queue
        self._life = life
        self._answered: dict[str, asyncio.Event] = {}

    async def check(self, weights: Iterable[Weight]) -> None:
        """Return once a worker of every weight has run a task and its answer has come back."""
        async with asyncio.TaskGroup() as group:
            for weight in weights:
                group.create_task(self._check(weight), name=f"check {weight} workers")

    def back(self, ticket: str) -> bool:
        """Hear that the message of that ticket was run; whether it was a canary's."""
        answered = self._answered.get(ticket)
        if answered is None:
            return False
        answered.set()
        return True

    async def _check(self, weight: Weight) -> None:
        ticket = f"canary-{self._life}-{secrets.token_hex(4)}"
        answered = self._answered[ticket] = asyncio.Event()
        try:
            while not answered.is_set():
                with contextlib.suppress(RedisAway, TimeoutError):
                    await self._queue.send([WorkMessage(ticket, weight, [Item("echo", (), {}, TIMEOUT)])])
                    async with asyncio.timeout(TIMEOUT):
                        await answered.wait()
        finally:
            del self._answered[ticket]
