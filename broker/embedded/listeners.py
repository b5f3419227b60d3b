"""Opens the ports of the broker, and knows every connection that came through them."""

import asyncio
import logging
import ssl
import time
from collections import Counter

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from broker.embedded.connection import Connection
from broker.embedded.hub import Hub
from broker.embedded.tcp import TcpWire
from broker.embedded.turn import Turn
from broker.embedded.websocket import WebSocketWire
from broker.embedded.wire import Wire
from broker.errors import EngineError
from broker.settings import Address

BACKLOG = 4096
"""Connections that the system holds ready while the loop is busy: a whole site that comes back at once."""

LINGER = 5.0
"""Seconds for a client to take the last bytes of a connection that is being closed."""

SUBPROTOCOLS = (Subprotocol("mqtt"), Subprotocol("mqttv3.1"))

# Else each port scan would leave a traceback; what matters is counted and logged by the connection.
_silent = logging.Logger("websockets", logging.CRITICAL)  # noqa: LOG001  # so that no global level is set


class Listeners:
    """The open ports and the connections."""

    def __init__(self, hub: Hub, turn: Turn) -> None:
        self._hub = hub
        self._turn = turn
        self._wires: dict[Connection, TcpWire | WebSocketWire] = {}
        self._addresses: Counter[str] = Counter()
        self._servers: list[asyncio.Server | WebSocketServer] = []
        self._closing: dict[Connection, float] = {}
        self._all_gone = asyncio.Event()

    def __len__(self) -> int:
        return len(self._wires)

    @property
    def listening(self) -> bool:
        """Whether clients can connect."""
        return bool(self._servers)

    async def open_tcp(self, address: Address, tls: ssl.SSLContext | None = None) -> int:
        """Listen for TCP connections, with TLS or without; returns the port. Raises EngineError."""
        settings = self._hub.settings
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: TcpWire(
                    self._welcome,
                    self._farewell,
                    turn=self._turn,
                    counters=self._hub.counters,
                    buffer_bytes=settings.buffer_bytes,
                ),
                address.host,
                address.port,
                ssl=tls,
                ssl_handshake_timeout=settings.connect_timeout if tls else None,
                backlog=BACKLOG,
                reuse_address=True,
            )
        except OSError as fault:
            raise EngineError(_cannot_listen(address, fault)) from fault
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def open_websocket(self, address: Address, tls: ssl.SSLContext | None = None) -> int:
        """Listen for WebSockets; returns the port. Raises EngineError."""
        settings = self._hub.settings
        try:
            server = await serve(
                self._serve_websocket,
                address.host,
                address.port,
                ssl=tls,
                subprotocols=SUBPROTOCOLS,
                compression=None,
                max_size=settings.max_packet + 5,
                max_queue=1,
                open_timeout=settings.connect_timeout,
                close_timeout=LINGER,
                # MQTT has pings of its own, and a sleeping phone's browser need not answer two kinds.
                ping_interval=None,
                logger=_silent,
                backlog=BACKLOG,
            )
        except OSError as fault:
            raise EngineError(_cannot_listen(address, fault)) from fault
        self._servers.append(server)
        port: int = next(iter(server.sockets)).getsockname()[1]
        return port

    def sweep(self, now: float) -> None:
        """Close what has been silent for too long, and cut off what does not take its last bytes."""
        for connection in [one for one in self._wires if one.overdue(now)]:
            self._hub.counters.silent_closed += 1
            connection.close("silent", "nothing was heard for longer than was agreed")
        for connection in [one for one in self._wires if one.closed]:
            if now > self._closing.setdefault(connection, now + LINGER):
                self._wires[connection].abort()

    def cut_off(self, users: frozenset[str]) -> None:
        """Close the connections of users who are gone or have another password or role."""
        for connection in [one for one in self._wires if one.user in users]:
            connection.close("user_changed", "the user was removed or changed")

    async def close(self) -> None:
        """Close the ports, and every connection with its will."""
        servers, self._servers = self._servers, []
        for server in servers:
            if isinstance(server, WebSocketServer):
                server.close(close_connections=False)
            else:
                server.close()
        for connection in list(self._wires):
            connection.close("stopping", "the broker stops")
        self._turn.flush()
        try:
            async with asyncio.timeout(LINGER):
                if self._wires:
                    await self._all_gone.wait()
        except TimeoutError:
            for wire in list(self._wires.values()):
                wire.abort()
        for server in servers:
            await server.wait_closed()

    async def _serve_websocket(self, websocket: ServerConnection) -> None:
        wire = WebSocketWire(
            websocket,
            self._welcome,
            turn=self._turn,
            counters=self._hub.counters,
            buffer_bytes=self._hub.settings.buffer_bytes,
        )
        try:
            await wire.serve()
        finally:
            wire.connection.lost()
            self._farewell(wire.connection)

    def _welcome(self, wire: Wire) -> Connection:
        assert isinstance(wire, TcpWire | WebSocketWire)
        connection = Connection(self._hub, wire, now=time.monotonic())
        self._wires[connection] = wire
        self._all_gone.clear()
        self._addresses[wire.address] += 1
        settings = self._hub.settings
        self._hub.counters.connections += 1
        if len(self._wires) > settings.connections:
            self._turn_away(connection, f"there are {settings.connections} connections already")
        elif self._addresses[wire.address] > settings.connections_per_address:
            self._turn_away(connection, f"{wire.address} has {settings.connections_per_address} already")
        return connection

    def _turn_away(self, connection: Connection, reason: str) -> None:
        self._hub.counters.connections_refused += 1
        connection.close("too_many_connections", reason)

    def _farewell(self, connection: Connection) -> None:
        wire = self._wires.pop(connection, None)
        self._closing.pop(connection, None)
        if wire is not None:
            self._addresses[wire.address] -= 1
            if not self._addresses[wire.address]:
                del self._addresses[wire.address]
        if not self._wires:
            self._all_gone.set()


def _cannot_listen(address: Address, fault: OSError) -> str:
    return f"the broker cannot listen on {address}: {fault.strerror or fault}; choose another address"
