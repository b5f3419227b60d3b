"""The shells that carry bytes: a TCP socket and a WebSocket, each with one connection behind it."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, cast

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from broker.embedded.connection import Connection, Wire

log = structlog.get_logger()

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)

MakeConnection = Callable[[Wire], Connection]


class TcpWire(asyncio.Protocol):
    """A TCP socket. Bytes sent in one turn of the loop leave in one write."""

    def __init__(
        self, connect: MakeConnection, on_lost: Callable[["TcpWire"], None], buffer_bytes: int
    ) -> None:
        self._connect = connect
        self._on_lost = on_lost
        self._buffer_bytes = buffer_bytes
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        peer: Any = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._socket: socket.socket | None = transport.get_extra_info("socket")
        self._set_option(socket.TCP_NODELAY)
        transport.set_write_buffer_limits(high=self._buffer_bytes, low=self._buffer_bytes // 4)
        self.connection = self._connect(self)

    def data_received(self, data: bytes) -> None:
        self._acknowledge_quickly()
        self.connection.feed(data, time.monotonic())

    def connection_lost(self, fault: Exception | None) -> None:  # noqa: ARG002
        self.connection.lost()
        self._on_lost(self)

    def resume_writing(self) -> None:
        self.connection.writable()

    def send(self, data: bytes) -> None:
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    @property
    def congested(self) -> bool:
        return self._outgoing_bytes + self._transport.get_write_buffer_size() > self._buffer_bytes

    def _acknowledge_quickly(self) -> None:
        """Keep the system from delaying its TCP acknowledgement of what just came.

        A client that has not switched Nagle's algorithm off, as most have not, holds its next PUBLISH back
        until its last PUBACK is acknowledged: 40 ms. Linux forgets the option, so it is set each time.
        """
        if _QUICK_ACK is not None:
            self._set_option(_QUICK_ACK)

    def _set_option(self, option: int) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, option, 1)

    def _flush(self) -> None:
        if self._outgoing and not self._transport.is_closing():
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        self._outgoing_bytes = 0


class WebSocketWire:
    """A WebSocket with the subprotocol `mqtt`, as phone apps and web pages connect."""

    def __init__(self, websocket: ServerConnection, connect: MakeConnection, buffer_bytes: int) -> None:
        peer: Any = websocket.remote_address
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._websocket = websocket
        self._buffer_bytes = buffer_bytes
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self.connection = connect(self)

    async def serve(self) -> None:
        """Carry bytes both ways until either side ends."""
        writer = asyncio.get_running_loop().create_task(self._write(), name="websocket writer")
        try:
            await self._read()
        finally:
            self.connection.lost()
            self.close()
            with contextlib.suppress(ConnectionClosed):
                await writer

    def send(self, data: bytes) -> None:
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)
        self._wake.set()

    def close(self) -> None:
        self._closing = True
        self._wake.set()

    @property
    def congested(self) -> bool:
        return self._outgoing_bytes > self._buffer_bytes

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in self._websocket:
                if isinstance(data, str):
                    self.connection.close("protocol_error", "MQTT comes in binary frames, not in text")
                    return
                self.connection.feed(data, time.monotonic())

    async def _write(self) -> None:
        while not (self._closing and not self._outgoing):
            await self._wake.wait()
            self._wake.clear()
            data, self._outgoing = b"".join(self._outgoing), []
            if data:
                await self._websocket.send(data)
            was_congested = self.congested
            self._outgoing_bytes = sum(map(len, self._outgoing))
            if was_congested:
                self.connection.writable()
        await self._websocket.close()
