"""The engine for a broker elsewhere, by URL: Mosquitto, EMQX, HiveMQ or any other.

The node is a client of it, with a persistent session unless told otherwise, and acknowledges a task
to it only after its receiver has stored it. MQTT 5 is used where the broker speaks it. The broker does
not tell who published, so `client_id` stays unknown.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial

from broker.client import BusClient, ClientSettings
from broker.contract.engine import Engine, Receiver
from broker.contract.message import Message
from broker.engines.stand_by import StandBy
from broker.errors import EngineUnavailable, LinkFull
from broker.namesakes import Namesakes


class ExternalEngine(Engine):
    """A node's connection to a broker that runs by itself; `client` is the connection.

    With `namesakes` it leaves the work to a newer node of this one's name.
    """

    def __init__(
        self,
        url: str,
        *,
        node: str,
        will: Message | None = None,
        settings: ClientSettings | None = None,
        persistent: bool = True,
        connect_timeout: float = 10.0,
        namesakes: Namesakes | None = None,
    ) -> None:
        self._connect_timeout = connect_timeout
        own = ClientSettings(client_id=f"fog-node-{node}", try_mqtt5=True, will=will, persistent=persistent)
        self._settings = settings or own
        self.client = BusClient(url, self._settings)
        self._namesakes = namesakes
        self._standing_by: asyncio.Task[None] | None = None

    async def start(self, receiver: Receiver, filters: Sequence[str]) -> None:
        if self._namesakes is not None:
            stand_by = StandBy(self.client, self._settings, filters, self._namesakes)
            receiver, filters = partial(stand_by.hear, receiver), stand_by.filters
            self._standing_by = asyncio.create_task(stand_by.run(), name="stand by")
        self.client.start(receiver, filters)
        await self.client.wait_connected(self._connect_timeout)

    async def pause(self) -> None:
        self.client.unsubscribe_all()

    async def stop(self) -> None:
        standing_by, self._standing_by = self._standing_by, None
        if standing_by is not None:
            standing_by.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await standing_by
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
