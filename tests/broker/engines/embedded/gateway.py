"""Carries a raw client's bytes over a WebSocket, so that every behaviour is tested there as well."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

MQTT = Subprotocol("mqtt")


@contextlib.asynccontextmanager
async def gateway_to(url: str) -> AsyncIterator[int]:
    """The TCP port behind which a WebSocket to `url` is opened for each connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            # A broker may send much in one frame; a browser has no bound on that either.
            async with connect(
                url, subprotocols=[MQTT], compression=None, ping_interval=None, max_size=None
            ) as websocket:
                assert websocket.subprotocol == MQTT
                await _both_ways(reader, writer, websocket)
        except (ConnectionClosed, OSError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _both_ways(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, websocket: ClientConnection
) -> None:
    up = asyncio.create_task(_up(reader, websocket), name="gateway up")
    down = asyncio.create_task(_down(websocket, writer), name="gateway down")
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
    finally:
        up.cancel()
        down.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _up(reader: asyncio.StreamReader, websocket: ClientConnection) -> None:
    while data := await reader.read(65_536):
        await websocket.send(data)


async def _down(websocket: ClientConnection, writer: asyncio.StreamWriter) -> None:
    async for data in websocket:
        assert isinstance(data, bytes)
        writer.write(data)
        await writer.drain()
