"""Connects to one broker, again and again, in the newest version of MQTT that it takes."""

from collections.abc import Sequence

from broker.contract.mqtt_version import NAMES, MqttVersion
from broker.contract.url import BrokerUrl
from device_sim.client.connection import Connection, NotAccepted, OnMessage
from device_sim.errors import NodeUnreachable


class Connector:
    """Opens the connections of one client, one after the other.

    Without a version given by hand, MQTT 5 is tried first, and 3.1.1 where 5 is refused; then 3.1.1 stays.
    """

    def __init__(
        self,
        url: BrokerUrl,
        on_message: OnMessage,
        *,
        client_id: str,
        mqtt: MqttVersion | None,
        keepalive: int = 30,
        window: int = 100,
    ) -> None:
        self._url = url
        self._on_message = on_message
        self._client_id = client_id
        self._keepalive = keepalive
        self._window = window
        self._by_hand = mqtt is not None
        self._versions: tuple[MqttVersion, ...] = (5, 3) if mqtt is None else (mqtt,)

    async def open(self, filters: Sequence[str], timeout: float) -> Connection:
        """Connect and subscribe, each within `timeout`. Raises NodeUnreachable."""
        first, *others = self._versions
        try:
            return await self._open(first, filters, timeout)
        except NotAccepted as fault:
            if self._by_hand:
                raise NodeUnreachable(f"{fault}; only MQTT {NAMES[first]} was tried, as asked for") from fault
            if not others:
                raise
        connection = await self._open(others[0], filters, timeout)
        # Not before: whoever closes in either version has refused neither.
        self._versions = tuple(others)
        return connection

    async def _open(self, version: MqttVersion, filters: Sequence[str], timeout: float) -> Connection:
        connection = Connection(
            self._url,
            self._on_message,
            client_id=self._client_id,
            mqtt=version,
            keepalive=self._keepalive,
            window=self._window,
        )
        await connection.open(filters, timeout)
        return connection
