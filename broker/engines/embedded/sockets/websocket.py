"""The shell of a WebSocket, as phone apps and web pages connect, with one MQTT connection behind it."""

import asyncio
import contextlib
import time
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.output_commit import OutputCommit
from broker.engines.embedded.sockets.tcp import Welcome
from broker.security.certificates import identity_of


class WebSocketWire:
    """A WebSocket. Bytes sent in one turn of the loop leave in one frame."""

    def __init__(
        self,
        websocket: ServerConnection,
        welcome: Welcome,
        *,
        output: OutputCommit,
        core: BrokerCore,
    ) -> None:
        peer: Any = websocket.remote_address
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self.certificate = identity_of(websocket.transport.get_extra_info("ssl_object"))
        self._websocket = websocket
        self._output = output
        self._counters = core.counters
        self._buffer_bytes = core.settings.buffer_bytes
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._leaving: list[bytes] = []
        self._leaving_bytes = 0
        self._wake = asyncio.Event()
        self._readable = asyncio.Event()
        self._readable.set()
        self._closing = False
        self.connection = welcome(self)

    async def serve(self) -> None:
        """Carry bytes both ways until either side ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(), name="websocket writer")
            await self._read()
            # First the connection, so that its will and session are settled before the writer has ended.
            self.connection.lost()
            self.close()

    def send(self, data: bytes) -> None:
        if not self._outgoing:
            self._output.add(self)
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)

    def close(self, *, linger: bool = False) -> None:  # noqa: ARG002  # a WebSocket says good-bye anyway
        # What was sent leaves first, with the next turn.
        self._closing = True
        # A reader that is held back would never see that it is to end.
        self._readable.set()
        if not self._outgoing:
            self._wake.set()

    def hold(self, *, held: bool) -> None:
        if held:
            self._readable.clear()
        else:
            self._readable.set()

    @property
    def congested(self) -> bool:
        return self._outgoing_bytes + self._leaving_bytes > self._buffer_bytes

    def flush(self) -> None:
        self._leaving += self._outgoing
        self._leaving_bytes += self._outgoing_bytes
        self._outgoing.clear()
        self._outgoing_bytes = 0
        self._wake.set()

    def abort(self) -> None:
        self._outgoing.clear()
        self._leaving.clear()
        self._outgoing_bytes = self._leaving_bytes = 0
        self._websocket.transport.abort()

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in self._websocket:
                if isinstance(data, str):
                    self.connection.close("protocol_error", "MQTT comes in binary frames, not in text")
                    return
                self.connection.feed(data, time.monotonic())
                await self._readable.wait()
                if self._closing:
                    return

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while not self._closing or self._leaving or self._outgoing:
                await self._wake.wait()
                self._wake.clear()
                await self._write_once()
        await self._websocket.close()

    async def _write_once(self) -> None:
        data, self._leaving = b"".join(self._leaving), []
        if data:
            await self._websocket.send(data)
            self._counters.bytes_sent += len(data)
        # Counted anew: more may have come while this was being sent.
        self._leaving_bytes = sum(map(len, self._leaving))
        if self.connection.wants_to_send and not self.congested:
            self.connection.writable()
