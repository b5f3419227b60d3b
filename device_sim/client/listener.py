"""Listening to what nodes publish, without being a device: for the `watch` and `nodes` commands."""

import asyncio
import contextlib
import secrets
from collections.abc import Sequence

from broker.client.back_off import BackOff
from broker.contract.url import BrokerUrl
from device_sim.client.connection import Connection, OnMessage
from device_sim.errors import NodeUnreachable

CONNECT_TIMEOUT = 5.0


async def listen(url: str, filters: Sequence[str], on_message: OnMessage) -> None:
    """Call `on_message` with each message until cancelled, connecting again as often as needed.

    Raises NodeUnreachable if the first try fails.
    """
    address = BrokerUrl.parse(url)
    client_id = f"watch-{secrets.token_hex(4)}"
    connection = await _connect(address, filters, on_message, client_id)
    while True:
        with contextlib.closing(connection):
            await connection.lost()
        connection = await _connect_again(address, filters, on_message, client_id)


async def _connect(
    address: BrokerUrl, filters: Sequence[str], on_message: OnMessage, client_id: str
) -> Connection:
    connection = Connection(address, on_message, client_id=client_id)
    try:
        await connection.open(CONNECT_TIMEOUT)
        await connection.subscribe(filters, CONNECT_TIMEOUT)
    except BaseException:
        connection.close()
        raise
    return connection


async def _connect_again(
    address: BrokerUrl, filters: Sequence[str], on_message: OnMessage, client_id: str
) -> Connection:
    back_off = BackOff(0.2, 5.0)
    while True:
        await asyncio.sleep(back_off.next())
        with contextlib.suppress(NodeUnreachable):
            return await _connect(address, filters, on_message, client_id)
