"""A link to another node's broker: what is handed over there, and what comes back.

The session there is persistent and everything travels with QoS 1: what the other broker holds for
us while we are away arrives later, and what we send while it is away is kept, up to a bound, and sent
when it returns. Reconnection backs off with jitter.
"""

import asyncio
from collections.abc import Sequence

from broker.client import BusClient, ClientSettings
from broker.contract.engine import Receiver
from broker.contract.message import Message
from broker.contract.mqtt_version import MqttVersion
from broker.errors import EngineUnavailable
from broker.security.certificates import TlsFiles

LARGEST = 64 * 1024 * 1024
"""Bytes of the largest packet that another node may send: far more than an outcome should have."""


class Link:
    """One lasting connection to the broker of another node. Used once: started, then stopped."""

    def __init__(
        self,
        url: str,
        *,
        node: str,
        will: Message | None = None,
        queued: int = 10_000,
        tls: TlsFiles | None = None,
        mqtt: MqttVersion | None = None,
    ) -> None:
        # A window of about 20 keeps a broker that has just returned from being flooded (Mosquitto #3002).
        settings = ClientSettings(
            client_id=f"fog-link-{node}",
            will=will,
            inflight=20,
            queued=queued,
            largest=LARGEST,
            tls=tls or TlsFiles(),
            mqtt=mqtt,
        )
        self._client = BusClient(url, settings)

    def start(self, receiver: Receiver, filters: Sequence[str]) -> None:
        """Begin to connect; what arrives under `filters` is acknowledged after `receiver` has stored it."""
        self._client.start(receiver, filters)

    def send(self, topic: str, payload: bytes) -> asyncio.Future[None]:
        """Send with QoS 1; the future is done when the other broker has it. Raises LinkFull."""
        return self._client.publish(Message(topic=topic, payload=payload, qos=1))

    def tell(self, topic: str, payload: bytes) -> bool:
        """Publish a retained message if the other broker is there now; tell whether it is."""
        if self._client.connected:
            # With QoS 0: the next state follows within a second, and one that waits would only be older.
            self._client.publish(Message(topic=topic, payload=payload, retain=True))
            return True
        return False

    def ask(self, topic: str) -> bool:
        """Publish a question if the other broker is there now, with QoS 0; tell whether it was sent."""
        try:
            self._client.publish(Message(topic=topic, payload=b""))
        except EngineUnavailable:
            return False
        return True

    async def wait_connected(self) -> None:
        """Return once the other broker can be reached."""
        await self._client.up.wait()

    @property
    def connected(self) -> bool:
        """Whether the other broker can be reached now."""
        return self._client.connected

    @property
    def place(self) -> str:
        """Where the other broker is, for people."""
        return self._client.url.place

    async def stop(self) -> None:
        """Disconnect in good order. A second call does nothing."""
        await self._client.stop()
