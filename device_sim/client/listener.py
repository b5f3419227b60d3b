"""Listens to what nodes publish, without being a device: for the commands `watch` and `nodes`."""

import asyncio
import contextlib
import secrets
from collections.abc import Sequence

from broker.client.back_off import BackOff
from broker.contract.mqtt_version import MqttVersion
from broker.contract.url import BrokerUrl
from device_sim.client.connection import OnMessage
from device_sim.client.connector import Connector
from device_sim.errors import NodeUnreachable

CONNECT_TIMEOUT = 5.0


async def listen(
    url: str, filters: Sequence[str], on_message: OnMessage, *, mqtt: MqttVersion | None = None
) -> None:
    """Call `on_message` with each message until cancelled; connect again after a lost connection.

    Raises NodeUnreachable if the first try fails.
    """
    client_id, back_off = f"watch-{secrets.token_hex(4)}", BackOff(0.2, 5.0)
    connector = Connector(BrokerUrl.parse(url), on_message, client_id=client_id, mqtt=mqtt)
    connection = await connector.open(filters, CONNECT_TIMEOUT)
    while True:
        with contextlib.closing(connection):
            await connection.lost()
        await asyncio.sleep(back_off.next())
        with contextlib.suppress(NodeUnreachable):
            connection = await connector.open(filters, CONNECT_TIMEOUT)
            back_off.reset()
