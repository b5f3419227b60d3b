"""The engine of a fog node by itself: an MQTT 3.1.1 broker inside the node's process."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import NoReturn

import structlog
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve

from broker.embedded.access import Access, AllowAll
from broker.embedded.connection import Connection, Wire
from broker.embedded.hub import Hub
from broker.embedded.packets import Publish
from broker.embedded.settings import EmbeddedSettings
from broker.embedded.wires import TcpWire, WebSocketWire
from broker.engine import Engine, Message, Receiver
from broker.errors import EngineError
from broker.settings import Address

log = structlog.get_logger()

SWEEP_INTERVAL = 0.5
"""Seconds between two looks for clients that have been silent for too long."""

BACKLOG = 1024
"""Connections that the system holds ready while the loop is busy."""


class EmbeddedEngine(Engine):
    """Listens, and carries messages between clients and the node."""

    def __init__(self, settings: EmbeddedSettings, access: Access | None = None) -> None:
        self._settings = settings
        self._hub = Hub(settings, access or AllowAll())
        self._connections: dict[Connection, Wire] = {}
        self._servers: list[asyncio.Server | WebSocketServer] = []
        self._sweeper: asyncio.Task[NoReturn] | None = None
        self._url = ""
        self.websocket_url = ""

    async def start(self, receiver: Receiver, filters: Sequence[str]) -> None:
        self._hub.hand_to(receiver, filters)
        settings = self._settings
        port = await self._listen_tcp(settings.listen)
        self._url = f"{'mqtts' if settings.tls else 'mqtt'}://{Address(settings.listen.host, port)}"
        if settings.websocket is not None:
            port = await self._listen_websocket(settings.websocket)
            scheme = "wss" if settings.websocket_tls else "ws"
            self.websocket_url = f"{scheme}://{Address(settings.websocket.host, port)}"
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="keepalive sweeper")

    async def pause(self) -> None:
        self._hub.pause()

    async def stop(self) -> None:
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
            self._sweeper = None
        for connection, wire in list(self._connections.items()):
            connection.lost()
            wire.close()
        for server in servers:
            await server.wait_closed()

    def publish(self, message: Message) -> None:
        self._hub.route(Publish(message.topic, message.payload, message.qos, message.retain))

    @property
    def url(self) -> str:
        return self._url

    @property
    def connected(self) -> bool:
        return bool(self._servers)

    async def _listen_tcp(self, address: Address) -> int:
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: TcpWire(self._connect, self._lost, self._settings.buffer_bytes),
                address.host,
                address.port,
                ssl=self._settings.tls,
                backlog=BACKLOG,
                reuse_address=True,
            )
        except OSError as fault:
            raise EngineError(_cannot_listen(address, fault)) from fault
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _listen_websocket(self, address: Address) -> int:
        try:
            server = await serve(
                self._serve_websocket,
                address.host,
                address.port,
                ssl=self._settings.websocket_tls,
                subprotocols=["mqtt", "mqttv3.1"],  # type: ignore[list-item]
                compression=None,
                max_size=self._settings.max_packet + 5,
                backlog=BACKLOG,
            )
        except OSError as fault:
            raise EngineError(_cannot_listen(address, fault)) from fault
        self._servers.append(server)
        port: int = next(iter(server.sockets)).getsockname()[1]
        return port

    async def _serve_websocket(self, websocket: ServerConnection) -> None:
        wire = WebSocketWire(websocket, self._connect, self._settings.buffer_bytes)
        try:
            await wire.serve()
        finally:
            self._connections.pop(wire.connection, None)

    def _connect(self, wire: Wire) -> Connection:
        connection = Connection(self._hub, wire, now=time.monotonic())
        self._connections[connection] = wire
        self._hub.counters.connections += 1
        if len(self._connections) > self._settings.connections:
            connection.close("too_many_connections", f"there are {self._settings.connections} already")
        return connection

    def _lost(self, wire: TcpWire) -> None:
        self._connections.pop(wire.connection, None)

    async def _sweep(self) -> NoReturn:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            now = time.monotonic()
            for connection in [one for one in self._connections if one.overdue(now)]:
                connection.close("silent", "nothing was heard for longer than was agreed")


def _cannot_listen(address: Address, fault: OSError) -> str:
    return f"the broker cannot listen on {address}: {fault.strerror or fault}; choose another address"
