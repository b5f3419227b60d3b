"""Opens the ports of the broker, and knows every connection that came through them."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence

import structlog
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import NegotiationError
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from broker.contract.address import Address
from broker.engines.embedded.connection import Connection
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.counters import Counters
from broker.engines.embedded.output_commit import OutputCommit
from broker.engines.embedded.sockets.acceptor import Acceptor, ConnectionLimits
from broker.engines.embedded.sockets.tcp import TcpWire
from broker.engines.embedded.sockets.websocket import WebSocketWire
from broker.engines.embedded.wire import Wire
from broker.engines.ports import cannot_listen
from broker.errors import EngineError
from broker.mqtt.reasons import Reason

log = structlog.get_logger()

LINGER = 5.0
"""Seconds for a client to take the last bytes of a connection that is being closed."""

SUBPROTOCOLS = ("mqtt", "mqttv3.1")

# Else each port scan would leave a traceback; what matters is counted and logged by the connection.
_silent = logging.Logger("websockets", logging.CRITICAL)  # noqa: LOG001  # so that no global level is set


class Listeners:
    """The open ports and the connections."""

    def __init__(self, core: BrokerCore, output: OutputCommit) -> None:
        self._core = core
        self._output = output
        self._wires: dict[Connection, TcpWire | WebSocketWire] = {}
        self._connections_allowed = ConnectionLimits(core.settings, core.counters)
        self._acceptors: list[Acceptor] = []
        self._closing: dict[Connection, float] = {}
        self._all_gone = asyncio.Event()

    def __len__(self) -> int:
        return len(self._wires)

    @property
    def listening(self) -> bool:
        """Whether clients can connect."""
        return bool(self._acceptors)

    async def open_tcp(self, address: Address, tls: ssl.SSLContext | None = None) -> int:
        """Listen for TCP connections, with TLS or without; returns the port. Raises EngineError."""
        return await self._open(
            address,
            tls,
            lambda address: TcpWire(
                address, self._welcome, self._farewell, output=self._output, core=self._core
            ),
        )

    async def open_websocket(self, address: Address, tls: ssl.SSLContext | None = None) -> int:
        """Listen for WebSockets; returns the port. Raises EngineError."""
        settings = self._core.settings
        server = _Upgrades(self._serve_websocket, open_timeout=settings.connect_timeout, logger=_silent)
        return await self._open(
            address,
            tls,
            lambda address: _WebSocket(
                address,
                self._connections_allowed,
                self._core.counters,
                ServerProtocol(select_subprotocol=_chosen, max_size=settings.max_packet + 5, logger=_silent),
                server,
            ),
        )

    async def _open(
        self, address: Address, tls: ssl.SSLContext | None, make: Callable[[str], asyncio.BaseProtocol]
    ) -> int:
        acceptor = Acceptor(
            self._connections_allowed,
            self._core.counters,
            make,
            tls=tls,
            handshake_timeout=self._core.settings.connect_timeout,
        )
        try:
            port = await acceptor.open(address)
        except OSError as fault:
            raise EngineError(cannot_listen(address, fault)) from fault
        self._acceptors.append(acceptor)
        return port

    def sweep(self, now: float) -> None:
        """Close what has been silent for too long, and cut off what does not take its last bytes."""
        for connection in [one for one in self._wires if one.overdue(now)]:
            self._core.counters.silent_closed += 1
            connection.close(
                "silent", "nothing was heard for longer than was agreed", Reason.KEEP_ALIVE_TIMEOUT
            )
        for connection in [one for one in self._wires if one.closed]:
            if now > self._closing.setdefault(connection, now + LINGER):
                self._wires[connection].abort()

    def cut_off(self, users: frozenset[str]) -> None:
        """Close the connections of users who are gone or have another password or role."""
        for connection in [one for one in self._wires if one.user in users]:
            connection.close("user_changed", "the user was removed or changed", Reason.NOT_AUTHORIZED)

    async def close(self) -> None:
        """Close the ports, and every connection with its will."""
        acceptors, self._acceptors = self._acceptors, []
        for acceptor in acceptors:
            await acceptor.close()
        for connection in list(self._wires):
            connection.close("stopping", "the broker stops", Reason.SERVER_SHUTTING_DOWN)
        self._output.flush()
        try:
            async with asyncio.timeout(LINGER):
                if self._wires:
                    await self._all_gone.wait()
        except TimeoutError:
            for wire in list(self._wires.values()):
                wire.abort()

    async def _serve_websocket(self, websocket: ServerConnection) -> None:
        wire = WebSocketWire(websocket, self._welcome, output=self._output, core=self._core)
        try:
            await wire.serve()
        finally:
            wire.connection.lost()
            self._farewell(wire.connection)

    def _welcome(self, wire: Wire) -> Connection:
        assert isinstance(wire, TcpWire | WebSocketWire)
        connection = Connection(self._core, wire)
        self._wires[connection] = wire
        self._all_gone.clear()
        return connection

    def _farewell(self, connection: Connection) -> None:
        wire = self._wires.pop(connection, None)
        self._closing.pop(connection, None)
        if isinstance(wire, TcpWire):
            self._connections_allowed.leave(wire.address)
        if not self._wires:
            self._all_gone.set()


class _Upgrades(WebSocketServer):
    """Makes WebSockets of connections that it has not accepted itself."""

    def is_serving(self) -> bool:
        return True


class _WebSocket(ServerConnection):
    """A connection that asks to become a WebSocket. It counts until its socket closes, whatever it became."""

    def __init__(
        self,
        address: str,
        connections_allowed: ConnectionLimits,
        counters: Counters,
        protocol: ServerProtocol,
        server: WebSocketServer,
    ) -> None:
        # MQTT has pings of its own, and a sleeping phone's browser need not answer two kinds.
        super().__init__(protocol, server, ping_interval=None, close_timeout=LINGER, max_queue=1)
        self._connections_allowed = connections_allowed
        self._counters = counters
        self._address = address

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        refused = self.protocol.handshake_exc
        if refused is not None:
            self._counters.handshakes_failed += 1
            log.info("connection_refused", address=self._address, reason=f"WebSocket: {refused}")
        self._connections_allowed.leave(self._address)


def _chosen(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The offered subprotocol that is MQTT, however it is spelled; none where the client names none."""
    for one in offered:
        if one.lower() in SUBPROTOCOLS:
            return one
    if offered:
        raise NegotiationError(f"it offers the subprotocol {', '.join(offered)}; MQTT's is mqtt")
    return None
