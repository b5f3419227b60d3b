"""The shell of a client's connection: an asyncio protocol that gathers what is sent, and notices silence."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

from broker.errors import ProtocolError
from broker.mqtt.framing import Framer
from broker.mqtt.packets import Packet
from broker.mqtt.writing import PING

EARLY_FLUSH = 64 * 1024
"""Bytes that leave before the turn ends, so that a broker which does not read is noticed."""

HIGH_WATER = 1024 * 1024
"""Bytes that the system has not taken; beyond them nothing more is sent until the broker reads again."""

CLOSED = "it has closed the connection"
"""Why a connection is lost, where nobody has said anything else."""

OnPacket = Callable[["PacketStream", Packet], None]
"""Called with each packet, in their order. May raise ProtocolError, which ends the connection."""


class PacketStream(asyncio.Protocol):
    """One connection. Packets sent in one turn of the loop leave in one write.

    `lost` is done when it has ended, with the reason.
    """

    def __init__(self, on_packet: OnPacket, on_writable: Callable[[], None], framer: Framer) -> None:
        self.on_packet = on_packet
        self._on_writable = on_writable
        self._framer = framer
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.congested = False
        self._reason = CLOSED
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._has_sent = self._has_heard = self._awaits_pong = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's by inheritance.
        self._transport = transport = cast("asyncio.Transport", transport)
        opened: socket.socket | None = transport.get_extra_info("socket")
        if opened is not None and opened.family != socket.AF_UNIX:
            # Without it a request and its answer wait for each other's delayed acknowledgement: 44 ms.
            with contextlib.suppress(OSError):
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        self._has_heard = True
        try:
            for packet in self._framer.feed(data):
                self.on_packet(self, packet)
        except ProtocolError as fault:
            self.abort(str(fault))

    def connection_lost(self, fault: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # What was not sent is sent again by its owner, if it was more than QoS 0.
        self._outgoing.clear()
        if not self.lost.done():
            self.lost.set_result(str(fault) if fault else self._reason)

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = False
        self._on_writable()

    def send(self, data: bytes) -> None:
        """Let a packet leave at the end of this turn."""
        outgoing = self._outgoing
        if not outgoing:
            self._loop.call_soon(self._flush)
        outgoing.append(data)
        self._outgoing_bytes += len(data)
        if self._outgoing_bytes > EARLY_FLUSH:
            self._flush()

    def keep_alive(self, interval: float) -> None:
        """Send at least one packet each `interval` seconds, and give up a broker that says nothing to it."""
        if interval:
            self._has_sent = self._has_heard = True
            # Twice in an interval, so that a ping sent at the first look is answered by the second.
            self._timer = self._loop.call_later(interval / 2, self._check, interval / 2)

    def close(self, farewell: bytes, reason: str) -> None:
        """Close in good order, after what was sent; a second call does nothing."""
        if self._transport.is_closing():
            return
        self._reason = reason
        self.send(farewell)
        self._flush()
        self._transport.close()

    def abort(self, reason: str) -> None:
        """Break off at once."""
        self._reason = reason
        self._transport.abort()

    def _flush(self) -> None:
        outgoing = self._outgoing
        if outgoing and not self._transport.is_closing():
            self._has_sent = True
            self._transport.write(outgoing[0] if len(outgoing) == 1 else b"".join(outgoing))
        outgoing.clear()
        self._outgoing_bytes = 0

    def _check(self, interval: float) -> None:
        if self._awaits_pong and not self._has_heard:
            self.abort("it has fallen silent")
            return
        self._awaits_pong = not (self._has_sent and self._has_heard)
        self._has_sent = self._has_heard = False
        if self._awaits_pong:
            self.send(PING)
        self._timer = self._loop.call_later(interval, self._check, interval)
