"""The shell of a TCP connection: an asyncio protocol with one MQTT connection behind it."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, cast

import structlog

from broker.contract.identity import Identity
from broker.engines.embedded.connection import Connection
from broker.engines.embedded.core import BrokerCore
from broker.engines.embedded.output_commit import OutputCommit
from broker.engines.embedded.wire import Wire
from broker.security.certificates import identity_of

log = structlog.get_logger()

Welcome = Callable[[Wire], Connection]
"""Makes the connection behind a wire."""

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)

EARLY_FLUSH = 64 * 1024
"""Bytes that leave at once. Else a turn that sends much would look like a client that does not read."""


class TcpWire(asyncio.Protocol):
    """A TCP socket. Bytes sent in one turn of the loop, or in the next, leave in one write."""

    __slots__ = (
        "_buffer_bytes",
        "_closing",
        "_counters",
        "_farewell",
        "_finished",
        "_lingers",
        "_outgoing",
        "_outgoing_bytes",
        "_output",
        "_socket",
        "_transport",
        "_welcome",
        "address",
        "certificate",
        "connection",
    )

    def __init__(
        self,
        address: str,
        welcome: Welcome,
        farewell: Callable[[Connection], None],
        *,
        output: OutputCommit,
        core: BrokerCore,
    ) -> None:
        self._welcome = welcome
        self._farewell = farewell
        self._output = output
        self._counters = core.counters
        self._buffer_bytes = core.settings.buffer_bytes
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._closing = self._lingers = self._finished = False
        self.address = address
        self.certificate: Identity | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast("asyncio.Transport", transport)
        self.certificate = identity_of(transport.get_extra_info("ssl_object"))
        self._socket = _own_socket(transport)
        # Without it a request and its answer wait for each other's delayed acknowledgement: 44 ms.
        self._set_option(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        # A client without keepalive that has lost its power is noticed by the system, some day.
        self._set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        transport.set_write_buffer_limits(high=self._buffer_bytes, low=self._buffer_bytes // 4)
        self.connection = self._welcome(self)

    def data_received(self, data: bytes) -> None:
        self._acknowledge_quickly()
        self.connection.feed(data, time.monotonic())

    def connection_lost(self, fault: Exception | None) -> None:  # noqa: ARG002
        if self._socket is not None:
            # The transport closes it.
            self._socket.detach()
            self._socket = None
        self.connection.lost()
        self._farewell(self.connection)

    def resume_writing(self) -> None:
        self.connection.writable()

    def send(self, data: bytes) -> None:
        if not self._outgoing:
            self._output.add(self)
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)
        if self._outgoing_bytes > EARLY_FLUSH and self._output.free:
            self._write()

    def close(self, *, linger: bool = False) -> None:
        # What was sent leaves first, with the next turn.
        self._closing, self._lingers = True, linger
        if not self._outgoing:
            self._finish()

    def hold(self, *, held: bool) -> None:
        if self._transport.is_closing():
            return
        if held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    @property
    def congested(self) -> bool:
        return self._outgoing_bytes + self._transport.get_write_buffer_size() > self._buffer_bytes

    def flush(self) -> None:
        self._write()
        connection = self.connection
        if self._closing:
            self._finish()
        # The transport calls resume_writing only if its own buffer was full, not if this one was.
        elif connection.wants_to_send and not self.congested:
            connection.writable()

    def abort(self) -> None:
        self._outgoing.clear()
        self._outgoing_bytes = 0
        self._transport.abort()

    def _finish(self) -> None:
        """Send nothing more. One that lingers waits until the client has closed too, or is cut off.

        A socket that is closed while the client still sends is reset, and the client does not read why.
        """
        transport = self._transport
        if self._finished or transport.is_closing():
            return
        self._finished = True
        if not (self._lingers and transport.can_write_eof()):
            transport.close()
            return
        try:
            transport.resume_reading()
            transport.write_eof()
        except RuntimeError as fault:
            log.debug("socket_gone", address=self.address, reason=str(fault))

    def _acknowledge_quickly(self) -> None:
        """Keep the system from delaying its TCP acknowledgement of what just came.

        A client that has not switched Nagle's algorithm off, as most have not, holds its next PUBLISH back
        until its last PUBACK is acknowledged: 40 ms. Linux forgets the option, so it is set each time.
        """
        if _QUICK_ACK is not None:
            self._set_option(socket.IPPROTO_TCP, _QUICK_ACK)

    def _set_option(self, level: int, option: int) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(level, option, 1)

    def _write(self) -> None:
        outgoing = self._outgoing
        if outgoing and not self._finished and not self._transport.is_closing():
            self._counters.bytes_sent += self._outgoing_bytes
            try:
                self._transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))
            except RuntimeError as fault:
                # uvloop says so of a socket that has ended in this very turn; connection_lost comes.
                log.debug("socket_gone", address=self.address, reason=str(fault))
        # Cleared even where nothing could be written: what a dead socket holds is nobody's any more.
        outgoing.clear()
        self._outgoing_bytes = 0


def _own_socket(transport: asyncio.Transport) -> socket.socket | None:
    """The transport's socket, to set options on: uvloop's stand-in duplicates the descriptor each time."""
    found: Any = transport.get_extra_info("socket")
    if found is None:
        return None
    return socket.socket(found.family, found.type, found.proto, fileno=found.fileno())
