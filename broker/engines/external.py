"""The engine for a broker elsewhere, by URL: Mosquitto, EMQX, HiveMQ or any other.

The node is a client of it, with a persistent session unless told otherwise, and acknowledges a task
to it only after its receiver has stored it. MQTT 5 is used where the broker speaks it. The broker does
not tell who published, so `client_id` stays unknown.
"""

import asyncio
from collections.abc import Sequence

from broker.client import BusClient, ClientSettings
from broker.contract.engine import Engine, Receiver
from broker.contract.message import Message
from broker.errors import EngineUnavailable, LinkFull

SESSION_EXPIRY = 7 * 24 * 3600
"""Seconds for which a broker keeps for a node that is away what devices publish: as long as a node's own
Mosquitto does. Brokers without MQTT 5 have a time of their own."""


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
            client_id=f"fog-node-{node}",
            try_mqtt5=True,
            will=will,
            persistent=persistent,
            session_expiry=SESSION_EXPIRY,
        )
        self.client = BusClient(url, settings or own)

    async def start(self, receiver: Receiver, filters: Sequence[str]) -> None:
        self.client.start(receiver, filters)
        await self.client.wait_connected(self._connect_timeout)

    async def pause(self) -> None:
        await self.client.take_no_more()

    async def stop(self) -> None:
        await self.client.stop()

    def publish(self, message: Message) -> asyncio.Future[None] | None:
        try:
            taken = self.client.publish(message)
        except LinkFull as fault:
            raise EngineUnavailable(str(fault)) from fault
        return taken if message.qos else None

    @property
    def url(self) -> str:
        return f"mqtt://{self.client.url.place}"

    @property
    def connected(self) -> bool:
        return self.client.connected
