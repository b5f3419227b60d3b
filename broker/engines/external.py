"""The engine for a broker elsewhere, by URL: Mosquitto, EMQX, HiveMQ or any other.

The node is a client of it, with a persistent session unless told otherwise, and acknowledges a task
to it only after its receiver has stored it. MQTT 5 is used where the broker speaks it. The broker does
not tell who published, so `client_id` stays unknown.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
import structlog

from broker.client import BusClient, ClientSettings
from broker.contract.engine import Engine, Receiver
from broker.contract.message import Message
from broker.errors import EngineUnavailable, LinkFull

log = structlog.get_logger()


class ExternalEngine(Engine):
    """A node's connection to a broker that runs by itself; `client` is the connection."""

    def __init__(
        self,
        url: str,
        *,
        node: str,
        will: Message | None = None,
        settings: ClientSettings | None = None,
        persistent: bool = True,
        connect_timeout: float = 10.0,
    ) -> None:
        self._connect_timeout = connect_timeout
        own = ClientSettings(
            client_id=f"fog-node-{node}", try_mqtt5=True, live=True, will=will, persistent=persistent
        )
        self.client = BusClient(url, settings or own)

    async def start(self, receiver: Receiver, filters: Sequence[str]) -> None:
        self.client.start(partial(self._take, receiver), filters)
        await self.client.wait_connected(self._connect_timeout)

    async def pause(self) -> None:
        self.client.unsubscribe_all()

    async def stop(self) -> None:
        await self.client.stop()

    def publish(self, message: Message) -> asyncio.Future[None] | None:
        try:
            taken = self.client.publish(message)
        except LinkFull as fault:
            raise EngineUnavailable(str(fault)) from fault
        return taken if message.qos else None

    def _take(self, receiver: Receiver, message: Message) -> asyncio.Future[None] | None:
        if not message.retain:
            return receiver(message)
        if not message.payload:
            # It clears what the broker has kept, and that may be our own doing.
            return None
        self._clear(message.topic)
        return receiver(msgspec.structs.replace(message, retain=False))

    def _clear(self, topic: str) -> None:
        """Have the broker keep nothing under a topic: orders are for once."""

        def cleared(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and done.exception() is not None:
                log.warning("retained_not_cleared", topic=topic, reason=str(done.exception()))

        try:
            self.client.publish(Message(topic=topic, payload=b"", qos=1, retain=True)).add_done_callback(
                cleared
            )
        except LinkFull as fault:
            log.warning("retained_not_cleared", topic=topic, reason=str(fault))

    @property
    def url(self) -> str:
        return f"mqtt://{self.client.url.place}"

    @property
    def connected(self) -> bool:
        return self.client.connected
