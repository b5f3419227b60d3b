"""The open ports: who may come in is decided before anything is read, TLS handshakes and upgrades included.

The limits of connections hold from the moment a connection is accepted. Else whoever opens connections to a
TLS port and says nothing would take all there are, until each handshake has timed out.
"""

import asyncio
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

import structlog

from broker.contract.address import Address
from broker.engines.embedded.counters import Counters
from broker.engines.embedded.settings import EmbeddedSettings
from broker.engines.ports import open_ports

log = structlog.get_logger()

BACKLOG = 4096
"""Connections that the system holds ready while the loop is busy: a whole site that comes back at once."""

RETRY = 0.1
"""Seconds before the next connection is accepted where the system had no room for one."""

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class ConnectionLimits:
    """Counts the open connections, in all and by address, and refuses those beyond the limits."""

    def __init__(self, settings: EmbeddedSettings, counters: Counters) -> None:
        self._settings = settings
        self._counters = counters
        self._addresses: Counter[str] = Counter()
        self._count = 0

    def enter(self, address: str) -> bool:
        """Count one more connection; False, which is counted and logged, where a limit is reached."""
        most, most_each = self._settings.connections, self._settings.connections_per_address
        self._counters.connections += 1
        if self._count >= most:
            reason = f"there are {most} connections already"
        elif self._addresses[address] >= most_each:
            reason = f"{address} has {most_each} already"
        else:
            self._count += 1
            self._addresses[address] += 1
            return True
        self._counters.connections_refused += 1
        log.info("too_many_connections", address=address, reason=reason)
        return False

    def leave(self, address: str) -> None:
        """Note that a connection has ended that was let in."""
        self._count -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]


class Acceptor:
    """One port. `make` makes the protocol for an address, which calls `leave` when its connection ends."""

    def __init__(
        self,
        connections_allowed: ConnectionLimits,
        counters: Counters,
        make: Callable[[str], asyncio.BaseProtocol],
        *,
        tls: ssl.SSLContext | None,
        handshake_timeout: float,
    ) -> None:
        self._connections_allowed = connections_allowed
        self._counters = counters
        self._make = make
        self._options: dict[str, Any] = {}
        if tls is not None:
            self._options = {"ssl": tls, "ssl_handshake_timeout": handshake_timeout}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: list[socket.socket] = []

    async def open(self, address: Address) -> int:
        """Listen; returns the port. Raises OSError."""
        self._sockets = await asyncio.to_thread(open_ports, address, backlog=BACKLOG)
        port: int = self._sockets[0].getsockname()[1]
        for listening in self._sockets:
            listening.setblocking(False)
            self._start(self._accept_all(listening), f"accept on port {port}")
        return port

    async def close(self) -> None:
        """Let nobody in any more; handshakes are broken off."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        # After the tasks: the loop still watches a socket on which one of them accepts.
        while self._sockets:
            self._sockets.pop().close()

    def _start(self, work: Any, name: str) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept_all(self, listening: socket.socket) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, place = await loop.sock_accept(listening)
            except OSError as fault:
                # Others are of the connection: it was gone before it was accepted.
                if fault.errno in _NO_ROOM:
                    log.warning("no_room_for_connections", reason=str(fault), next_try_s=RETRY)
                    await asyncio.sleep(RETRY)
                continue
            if self._connections_allowed.enter(place[0]):
                self._start(self._serve(accepted, place[0]), "new connection")
            else:
                accepted.close()

    async def _serve(self, accepted: socket.socket, address: str) -> None:
        is_in = False
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._make(address), accepted, **self._options
            )
            is_in = True
        except (OSError, ValueError) as fault:
            # SSLError is an OSError.
            self._counters.handshakes_failed += 1
            log.info("connection_refused", address=address, reason=_reason(fault))
        finally:
            if not is_in:
                accepted.close()
                self._connections_allowed.leave(address)


def _reason(fault: Exception) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate is not believed: {fault.verify_message}"
    if isinstance(fault, ssl.SSLError) and fault.reason:
        return "TLS: " + fault.reason.lower().replace("_", " ")
    if isinstance(fault, ConnectionResetError):
        return "it left before it was in"
    return str(fault)
