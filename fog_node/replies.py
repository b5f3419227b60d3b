"""What a node sends: outcomes and progress, to devices and to the nodes that handed tasks over."""

import asyncio
from typing import NoReturn

import structlog

from broker.engine import Engine, Message
from broker.errors import EngineUnavailable

log = structlog.get_logger()

RETRY_PAUSE = 0.5
"""Seconds before a message that the broker could not take is offered again."""

BATCH = 200
"""Messages that wait for an external broker's acknowledgement together."""


class Replies:
    """Publishes in the order given, and again what the broker could not take.

    The queue has no bound of its own: outcomes in it are those of jobs, whose number is bounded.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: asyncio.Queue[Message] = asyncio.Queue()

    def send(self, message: Message) -> None:
        """Publish a message soon; one with QoS 0 is dropped when the broker is away."""
        self._queue.put_nowait(message)

    async def run(self) -> NoReturn:
        """Publish what is given, until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < BATCH:
                batch.append(self._queue.get_nowait())
            await asyncio.gather(*map(self._publish, batch))
            for _ in batch:
                self._queue.task_done()

    async def drain(self) -> None:
        """Return once everything given so far is published."""
        await self._queue.join()

    async def _publish(self, message: Message) -> None:
        while True:
            try:
                return await self._engine.publish(message)
            except EngineUnavailable as fault:
                if message.qos == 0:
                    return None
                log.warning("reply_delayed", topic=message.topic, reason=str(fault), next_try_s=RETRY_PAUSE)
                await asyncio.sleep(RETRY_PAUSE)
